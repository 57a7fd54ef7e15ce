//! Specs for sloth, which makes rules of its own.
//!
//! Its windows are fixed, and the shorter ones hold one run or none: then its ratio is nothing by
//! nothing. Queries are templates, so a window that is too short is looked at as a longer one.

use crate::rules::budget::matchers;
use crate::rules::burn::{Plan, Tier};
use crate::rules::cadence::Cadence;
use crate::rules::error::{percent, plain};
use crate::rules::format::{head, yaml};
use crate::rules::names::{BAD, EVENTS, max};
use crate::rules::objective::Objective;
use crate::rules::rule::Severity;
use crate::rules::settings::Settings;
use crate::rules::span::text;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Serialize)]
struct Spec {
    version: &'static str,
    service: &'static str,
    slos: Vec<Slo>,
}

#[derive(Serialize)]
struct Slo {
    name: String,
    objective: f64,
    description: String,
    labels: BTreeMap<&'static str, String>,
    sli: Sli,
    alerting: Alerting,
}

#[derive(Serialize)]
struct Sli {
    events: Events,
}

#[derive(Serialize)]
struct Events {
    error_query: String,
    total_query: String,
}

#[derive(Serialize)]
struct Alerting {
    name: &'static str,
    annotations: BTreeMap<&'static str, String>,
    page_alert: Severe,
    ticket_alert: Severe,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Severe {
    Labels { labels: BTreeMap<&'static str, &'static str> },
    Disabled { disable: bool },
}

/// Windows that sloth takes, and whether they are the long ones of a pair.
const WINDOWS: [(u64, bool); 8] = [
    (300, false),
    (1_800, false),
    (3_600, true),
    (7_200, false),
    (21_600, true),
    (86_400, true),
    (259_200, true),
    (2_592_000, true),
];

/// A spec for sloth, for objectives with their plans.
#[must_use]
pub fn sloth(settings: &Settings, objectives: &[(Objective, Plan)]) -> String {
    let mut lines = vec![
        "Written by `hopclock rules --format sloth`. It reads series that `hopclock rules` records.".to_owned(),
        "Give `--disable-optimized-rules` to `sloth generate`: a mean of short windows is none of runs.".to_owned(),
    ];
    if objectives.iter().any(|it| it.0.window != Duration::from_secs(30 * 86_400)) {
        lines.push("Not every objective is over 30 days: give `--default-slo-period` and windows to sloth.".to_owned());
    }
    let slos = objectives.iter().map(|(objective, plan)| slo(settings, objective, plan));
    let spec = Spec { version: "prometheus/v1", service: "hopclock", slos: slos.collect() };
    format!("{}{}", head(&lines), yaml(&spec))
}

/// Whether all tiers that page would, and do for more than one run.
pub(super) fn pages_as_usual(plan: &Plan) -> bool {
    let pages = |it: &&Tier| it.severity == Severity::Critical;
    plan.tiers.iter().filter(pages).count() == 2
}

fn slo(settings: &Settings, objective: &Objective, plan: &Plan) -> Slo {
    let matchers = matchers(objective);
    let query = |of: &str| {
        let series = settings.series(&max(of), &matchers);
        format!("sum(increase({series}[{}]))", window(&objective.cadence))
    };
    let labels = |severity: Severity| Severe::Labels {
        labels: BTreeMap::from([("severity", severity.as_str())]),
    };
    let page_alert = if pages_as_usual(plan) {
        labels(Severity::Critical)
    } else {
        Severe::Disabled { disable: true }
    };
    Slo {
        name: format!("{}-{}", objective.scenario, objective.slo),
        objective: plain(objective.share * 100.0).parse().unwrap_or(objective.share * 100.0),
        description: format!(
            "{} of the changes of scenario {} hold the objective {} ({}).",
            percent(objective.share),
            objective.scenario,
            objective.slo,
            text(objective.within)
        ),
        labels: BTreeMap::from([
            ("scenario", objective.scenario.clone()),
            ("slo", objective.slo.clone()),
        ]),
        sli: Sli { events: Events { error_query: query(BAD), total_query: query(EVENTS) } },
        alerting: Alerting {
            name: "HopclockErrorBudgetBurn",
            annotations: BTreeMap::from([(
                "runbook_url",
                format!("{}/HopclockErrorBudgetBurn.md", settings.runbooks),
            )]),
            page_alert,
            ticket_alert: labels(Severity::Warning),
        },
    }
}

/// The template of a window that holds enough runs, whichever sloth asks for.
fn window(cadence: &Cadence) -> String {
    let mut arms: Vec<String> = Vec::new();
    for (seconds, is_long) in WINDOWS {
        let asked = Duration::from_secs(seconds);
        let least = cadence.span(if is_long { 12 } else { 3 });
        if asked < least {
            let or = if arms.is_empty() { "if" } else { "else if" };
            let (asked, least) = (text(asked), text(least));
            arms.push(format!("{{{{ {or} eq .window \"{asked}\" }}}}{least}"));
        }
    }
    if arms.is_empty() {
        return "{{ .window }}".to_owned();
    }
    arms.concat() + "{{ else }}{{ .window }}{{ end }}"
}
