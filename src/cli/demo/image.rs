//! The story of an image tag: announced by the registry, and found by the next scan.
//!
//! Four controllers pass a tag on, and all that is slow is that nobody told the first of them.

use crate::cli::demo::{Act, AnyLane, stage, total};
use crate::cli::waterfall::length;
use hopclock_sandbox::pipeline::{ImageLane, ScanHook};

/// The acts, in their order.
pub(super) fn acts() -> Vec<Act> {
    vec![announced(), scanned()]
}

fn announced() -> Act {
    Act {
        lane: AnyLane::Image(ImageLane::new("app")),
        title: "An image tag, and a registry that tells Flux at once.",
        scenario: include_str!("image.yaml"),
        outcome: "ok",
        lesson: |record| {
            let total = total(record);
            format!(
                "{total} for scan, policy, commit, fetch and apply: with a webhook at both ends \
                 nobody waits for anybody."
            )
        },
    }
}

fn scanned() -> Act {
    Act {
        lane: AnyLane::Image(ImageLane {
            scan_hook: ScanHook::Silent,
            scan_interval: "10s".to_owned(),
            ..ImageLane::new("site")
        }),
        title: "The same without a webhook at the ImageRepository. Flux scans every 10 s.",
        scenario: include_str!("image_scan.yaml"),
        outcome: "ok",
        lesson: |record| {
            let scan = stage(record, "image_scanned").map_or_else(String::new, length);
            let total = total(record);
            format!(
                "{scan} of {total} went by until the next scan: the registry has to call a Receiver \
                 of the ImageRepository, and nothing else is missing."
            )
        },
    }
}
