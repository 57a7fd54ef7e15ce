//! kustomize-controller.
//!
//! What a stopwatch can see of it: the pick-up of a revision, the attempt, the object itself, the
//! polled health, then `Ready` and `lastAppliedRevision` in two patches. Dependencies and health
//! are where its time goes; the work itself takes a tenth of a second.

pub(super) mod apply;
mod build;
mod depends;
pub(super) mod health;
mod history;
mod run;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::context::Context;
use super::draft;
use super::draft::Draft;
use super::draft::asks_for_work;
use super::gotime;
use super::notification::Recorder;
use super::notification::Severity;
use super::queue::Next;
use super::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// The field manager and event source.
const NAME: &str = "kustomize-controller";

/// Applies what sources publish.
pub(crate) struct Kustomizations {
    context: Arc<Context>,
    recorder: Recorder,
    gone: Mutex<HashMap<Key, Arc<Value>>>,
}

impl Kustomizations {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, recorder, gone: Mutex::default() }
    }

    async fn attempt(&self, draft: &mut Draft, started: Instant) -> Next {
        let speeds = self.context.speeds();
        let source = depends::source_of(&draft.object);
        let Some(object) = self.context.store.get(&source) else {
            let label = format!("{}/{}", source.kind, source.name);
            draft.mark("Ready", "False", "ArtifactFailed", &format!("Source '{label}' not found"));
            return Next::After(retry_interval(draft));
        };
        let artifact = &object["status"]["artifact"];
        let Some(revision) = artifact["revision"].as_str() else {
            let wait = gotime::duration(speeds.dependency_requeue);
            let message = format!("Source artifact not found, retrying in {wait}");
            draft.mark("Ready", "False", "ArtifactFailed", &message);
            return Next::After(speeds.dependency_requeue);
        };
        if let Err(problem) = depends::check(&self.context.store, &draft.object, revision) {
            draft.mark("Ready", "False", "DependencyNotReady", &problem);
            let wait = gotime::duration(speeds.dependency_requeue);
            let message = format!("Dependencies do not meet ready condition, retrying in {wait}");
            self.post(draft, artifact, Severity::Info, &message).await;
            return Next::After(speeds.dependency_requeue);
        }
        match self.apply_revision(draft, artifact, started).await {
            Ok(()) => Next::After(self.context.jittered(draft.interval())),
            Err(run::Failure::NoArtifact) => {
                let wait = gotime::duration(speeds.dependency_requeue);
                let message =
                    format!("Source is not ready, artifact not found, retrying in {wait}");
                draft.mark("Ready", "False", "ArtifactFailed", &message);
                Next::After(speeds.dependency_requeue)
            }
            Err(run::Failure::Failed(message)) => {
                self.post(draft, artifact, Severity::Error, &message).await;
                Next::After(retry_interval(draft))
            }
        }
    }

    /// Posts an event about a revision; its reason is that of `Ready`.
    async fn post(&self, draft: &Draft, artifact: &Value, severity: Severity, message: &str) {
        self.post_with(draft, artifact, severity, message, &[]).await;
    }

    async fn post_with(
        &self,
        draft: &Draft,
        artifact: &Value,
        severity: Severity,
        message: &str,
        more: &[(&str, &str)],
    ) {
        let reason = draft.condition("Ready").and_then(|ready| ready["reason"].as_str());
        let reason = reason.unwrap_or(severity.as_str()).to_owned();
        let mut metadata = Vec::new();
        if let Some(revision) = artifact["revision"].as_str() {
            metadata.push(("kustomize.toolkit.fluxcd.io/revision", revision));
        }
        if let Some(origin) = origin_of(artifact) {
            metadata.push(("kustomize.toolkit.fluxcd.io/originRevision", origin));
        }
        metadata.extend_from_slice(more);
        self.recorder.post(&draft.object, severity, &reason, message, &metadata).await;
    }

    async fn tell_the_end(&self, draft: &Draft, started: Instant) {
        let took = gotime::duration(started.elapsed());
        let next = gotime::duration(draft.interval());
        let message = format!("Reconciliation finished in {took}, next run in {next}");
        let source = self.context.store.get(&depends::source_of(&draft.object));
        let mut artifact = source.map(|it| it["status"]["artifact"].clone()).unwrap_or_default();
        artifact["revision"] = draft.status()["lastAppliedRevision"].clone();
        let update = [("kustomize.toolkit.fluxcd.io/commit_status", "update")];
        self.post_with(draft, &artifact, Severity::Info, &message, &update).await;
    }

    /// Removes what a deleted object had applied.
    fn clean_up(&self, key: &Key) {
        let Some(object) = self.gone().remove(key) else { return };
        if object["spec"]["prune"] == true && object["spec"]["suspend"] != true {
            apply::prune(&self.context.store, &object["status"]["inventory"], &Value::Null);
        }
    }

    /// Who has to look at a new revision of a source, dependents last.
    fn followers(&self, source: &Key, revision: &Value) -> Vec<Key> {
        let (all, _) = self.context.store.list("Kustomization", None);
        let late = |object: &&Arc<Value>| {
            let busy = draft::is_true(object, "Ready") || draft::is_true(object, "Reconciling");
            depends::source_of(object) == *source
                && !(busy && object["status"]["lastAttemptedRevision"] == *revision)
        };
        let keys = all.iter().filter(late).map(|object| Key::of(object)).collect();
        depends::in_order(keys, &self.context.store)
    }

    fn gone(&self) -> MutexGuard<'_, HashMap<Key, Arc<Value>>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reconciler for Kustomizations {
    const KIND: &'static str = "Kustomization";
    const WATCHES: &'static [&'static str] =
        &["Kustomization", "GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let before = change.before.as_deref();
        if change.key.kind == Self::KIND {
            if change.kind == ChangeKind::Deleted {
                self.gone().insert(change.key.clone(), change.object.clone());
            } else if !asks_for_work(before, &change.object) {
                return Vec::new();
            }
            return vec![change.key.clone()];
        }
        let revision = &change.object["status"]["artifact"]["revision"];
        let old = before.map(|before| &before["status"]["artifact"]["revision"]);
        if change.kind != ChangeKind::Modified || revision.is_null() || old == Some(revision) {
            return Vec::new();
        }
        self.followers(&change.key, revision)
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            self.clean_up(key);
            return Next::Rest;
        };
        let started = Instant::now();
        let suspended = draft.is_suspended();
        let next = if suspended { Next::Rest } else { self.attempt(&mut draft, started).await };
        finish(&mut draft);
        draft.patch(self.context.speeds().patch).await;
        if !suspended && draft.is_true("Ready") {
            self.tell_the_end(&draft, started).await;
        }
        next
    }
}

/// Sums a run up in conditions and status.
fn finish(draft: &mut Draft) {
    draft.echo_request();
    if draft.is_true("Ready") {
        draft.unmark("Reconciling");
        draft.observe_generation();
    } else if draft.condition("Ready").is_some_and(|ready| ready["status"] == "False") {
        draft.set_reason("Reconciling", "ProgressingWithRetry");
    }
}

fn retry_interval(draft: &Draft) -> Duration {
    draft.duration("retryInterval").unwrap_or_else(|| draft.interval())
}

/// The revision that an artifact was made from, where it is not its own.
fn origin_of(artifact: &Value) -> Option<&str> {
    artifact["metadata"]["org.opencontainers.image.revision"].as_str()
}
