//! What `dashboards/.lint` excuses, in the format of Grafana's dashboard-linter: each exception with
//! a reason, and none that nothing needs.

use crate::config_broken::root;
use crate::dashboards::rules::{Violation, violations};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file as the linter has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lint {
    exclusions: BTreeMap<String, Exclusion>,
}

/// Exceptions from one rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclusion {
    reason: String,
    entries: Vec<Entry>,
}

/// One place that may break the rule; the linter keeps the target's number as text.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Entry {
    reason: Option<String>,
    dashboard: String,
    panel: Option<String>,
    #[serde(rename = "targetIdx")]
    target: Option<String>,
}

// === impl Entry ===

impl Entry {
    fn excuses(&self, it: &Violation) -> bool {
        let target = self.target.as_ref().map(|it| it.parse::<usize>().unwrap());
        self.dashboard == it.board
            && self.panel.as_deref().is_none_or(|panel| panel == it.panel)
            && target.is_none_or(|target| Some(target) == it.target)
    }
}

fn lint() -> Lint {
    let text = std::fs::read_to_string(root().join("dashboards/.lint")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn every_dashboard_keeps_the_linters_rules_but_for_what_is_excused() {
    let lint = lint();
    let is_excused = |it: &Violation| {
        let of_rule = lint.exclusions.get(it.rule);
        of_rule.is_some_and(|of_rule| of_rule.entries.iter().any(|entry| entry.excuses(it)))
    };
    let left: Vec<_> = violations().into_iter().filter(|it| !is_excused(it)).collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn every_excuse_has_a_reason_and_is_needed() {
    let violations = violations();
    for (rule, exclusion) in lint().exclusions {
        assert!(exclusion.reason.len() > 20, "`{rule}` has no reason");
        assert!(!exclusion.entries.is_empty(), "`{rule}` would be excused everywhere");
        for entry in exclusion.entries {
            let needed = violations.iter().any(|it| it.rule == rule && entry.excuses(it));
            assert!(needed, "nothing needs this excuse from `{rule}`: {entry:?}");
            assert!(entry.reason.is_none_or(|it| !it.is_empty()));
        }
    }
}
