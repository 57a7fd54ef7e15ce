//! `ImageRepository`: the tags of an image, asked for when something calls for it.
//!
//! A scan has a reason. Where there is none, a run only repeats what the last scan found, so an
//! object whose scan failed on request is ready again at the first retry, scanned or not.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;

use super::Database;
use super::Failure;
use super::NAME;
use super::conclude;
use super::progress;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::draft::asks_for_work;
use crate::flux::gotime;
use crate::flux::notification::Recorder;
use crate::flux::queue::Next;
use crate::flux::registry::Access;
use crate::flux::registry::ImageName;
use crate::flux::registry::access;
use crate::flux::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// What is left out unless the object says otherwise: signatures.
const EXCLUDED: &str = r"^.*\.sig$";

/// How many tags status shows.
const SHOWN: usize = 10;

/// The reason that also makes a ready object unready.
const NO_TAGS: &str = "no tags in database";

/// Scans images.
pub(crate) struct ImageRepositories {
    context: Arc<Context>,
    database: Arc<Database>,
    recorder: Recorder,
}

/// Whether to scan.
enum Due {
    Now(&'static str),
    In(Duration),
}

impl ImageRepositories {
    pub(crate) fn new(context: Arc<Context>, database: Arc<Database>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, database, recorder }
    }

    /// One run; answers the message of success and when to come back.
    async fn run(&self, draft: &mut Draft) -> Result<(String, Duration), Failure> {
        self.take_up(draft).await;
        let image = draft.spec()["image"].as_str().unwrap_or_default();
        let image = ImageName::parse(image)
            .map_err(|problem| Failure::stalled("ImageURLInvalid", problem))?;
        draft.unmark("Stalled");
        let access = access(&self.context.store, &draft.object, image.clone())
            .map_err(|problem| Failure::new("AuthenticationFailed", problem))?;
        let canonical = image.canonical();
        let next = match self.due(draft, &canonical) {
            Due::In(wait) => wait,
            Due::Now(reason) => {
                let message = format!("scanning: {reason}");
                progress(draft, &message);
                if reason == NO_TAGS {
                    draft.mark("Ready", "Unknown", "Progressing", &message);
                }
                draft.patch(self.context.speeds().patch).await;
                self.scan(draft, access, &canonical).await.map_err(|problem| {
                    Failure::new("ReadOperationFailed", format!("scan failed: {problem}"))
                })?;
                draft.interval()
            }
        };
        draft.set_status("canonicalImageName", canonical);
        draft.set_status("observedExclusionList", exclusions(draft));
        let result = &draft.status()["lastScanResult"];
        let revision = result["revision"].as_str().unwrap_or_default();
        let count = &result["tagCount"];
        let message = format!("successful scan: found {count} tags with checksum {revision}");
        Ok((message, next))
    }

    /// Shows that the object was taken up, if anybody waits for that.
    async fn take_up(&self, draft: &mut Draft) {
        let (seen, generation) = (draft.observed_generation(), draft.generation());
        if seen != generation {
            let message = format!("processing object: new generation {seen} -> {generation}");
            progress(draft, &message);
            draft.patch(self.context.speeds().patch).await;
            return;
        }
        progress(draft, "reconciliation in progress");
        if is_requested(draft) {
            draft.patch(self.context.speeds().patch).await;
        }
    }

    fn due(&self, draft: &Draft, canonical: &str) -> Due {
        let status = draft.status();
        let last = &status["lastScanResult"];
        if !last.is_object() {
            return Due::Now("first scan");
        }
        if is_requested(draft) {
            return Due::Now("reconcile requested");
        }
        if status["canonicalImageName"] != canonical {
            return Due::Now("new image name");
        }
        if status["observedExclusionList"] != exclusions(draft) {
            return Due::Now("updated exclusion list");
        }
        if self.database.tags(canonical).is_empty() {
            return Due::Now(NO_TAGS);
        }
        let scanned: Option<Timestamp> = last["scanTime"].as_str().and_then(|it| it.parse().ok());
        let age = scanned.map_or(Duration::MAX, |scanned| {
            let age = self.context.store.now().duration_since(scanned);
            age.try_into().unwrap_or_default()
        });
        let wait = draft.interval().saturating_sub(age);
        if wait < Duration::from_secs(1) {
            Due::Now("triggered by interval")
        } else {
            Due::In(wait)
        }
    }

    async fn scan(&self, draft: &mut Draft, access: Access, canonical: &str) -> Result<(), String> {
        sleep(self.context.speeds().scan).await;
        let tags = access.tags().await?;
        let mut patterns = Vec::new();
        for pattern in exclusions(draft).as_array().into_iter().flatten() {
            let pattern = pattern.as_str().unwrap_or_default();
            let regex = Regex::new(pattern)
                .map_err(|problem| format!("failed to compile regex {pattern}: {problem}"))?;
            patterns.push(regex);
        }
        let excluded = |tag: &String| patterns.iter().any(|pattern| pattern.is_match(tag));
        let mut tags: Vec<String> = tags.into_iter().filter(|tag| !excluded(tag)).collect();
        tags.sort_by(|one, other| Reverse(one).cmp(&Reverse(other)));
        let mut result = json!({
            "revision": adler32(json!(tags).to_string().as_bytes()).to_string(),
            "scanTime": gotime::seconds(self.context.store.now()),
            "tagCount": tags.len(),
        });
        if !tags.is_empty() {
            result["latestTags"] = tags.iter().take(SHOWN).cloned().collect();
        }
        self.database.set(canonical, tags);
        draft.set_status("lastScanResult", result);
        Ok(())
    }
}

impl Reconciler for ImageRepositories {
    const KIND: &'static str = "ImageRepository";
    const WATCHES: &'static [&'static str] = &["ImageRepository"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let asks = change.kind != ChangeKind::Deleted
            && asks_for_work(change.before.as_deref(), &change.object);
        if asks { vec![change.key.clone()] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            return Next::Rest;
        };
        let patch = self.context.speeds().patch;
        if draft.is_suspended() {
            draft.echo_request();
            draft.patch(patch).await;
            return Next::Rest;
        }
        let before = draft.object.clone();
        let outcome = self.run(&mut draft).await;
        let next = match &outcome {
            Ok((_, wait)) => Next::After(*wait),
            Err(failure) if failure.stalled => Next::Rest,
            Err(_) => Next::Retry,
        };
        let outcome = outcome.map(|(message, _)| message);
        conclude(&self.recorder, &before, &mut draft, &outcome).await;
        draft.patch(patch).await;
        next
    }
}

fn exclusions(draft: &Draft) -> Value {
    let own = &draft.spec()["exclusionList"];
    if own.is_array() { own.clone() } else { json!([EXCLUDED]) }
}

fn is_requested(draft: &Draft) -> bool {
    let handled = draft.status()["lastHandledReconcileAt"].as_str().unwrap_or_default();
    !draft.requested_at().is_empty() && draft.requested_at() != handled
}

/// The checksum by which two sets of tags are told apart.
fn adler32(bytes: &[u8]) -> u32 {
    let (one, two) = bytes.iter().fold((1_u32, 0_u32), |(one, two), byte| {
        let one = (one + u32::from(*byte)) % 65_521;
        (one, (two + one) % 65_521)
    });
    two << 16 | one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_adler32() {
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }
}
