//! source-controller, for `GitRepository`.
//!
//! What a stopwatch can see of it: the pick-up of a request, one patch with the new revision after
//! the clone, the event that is posted before the artifact is published, then conditions and
//! artifact in two patches. Nothing between pick-up and clone tells detection from download.

mod checkout;
mod fetch;
mod host;
pub(crate) mod ignore;
mod report;
mod signature;

use std::sync::Arc;

use serde_json::Value;

pub use fetch::FetchFailure;
pub use fetch::FetchedCommit;
pub use fetch::Reference;
pub use fetch::SignedText;
pub use fetch::SourceFetcher;

use self::checkout::Checkout;
use super::context::Context;
use super::draft::Draft;
use super::draft::asks_for_work;
use super::notification::Recorder;
use super::queue::Next;
use super::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// The field manager and event source.
const NAME: &str = "source-controller";

/// Conditions that say why there is no new artifact.
const FAILURES: [&str; 3] = ["StorageOperationFailed", "FetchFailed", "IncludeUnavailable"];

/// Follows git repositories.
pub(crate) struct GitRepositories {
    context: Arc<Context>,
    git: Arc<dyn SourceFetcher>,
    recorder: Recorder,
}

/// Why a run ended without success.
struct Failure {
    condition: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
    stalled: bool,
}

/// What a run came to.
enum Outcome {
    /// The remote has nothing new.
    Unchanged { revision: String },
    /// An artifact is stored, new or as it was.
    Stored { revision: String, subject: String },
}

impl GitRepositories {
    pub(crate) fn new(context: Arc<Context>, git: Arc<dyn SourceFetcher>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, git, recorder }
    }

    async fn run(&self, draft: &mut Draft) -> Result<Outcome, Failure> {
        self.take_up(draft).await;
        self.check_storage(draft).await;
        let checkout = self.checkout(draft).await?;
        let (revision, subject, files) = match checkout {
            Checkout::Unchanged { revision } => {
                let message = format!("stored artifact for revision '{revision}'");
                draft.mark("ArtifactInStorage", "True", "Succeeded", &message);
                return Ok(Outcome::Unchanged { revision });
            }
            Checkout::New { revision, subject, files } => (revision, subject, files),
        };
        if draft.status()["artifact"]["revision"] != revision.as_str() {
            let message = format!("new upstream revision '{revision}'");
            if draft.status()["artifact"].is_object() {
                draft.mark("ArtifactOutdated", "True", "NewRevision", &message);
            }
            self.progress(draft, &format!("building artifact: {message}")).await;
        }
        let files = self.with_includes(draft, files)?;
        self.store(draft, &revision, files).await;
        Ok(Outcome::Stored { revision, subject })
    }

    /// Shows that the object was taken up, if anybody waits for that.
    async fn take_up(&self, draft: &mut Draft) {
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
            draft.patch(self.context.speeds().patch).await;
        }
    }

    async fn check_storage(&self, draft: &mut Draft) {
        let artifact = &draft.status()["artifact"];
        if self.context.artifacts.get(artifact).is_some() {
            return;
        }
        let lost = artifact.is_object();
        draft.set_status("artifact", Value::Null);
        draft.unmark("ArtifactInStorage");
        let message =
            if lost { "building artifact: disappeared from storage" } else { "building artifact" };
        self.progress(draft, message).await;
    }

    async fn progress(&self, draft: &mut Draft, message: &str) {
        draft.mark("Reconciling", "True", "Progressing", message);
        draft.mark("Ready", "Unknown", "Progressing", message);
        draft.patch(self.context.speeds().patch).await;
    }

    async fn store(&self, draft: &mut Draft, revision: &str, files: super::artifacts::Files) {
        tokio::time::sleep(self.context.speeds().archive).await;
        let old = draft.status()["artifact"].clone();
        let now = self.context.store.now();
        let new = self.context.artifacts.put(&draft.key, revision, files, &old, now);
        let unchanged = old["revision"] == new["revision"] && old["digest"] == new["digest"];
        if !unchanged {
            draft.set_status("artifact", new);
        }
        checkout::remember_config(draft);
        for gone in ["ArtifactOutdated", "StorageOperationFailed", "IncludeUnavailable"] {
            draft.unmark(gone);
        }
        let message = format!("stored artifact for revision '{revision}'");
        draft.mark("ArtifactInStorage", "True", "Succeeded", &message);
    }
}

impl Reconciler for GitRepositories {
    const KIND: &'static str = "GitRepository";
    const WATCHES: &'static [&'static str] = &["GitRepository"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let asks = change.kind == ChangeKind::Deleted
            || asks_for_work(change.before.as_deref(), &change.object);
        if asks { vec![change.key.clone()] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            self.context.artifacts.remove(key);
            return Next::Rest;
        };
        let patch = self.context.speeds().patch;
        if draft.is_suspended() {
            report::suspended(&mut draft);
            draft.patch(patch).await;
            return Next::Rest;
        }
        let before = draft.object.clone();
        let outcome = self.run(&mut draft).await;
        self.tell(&before, &draft, &outcome).await;
        let next = match &outcome {
            Ok(_) => Next::After(self.context.jittered(draft.interval())),
            Err(failure) if failure.stalled => Next::Rest,
            Err(_) => Next::Retry,
        };
        report::finish(&mut draft, &outcome);
        draft.patch(patch).await;
        next
    }
}
