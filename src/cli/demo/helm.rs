//! The story of new values: in the release itself, and in a ConfigMap that nobody listens to.
//!
//! Without its label such a ConfigMap is green everywhere and live only at the next interval.

use crate::cli::demo::{Act, AnyLane, stage, total};
use crate::cli::waterfall::length;
use hopclock_sandbox::pipeline::{HelmLane, Values};

/// The acts, in their order.
pub(super) fn acts() -> Vec<Act> {
    vec![own(), unlabelled()]
}

fn own() -> Act {
    Act {
        lane: AnyLane::Helm(HelmLane::new("shop")),
        title: "New values of a HelmRelease, and a webhook that tells Flux at once.",
        scenario: include_str!("helm.yaml"),
        outcome: "ok",
        lesson: |record| {
            let released = stage(record, "released").map_or_else(String::new, length);
            let total = total(record);
            format!(
                "{total} from push to live, and nobody waited: Helm reports the release {released} \
                 after the Kustomization wrote it."
            )
        },
    }
}

fn unlabelled() -> Act {
    Act {
        lane: AnyLane::Helm(HelmLane {
            values: Values::Unwatched,
            release_interval: "10s".to_owned(),
            ..HelmLane::new("cart")
        }),
        title: "The same, but the values stand in a ConfigMap (valuesFrom). The release's interval \
                is 10 s.",
        scenario: include_str!("helm_values_from.yaml"),
        outcome: "ok",
        lesson: |record| {
            let written = stage(record, "written").map_or_else(String::new, length);
            let total = total(record);
            format!(
                "The new values were in the cluster {written} after the fetch, and were used only \
                 when the release was looked at again: {total} in all. The label \
                 `reconcile.fluxcd.io/watch: Enabled` on the ConfigMap would have woken it."
            )
        },
    }
}
