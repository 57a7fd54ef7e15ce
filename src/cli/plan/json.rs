//! A plan as a program reads it: one object on one line, lengths in seconds.

use crate::path::plan::{Case, Plan, Prospect, Stage, Sum, Verdict, Wait};
use serde_json::{Value, json};
use std::time::Duration;

/// The plan of a scenario.
pub(super) fn value(scenario: &str, plan: &Plan) -> Value {
    let hops = plan.hops.iter().map(|hop| {
        let [with, lost] = &hop.since_push;
        json!({
            "hop": hop.name,
            "subject": hop.subject.to_string(),
            "stages": hop.stages.iter().map(stage).collect::<Vec<_>>(),
            "since_push": with.as_ref().map(sum),
            "since_push_without_webhooks": lost.as_ref().map(sum),
        })
    });
    let total = |(case, it): &(Case, Option<Sum>)| json!({ "case": case.as_str(), "waits": it.as_ref().map(sum) });
    json!({
        "scenario": scenario,
        "until": plan.end,
        "hops": hops.collect::<Vec<_>>(),
        "total": plan.total.iter().map(total).collect::<Vec<_>>(),
        "objectives": plan.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "can_be_met": !plan.is_hopeless(),
        "missing": plan.missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notes": plan.warnings,
    })
}

fn stage(stage: &Stage) -> Value {
    json!({
        "subject": stage.subject.to_string(),
        "woken_by": stage.by.as_str(),
        "why": stage.why,
        "wait": stage.wait.map(wait),
        "wait_if_lost": stage.lost.map(wait),
        "interval_seconds": stage.interval.map(seconds),
        "retry_seconds": stage.retry.map(seconds),
    })
}

fn wait(wait: Wait) -> Value {
    json!({
        "expected_seconds": seconds(wait.expected()),
        "worst_seconds": seconds(wait.worst()),
    })
}

fn sum(sum: &Sum) -> Value {
    json!({
        "least_seconds": seconds(sum.least()),
        "expected_seconds": seconds(sum.expected()),
        "p50_seconds": seconds(sum.quantile(0.5)),
        "p95_seconds": seconds(sum.quantile(0.95)),
        "p99_seconds": seconds(sum.quantile(0.99)),
        "worst_seconds": seconds(sum.worst()),
    })
}

fn verdict(verdict: &Verdict) -> Value {
    let case = |it: &Prospect| {
        json!({
            "case": it.case.as_str(),
            "can_be_met": it.met.as_str(),
            "share_within": it.share.map(|it| (it * 1e4).round() / 1e4),
            "room_for_work_seconds": it.room.map(seconds),
            "sentence": it.sentence,
        })
    };
    json!({
        "slo": verdict.slo,
        "within_seconds": seconds(verdict.within),
        "objective": verdict.objective,
        "cases": verdict.cases.iter().map(case).collect::<Vec<_>>(),
    })
}

/// Seconds, to the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
