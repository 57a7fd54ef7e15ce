//! One line for each scenario, where the raw series end with their pod; and what is recent in it.
//!
//! Totals are carried from pod to pod, so the largest is the true one, and an increase of that
//! loses nothing at a restart. A new series of a pod would begin at the total, and its first value
//! is an increase to nobody.

use crate::export::Metric;
use crate::rules::names::{
    BAD, DEADLINE, EVENTS, LEFTOVERS, NEXT_RUN, NOTIFICATIONS, OBJECTIVE, PERIOD, RUNS, WEBHOOKS,
    max, recent,
};
use crate::rules::rule::{Group, Rule};
use crate::rules::settings::Settings;
use crate::rules::span::{range, text};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Up to which period, and how far back, what is recent reaches: at least four periods.
const CLASSES: [(u64, u64); 6] = [
    (5 * MINUTE, 20 * MINUTE),
    (15 * MINUTE, HOUR),
    (HOUR, 4 * HOUR),
    (6 * HOUR, DAY),
    (DAY, 4 * DAY),
    (7 * DAY, 28 * DAY),
];

const SLO: [&str; 2] = ["scenario", "slo"];
const OUTCOME: [&str; 2] = ["scenario", "outcome"];
const WEBHOOK: [&str; 4] = ["scenario", "target_cluster", "hop", "webhook"];
const NOTIFICATION: [&str; 4] = ["scenario", "target_cluster", "hop", "notification"];

/// The groups of what others build on.
pub(super) fn groups(settings: &Settings) -> Vec<Group> {
    vec![
        Group {
            name: "hopclock-totals".to_owned(),
            interval: Duration::from_secs(MINUTE),
            rules: totals(settings),
        },
        Group {
            name: "hopclock-recent".to_owned(),
            interval: Duration::from_secs(MINUTE),
            rules: [RUNS, EVENTS, WEBHOOKS, NOTIFICATIONS]
                .map(|it| Rule::record(recent(it), within_periods(settings, it)))
                .to_vec(),
        },
    ]
}

fn totals(settings: &Settings) -> Vec<Rule> {
    let largest = |labels: &[&str], metric: &str| {
        format!("max by ({}) ({})", settings.by(labels), settings.now(metric, ""))
    };
    let counters = [
        (max(EVENTS), SLO.as_slice(), Metric::SloEvents.doc().name),
        (max(BAD), &SLO, Metric::SloBadEvents.doc().name),
        (max(RUNS), &OUTCOME, Metric::Runs.doc().name),
        (max(WEBHOOKS), &WEBHOOK, Metric::Webhooks.doc().name),
        (max(NOTIFICATIONS), &NOTIFICATION, Metric::HopNotifications.doc().name),
    ];
    let gauges = [
        (OBJECTIVE.to_owned(), SLO.as_slice(), Metric::SloObjective.doc().name),
        (PERIOD.to_owned(), &["scenario"], Metric::ScenarioPeriod.doc().name),
        (DEADLINE.to_owned(), &["scenario"], Metric::ScenarioDeadline.doc().name),
        (NEXT_RUN.to_owned(), &["scenario"], Metric::NextRun.doc().name),
        (LEFTOVERS.to_owned(), &["scenario"], Metric::Leftovers.doc().name),
    ];
    let all = counters.into_iter().chain(gauges);
    all.map(|(name, labels, metric)| Rule::record(name, largest(labels, metric))).collect()
}

/// The increase over the last few periods, each scenario's own.
fn within_periods(settings: &Settings, counter: &str) -> String {
    let series = settings.series(&max(counter), "");
    let mut shorter = 0;
    let arms = CLASSES.map(|(longest, back)| {
        let above = if shorter > 0 { format!(" > {shorter}") } else { String::new() };
        shorter = longest;
        let range = recent_range(Duration::from_secs(back));
        // An objective that is new has no decisions yet, and that is nobody's fault.
        let age = match counter {
            EVENTS => format!(" and {series} offset {}", text(Duration::from_secs(back))),
            _ => String::new(),
        };
        format!(
            "increase({series}[{range}]){age}\n  and on ({}) ({}{above} <= {longest})",
            settings.by(&["scenario"]),
            settings.series(PERIOD, ""),
        )
    });
    arms.join("\nor\n")
}

/// A range for what is recent. Where a day or more lies between two runs, hours are steps enough.
fn recent_range(back: Duration) -> String {
    if back > Duration::from_secs(7 * DAY) { format!("{}:1h", text(back)) } else { range(back) }
}
