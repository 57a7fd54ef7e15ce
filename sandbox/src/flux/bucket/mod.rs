//! source-controller, for `Bucket`.
//!
//! It lists the bucket each time; what it lists, keys and tags alone, is the revision. Only when that
//! is another one than before are the objects fetched, and a stopwatch sees one patch after that,
//! then conditions and artifact in two. A list like the one before leaves no trace but an echo.

mod client;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use self::client::{Access, Index};
use super::artifacts::Files;
use super::context::Context;
use super::draft::{self, Draft, asks_for_work};
use super::gotime;
use super::notification::{Recorder, Severity};
use super::queue::Next;
use super::runtime::Reconciler;
use super::secrets;
use crate::store::{Change, ChangeKind, Key};

/// The field manager and event source.
const NAME: &str = "source-controller";

/// The longest time for an answer where the object does not say.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Follows buckets.
pub(crate) struct Buckets {
    context: Arc<Context>,
    recorder: Recorder,
}

/// Why a run ended without success.
struct Failure {
    reason: &'static str,
    message: String,
}

/// What a run came to: the revision, and how many files it has.
struct Stored {
    revision: String,
    files: usize,
}

impl Buckets {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, recorder }
    }

    async fn run(&self, draft: &mut Draft) -> Result<Stored, Failure> {
        let speeds = self.context.speeds();
        self.take_up(draft).await;
        self.check_storage(draft).await;
        let access = self.access(draft)?;
        let failed = |message| Failure { reason: "BucketOperationFailed", message };
        sleep(speeds.list_bucket).await;
        let index = access.clone().index().await.map_err(failed)?;
        let revision = index.revision();
        if draft.status()["artifact"]["revision"] == revision.as_str() {
            draft.unmark("FetchFailed");
            mark_stored(draft, &revision);
            return Ok(Stored { revision, files: index.len() });
        }
        sleep(speeds.fetch_objects).await;
        let fetched = access.fetch(index).await;
        // What was listed and is gone by now counts no more; the revision is told all the same.
        let (index, files) = match fetched {
            Ok((index, files)) => (index, files),
            Err(message) => {
                self.announce(draft, &revision).await;
                return Err(failed(message));
            }
        };
        let revision = index.revision();
        self.announce(draft, &revision).await;
        draft.unmark("FetchFailed");
        self.store(draft, &revision, files).await;
        Ok(Stored { revision, files: index.len() })
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

    async fn announce(&self, draft: &mut Draft, revision: &str) {
        let message = format!("new upstream revision '{revision}'");
        if draft.status()["artifact"].is_object() {
            draft.mark("ArtifactOutdated", "True", "NewRevision", &message);
        }
        self.progress(draft, &format!("building artifact: {message}")).await;
    }

    async fn store(&self, draft: &mut Draft, revision: &str, files: Files) {
        sleep(self.context.speeds().archive).await;
        let old = draft.status()["artifact"].clone();
        let now = self.context.store.now();
        let new = self.context.artifacts.put(&draft.key, revision, files, &old, now);
        draft.set_status("artifact", new);
        let ignore = draft.spec()["ignore"].clone();
        draft.set_status("observedIgnore", ignore);
        draft.unmark("StorageOperationFailed");
        mark_stored(draft, revision);
    }

    /// What the bucket is asked with.
    fn access(&self, draft: &Draft) -> Result<Access, Failure> {
        let (store, namespace) = (&self.context.store, draft.key.namespace.as_str());
        let text = |field: &str| draft.spec()[field].as_str().unwrap_or_default().to_owned();
        let failed = |message| Failure { reason: "AuthenticationFailed", message };
        let secret = |field: &str| {
            let Some(name) = draft.spec()[field]["name"].as_str() else { return Ok(None) };
            if store.get(&Key::new("Secret", namespace, name)).is_none() {
                let message = format!(
                    "failed to get secret '{namespace}/{name}': Secret \"{name}\" not found"
                );
                return Err(failed(message));
            }
            Ok(Some(name))
        };
        let mut keys = None;
        if let Some(name) = secret("secretRef")? {
            let read = |key| secrets::read_text(store, namespace, name, key);
            let (Some(access), Some(word)) = (read("accesskey"), read("secretkey")) else {
                let message = format!(
                    "invalid '{name}' secret data: required fields 'accesskey' and 'secretkey'"
                );
                return Err(failed(message));
            };
            keys = Some((access, word));
        }
        let authority = match secret("certSecretRef")? {
            Some(name) => secrets::read(store, namespace, name, "ca.crt"),
            None => None,
        };
        let region = Some(text("region")).filter(|it| !it.is_empty());
        let timeout = draft.spec()["timeout"].as_str().and_then(gotime::parse).unwrap_or(TIMEOUT);
        Ok(Access {
            endpoint: text("endpoint"),
            bucket: text("bucketName"),
            prefix: text("prefix"),
            ignore: text("ignore"),
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            insecure: draft.spec()["insecure"] == true,
            keys,
            authority,
            timeout,
        })
    }

    /// Posts what the world should hear of a run, and waits until it is posted.
    async fn tell(&self, before: &Value, draft: &Draft, outcome: &Result<Stored, Failure>) {
        let stored = match outcome {
            Err(Failure { reason, message }) => {
                self.recorder.post(&draft.object, Severity::Error, reason, message, &[]).await;
                return;
            }
            Ok(stored) => stored,
        };
        let new = &draft.status()["artifact"]["digest"];
        let failed = ["StorageOperationFailed", "FetchFailed"];
        let reason = if before["status"]["artifact"]["digest"] != *new {
            "NewArtifact"
        } else if failed.iter().any(|name| draft::is_true(before, name)) {
            "Succeeded"
        } else {
            return;
        };
        let bucket = draft.spec()["bucketName"].as_str().unwrap_or_default();
        let files = stored.files;
        let message = format!("stored artifact with {files} fetched files from '{bucket}' bucket");
        let metadata = [
            ("source.toolkit.fluxcd.io/revision", stored.revision.as_str()),
            ("source.toolkit.fluxcd.io/digest", new.as_str().unwrap_or_default()),
        ];
        self.recorder.post(&draft.object, Severity::Info, reason, &message, &metadata).await;
    }
}

