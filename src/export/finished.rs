//! What a finished run adds to the series.
//!
//! A run says something of its stages unless it was skipped or could not measure: a suspended
//! path is nobody's latency, and a prober that broke is no witness. A superseded run does: the
//! stages that its change took were measured as well as any other, only its delivery was not.
//! Everything is taken from the record, not from the sightings on the way, because later learning
//! may still have moved a time (rule T8).

use crate::export::reference::{Metric, PUSH, TOTAL};
use crate::export::tally::Tally;
use crate::model::{Exemplar, HopRecord, Outcome, Passage, RunRecord, Span, Usage};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Outcomes under which the whole delivery is observed.
pub(super) const MEASURED: [&str; 4] = ["ok", "slow", "failed", "timeout"];

/// Those under which every required hop was reached.
pub(super) const ENDED_WELL: [&str; 2] = ["ok", "slow"];

/// Those under which one was not.
pub(super) const ENDED_BADLY: [&str; 2] = ["failed", "timeout"];

/// Value of the label `webhook` where none came and the change went on all the same.
pub(super) const NO_WEBHOOK: &str = "none";

/// The same where nobody could have heard one; such series begin when that happens.
const UNREADY: &str = "unready";

/// Values of the label `notification`: it came, or it did not though the change was delivered.
pub(super) const NOTIFICATION: [&str; 2] = ["heard", "lost"];

/// Longest exemplar, names and values, that OpenMetrics allows.
const LONGEST_EXEMPLAR: usize = 128;

/// Labels of an exemplar: the run, its trace, and the span that is all of it.
pub(super) const CANARY: &str = "canary";
const TRACE: &str = "trace_id";
const SPAN: &str = "span_id";

/// The labels of an exemplar: the run, and as far as there is room, where it is told as a trace.
pub(super) fn exemplar_labels(it: &Exemplar) -> Vec<(&'static str, String)> {
    let mut labels = vec![(CANARY, it.canary.to_string())];
    let Some(trace) = it.trace else { return labels };
    let mut room = LONGEST_EXEMPLAR.saturating_sub(length(&labels[0]));
    for label in [(TRACE, trace.to_string()), (SPAN, trace.span(&it.canary, "").to_string())] {
        if length(&label) > room {
            break;
        }
        room -= length(&label);
        labels.push(label);
    }
    labels
}

fn length(label: &(&str, String)) -> usize {
    label.0.len() + label.1.chars().count()
}

/// Adds a finished run that was heard of at a wall time.
pub(super) fn add(tally: &mut Tally, record: &RunRecord, wall: Timestamp) {
    let outcome = record.outcome.as_str();
    let mut clusters: BTreeSet<&str> =
        record.hops.iter().map(|it| it.target_cluster.as_str()).collect();
    if clusters.is_empty() {
        clusters.insert("");
    }
    tally.count(Metric::Runs, &[outcome]);
    add_usage(tally, record.usage);
    for cluster in &clusters {
        tally.count(Metric::ClusterRuns, &[cluster, outcome]);
        let seconds = wall.as_duration().as_secs_f64();
        tally.set(Metric::LastRun, &[cluster], seconds);
        if record.outcome == Outcome::Ok {
            tally.set(Metric::LastSuccess, &[cluster], seconds);
        }
    }
    if let Outcome::ProbeError(error) = &record.outcome {
        tally.count(Metric::ProbeErrors, &[&error.reason]);
    }
    let Some(push) = record.push.as_ref().filter(|_| says_something(&record.outcome)) else {
        return;
    };
    for cluster in &clusters {
        stage(tally, [cluster, PUSH], push.took, record.tolerance);
        if let Some(span) = record.push_to_apply.filter(|_| record.outcome.is_measurement()) {
            delivery(tally, record, cluster, span, wall);
        }
    }
    for hop in &record.hops {
        add_hop(tally, record, hop);
    }
}

