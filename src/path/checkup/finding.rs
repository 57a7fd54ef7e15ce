//! A finding: what is wrong with what, and what mends it.

use crate::model::Subject;
use crate::path::checkup::Check;

/// What is wrong with what, and what mends it. Holds no secret, and no address of a webhook, which
/// is as good as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What was looked for.
    pub check: Check,
    /// What it is about; none if it is about the installation.
    pub subject: Option<Subject>,
    /// The scenario that it matters for; none if it matters anyhow.
    pub scenario: Option<String>,
    /// What is wrong, in a sentence without a capital and a period.
    pub problem: String,
    /// What mends it, in such a sentence; a command stands in backticks.
    pub fix: String,
}

// === impl Finding ===

impl Finding {
    /// About an object.
    #[must_use]
    pub fn of(check: Check, subject: &Subject, problem: String, fix: String) -> Self {
        Self { check, subject: Some(subject.clone()), scenario: None, problem, fix }
    }

    /// About the installation.
    #[must_use]
    pub fn general(check: Check, problem: String, fix: String) -> Self {
        Self { check, subject: None, scenario: None, problem, fix }
    }

    /// The same, for one scenario.
    #[must_use]
    pub fn in_scenario(self, name: &str) -> Self {
        Self { scenario: Some(name.to_owned()), ..self }
    }
}
