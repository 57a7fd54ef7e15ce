//! What a rule is, whatever file it ends up in.

use std::time::Duration;

/// Rules that are evaluated one after the other, at the same instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique in a file.
    pub name: String,
    /// Time between two evaluations; below five minutes, or what is recorded has gaps.
    pub interval: Duration,
    /// In the order of their evaluation.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Keeps the result of a query as a series.
    Record(Record),
    /// Tells somebody as long as a query has a result.
    Alert(Alert),
}

/// A series that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name of the series.
    pub name: String,
    /// The query.
    pub expr: String,
    /// Labels that its results have anyway; with them a reader, or a linter, tells rules of one name
    /// apart.
    pub labels: Vec<(&'static str, String)>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name, which its runbook bears too.
    pub name: &'static str,
    /// The query.
    pub expr: String,
    /// How long the query must have had a result.
    pub wait: Option<Duration>,
    /// Who should look.
    pub severity: Severity,
    /// Labels beside that of the severity.
    pub labels: Vec<(&'static str, String)>,
    /// One sentence, the same for all of its alerts.
    pub summary: &'static str,
    /// What this one is about, in Prometheus' template language.
    pub description: String,
}

/// Who should look, and when. Its text is the label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody, now.
    Critical,
    /// Somebody, on a working day.
    Warning,
    /// Whoever looks anyway.
    Info,
}

// === impl Rule ===

impl Rule {
    /// A series that is recorded.
    pub(super) fn record(name: impl Into<String>, expr: String) -> Self {
        Self::Record(Record { name: name.into(), expr, labels: Vec::new() })
    }

    /// The same series, recorded of one scenario.
    pub(super) fn of_scenario(self, scenario: &str) -> Self {
        match self {
            Self::Record(it) => {
                let labels = vec![("scenario", scenario.to_owned())];
                Self::Record(Record { labels, ..it })
            }
            Self::Alert(_) => self,
        }
    }

    /// Its query.
    #[must_use]
    pub fn expr(&self) -> &str {
        match self {
            Self::Record(it) => &it.expr,
            Self::Alert(it) => &it.expr,
        }
    }
}

// === impl Severity ===

impl Severity {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}
