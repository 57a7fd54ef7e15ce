//! How a run ends: the event first, then what status says of it.
//!
//! The event is posted before the artifact is published, and the post blocks: a notification
//! service that is down delays every new artifact by all its retries.

use super::FAILURES;
use super::Failure;
use super::GitRepositories;
use super::Outcome;
use crate::flux::draft;
use crate::flux::draft::Draft;
use crate::flux::notification::Severity;
use serde_json::Value;

/// Longest part of a commit's subject that an event quotes.
const QUOTED: usize = 50;

impl GitRepositories {
    /// Posts what the world should hear of a run, and waits until it is posted.
    pub(super) async fn tell(
        &self,
        before: &Value,
        draft: &Draft,
        outcome: &Result<Outcome, Failure>,
    ) {
        let (subject, revision) = match outcome {
            Err(failure) => {
                let (reason, message) = (failure.reason, failure.message.as_str());
                self.recorder.post(&draft.object, Severity::Error, reason, message, &[]).await;
                return;
            }
            Ok(Outcome::Unchanged { revision }) => (revision.clone(), revision),
            Ok(Outcome::Stored { revision, subject }) => (quoted(subject), revision),
        };
        let Some(reason) = worth_telling(before, draft, &FAILURES) else { return };
        let new = &draft.status()["artifact"]["digest"];
        let message = format!("stored artifact for commit '{subject}'");
        let metadata = [
            ("source.toolkit.fluxcd.io/revision", revision.as_str()),
            ("source.toolkit.fluxcd.io/digest", new.as_str().unwrap_or_default()),
        ];
        self.recorder.post(&draft.object, Severity::Info, reason, &message, &metadata).await;
    }
}

/// Why a success is told: there is another content, or an end of one of these failures.
pub(super) fn worth_telling(
    before: &Value,
    draft: &Draft,
    failures: &[&str],
) -> Option<&'static str> {
    if before["status"]["artifact"]["digest"] != draft.status()["artifact"]["digest"] {
        return Some("NewArtifact");
    }
    failures.iter().any(|name| draft::is_true(before, name)).then_some("Succeeded")
}

/// Sums a run up in conditions and status; `outcome` says what is stored, or why nothing is.
pub(super) fn finish(draft: &mut Draft, outcome: Result<String, &Failure>) {
    draft.echo_request();
    match outcome {
        Ok(stored) => {
            draft.unmark("Reconciling");
            draft.unmark("Stalled");
            draft.mark("Ready", "True", "Succeeded", &stored);
            draft.observe_generation();
        }
        Err(failure) => {
            draft.mark(failure.condition, failure.status, failure.reason, &failure.message);
            draft.mark("Ready", "False", failure.reason, &failure.message);
            if failure.stalled {
                draft.unmark("Reconciling");
                draft.mark("Stalled", "True", failure.reason, &failure.message);
                draft.observe_generation();
            } else {
                draft.unmark("Stalled");
                draft.set_reason("Reconciling", "ProgressingWithRetry");
            }
        }
    }
}

/// A suspended object echoes the request and acknowledges its generation, nothing else.
pub(super) fn suspended(draft: &mut Draft) {
    draft.echo_request();
    if let Some(reason) = draft.condition("Ready").and_then(|ready| ready["reason"].as_str()) {
        let reason = reason.to_owned();
        draft.set_reason("Ready", &reason);
    }
    draft.observe_generation();
}

fn quoted(subject: &str) -> String {
    if subject.chars().count() <= QUOTED {
        return subject.to_owned();
    }
    let start: String = subject.chars().take(QUOTED).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_quotes_fifty_characters_of_a_subject() {
        assert_eq!(quoted("short"), "short");
        let long = "é".repeat(51);
        assert_eq!(quoted(&long), format!("{}...", "é".repeat(50)));
    }
}
