//! What has to survive a killed process: the account of a scenario, and its runs under way.
//!
//! All times are wall times: a monotonic instant means nothing to the next process. What is
//! measured by them is said to be uncertain (rule T6).

use crate::model::{CanaryId, Ledger, LogLine, Passage, Revision, SloRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is kept of a scenario between two processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The last tick of the schedule that is accounted for; none before the first.
    pub position: Option<Timestamp>,
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
