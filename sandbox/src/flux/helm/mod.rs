//! helm-controller: `HelmRelease`.
//!
//! What a stopwatch can see of it: prerequisites are announced, then the action together with what
//! is attempted, then comes the event, and conditions and history in two patches; only a last look
//! takes `Reconciling` away and lets the generation be observed. A run without need is the first
//! and the last of these.

mod action;
mod chart;
mod depends;
mod history;
mod release;
mod render;
mod storage;
mod template;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

pub(crate) use storage::Storage;

use self::chart::NoChart;
use self::chart::source_of;
use self::release::End;
use self::render::Request;
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
const NAME: &str = "helm-controller";

/// Kinds that a chart can come from.
const SOURCES: [&str; 3] = ["HelmChart", "OCIRepository", "ExternalArtifact"];

/// Releases charts.
pub(crate) struct HelmReleases {
    context: Arc<Context>,
    storage: Arc<Storage>,
    recorder: Recorder,
    /// Deleted objects whose releases are still to be uninstalled.
    gone: Mutex<HashMap<Key, Arc<Value>>>,
}

impl HelmReleases {
    pub(crate) fn new(context: Arc<Context>, storage: Arc<Storage>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, storage, recorder, gone: Mutex::default() }
    }

    async fn attempt(&self, draft: &mut Draft) -> Next {
        let speeds = self.context.speeds();
        draft.unmark("Stalled");
        draft.mark("Reconciling", "True", "Progressing", "Fulfilling prerequisites");
        draft.patch(speeds.patch).await;
        if let Err(why) = depends::check(&self.context.store, &draft.object) {
            draft.mark("Ready", "False", "DependencyNotReady", &why);
            let reason = "DependencyNotReady";
            self.recorder.post(&draft.object, Severity::Info, reason, &why, &[]).await;
            return Next::After(speeds.dependency_requeue);
        }
        self.write_chart(draft);
        draft.set_status("storageNamespace", storage_namespace(draft));
        sleep(speeds.helm_load).await;
        let request = match self.request(draft) {
            Ok(request) => request,
            Err(next) => return next,
        };
        let digest = request.config_digest();
        let attempted = [
            ("lastAttemptedGeneration", Value::from(draft.generation())),
            ("lastAttemptedRevision", request.chart.version.as_str().into()),
            ("lastAttemptedConfigDigest", digest.into()),
        ];
        if attempted.iter().any(|(field, value)| draft.status()[field] != *value) {
            for counter in ["failures", "installFailures", "upgradeFailures"] {
                draft.set_status(counter, Value::Null);
            }
        }
        for (field, value) in attempted {
            draft.set_status(field, value);
        }
        let digest = request.oci_digest.as_deref();
        draft.set_status("lastAttemptedRevisionDigest", digest);
        match self.bring(draft, &request).await {
            End::InSync => {
                draft.observe_generation();
                Next::After(self.context.jittered(draft.interval()))
            }
            End::GivenUp => {
                draft.observe_generation();
                Next::GiveUp
            }
            End::Remedied | End::Failed => Next::Retry,
        }
    }

    /// Everything that an action needs, or why there is none.
    fn request(&self, draft: &mut Draft) -> Result<Request, Next> {
        let requeue = self.context.speeds().dependency_requeue;
        let loaded = self.load_chart(draft).map_err(|why| match why {
            NoChart::NoSource(why) => {
                let message = format!("could not get Source object: {why}");
                draft.mark("Ready", "False", "ArtifactFailed", &message);
                Next::Retry
            }
            NoChart::NotReady(why) => {
                draft.mark("Ready", "False", "SourceNotReady", &why);
                Next::After(requeue)
            }
            NoChart::NoArtifact => {
                let wait = gotime::duration(requeue);
                let message = format!("Source not ready: artifact not found. Retrying in {wait}");
                draft.mark("Ready", "False", "ArtifactFailed", &message);
                Next::After(requeue)
            }
            NoChart::Broken(why) => {
                let message = format!("Could not load chart: {why}");
                draft.mark("Ready", "False", "ArtifactFailed", &message);
                Next::Retry
            }
        })?;
        let values = values::of(&self.context.store, &draft.object).map_err(|why| {
            draft.mark("Ready", "False", "ValuesError", &why);
            Next::Retry
        })?;
        let (name, namespace) = address(&draft.object);
        let owner = (draft.key.namespace.clone(), draft.key.name.clone());
        let chart::Loaded { chart, oci_digest } = loaded;
        Ok(Request { name, namespace, owner, chart, oci_digest, values })
    }

    /// Uninstalls what a deleted object had released.
    fn clean_up(&self, key: &Key) {
        let Some(object) = self.gone().remove(key) else { return };
        let (name, namespace) = address(&object);
        let name = (namespace, name);
        if let Some(latest) = self.storage.latest(&name)
            && object["spec"]["suspend"] != true
        {
            action::prune(&self.context.store, &latest.objects, &[]);
            self.storage.remove(&name);
        }
        if object["spec"]["chart"].is_object() {
            // A chart that is gone already is as good.
            let _ = self.context.store.delete(&source_of(&object), NAME);
        }
    }

    fn releases(&self, is: impl Fn(&Value) -> bool) -> Vec<Key> {
        let (all, _) = self.context.store.list("HelmRelease", None);
        all.iter().filter(|it| is(it)).map(|it| Key::of(it)).collect()
    }

    fn gone(&self) -> MutexGuard<'_, HashMap<Key, Arc<Value>>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reconciler for HelmReleases {
    const KIND: &'static str = "HelmRelease";
    const WATCHES: &'static [&'static str] =
        &["HelmRelease", "HelmChart", "OCIRepository", "ExternalArtifact", "ConfigMap", "Secret"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let (before, now) = (change.before.as_deref(), &change.object);
        if change.key.kind == Self::KIND {
            if change.kind == ChangeKind::Deleted {
                self.gone().insert(change.key.clone(), now.clone());
            } else if !asks_for_work(before, now) {
                return Vec::new();
            }
            return vec![change.key.clone()];
        }
        if !SOURCES.contains(&change.key.kind.as_str()) {
            return self.releases(|release| values::are_woken_by(release, now));
        }
        let revision = |it: &Value| it["status"]["artifact"]["revision"].clone();
        let new = !revision(now).is_null() && before.map(revision) != Some(revision(now));
        let ready =
            draft::is_true(now, "Ready") && !before.is_some_and(|it| draft::is_true(it, "Ready"));
        if change.kind != ChangeKind::Modified || !(new || ready) {
            return Vec::new();
        }
        self.releases(|release| source_of(release) == change.key)
    }

    fn heard_after(&self, change: &Change) -> Duration {
        let of_source = SOURCES.contains(&change.key.kind.as_str());
        if of_source { self.context.speeds().helm_hear } else { Duration::ZERO }
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            self.clean_up(key);
            return Next::Rest;
        };
        let patch = self.context.speeds().patch;
        if draft.is_suspended() {
            draft.echo_request();
            draft.observe_generation();
            draft.patch(patch).await;
            return Next::Rest;
        }
        let version = |draft: &Draft| draft.status()["history"][0]["version"].clone();
        let before = version(&draft);
        let next = self.attempt(&mut draft).await;
        draft.echo_request();
        draft.patch(patch).await;
        let rolled_back = draft.status()["history"][0]["action"] == "rollback";
        if rolled_back && version(&draft) != before {
            sleep(self.context.speeds().helm_history).await;
        }
        next
    }
}

/// Name and namespace of the release that an object stands for.
fn address(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let (own, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let (own, name) = (own.unwrap_or_default(), name.unwrap_or_default());
    let target = text(&spec["targetNamespace"]);
    let prefixed = || target.as_ref().map_or_else(|| name.clone(), |it| format!("{it}-{name}"));
    let release = text(&spec["releaseName"]).unwrap_or_else(prefixed);
    (release, target.unwrap_or(own))
}

fn storage_namespace(draft: &Draft) -> String {
    let own = draft.spec()["storageNamespace"].as_str();
    own.unwrap_or(&draft.key.namespace).to_owned()
}
