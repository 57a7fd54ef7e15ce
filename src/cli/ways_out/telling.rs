//! What those who make jobs must know of the ways that tell of runs, and these of the jobs.

use crate::engine::Plan;
use crate::model::Subject;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What those who make jobs must know of the ways that tell of runs.
#[derive(Default)]
pub(in crate::cli) struct Telling {
    traces: bool,
    /// What the hops of a scenario looked at when its job was last made, by their names; none
    /// where nobody asks for it.
    subjects: Option<Mutex<BTreeMap<String, Looked>>>,
    /// What was said already.
    said: Mutex<BTreeSet<String>>,
}

/// What hops look at, by their names.
pub(super) type Looked = Vec<(String, Arc<Subject>)>;

// === impl Telling ===

impl Telling {
    pub(super) fn new(traces: bool, events: bool) -> Self {
        Self { traces, subjects: events.then(Mutex::default), said: Mutex::default() }
    }

    /// Whether runs are told as traces.
    pub(in crate::cli) fn has_traces(&self) -> bool {
        self.traces
    }

    /// Takes in what the hops of a scenario look at.
    pub(in crate::cli) fn note(&self, plan: &Plan) {
        if let Some(subjects) = &self.subjects {
            let looked = plan.hops.iter().map(|it| (it.name.clone(), it.subject.clone())).collect();
            let mut subjects = subjects.lock().unwrap_or_else(PoisonError::into_inner);
            subjects.insert(plan.scenario.clone(), looked);
        }
    }

    /// What the hops of a scenario looked at.
    pub(super) fn looked(&self, scenario: &str) -> Looked {
        let subjects = self.subjects.as_ref();
        let subjects = subjects.map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        subjects.and_then(|it| it.get(scenario).cloned()).unwrap_or_default()
    }

    /// Warns of something, once.
    pub(in crate::cli) fn warn(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(what.to_owned()) {
            tracing::warn!("{what}");
        }
    }
}
