//! source-watcher: an `ArtifactGenerator` composes an `ExternalArtifact` of what other sources hold.
//!
//! What a stopwatch can see of it: no patch before the artifact is there, and then one write of the
//! whole status, conditions and revision at once, unlike those of every other source. A source that
//! is not there is looked for again after 5 s.

mod compose;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::artifacts::Files;
use super::artifacts::digest_of;
use super::context::Context;
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
use crate::store::Part;

/// The field manager and event source.
const NAME: &str = "source-watcher";

/// Composes artifacts.
pub(crate) struct ArtifactGenerators {
    context: Arc<Context>,
    recorder: Recorder,
}

/// Why a run ended without success.
enum Failure {
    /// A source is not there, or holds nothing.
    NoSource(String),
    /// What is asked for cannot be made.
    Broken(String),
}

/// What each alias holds, and its revision.
struct Sources {
    files: HashMap<String, Arc<Files>>,
    revisions: HashMap<String, String>,
}

impl ArtifactGenerators {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, recorder }
    }

    /// Composes all artifacts; answers how many there are.
    async fn run(&self, draft: &mut Draft) -> Result<usize, Failure> {
        let sources = self.sources(draft)?;
        let artifacts = draft.spec()["artifacts"].as_array().cloned().unwrap_or_default();
        let mut inventory = Vec::new();
        for artifact in &artifacts {
            let made = self.make(draft, artifact, &sources).await?;
            inventory.push(made);
        }
        draft.set_status("inventory", inventory);
        Ok(artifacts.len())
    }

    fn sources(&self, draft: &Draft) -> Result<Sources, Failure> {
        let mut sources = Sources { files: HashMap::new(), revisions: HashMap::new() };
        for source in draft.spec()["sources"].as_array().into_iter().flatten() {
            let key = source_of(&draft.key, source);
            let alias = source["alias"].as_str().unwrap_or_default().to_owned();
            let Key { kind, namespace, name } = &key;
            let missing = |why: &str| Failure::NoSource(format!("{kind}/{namespace}/{name} {why}"));
            let Some(object) = self.context.store.get(&key) else {
                return Err(missing("not found"));
            };
            let artifact = &object["status"]["artifact"];
            let Some(files) = self.context.artifacts.get(artifact) else {
                return Err(missing("source not ready"));
            };
            let revision = artifact["revision"].as_str().unwrap_or_default().to_owned();
            sources.files.insert(alias.clone(), files);
            sources.revisions.insert(alias, revision);
        }
        Ok(sources)
    }

    /// Composes one artifact, and publishes it if it is new.
    async fn make(
        &self,
        draft: &Draft,
        artifact: &Value,
        sources: &Sources,
    ) -> Result<Value, Failure> {
        tokio::time::sleep(self.context.speeds().archive).await;
        let files = compose::compose(artifact, &sources.files).map_err(Failure::Broken)?;
        let name = artifact["name"].as_str().unwrap_or_default();
        let key = Key::new("ExternalArtifact", &draft.key.namespace, name);
        let old = self.context.store.get(&key).map(|it| it["status"]["artifact"].clone());
        let old = old.unwrap_or_default();
        let now = self.context.store.now();
        let digest = digest_of(&files);
        let revision = match artifact["revision"].as_str().and_then(|it| it.strip_prefix('@')) {
            Some(alias) => sources
                .revisions
                .get(alias)
                .cloned()
                .ok_or_else(|| Failure::Broken(format!("source alias '{alias}' not found")))?,
            None => format!("latest@{digest}"),
        };
        if old["revision"] != revision.as_str() || old["digest"] != digest.as_str() {
            let new = self.context.artifacts.put(&key, &revision, files, &old, now);
            self.publish(draft, &key, &new, &revision).await;
        }
        Ok(json!({"name": name, "namespace": key.namespace, "digest": digest}))
    }

    async fn publish(&self, draft: &Draft, key: &Key, artifact: &Value, revision: &str) {
        let store = &self.context.store;
        let group = "source.extensions.fluxcd.io/v1beta1";
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": key.kind,
            "metadata": {"namespace": key.namespace, "name": key.name},
            "spec": {"sourceRef": {"apiVersion": group, "kind": draft.key.kind,
                "namespace": draft.key.namespace, "name": draft.key.name}},
        });
        if let Err(problem) = store.apply(key, object, Part::Whole, NAME) {
            tracing::debug!(%key, %problem, "artifact not written");
        }
        let message = format!("{}/{} reconciled with revision {revision}", key.namespace, key.name);
        self.recorder.post(&draft.object, Severity::Info, "Succeeded", &message, &[]).await;
        tokio::time::sleep(self.context.speeds().patch).await;
        let now = gotime::seconds(store.now());
        let written = store.update(key, Part::Status, NAME, |object| {
            let generation = object["metadata"]["generation"].clone();
            object["status"] = json!({
                "artifact": artifact,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded",
                    "message": "Artifact is ready", "observedGeneration": generation,
                    "lastTransitionTime": now}],
            });
        });
        if let Err(problem) = written {
            tracing::debug!(%key, %problem, "status not written");
        }
    }

    /// The generators that read a source.
    fn readers(&self, source: &Key) -> Vec<Key> {
        let (all, _) = self.context.store.list(Self::KIND, None);
        let reads = |object: &&Arc<Value>| {
            let key = Key::of(object);
            let sources = object["spec"]["sources"].as_array().into_iter().flatten();
            sources.into_iter().any(|it| source_of(&key, it) == *source)
        };
        all.iter().filter(reads).map(|object| Key::of(object)).collect()
    }
}

impl Reconciler for ArtifactGenerators {
    const KIND: &'static str = "ArtifactGenerator";
    const WATCHES: &'static [&'static str] =
        &["ArtifactGenerator", "GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let before = change.before.as_deref();
        if change.key.kind == Self::KIND {
            let deleted = change.kind == ChangeKind::Deleted;
            let asks = !deleted && asks_for_work(before, &change.object);
            return if asks { vec![change.key.clone()] } else { Vec::new() };
        }
        let revision = &change.object["status"]["artifact"]["revision"];
        let old = before.map(|before| &before["status"]["artifact"]["revision"]);
        if revision.is_null() || old == Some(revision) {
            return Vec::new();
        }
        self.readers(&change.key)
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            return Next::Rest;
        };
        let outcome = self.run(&mut draft).await;
        draft.echo_request();
        let next = match &outcome {
            Ok(count) => {
                draft.unmark("Reconciling");
                let message = format!("reconciliation succeeded, processed {count} artifact(s)");
                draft.mark("Ready", "True", "Succeeded", &message);
                draft.observe_generation();
                Next::After(self.context.jittered(draft.interval()))
            }
            Err(Failure::NoSource(message)) => {
                draft.mark("Ready", "False", "SourceFetchFailed", message);
                draft.mark("Reconciling", "True", "ProgressingWithRetry", message);
                Next::After(self.context.speeds().watcher_requeue)
            }
            Err(Failure::Broken(message)) => {
                draft.mark("Ready", "False", "BuildFailed", message);
                draft.mark("Reconciling", "True", "ProgressingWithRetry", message);
                Next::Retry
            }
        };
        draft.patch(self.context.speeds().patch).await;
        next
    }
}

/// The source that an entry of a generator names.
fn source_of(generator: &Key, entry: &Value) -> Key {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    let namespace = entry["namespace"].as_str().unwrap_or(&generator.namespace);
    Key::new(text("kind"), namespace, text("name"))
}
