//! The story of a commit: announced, found by polling, broken.
//!
//! Polling and a broken build are what people see most often behind "it did not arrive".

use crate::cli::demo::{Act, AnyLane, stage, total};
use crate::cli::waterfall::length;
use hopclock_sandbox::pipeline::{Door, Hook, Lane};

/// The acts, in their order.
pub(super) fn acts() -> Vec<Act> {
    vec![webhook(), polling(), broken()]
}

fn webhook() -> Act {
    Act {
        lane: lane("fleet", "10m", Hook::Right),
        title: "A commit, and a webhook that tells Flux at once.",
        scenario: include_str!("webhook.yaml"),
        outcome: "ok",
        lesson: |record| {
            let total = total(record);
            format!(
                "Nothing waits: {total} from push to live is what fetching, building and applying \
                 take."
            )
        },
    }
}

fn polling() -> Act {
    Act {
        lane: lane("polled", "10s", Hook::WrongSecret),
        title: "The same, but somebody rotated the webhook's secret. Flux polls every 10 s.",
        scenario: include_str!("polling.yaml"),
        outcome: "ok",
        lesson: |record| {
            let total = total(record);
            let fetch = stage(record, "source_fetched").map_or_else(String::new, length);
            format!(
                "Everything is green, and {fetch} of {total} went by until the next poll: \
                 `webhook_received` was not seen, and `via interval` says why."
            )
        },
    }
}

fn broken() -> Act {
    Act {
        lane: lane("broken", "10m", Hook::Right),
        title: "A commit whose manifests do not build.",
        scenario: include_str!("broken.yaml"),
        outcome: "failed",
        lesson: |record| {
            let failure = record.failing_since.as_ref();
            let (reason, at) =
                failure.map_or_else(Default::default, |it| (it.reason.clone(), length(it.at)));
            format!(
                "Flux knew after {at} ({reason}). The change counts against the objective; \
                 hopclock itself is fine, so nobody is paged for a broken prober."
            )
        },
    }
}

fn lane(name: &str, interval: &str, hook: Hook) -> AnyLane {
    let (name, interval) = (name.to_owned(), interval.to_owned());
    AnyLane::Git(Lane { name, interval, hook, door: Door::Open })
}
