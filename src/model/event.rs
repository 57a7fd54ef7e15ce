//! What happens while hopclock works, for whoever records it: metrics, progress, history.

use crate::model::{
    CanaryId, Evidence, Moment, Outcome, Passage, Revision, RunRecord, SloVerdict, Usage, When,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A run was due, and takes place (rule O4).
    Scheduled {
        /// The scenario.
        scenario: String,
        /// When it was due; also the name of the run in the ledger.
        due: Timestamp,
        /// Who wanted it.
        origin: Origin,
        /// What the scenario is, so that another one of that name does not resume its run.
        fingerprint: String,
    },
    /// Due runs did not take place (rule O4).
    Missed {
        /// The scenario.
        scenario: String,
        /// Why.
        reason: Missed,
        /// How many, in a row.
        count: u64,
        /// When the last of them was due.
        due: Timestamp,
    },
    /// The schedule goes on from here, and nothing is counted: it is new or has changed, or the
    /// clock was set back.
    Positioned {
        /// The scenario.
        scenario: String,
        /// The wall time from which its ticks count now; none if it has no schedule any more.
        position: Option<Timestamp>,
        /// What makes its ticks.
        ticks: String,
    },
    /// A run waits for its watches.
    Started {
        /// The scenario.
        scenario: String,
        /// The run.
        canary: CanaryId,
        /// When.
        at: Moment,
    },
    /// The change is about to be sent.
    Publishing {
        /// The scenario.
        scenario: String,
        /// The run.
        canary: CanaryId,
    },
    /// The push was acknowledged: zero.
    Published {
        /// The scenario.
        scenario: String,
        /// The run.
        canary: CanaryId,
        /// What was pushed.
        revisions: Vec<Revision>,
        /// When it was sent.
        sent: Moment,
        /// When it was acknowledged.
        zero: When,
        /// How often it was sent.
        attempts: u32,
    },
    /// A hop was reached.
    Reached {
        /// The scenario.
        scenario: String,
        /// The hop.
        hop: String,
        /// How.
        passage: Passage,
    },
    /// A hop shows a failure, or shows none any more.
    Failing {
        /// The scenario.
        scenario: String,
        /// The hop.
        hop: String,
        /// Flux's reason; none once it has cleared.
        reason: Option<String>,
    },
    /// An objective was decided (rule O2).
    Decided {
        /// The scenario.
        scenario: String,
        /// `total`, or the hop.
        slo: String,
        /// What the run says of it.
        verdict: SloVerdict,
    },
    /// The outcome is fixed; hops may still be seen.
    Ended {
        /// The scenario.
        scenario: String,
        /// How it ends.
        outcome: Outcome,
    },
    /// What the objects on the path said when the run ended.
    Witnessed {
        /// The scenario.
        scenario: String,
        /// What each of them said.
        evidence: Vec<Evidence>,
    },
    /// Nothing more can come.
    Finished(Box<RunRecord>),
    /// What earlier runs had left on the remote was looked at, behind the end of a run.
    Tidied {
        /// The scenario.
        scenario: String,
        /// How much is there that should not be (rule S6); none if nobody could look, and it is as
        /// it was.
        leftovers: Option<usize>,
        /// What that has asked of the remote.
        usage: Usage,
    },
}

/// Who wanted a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The schedule of its scenario.
    Schedule,
    /// Somebody asked for it.
    Request,
}

/// Why a due run did not take place (rule O4). Its text is the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// The run before it was still under way.
    Overlap,
    /// The scenario is paused.
    Paused,
    /// Another replica leads.
    NotLeader,
    /// hopclock was not running.
    Down,
}

/// Records what happens. Must not block: it is called on the way.
pub trait Observer: Send + Sync {
    /// Takes in an event.
    fn observe(&self, event: &Event);
}

// === impl Event ===

impl Event {
    /// The scenario that it is about.
    #[must_use]
    pub fn scenario(&self) -> &str {
        match self {
            Self::Scheduled { scenario, .. }
            | Self::Missed { scenario, .. }
            | Self::Positioned { scenario, .. }
            | Self::Started { scenario, .. }
            | Self::Publishing { scenario, .. }
            | Self::Published { scenario, .. }
            | Self::Reached { scenario, .. }
            | Self::Failing { scenario, .. }
            | Self::Decided { scenario, .. }
            | Self::Ended { scenario, .. }
            | Self::Witnessed { scenario, .. }
            | Self::Tidied { scenario, .. } => scenario,
            Self::Finished(record) => &record.scenario,
        }
    }
}

// === impl Missed ===

impl Missed {
    /// Every value of the label.
    pub const ALL: [Self; 4] = [Self::Overlap, Self::Paused, Self::NotLeader, Self::Down];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Paused => "paused",
            Self::NotLeader => "not_leader",
            Self::Down => "down",
        }
    }
}
