//! source-controller, for `HelmRepository` and `HelmChart`.
//!
//! An index over HTTP is a source like any other; charts follow its revision. A repository in an
//! OCI registry is static: nobody looks at the object, so that its charts are found by their own
//! intervals and requests only.

mod chart;
mod origin;
mod repository;
mod web;

use serde_json::Value;

pub(crate) use chart::HelmCharts;
pub(crate) use repository::HelmRepositories;

use super::context::Context;
use super::draft::Draft;

/// The field manager and event source.
const NAME: &str = "source-controller";

/// Why a run ended without success.
struct Failure {
    condition: &'static str,
    reason: &'static str,
    message: String,
    stalled: bool,
}

impl Failure {
    fn new(condition: &'static str, reason: &'static str, message: String) -> Self {
        Self { condition, reason, message, stalled: false }
    }

    fn stalled(mut self) -> Self {
        self.stalled = true;
        self
    }
}

/// Shows that an object was taken up, if anybody waits for that.
async fn take_up(context: &Context, draft: &mut Draft) {
    let (seen, generation) = (draft.observed_generation(), draft.generation());
    let handled = &draft.status()["lastHandledReconcileAt"];
    let requested = draft.requested_at() != handled.as_str().unwrap_or_default();
    if seen == generation {
        draft.mark("Reconciling", "True", "Progressing", "reconciliation in progress");
    } else {
        let message = format!("processing object: new generation {seen} -> {generation}");
        draft.mark("Reconciling", "True", "Progressing", &message);
    }
    if requested || seen != generation {
        draft.patch(context.speeds().patch).await;
    }
}

/// Shows that a new artifact is in the making.
async fn progress(context: &Context, draft: &mut Draft, reason: &str, message: &str) {
    if draft.status()["artifact"].is_object() {
        draft.mark("ArtifactOutdated", "True", reason, message);
    }
    let message = format!("building artifact: {message}");
    draft.mark("Reconciling", "True", "Progressing", &message);
    draft.mark("Ready", "Unknown", "Progressing", &message);
    draft.patch(context.speeds().patch).await;
}

/// Takes an artifact out of status that is no longer in storage.
fn forget_lost(context: &Context, draft: &mut Draft) {
    if context.artifacts.get(&draft.status()["artifact"]).is_none() {
        draft.set_status("artifact", Value::Null);
        draft.unmark("ArtifactInStorage");
    }
}

/// Sums a run up in conditions and status: the reason and message of its success, or its failure.
fn finish(draft: &mut Draft, outcome: &Result<(&'static str, String), Failure>) {
    draft.echo_request();
    match outcome {
        Ok((reason, message)) => {
            for gone in ["Reconciling", "Stalled", "ArtifactOutdated", "FetchFailed", "BuildFailed"]
            {
                draft.unmark(gone);
            }
            draft.mark("ArtifactInStorage", "True", reason, message);
            draft.mark("Ready", "True", reason, message);
            draft.observe_generation();
        }
        Err(failure) => {
            draft.mark(failure.condition, "True", failure.reason, &failure.message);
            draft.mark("Ready", "False", failure.reason, &failure.message);
            if failure.stalled {
                draft.unmark("Reconciling");
                draft.mark("Stalled", "True", failure.reason, &failure.message);
                draft.observe_generation();
            } else {
                draft.unmark("Stalled");
                draft.set_reason("Reconciling", "ProgressingWithRetry");
            }
        }
    }
}

/// A suspended object echoes the request and acknowledges its generation, nothing else.
fn suspended(draft: &mut Draft) {
    draft.echo_request();
    draft.observe_generation();
}
