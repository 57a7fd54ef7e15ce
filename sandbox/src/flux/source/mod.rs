//! source-controller: `GitRepository` here, and `OCIRepository` beside it.
//!
//! What a stopwatch can see of it: the pick-up of a request, one patch with the new revision after
//! the clone, the event that is posted before the artifact is published, then conditions and
//! artifact in two patches. Nothing between pick-up and clone tells detection from download.

mod checkout;
mod fetch;
mod host;
pub(crate) mod ignore;
mod oci;
mod report;
mod signature;
mod steps;

use std::sync::Arc;

pub use fetch::FetchFailure;
pub use fetch::FetchedCommit;
pub use fetch::Reference;
pub use fetch::SignedText;
pub use fetch::SourceFetcher;
pub(crate) use oci::OciRepositories;
pub(crate) use oci::opened;

use self::checkout::Checkout;
use super::context::Context;
use super::draft::Draft;
use super::notification::Recorder;
use super::queue::Next;
use super::runtime::Reconciler;
use crate::store::Change;
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

impl Outcome {
    fn revision(&self) -> &str {
        match self {
            Self::Unchanged { revision } | Self::Stored { revision, .. } => revision,
        }
    }
}

impl GitRepositories {
    pub(crate) fn new(context: Arc<Context>, git: Arc<dyn SourceFetcher>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, git, recorder }
    }

    async fn run(&self, draft: &mut Draft) -> Result<Outcome, Failure> {
        steps::take_up(&self.context, draft).await;
        steps::check_storage(&self.context, draft).await;
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
            steps::progress(&self.context, draft, &format!("building artifact: {message}")).await;
        }
        let files = self.with_includes(draft, files)?;
        self.store(draft, &revision, files).await;
        Ok(Outcome::Stored { revision, subject })
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
        steps::wakes(change)
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
        let revision = outcome.as_ref().map(Outcome::revision);
        let stored = revision.map(|it| format!("stored artifact for revision '{it}'"));
        report::finish(&mut draft, stored);
        draft.patch(patch).await;
        next
    }
}
