//! source-controller, for `OCIRepository`.
//!
//! A run asks for the digest behind the reference, and pulls only if that or the wish has changed. A
//! new digest is shown when the pull is over, whether it went well or not; what `tag` means is asked
//! anew each time, and `semver` and `digest` go before it.

mod archive;
mod pull;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use archive::opened;

use self::pull::Pulled;
use super::Failure;
use super::report;
use super::steps;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::notification::Recorder;
use crate::flux::notification::Severity;
use crate::flux::queue::Next;
use crate::flux::runtime::Reconciler;
use crate::store::Change;
use crate::store::Key;

/// The field manager and event source.
const NAME: &str = "source-controller";

/// Conditions that say why there is no new artifact.
const FAILURES: [&str; 2] = ["StorageOperationFailed", "FetchFailed"];

/// Fields of the spec that change the artifact of an unchanged digest, and where status keeps them.
const CONTENT_CONFIG: [(&str, &str); 2] =
    [("ignore", "observedIgnore"), ("layerSelector", "observedLayerSelector")];

/// The annotations in which an artifact names what it was made of.
const SOURCE: &str = "org.opencontainers.image.source";
const REVISION: &str = "org.opencontainers.image.revision";

/// Follows repositories of a registry.
pub(crate) struct OciRepositories {
    context: Arc<Context>,
    recorder: Recorder,
}

impl OciRepositories {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, recorder }
    }

    /// Asks, pulls and stores; answers the revision that is stored then.
    async fn run(&self, draft: &mut Draft) -> Result<String, Failure> {
        steps::take_up(&self.context, draft).await;
        steps::check_storage(&self.context, draft).await;
        let access = pull::access_of(&self.context, draft)?;
        let reference = pull::reference_of(&self.context, draft, &access).await?;
        let revision = pull::revision_of(&self.context, &access, &reference).await?;
        let is_known = draft.status()["artifact"]["revision"] == revision.as_str();
        if is_known && !has_other_wishes(draft) {
            draft.unmark("FetchFailed");
            note_stored(draft, &revision);
            return Ok(revision);
        }
        let pulled = pull::pull(&self.context, draft, &access, &revision).await;
        if !is_known {
            let message = format!("new revision '{revision}' for '{}'", reference.shown(&access));
            if draft.status()["artifact"].is_object() {
                draft.mark("ArtifactOutdated", "True", "NewRevision", &message);
            }
            let message = format!("building artifact: {message}");
            steps::progress(&self.context, draft, &message).await;
        }
        let pulled = pulled?;
        draft.unmark("FetchFailed");
        self.store(draft, &revision, pulled).await;
        Ok(revision)
    }

    async fn store(&self, draft: &mut Draft, revision: &str, pulled: Pulled) {
        tokio::time::sleep(self.context.speeds().archive).await;
        let old = draft.status()["artifact"].clone();
        let now = self.context.store.now();
        let Pulled { files, annotations } = pulled;
        let mut new = self.context.artifacts.put(&draft.key, revision, files, &old, now);
        if annotations.is_object() {
            new["metadata"] = annotations;
        }
        draft.set_status("artifact", new);
        for (wish, seen) in CONTENT_CONFIG {
            let value = draft.spec()[wish].clone();
            draft.set_status(seen, value);
        }
        note_stored(draft, revision);
    }

    /// Posts what the world should hear of a run, and waits until it is posted.
    async fn tell(&self, before: &Value, draft: &Draft, outcome: &Result<String, Failure>) {
        let revision = match outcome {
            Ok(revision) => revision,
            Err(Failure { reason, message, .. }) => {
                self.recorder.post(&draft.object, Severity::Error, reason, message, &[]).await;
                return;
            }
        };
        let Some(reason) = report::worth_telling(before, draft, &FAILURES) else { return };
        let artifact = &draft.status()["artifact"];
        let url = draft.spec()["url"].as_str().unwrap_or_default();
        let mut message = format!("stored artifact with revision '{revision}' from '{url}'");
        let origin = |name: &str| artifact["metadata"][name].as_str();
        if let (Some(source), Some(origin)) = (origin(SOURCE), origin(REVISION)) {
            message = format!("{message}, origin source '{source}', origin revision '{origin}'");
        }
        let metadata = [
            ("source.toolkit.fluxcd.io/revision", revision.as_str()),
            ("source.toolkit.fluxcd.io/digest", artifact["digest"].as_str().unwrap_or_default()),
        ];
        self.recorder.post(&draft.object, Severity::Info, reason, &message, &metadata).await;
    }
}

impl Reconciler for OciRepositories {
    const KIND: &'static str = "OCIRepository";
    const WATCHES: &'static [&'static str] = &["OCIRepository"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        steps::wakes(change)
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            self.context.artifacts.remove(key);
            return Next::Rest;
        };
        if draft.spec()["url"].is_null() {
            // A cluster would not take it: somebody publishes by hand.
            return Next::Rest;
        }
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
        report::finish(&mut draft, outcome.as_deref().map(stored));
        draft.patch(patch).await;
        next
    }
}

/// Whether the artifact would become another one although the digest is the same.
fn has_other_wishes(draft: &Draft) -> bool {
    CONTENT_CONFIG.iter().any(|(wish, seen)| draft.spec()[*wish] != draft.status()[*seen])
}

fn note_stored(draft: &mut Draft, revision: &str) {
    for gone in ["ArtifactOutdated", "StorageOperationFailed"] {
        draft.unmark(gone);
    }
    draft.mark("ArtifactInStorage", "True", "Succeeded", &stored(revision));
}

fn stored(revision: &str) -> String {
    format!("stored artifact for digest '{revision}'")
}