/// Counts what was asked of a remote, by a run or behind it.
pub(super) fn add_usage(tally: &mut Tally, usage: Usage) {
    tally.add(Metric::RemoteRequests, &[], f64::from(usage.requests));
    tally.add(Metric::RemoteThrottled, &[], f64::from(usage.throttled));
}

/// Whether a run that ended so says something of the stages that its change took.
fn says_something(outcome: &Outcome) -> bool {
    outcome.is_measurement() || matches!(outcome, Outcome::Superseded { .. })
}

/// Observes the whole delivery; a timeout at the deadline, under its own label (rule O3).
fn delivery(tally: &mut Tally, record: &RunRecord, cluster: &str, span: Span, at: Timestamp) {
    let labels = [cluster, record.outcome.as_str()];
    if span.width() > record.tolerance {
        tally.count(Metric::UncertainHops, &[cluster, TOTAL]);
    } else if CANARY.len() + record.canary.to_string().chars().count() > LONGEST_EXEMPLAR {
        tally.measure(Metric::PushToApply, &labels, span.most);
    } else {
        let run = Exemplar {
            canary: record.canary.clone(),
            value: span.most,
            at,
            trace: record.trace_id,
        };
        tally.measure_run(Metric::PushToApply, &labels, run);
    }
}

fn add_hop(tally: &mut Tally, record: &RunRecord, hop: &HopRecord) {
    let labels = [hop.target_cluster.as_str(), hop.hop.as_str()];
    let with = |more: &'static str| [labels[0], labels[1], more];
    if hop.reverted {
        tally.count(Metric::HopReverted, &labels);
    }
    match &hop.passage {
        Passage::Reached { stage: span, wait, reordered, via, webhook, .. } => {
            if *reordered {
                tally.count(Metric::HopReordered, &labels);
            } else if let Some(span) = span
                && stage(tally, labels, *span, record.tolerance)
                && let Some(wait) = wait.filter(|it| it.width() <= record.tolerance)
            {
                tally.add(Metric::StageWait, &labels, wait.most.as_secs_f64());
            }
            if let Some(via) = via {
                tally.count(Metric::HopWakes, &with(via.as_str()));
            }
            if let Some(webhook) = webhook {
                tally.count(Metric::Webhooks, &with(webhook.as_str()));
            }
        }
        Passage::Bypassed => tally.count(Metric::HopBypassed, &labels),
        Passage::Unreached if record.outcome.is_measurement() => {
            tally.count(Metric::StageUnreached, &with(record.outcome.as_str()));
        }
        Passage::Unreached => (),
    }
    if tally.declared().is_notification(&hop.hop) {
        let [heard, lost] = NOTIFICATION;
        match &hop.passage {
            Passage::Reached { .. } => tally.count(Metric::HopNotifications, &with(heard)),
            Passage::Bypassed => tally.count(Metric::HopNotifications, &with(lost)),
            Passage::Unreached => (),
        }
    }
    // A superseded run ends before its hops, and the webhook, have had their time.
    let unseen = hop.passage.at().is_none() && record.outcome.is_measurement();
    if unseen && tally.declared().is_webhook(&hop.hop) {
        // Where nothing fetched the change either, nobody knows what the webhook would have done.
        if hop.unready {
            tally.count(Metric::Webhooks, &with(UNREADY));
        } else if hop.passage == Passage::Bypassed || ended_well(&record.outcome) {
            tally.count(Metric::Webhooks, &with(NO_WEBHOOK));
        }
    }
}

/// Whether every required hop was reached.
fn ended_well(outcome: &Outcome) -> bool {
    ENDED_WELL.contains(&outcome.as_str())
}

/// Observes a stage by its upper bound, or counts it as uncertain if its bounds are too far apart
/// (rule T6). Says whether it was observed.
fn stage(tally: &mut Tally, labels: [&str; 2], span: Span, tolerance: Duration) -> bool {
    let sure = span.width() <= tolerance;
    if sure {
        tally.measure(Metric::StageDuration, &labels, span.most);
    } else {
        tally.count(Metric::UncertainHops, &labels);
    }
    sure
}
