//! One revision on its way into the cluster, with a patch at each step.

use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use tokio::time::sleep;

use super::Kustomizations;
use super::apply;
use super::build;
use super::build::Unpacked;
use super::health;
use super::history;
use super::origin_of;
use crate::flux::draft::Draft;
use crate::flux::gotime;
use crate::flux::notification::Severity;
use crate::flux::source::opened;
use crate::store::Key;

/// Why a revision was not applied.
pub(super) enum Failure {
    /// The artifact cannot be downloaded.
    NoArtifact,
    /// Anything else, with the message for the event.
    Failed(String),
}

/// The revision in work.
struct Attempt<'a> {
    artifact: &'a Value,
    revision: &'a str,
    checksum: String,
    started: Instant,
}

impl Kustomizations {
    /// Fetches, builds, applies, prunes and waits for health.
    pub(super) async fn apply_revision(
        &self,
        draft: &mut Draft,
        artifact: &Value,
        started: Instant,
    ) -> Result<(), Failure> {
        let speeds = self.context.speeds();
        let revision = artifact["revision"].as_str().unwrap_or_default();
        draft.mark("Ready", "Unknown", "Progressing", "Reconciliation in progress");
        self.progress(draft, "Fetching manifests", revision).await;
        sleep(speeds.fetch_artifact).await;
        let files = self.context.artifacts.get(artifact).ok_or(Failure::NoArtifact)?;
        let files = opened(&files);
        let root = format!("/tmp/kustomization-{}", fastrand::u32(..));
        let unpacked = Unpacked { files: &files, root };
        let path = draft.spec()["path"].as_str().unwrap_or("./").to_owned();
        if !unpacked.has(&path) {
            let folder = format!("{}/{}", unpacked.root, path.trim_start_matches("./"));
            let message =
                format!("kustomization path not found: stat {folder}: no such file or directory");
            return Err(failed(draft, "ArtifactFailed", message));
        }
        draft.set_status("lastAttemptedRevision", revision);
        self.progress(draft, "Building manifests", revision).await;
        sleep(speeds.build).await;
        if draft.spec()["postBuild"].is_object() {
            let message = "`postBuild` is not run in the sandbox: remove it".to_owned();
            return Err(failed(draft, "BuildFailed", message));
        }
        let built = unpacked.build(&path);
        let mut objects = built.map_err(|message| failed(draft, "BuildFailed", message))?;
        own(draft, &mut objects);
        let checksum = build::checksum(&objects);
        let attempt = Attempt { artifact, revision, checksum, started };
        self.progress(draft, "Detecting drift", revision).await;
        sleep(speeds.apply).await;
        self.apply(draft, &attempt, objects).await?;
        draft.set_status("lastAppliedRevision", revision);
        draft.set_status("lastAppliedOriginRevision", origin_of(artifact));
        let message = format!("Applied revision: {revision}");
        draft.mark("Ready", "True", "ReconciliationSucceeded", &message);
        self.remember(draft, &attempt, "ReconciliationSucceeded");
        Ok(())
    }

    async fn apply(
        &self,
        draft: &mut Draft,
        attempt: &Attempt<'_>,
        objects: Vec<Value>,
    ) -> Result<(), Failure> {
        let store = &self.context.store;
        let applied = match apply::apply(store, objects) {
            Ok(applied) => applied,
            Err(message) => {
                self.remember(draft, attempt, "ReconciliationFailed");
                return Err(failed(draft, "ReconciliationFailed", message));
            }
        };
        if !applied.lines.is_empty() {
            let message = applied.lines.join("\n");
            self.post(draft, attempt.artifact, Severity::Info, &message).await;
        }
        let old = draft.status()["inventory"].clone();
        let new = apply::inventory(store, &applied.all);
        draft.set_status("inventory", new.clone());
        if draft.spec()["prune"] == true {
            let lines = apply::prune(store, &old, &new);
            if !lines.is_empty() {
                self.post(draft, attempt.artifact, Severity::Info, &lines.join("\n")).await;
            }
        }
        self.check_health(draft, attempt, &applied).await
    }

