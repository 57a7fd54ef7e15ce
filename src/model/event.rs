//! What happens while hopclock works, for whoever records it: metrics, progress, history.

use crate::model::{CanaryId, Moment, Outcome, Passage, RunRecord, SloVerdict};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A run was due (rule O4).
    Scheduled {
        /// The scenario.
        scenario: String,
    },
    /// A due run did not take place (rule O4).
    Missed {
        /// The scenario.
        scenario: String,
        /// Why.
        reason: Missed,
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
        /// Short form of what was pushed.
        revision: String,
        /// When.
        at: Moment,
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
    /// Nothing more can come.
    Finished(Box<RunRecord>),
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
