//! What each scenario does now, for whoever asks.

use crate::model::RunRecord;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a scenario does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What it is at.
    pub activity: Activity,
    /// When its next run begins; none without a schedule.
    pub next: Option<Timestamp>,
    /// How its last run ended, as far as this process knows.
    pub last: Option<LastRun>,
    /// Why its next run could not begin, if that is known.
    pub problem: Option<String>,
    /// The jitter in use, in words, where it is less than rule O5 asks for.
    pub warning: Option<String>,
}

/// What a scenario is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Its path is looked at for the first time.
    #[default]
    Starting,
    /// It waits for its next run.
    Waiting,
    /// It is paused.
    Paused {
        /// Until when.
        until: Timestamp,
    },
    /// A run is under way.
    Running {
        /// When it was due.
        since: Timestamp,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// When.
    pub ended: Timestamp,
    /// The label of its outcome.
    pub outcome: &'static str,
    /// Its outcome in words.
    pub text: String,
}

/// The statuses of all scenarios.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<BTreeMap<String, Status>>>);

// === impl Board ===

impl Board {
    pub(super) fn all(&self) -> BTreeMap<String, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the status of a scenario.
    pub(super) fn note(&self, scenario: &str, change: impl FnOnce(&mut Status)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(scenario.to_owned()).or_default());
    }

    pub(super) fn remove(&self, scenario: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(scenario);
    }
}

// === impl LastRun ===

impl LastRun {
    pub(super) fn of(record: &RunRecord, ended: Timestamp) -> Self {
        Self { ended, outcome: record.outcome.as_str(), text: record.outcome.to_string() }
    }
}
