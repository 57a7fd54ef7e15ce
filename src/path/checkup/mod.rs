//! What is wrong with an installed pipeline, or slower than its owner may think, each with its fix.
//!
//! Pure: it judges what somebody else has fetched. What was not seen is never said to be absent.

mod alerts;
mod controllers;
mod finding;
mod images;
#[cfg(test)]
mod kit;
mod members;
mod objective;
mod receivers;
mod scope;
pub mod table;
mod waits;

use crate::model::GroupKind;
use crate::path::Graph;

pub use controllers::Controllers;
pub use finding::Finding;
pub use objective::Goal;
pub use scope::scope;
pub use table::{CHECKS, Check, Severity};

/// What is judged: an installation, as far as it was seen.
pub struct Room<'a> {
    /// The pipeline.
    pub graph: &'a Graph,
    /// The controllers that run it.
    pub controllers: &'a Controllers,
    /// The instance of hopclock that is to run in it.
    pub instance: &'a str,
}

// === impl Room ===

impl Room<'_> {
    /// All that is wrong with the installation, whoever uses it; the gravest first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = receivers::findings(self);
        found.extend(members::findings(self));
        found.extend(images::findings(self));
        found.extend(alerts::findings(self));
        found.extend(waits::findings(self));
        found.extend(self.controllers.findings());
        in_order(found)
    }

    /// What keeps a scenario from its objective.
    #[must_use]
    pub fn objective(&self, goal: &Goal) -> Vec<Finding> {
        objective::findings(self, goal)
    }

    /// Whether all objects of a kind were seen: one that is not there is absent then.
    #[must_use]
    pub fn sees(&self, kind: &GroupKind) -> bool {
        self.graph.snapshot().unseen().all(|it| it.0 != kind)
    }
}

/// The gravest first, then as the table lists them; nothing twice.
#[must_use]
pub fn in_order(mut found: Vec<Finding>) -> Vec<Finding> {
    let place = |it: &Finding| CHECKS.iter().position(|check| *check == it.check);
    found.sort_by(|a, b| {
        let key = |it: &Finding| (it.check.severity, place(it), it.scenario.clone());
        key(a).cmp(&key(b)).then_with(|| a.subject.cmp(&b.subject)).then_with(|| a.cmp(b))
    });
    found.dedup();
    found
}
