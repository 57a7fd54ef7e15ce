//! Objects for pyrra, which makes rules of its own.
//!
//! Its windows are fixed shares of the objective's. Where they hold too few runs its alerts are
//! switched off, and ours take their place.

use crate::rules::budget::matchers;
use crate::rules::burn::Plan;
use crate::rules::error::plain;
use crate::rules::format::sloth::pages_as_usual;
use crate::rules::format::{Metadata, head, yaml};
use crate::rules::names::{BAD, EVENTS, max};
use crate::rules::objective::Objective;
use crate::rules::settings::Settings;
use crate::rules::span::text;
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Serialize)]
struct Spec {
    target: String,
    window: String,
    description: String,
    indicator: Indicator,
    alerting: Alerting,
}

#[derive(Serialize)]
struct Indicator {
    ratio: Ratio,
}

#[derive(Serialize)]
struct Ratio {
    errors: Query,
    total: Query,
}

#[derive(Serialize)]
struct Query {
    metric: String,
}

#[derive(Serialize)]
struct Alerting {
    name: &'static str,
    burnrates: bool,
    absent: bool,
}

/// Objects for pyrra, for objectives with their plans.
#[must_use]
pub fn pyrra(settings: &Settings, objectives: &[(Objective, Plan)], metadata: &Metadata) -> String {
    let lines =
        ["Written by `hopclock rules --format pyrra`. They read series that `hopclock rules` records."
            .to_owned()];
    let objects = objectives.iter().map(|(objective, plan)| {
        yaml(&Object {
            api_version: "pyrra.dev/v1alpha1",
            kind: "ServiceLevelObjective",
            metadata: Metadata {
                name: format!("{}-{}", metadata.name, name(objective)),
                ..metadata.clone()
            },
            spec: spec(settings, objective, plan),
        })
    });
    head(&lines) + &objects.collect::<Vec<_>>().join("---\n")
}

/// The objective in the name of an object, where an underscore may not stand.
fn name(objective: &Objective) -> String {
    format!("{}-{}", objective.scenario, objective.slo.replace('_', "-").to_lowercase())
}

fn spec(settings: &Settings, objective: &Objective, plan: &Plan) -> Spec {
    let matchers = matchers(objective);
    let query = |of: &str| Query { metric: settings.series(&max(of), &matchers) };
    Spec {
        target: plain(objective.share * 100.0),
        window: weeks(objective.window),
        description: format!(
            "Changes of scenario {} hold the objective {} ({}).",
            objective.scenario,
            objective.slo,
            text(objective.within)
        ),
        indicator: Indicator { ratio: Ratio { errors: query(BAD), total: query(EVENTS) } },
        alerting: Alerting {
            name: "HopclockErrorBudgetBurn",
            burnrates: fits(objective) && pages_as_usual(plan),
            // Series are there all the time, and if not, other alerts say so.
            absent: false,
        },
    }
}

/// Whether pyrra's shortest windows, five minutes and an hour of four weeks, hold enough runs.
fn fits(objective: &Objective) -> bool {
    let share = objective.window.as_secs_f64() / (28.0 * 86_400.0);
    let holds = |minutes: f64, runs: u32| {
        Duration::from_secs_f64(minutes * 60.0 * share) >= objective.cadence.span(runs)
    };
    holds(5.0, 3) && holds(60.0, 12)
}

/// A window as Prometheus reads it, in one unit: pyrra puts it into names.
fn weeks(window: Duration) -> String {
    match window.as_secs() {
        it if it % (7 * 86_400) == 0 => format!("{}w", it / (7 * 86_400)),
        it if it % 86_400 == 0 => format!("{}d", it / 86_400),
        it => format!("{}h", it / 3_600),
    }
}
