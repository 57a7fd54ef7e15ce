//! `HelmChart`: one chart in the newest version that fits, as an artifact.
//!
//! A new index, commit or bucket wakes it without a patch that says so: what is seen first is the
//! new chart. The index that was looked at is written together with that.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::sleep;

use super::Failure;
use super::NAME;
use super::origin::Found;
use super::origin::Search;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::draft::asks_for_work;
use crate::flux::notification::Recorder;
use crate::flux::notification::Severity;
use crate::flux::queue::Next;
use crate::flux::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// Follows charts.
pub(crate) struct HelmCharts {
    context: Arc<Context>,
    recorder: Recorder,
}

impl HelmCharts {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, recorder }
    }

    /// One run; answers reason and message of its success.
    async fn run(&self, draft: &mut Draft) -> Result<(&'static str, String), Failure> {
        super::take_up(&self.context, draft).await;
        super::forget_lost(&self.context, draft);
        let name = draft.spec()["chart"].as_str().unwrap_or_default().to_owned();
        let source = self.source(draft)?;
        let found = self.find(draft, &source).await?;
        let chart = name.rsplit('/').next().unwrap_or_default();
        let message = format!("{} '{chart}' chart with version '{}'", found.verb, found.version);
        draft.unmark("FetchFailed");
        draft.unmark("BuildFailed");
        draft.set_status("observedSourceArtifactRevision", seen_revision(&source));
        draft.set_status("observedChartName", chart);
        if let Some(archive) = &found.archive {
            super::progress(&self.context, draft, "NewChart", &message).await;
            self.store(draft, chart, &found.version, archive);
        }
        let packaged = found.verb == "packaged";
        Ok((if packaged { "ChartPackageSucceeded" } else { "ChartPullSucceeded" }, message))
    }

    async fn find(&self, draft: &Draft, source: &Value) -> Result<Found, Failure> {
        let search = Search { context: &self.context, draft, source };
        if is_static(source) {
            return search.in_registry().await;
        }
        if self.context.artifacts.get(&source["status"]["artifact"]).is_none() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (kind, name) = (text(&source["kind"]), text(&source["metadata"]["name"]));
            let message = format!("no artifact available for {kind} source '{name}'");
            return Err(Failure::new("FetchFailed", "NoSourceArtifact", message));
        }
        if source["kind"] == "HelmRepository" {
            return search.in_index().await;
        }
        sleep(self.context.speeds().archive).await;
        search.in_files()
    }

    fn source(&self, draft: &Draft) -> Result<Arc<Value>, Failure> {
        let key = source_of(&draft.object);
        self.context.store.get(&key).ok_or_else(|| {
            let resource = self.context.store.resource(&key.kind);
            let resource = resource.map_or_else(|| key.kind.clone(), |it| it.qualified());
            let name = &key.name;
            let message = format!("failed to get source: {resource} \"{name}\" not found");
            Failure::new("FetchFailed", "SourceUnavailable", message)
        })
    }

    fn store(&self, draft: &mut Draft, chart: &str, version: &str, archive: &[u8]) {
        let old = draft.status()["artifact"].clone();
        let file = format!("{chart}-{version}.tgz");
        let artifact = self.context.artifacts.put_file(
            &draft.key,
            version,
            (&file, archive),
            &old,
            self.context.store.now(),
        );
        let url = artifact["url"].as_str().unwrap_or_default().replace(&file, "latest.tar.gz");
        draft.set_status("artifact", artifact);
        draft.set_status("url", url);
    }

    async fn tell(
        &self,
        before: &Value,
        draft: &Draft,
        outcome: &Result<(&'static str, String), Failure>,
    ) {
        match outcome {
            Err(Failure { reason, message, .. }) => {
                self.recorder.post(&draft.object, Severity::Error, reason, message, &[]).await;
            }
            Ok((reason, message)) => {
                let (old, new) = (&before["status"]["artifact"], &draft.status()["artifact"]);
                if old["revision"] == new["revision"] && old["digest"] == new["digest"] {
                    return;
                }
                let text = |field: &str| new[field].as_str().unwrap_or_default();
                let metadata = [
                    ("source.toolkit.fluxcd.io/revision", text("revision")),
                    ("source.toolkit.fluxcd.io/digest", text("digest")),
                ];
                self.recorder.post(&draft.object, Severity::Info, reason, message, &metadata).await;
            }
        }
    }
}

impl Reconciler for HelmCharts {
    const KIND: &'static str = "HelmChart";
    const WATCHES: &'static [&'static str] =
        &["HelmChart", "HelmRepository", "GitRepository", "Bucket"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let before = change.before.as_deref();
        if change.key.kind == Self::KIND {
            let asks = change.kind == ChangeKind::Deleted || asks_for_work(before, &change.object);
            return if asks { vec![change.key.clone()] } else { Vec::new() };
        }
        let revision = &change.object["status"]["artifact"]["revision"];
        let old = before.map(|before| &before["status"]["artifact"]["revision"]);
        if change.kind != ChangeKind::Modified || revision.is_null() || old == Some(revision) {
            return Vec::new();
        }
        let (all, _) = self.context.store.list(Self::KIND, None);
        let late = |it: &&Arc<Value>| {
            source_of(it) == change.key
                && it["status"]["observedSourceArtifactRevision"] != *revision
        };
        all.iter().filter(late).map(|it| Key::of(it)).collect()
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            self.context.artifacts.remove(key);
            return Next::Rest;
        };
        let patch = self.context.speeds().patch;
        if draft.is_suspended() {
            super::suspended(&mut draft);
            draft.patch(patch).await;
            return Next::Rest;
        }
        let before = draft.object.clone();
        let outcome = self.run(&mut draft).await;
        self.tell(&before, &draft, &outcome).await;
        let next = match &outcome {
            Ok(_) => Next::After(self.context.jittered(draft.interval())),
            Err(_) => Next::Retry,
        };
        super::finish(&mut draft, &outcome);
        draft.patch(patch).await;
        next
    }
}

fn source_of(chart: &Value) -> Key {
    let reference = &chart["spec"]["sourceRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Key::new(
        &text(&reference["kind"]),
        &text(&chart["metadata"]["namespace"]),
        &text(&reference["name"]),
    )
}

/// A repository in a registry has no artifact.
fn is_static(source: &Value) -> bool {
    source["kind"] == "HelmRepository" && source["spec"]["type"] == "oci"
}

fn seen_revision(source: &Value) -> Value {
    if is_static(source) { Value::Null } else { source["status"]["artifact"]["revision"].clone() }
}
