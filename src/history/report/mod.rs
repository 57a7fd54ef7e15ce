//! What the runs of one or two periods say together, for each scenario and hop.

mod build;
mod measured;

use crate::history::{Error, History};
use crate::model::statistics::Comparison;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

pub use measured::Measured;

/// Name of the row of the push itself; no hop may have it.
pub const PUSH: &str = "push";

/// Name of the row from the push to the end of delivery; no hop may have it.
pub const TOTAL: &str = "total";

/// What a report is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Only this scenario.
    pub scenario: Option<String>,
    /// The period, or the later of two.
    pub period: Window,
    /// The earlier of two periods.
    pub before: Option<Window>,
}

/// A period; open where it has no end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Runs that started then or later.
    pub since: Option<Timestamp>,
    /// Runs that started before then.
    pub until: Option<Timestamp>,
}

/// What the runs say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The period, or the later of two.
    pub period: Period,
    /// The earlier of two periods.
    pub before: Option<Period>,
    /// What is said of each scenario, by name.
    pub scenarios: Vec<ScenarioReport>,
}

/// A period as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// From when.
    pub since: Option<Timestamp>,
    /// To when.
    pub until: Option<Timestamp>,
    /// It begins there, later than was asked: runs before it were removed, successes first, so
    /// that percentiles would be those of failures.
    pub cut: bool,
    /// How many runs it has.
    pub runs: usize,
}

/// What the runs of a scenario say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioReport {
    /// The scenario.
    pub scenario: String,
    /// How the runs ended.
    pub outcomes: BTreeMap<String, usize>,
    /// How those of the earlier period ended.
    pub outcomes_before: Option<BTreeMap<String, usize>>,
    /// The push, the hops in their order, and the whole.
    pub rows: Vec<Row>,
}

/// What the runs say of a hop, of the push, or of the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The hop, or [`PUSH`], or [`TOTAL`].
    pub hop: String,
    /// The hop's cluster.
    pub target_cluster: String,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// What was measured in the earlier period.
    pub before: Option<Measured>,
    /// How the medians of the two periods differ.
    pub median: Option<Comparison>,
    /// How their ninetieth percentiles differ.
    pub p90: Option<Comparison>,
}

// === impl History ===

impl History {
    /// Says what the runs of one or two periods say together. What is before the time up to which
    /// runs were removed is left out, and said to be.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn report(&self, question: &Question) -> Result<Report, Error> {
        build::report(self, question)
    }
}
