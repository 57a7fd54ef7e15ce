//! `HelmRepository`: the index of a chart repository.
//!
//! One of type `oci` is left alone: no status, no conditions, no echo of a request, whoever asks.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::Value;
use tokio::time::sleep;

use super::Failure;
use super::NAME;
use super::web::Web;
use crate::flux::artifacts::hex;
use crate::flux::context::Context;
use crate::flux::draft;
use crate::flux::draft::Draft;
use crate::flux::draft::asks_for_work;
use crate::flux::notification::Recorder;
use crate::flux::notification::Severity;
use crate::flux::queue::Next;
use crate::flux::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// Follows the indexes of chart repositories.
pub(crate) struct HelmRepositories {
    context: Arc<Context>,
    recorder: Recorder,
}

impl HelmRepositories {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, recorder }
    }

    /// One run; answers reason and message of its success.
    async fn run(&self, draft: &mut Draft) -> Result<(&'static str, String), Failure> {
        super::take_up(&self.context, draft).await;
        super::forget_lost(&self.context, draft);
        let (index, revision) = self.fetch(draft).await?;
        let message = format!("stored artifact: revision '{revision}'");
        if draft.status()["artifact"]["revision"] != revision.as_str() {
            let news = format!("new index revision '{revision}'");
            super::progress(&self.context, draft, "NewRevision", &news).await;
            sleep(self.context.speeds().archive).await;
            let old = draft.status()["artifact"].clone();
            let hash = revision.trim_start_matches("sha256:");
            let file = (format!("index-{hash}.yaml"), index);
            let artifact = self.context.artifacts.put_file(
                &draft.key,
                &revision,
                (&file.0, &file.1),
                &old,
                self.context.store.now(),
            );
            let url = artifact["url"].as_str().unwrap_or_default().replace(&file.0, "index.yaml");
            draft.set_status("artifact", artifact);
            draft.set_status("url", url);
        }
        Ok(("Succeeded", message))
    }

    async fn fetch(&self, draft: &Draft) -> Result<(Vec<u8>, String), Failure> {
        let url = draft.spec()["url"].as_str().unwrap_or_default();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let message = format!("scheme \"{url}\" not supported");
            return Err(Failure::new("FetchFailed", "URLInvalid", message).stalled());
        }
        let web = Web::of(&self.context.store, &draft.object)
            .map_err(|why| Failure::new("FetchFailed", "AuthenticationFailed", why))?;
        sleep(self.context.speeds().chart_index).await;
        let failed = |why: String| {
            let message = format!("failed to fetch Helm repository index: {why}");
            Failure::new("FetchFailed", "Failed", message)
        };
        let index = web
            .index()
            .await
            .map_err(|why| failed(format!("failed to cache index to temporary file: {why}")))?;
        let text = String::from_utf8_lossy(&index);
        if let Err(why) = crate::charts::read_index(&text, "") {
            let message = format!("failed to load Helm repository from index YAML: {why}");
            return Err(Failure::new("FetchFailed", "IndexationFailed", message));
        }
        let hash = digest::digest(&digest::SHA256, &index);
        Ok((index, format!("sha256:{}", hex(hash.as_ref()))))
    }

    async fn tell(
        &self,
        before: &Value,
        draft: &Draft,
        outcome: &Result<(&'static str, String), Failure>,
    ) {
        if let Err(Failure { reason, message, .. }) = outcome {
            self.recorder.post(&draft.object, Severity::Error, reason, message, &[]).await;
            return;
        }
        let (old, new) = (&before["status"]["artifact"], &draft.status()["artifact"]);
        let reason = if old["digest"] != new["digest"] {
            "NewArtifact"
        } else if draft::is_true(before, "FetchFailed") {
            "Succeeded"
        } else {
            return;
        };
        let size = new["size"].as_u64().unwrap_or_default();
        let url = draft.spec()["url"].as_str().unwrap_or_default();
        let message = format!("stored fetched index of size {} from '{url}'", human(size));
        let text = |field: &str| new[field].as_str().unwrap_or_default();
        let metadata = [
            ("source.toolkit.fluxcd.io/revision", text("revision")),
            ("source.toolkit.fluxcd.io/digest", text("digest")),
        ];
        self.recorder.post(&draft.object, Severity::Info, reason, &message, &metadata).await;
    }
}

impl Reconciler for HelmRepositories {
    const KIND: &'static str = "HelmRepository";
    const WATCHES: &'static [&'static str] = &["HelmRepository"];

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
        if draft.spec()["type"] == "oci" {
            return Next::Rest;
        }
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
            Err(failure) if failure.stalled => Next::Rest,
            Err(_) => Next::Retry,
        };
        super::finish(&mut draft, &outcome);
        draft.patch(patch).await;
        next
    }
}

/// A size as people like it: four digits, in units of a thousand.
fn human(size: u64) -> String {
    if size < 1000 {
        return format!("{size}B");
    }
    format!("{}.{:03}kB", size / 1000, size % 1000)
}
