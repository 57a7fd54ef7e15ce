//! What has to survive a killed process: the account of a scenario, and its runs under way.
//!
//! All times are wall times: a monotonic instant means nothing to the next process. What is
//! measured by them is said to be uncertain (rule T6).

use crate::model::{
    CanaryId, HopRecord, Ledger, LogLine, Outcome, Passage, ProbeError, Push, Revision, RunRecord,
    SloRecord, Span, Usage,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is kept of a scenario between two processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Up to where the schedule is accounted for; none without one, or before its first look.
    pub position: Option<Timestamp>,
    /// What made its ticks then: of other ticks the position says nothing.
    #[serde(default)]
    pub ticks: String,
    /// What became of every tick.
    pub ledger: Ledger,
    /// The totals of its metrics, as whoever counts them has written them.
    pub totals: serde_json::Value,
}

/// What is known of a run under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Underway {
    /// What the scenario was then: a run is resumed only under the scenario that started it.
    pub fingerprint: String,
    /// The change's mark, once there is one.
    pub canary: Option<CanaryId>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// What was about to be pushed, and since when.
    pub publishing: Option<Publishing>,
    /// The acknowledged push.
    pub published: Option<Acknowledged>,
    /// The hops that it has passed.
    pub reached: Vec<(String, Passage)>,
    /// The objectives that are counted already (rule O2).
    pub decided: Vec<SloRecord>,
    /// What happened so far.
    pub log: Vec<LogLine>,
}

/// A change that was about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    /// Since when it may be on the remote.
    pub since: Timestamp,
    /// What was to be sent.
    pub revisions: Vec<Revision>,
    /// The hops that it was to pass, each with its subject; empty if that was not written down.
    #[serde(default)]
    pub path: Vec<String>,
}

/// An acknowledged push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When it was sent.
    pub sent: Timestamp,
    /// Zero was not before this.
    pub earliest: Timestamp,
    /// Zero was not after this.
    pub latest: Timestamp,
    /// How often it was sent.
    pub attempts: u32,
    /// What was sent in the end.
    pub revisions: Vec<Revision>,
}

// === impl Underway ===

impl Underway {
    /// When nothing more can come of the run; none if nothing was about to be pushed.
    #[must_use]
    pub fn gives_up(&self, deadline: Duration) -> Option<Timestamp> {
        let published = self.published.as_ref().map(|it| it.latest);
        let zero = published.or(self.publishing.as_ref().map(|it| it.since))?;
        Some(zero.checked_add(deadline).unwrap_or(Timestamp::MAX))
    }

    /// `record`, that of a run of which nothing is known, with everything that is known of this
    /// one.
    #[must_use]
    pub fn complete(&self, mut record: RunRecord) -> RunRecord {
        if let Some(canary) = &self.canary {
            record.canary = canary.clone();
        }
        record.started = self.started.unwrap_or(record.started);
        record.push = self.published.as_ref().map(Acknowledged::push).or(record.push);
        for (hop, passage) in &self.reached {
            match record.hops.iter_mut().find(|it| it.hop == *hop) {
                Some(known) => known.passage = passage.clone(),
                None => record.hops.push(HopRecord {
                    hop: hop.clone(),
                    subject: String::new(),
                    target_cluster: String::new(),
                    passage: passage.clone(),
                    reverted: false,
                    unready: false,
                    sights: Vec::new(),
                }),
            }
        }
        record.slo.retain(|it| self.decided.iter().all(|known| known.slo != it.slo));
        record.slo.extend(self.decided.iter().cloned());
        record
    }

    /// The record of this run of `scenario`, which was due then and ends here, where nobody knows
    /// its scenario any more.
    #[must_use]
    pub fn cut_off(&self, scenario: &str, due: Timestamp, error: ProbeError) -> RunRecord {
        self.complete(RunRecord {
            scenario: scenario.to_owned(),
            canary: CanaryId::next("", due, None),
            started: due,
            push: None,
            hops: Vec::new(),
            outcome: Outcome::ProbeError(error),
            push_to_apply: None,
            tolerance: Duration::ZERO,
            failing_since: None,
            slo: Vec::new(),
            usage: Usage::default(),
        })
    }
}

// === impl Acknowledged ===

impl Acknowledged {
    /// The push, as a record has it.
    fn push(&self) -> Push {
        let since = |it: Timestamp| Duration::try_from(it.duration_since(self.sent));
        let took = Span {
            least: since(self.earliest).unwrap_or_default(),
            most: since(self.latest).unwrap_or_default(),
        };
        Push { revisions: self.revisions.clone(), took, attempts: self.attempts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SloVerdict;

    #[test]
    fn o4_what_is_known_of_a_run_that_is_cut_off_stands_in_its_record() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let reached = Passage::Bypassed;
        let run = Underway {
            canary: Some(CanaryId::new("a", 7)),
            started: Some(at(1)),
            publishing: Some(Publishing { since: at(2), revisions: Vec::new(), path: Vec::new() }),
            published: Some(Acknowledged {
                sent: at(3),
                earliest: at(4),
                latest: at(5),
                attempts: 2,
                revisions: Vec::new(),
            }),
            reached: vec![("applied".to_owned(), reached.clone())],
            decided: vec![SloRecord { slo: "total".to_owned(), verdict: SloVerdict::Good }],
            ..Underway::default()
        };
        let record = run.cut_off("fleet", at(0), ProbeError::interrupted("it is a test"));
        assert_eq!((&record.canary, record.started), (&CanaryId::new("a", 7), at(1)));
        let push = record.push.unwrap();
        let took = Span { least: Duration::from_secs(1), most: Duration::from_secs(2) };
        assert_eq!((push.took, push.attempts), (took, 2));
        assert_eq!((record.hops[0].hop.as_str(), &record.hops[0].passage), ("applied", &reached));
        assert_eq!(record.slo, run.decided);
        assert_eq!(run.gives_up(Duration::from_secs(60)), Some(at(65)));
        assert_eq!(Underway::default().gives_up(Duration::from_secs(60)), None);
    }
}
