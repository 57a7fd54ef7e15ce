//! What the reconcilers of all sources do alike: taking up, looking at storage, showing progress.

use serde_json::Value;

use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::draft::asks_for_work;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// Which source has to look at a change of its own.
pub(super) fn wakes(change: &Change) -> Vec<Key> {
    let asks = change.kind == ChangeKind::Deleted
        || asks_for_work(change.before.as_deref(), &change.object);
    if asks { vec![change.key.clone()] } else { Vec::new() }
}

/// Shows that the object was taken up, if anybody waits for that.
pub(super) async fn take_up(context: &Context, draft: &mut Draft) {
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

/// Forgets an artifact that is no longer in storage.
pub(super) async fn check_storage(context: &Context, draft: &mut Draft) {
    let artifact = &draft.status()["artifact"];
    if context.artifacts.get(artifact).is_some() {
        return;
    }
    let lost = artifact.is_object();
    draft.set_status("artifact", Value::Null);
    draft.unmark("ArtifactInStorage");
    let message =
        if lost { "building artifact: disappeared from storage" } else { "building artifact" };
    progress(context, draft, message).await;
}

/// Shows what is being done.
pub(super) async fn progress(context: &Context, draft: &mut Draft, message: &str) {
    draft.mark("Reconciling", "True", "Progressing", message);
    draft.mark("Ready", "Unknown", "Progressing", message);
    draft.patch(context.speeds().patch).await;
}