    async fn check_health(
        &self,
        draft: &mut Draft,
        attempt: &Attempt<'_>,
        applied: &apply::Applied,
    ) -> Result<(), Failure> {
        let objects = match draft.spec()["healthChecks"].as_array() {
            _ if draft.spec()["wait"] == true => applied.all.clone(),
            Some(checks) => checks.iter().map(|check| checked(draft, check)).collect(),
            None => Vec::new(),
        };
        if objects.is_empty() {
            draft.unmark("Healthy");
            return Ok(());
        }
        let started = Instant::now();
        let timeout = health::timeout_of(draft.spec());
        let was_healthy = draft.is_true("Healthy");
        let message = progress_message("Running health checks", attempt.revision, draft);
        draft.mark("Healthy", "Unknown", "Progressing", &message);
        self.progress(draft, "Running health checks", attempt.revision).await;
        let speeds = self.context.speeds();
        let verdict = health::wait(&self.context.store, &objects, &speeds, timeout).await;
        let took = gotime::duration(started.elapsed());
        if let Err(problem) = verdict {
            draft.mark("Healthy", "False", "HealthCheckFailed", &problem);
            self.remember(draft, attempt, "HealthCheckFailed");
            let message = format!("health check failed after {took}: {problem}");
            return Err(failed(draft, "HealthCheckFailed", message));
        }
        let message = format!("Health check passed in {took}");
        let is_new = draft.status()["lastAppliedRevision"] != attempt.revision;
        if !was_healthy || (is_new && !applied.lines.is_empty()) {
            self.post(draft, attempt.artifact, Severity::Info, &message).await;
        }
        draft.mark("Healthy", "True", "Succeeded", &message);
        draft.patch(speeds.patch).await;
        Ok(())
    }

    async fn progress(&self, draft: &mut Draft, doing: &str, revision: &str) {
        let message = progress_message(doing, revision, draft);
        draft.mark("Reconciling", "True", "Progressing", &message);
        draft.patch(self.context.speeds().patch).await;
    }

    fn remember(&self, draft: &mut Draft, attempt: &Attempt<'_>, outcome: &str) {
        let now = gotime::seconds(self.context.store.now());
        let entry = history::Entry {
            digest: &attempt.checksum,
            outcome,
            took: attempt.started.elapsed(),
            revision: attempt.revision,
            origin: origin_of(attempt.artifact),
        };
        let history = history::with(&draft.status()["history"], &entry, &now);
        draft.set_status("history", history);
    }
}

fn progress_message(doing: &str, revision: &str, draft: &Draft) -> String {
    let timeout = gotime::duration(health::timeout_of(draft.spec()));
    format!("{doing} for revision {revision} with a timeout of {timeout}")
}

fn failed(draft: &mut Draft, reason: &str, message: String) -> Failure {
    draft.mark("Ready", "False", reason, &message);
    Failure::Failed(message)
}

/// Puts the owner's marks on objects, and what the owner wants on all of them.
fn own(draft: &Draft, objects: &mut [Value]) {
    let (key, spec) = (&draft.key, draft.spec());
    let owner = json!({
        "kustomize.toolkit.fluxcd.io/name": key.name,
        "kustomize.toolkit.fluxcd.io/namespace": key.namespace,
    });
    for object in objects {
        if let Some(namespace) = spec["targetNamespace"].as_str() {
            object["metadata"]["namespace"] = namespace.into();
        }
        build::label(object, &spec["commonMetadata"]["labels"], "labels");
        build::label(object, &spec["commonMetadata"]["annotations"], "annotations");
        build::label(object, &owner, "labels");
    }
}

fn checked(draft: &Draft, check: &Value) -> Key {
    let text = |field: &str| check[field].as_str().unwrap_or_default();
    let namespace = check["namespace"].as_str().unwrap_or(&draft.key.namespace);
    Key::new(text("kind"), namespace, text("name"))
}