impl Reconciler for Buckets {
    const KIND: &'static str = "Bucket";
    const WATCHES: &'static [&'static str] = &["Bucket"];

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
            draft.echo_request();
            draft.observe_generation();
            draft.patch(patch).await;
            return Next::Rest;
        }
        let before = draft.object.clone();
        let outcome = self.run(&mut draft).await;
        self.tell(&before, &draft, &outcome).await;
        finish(&mut draft, &outcome);
        draft.patch(patch).await;
        match outcome {
            Ok(_) => Next::After(self.context.jittered(draft.interval())),
            Err(_) => Next::Retry,
        }
    }
}

impl Index {
    /// How Flux names what a bucket holds.
    fn revision(&self) -> String {
        let lines: String = self.lines().collect();
        format!("sha256:{}", crate::bucket::signature::hash(lines.as_bytes()))
    }
}

fn mark_stored(draft: &mut Draft, revision: &str) {
    draft.unmark("ArtifactOutdated");
    let message = format!("stored artifact: revision '{revision}'");
    draft.mark("ArtifactInStorage", "True", "Succeeded", &message);
}

/// Sums a run up in conditions and status.
fn finish(draft: &mut Draft, outcome: &Result<Stored, Failure>) {
    draft.echo_request();
    match outcome {
        Ok(Stored { revision, .. }) => {
            let message = format!("stored artifact: revision '{revision}'");
            draft.unmark("Reconciling");
            draft.mark("Ready", "True", "Succeeded", &message);
            draft.observe_generation();
        }
        Err(Failure { reason, message }) => {
            draft.mark("FetchFailed", "True", reason, message);
            draft.mark("Ready", "False", reason, message);
            draft.set_reason("Reconciling", "ProgressingWithRetry");
        }
    }
}
