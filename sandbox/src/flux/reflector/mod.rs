//! image-reflector-controller: `ImageRepository` and `ImagePolicy`.
//!
//! What a stopwatch can see of it: a request is taken up, the scan is announced with its reason,
//! then conditions and the scan's result come in two patches, after the event. A policy looks when
//! the set of tags has changed, so a tag that is pushed again wakes nobody.

mod choose;
mod policy;
mod scan;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde_json::Value;

pub(crate) use policy::ImagePolicies;
pub(crate) use scan::ImageRepositories;

use super::draft;
use super::draft::Draft;
use super::notification::Recorder;
use super::notification::Severity;

/// The field manager and event source.
const NAME: &str = "image-reflector-controller";

/// The tags of every repository that was scanned; lost with the controller's pod.
#[derive(Default)]
pub(crate) struct Database(Mutex<HashMap<String, Vec<String>>>);

/// Why a run ended without success.
struct Failure {
    reason: &'static str,
    message: String,
    stalled: bool,
}

impl Database {
    fn tags(&self, image: &str) -> Vec<String> {
        self.lock().get(image).cloned().unwrap_or_default()
    }

    fn set(&self, image: &str, tags: Vec<String>) {
        self.lock().insert(image.to_owned(), tags);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message, stalled: false }
    }

    fn stalled(reason: &'static str, message: String) -> Self {
        Self { reason, message, stalled: true }
    }
}

/// Shows that an object is worked on; `Ready` is touched only where it is not there yet.
fn progress(draft: &mut Draft, message: &str) {
    draft.mark("Reconciling", "True", "Progressing", message);
    if draft.condition("Ready").is_none() {
        draft.mark("Ready", "Unknown", "Progressing", message);
    }
}

/// Sums a run up in conditions, and posts the event that goes before them.
async fn conclude(
    recorder: &Recorder,
    before: &Value,
    draft: &mut Draft,
    outcome: &Result<String, Failure>,
) {
    match outcome {
        Ok(message) => {
            draft.unmark("Reconciling");
            draft.unmark("Stalled");
            draft.mark("Ready", "True", "Succeeded", message);
            draft.observe_generation();
            let ready = draft::condition(before, "Ready");
            let was_ready = ready.is_some_and(|it| it["status"] == "True");
            if !was_ready || ready.is_some_and(|it| it["message"] != message.as_str()) {
                recorder.post(&draft.object, Severity::Info, "Succeeded", message, &[]).await;
            }
        }
        Err(Failure { reason, message, stalled }) => {
            draft.mark("Ready", "False", reason, message);
            if *stalled {
                draft.unmark("Reconciling");
                draft.mark("Stalled", "True", reason, message);
                draft.observe_generation();
            } else {
                draft.set_reason("Reconciling", "ProgressingWithRetry");
            }
            recorder.post(&draft.object, Severity::Error, reason, message, &[]).await;
        }
    }
    draft.echo_request();
}
