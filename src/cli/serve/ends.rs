//! One line in the log for each run that ends, so that a service can be followed without a browser.

use crate::cli::waterfall::length;
use crate::model::{Event, Observer, Outcome, RunRecord};
use std::fmt::Write;
use std::sync::Arc;

/// Reasons of runs that ended because we did.
const CUT_OFF: [&str; 2] = ["interrupted", "stopped"];

/// Hands events on, and logs the ends of runs.
pub(super) struct Ends {
    to: Arc<dyn Observer>,
}

// === impl Ends ===

impl Ends {
    /// Hands events on to `to`.
    pub(super) fn new(to: Arc<dyn Observer>) -> Self {
        Self { to }
    }
}

impl Observer for Ends {
    fn observe(&self, event: &Event) {
        self.to.observe(event);
        if let Event::Finished(record) = event {
            log(record);
        }
    }
}

/// What was delivered is no news; what was not, or could not be measured, is.
fn log(record: &RunRecord) {
    let (scenario, canary, text) = (&record.scenario, &record.canary, in_words(record));
    match &record.outcome {
        Outcome::Ok => tracing::info!(scenario, %canary, "{text}"),
        // To be stopped is no fault of ours.
        Outcome::ProbeError(it) if CUT_OFF.contains(&it.reason.as_str()) => {
            tracing::warn!(scenario, %canary, "{text}");
        }
        Outcome::ProbeError(_) => tracing::error!(scenario, %canary, "{text}"),
        _ => tracing::warn!(scenario, %canary, "{text}"),
    }
}

/// How it ended, after how long, and where most of the time went.
fn in_words(record: &RunRecord) -> String {
    let mut text = record.outcome.to_string();
    if let Some(took) = record.push_to_apply {
        let _ = write!(text, " after {}", length(took));
    }
    let stages = record.hops.iter().filter_map(|it| Some((it.passage.stage()?, &it.hop)));
    if let Some((stage, hop)) = stages.max_by_key(|it| it.0.most) {
        let _ = write!(text, ", of which {} for `{hop}`", length(stage));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CanaryId, HopRecord, Passage, Span, Usage, Via};
    use std::time::Duration;

    fn hop(name: &str, stage: u64) -> HopRecord {
        let stage = Span::exactly(Duration::from_secs(stage));
        HopRecord {
            hop: name.to_owned(),
            subject: String::new(),
            target_cluster: String::new(),
            passage: Passage::Reached {
                at: stage,
                stage: Some(stage),
                wait: None,
                early: false,
                reordered: false,
                uncertain: false,
                via: Some(Via::Interval),
                webhook: None,
                carried_by: None,
            },
            reverted: false,
            unready: false,
            sights: Vec::new(),
        }
    }

    #[test]
    fn a_line_says_how_a_run_ended_and_where_the_time_went() {
        let record = RunRecord {
            scenario: "fleet".to_owned(),
            canary: CanaryId::new("hopclock", 1),
            started: jiff::Timestamp::UNIX_EPOCH,
            push: None,
            hops: vec![hop("source_fetched", 41), hop("applied", 3)],
            outcome: Outcome::Slow,
            push_to_apply: Some(Span::exactly(Duration::from_secs(58))),
            tolerance: Duration::ZERO,
            failing_since: None,
            slo: Vec::new(),
            usage: Usage::default(),
        };
        assert_eq!(in_words(&record), "slow after 58.0 s, of which 41.0 s for `source_fetched`");
    }
}
