//! Findings as a page for people, and as JSON for programs.

use crate::config::Scenario;
use crate::path::checkup::{Finding, Severity};
use serde_json::{Value, json};
use std::fmt::Write;

/// What was found, and what was looked at.
pub(super) struct Page<'a> {
    pub(super) found: Vec<Finding>,
    pub(super) objects: usize,
    pub(super) scenarios: &'a [Scenario],
}

/// The gravest first.
const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

// === impl Page ===

impl Page<'_> {
    /// For people: grouped by severity, each with its fix.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for severity in SEVERITIES {
            let all: Vec<_> = self.of(severity).collect();
            if !all.is_empty() {
                let _ = writeln!(text, "{}\n", count(all.len(), severity).to_uppercase());
            }
            for finding in all {
                let Finding { check, problem, fix, .. } = finding;
                let about = about(finding);
                let _ = writeln!(text, "{about}  [{}]\n  {problem}\n  fix: {fix}\n", check.id);
            }
        }
        let counts: Vec<_> =
            SEVERITIES.into_iter().map(|it| count(self.of(it).count(), it)).collect();
        let scenarios = match self.scenarios.len() {
            0 => String::new(),
            1 => " and 1 scenario".to_owned(),
            several => format!(" and {several} scenarios"),
        };
        let _ = writeln!(text, "{} in {} objects{scenarios}", counts.join(", "), self.objects);
        text
    }

    /// For programs: one object.
    pub(super) fn json(&self) -> String {
        let finding = |it: &Finding| {
            json!({
                "id": it.check.id,
                "severity": it.check.severity,
                "subject": it.subject.as_ref().map(ToString::to_string),
                "scenario": it.scenario,
                "problem": it.problem,
                "fix": it.fix,
            })
        };
        let names: Vec<_> = self.scenarios.iter().map(|it| it.name.as_str()).collect();
        let page = json!({
            "scenarios": names,
            "objects": self.objects,
            "errors": self.of(Severity::Error).count(),
            "warnings": self.of(Severity::Warning).count(),
            "notes": self.of(Severity::Note).count(),
            "findings": self.found.iter().map(finding).collect::<Vec<Value>>(),
        });
        format!("{page}\n")
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(move |it| it.check.severity == severity)
    }
}

/// What a finding is about.
fn about(finding: &Finding) -> String {
    match (&finding.subject, &finding.scenario) {
        (Some(subject), Some(scenario)) => format!("{subject}, scenario `{scenario}`"),
        (Some(subject), None) => subject.to_string(),
        (None, Some(scenario)) => format!("scenario `{scenario}`"),
        (None, None) => "installation".to_owned(),
    }
}

fn count(number: usize, severity: Severity) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {}{plural}", severity.as_str())
}
