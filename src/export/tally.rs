//! What is counted of one scenario: a fold over its events, which can be written down and read
//! back, so that totals outlive the process.
//!
//! Live values (ages, what is waited for) are no totals: they are not written down, and follow the
//! events again after a restart.

use crate::export::finished;
use crate::export::metrics::{HopSeries, ScenarioSeries};
use crate::export::reference::{Metric, PUSH, TOTAL};
use crate::export::series::{Saved, Series};
use crate::model::{Event, Missed, Moment, Outcome, RunRecord, SloVerdict, Via, Webhook};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of hop that is the arrival of a webhook.
const WEBHOOK: &str = "webhook_received";

/// What is counted of one scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    series: Series,
    declared: ScenarioSeries,
    /// Runs under way, and when they started.
    running: BTreeMap<String, Moment>,
}

// === impl Tally ===

impl Tally {
    /// Nothing counted, with every series of the scenario at zero.
    pub(super) fn of(declared: &ScenarioSeries) -> Self {
        let mut tally = Self::default();
        tally.declare(declared);
        tally
    }

    /// Makes the series those of a scenario that has changed: new ones begin at zero, those of
    /// hops, objectives and clusters that are gone go, and all others keep their counts.
    pub(super) fn declare(&mut self, declared: &ScenarioSeries) {
        self.declared = declared.clone();
        let declared = &self.declared;
        self.series.retain(|metric, labels| belongs(declared, metric, labels));
        declare(&mut self.series, declared);
    }

    /// Counts an event that was heard at `wall`.
    pub(super) fn observe(&mut self, event: &Event, wall: Timestamp) {
        let series = &mut self.series;
        match event {
            Event::Scheduled { scenario, .. } => series.count(Metric::ScheduledRuns, &[scenario]),
            Event::Missed { scenario, reason, count, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "nobody misses 2^52 runs")]
                let count = *count as f64;
                series.add(Metric::ScheduledRuns, &[scenario], count);
                series.add(Metric::MissedRuns, &[scenario, reason.as_str()], count);
            }
            Event::Started { canary, at, .. } => {
                self.running.insert(canary.to_string(), *at);
            }
            Event::Publishing { .. } => self.wait_for_hops(1.0),
            Event::Published { .. }
            | Event::Failing { .. }
            | Event::Positioned { .. }
            | Event::Witnessed { .. } => (),
            Event::Reached { scenario, hop, .. } => {
                series.set_known(Metric::HopWaiting, &[scenario, hop], 0.0);
            }
            Event::Decided { scenario, slo, verdict } => {
                decided(series, &[scenario, slo], *verdict);
            }
            Event::Ended { .. } => self.wait_for_hops(0.0),
            Event::Finished(record) => self.finish(record, wall),
        }
    }

    /// The totals, as they are written down.
    pub(super) fn save(&self) -> Saved {
        self.series.save(|it| !is_live(it))
    }

    /// Goes on from totals that were written down; what the scenario does not have any more is
    /// left out.
    pub(super) fn restore(&mut self, saved: Saved) {
        let scenario = self.declared.scenario.clone();
        let declared = &self.declared;
        let fits =
            |metric, labels: &[String]| !is_live(metric) && belongs(declared, metric, labels);
        self.series.restore(&scenario, saved, fits);
    }

    /// The series, with the live values of this instant.
    pub(super) fn at(&self, now: Moment) -> Series {
        let mut series = self.series.clone();
        let scenario = self.declared.scenario.as_str();
        let oldest = self.running.values().min().map(|it| now.since(*it));
        let age = oldest.unwrap_or_default().as_secs_f64();
        series.set(Metric::RunInFlight, &[scenario], age);
        let sum = |metric| series.numbers(metric).map(|it| it.1).sum::<f64>();
        let ended = sum(Metric::Runs) + sum(Metric::MissedRuns);
        let in_flight = (sum(Metric::ScheduledRuns) - ended).max(0.0);
        series.set(Metric::RunsInFlight, &[scenario], in_flight);
        series
    }

    fn wait_for_hops(&mut self, value: f64) {
        let scenario = self.declared.scenario.as_str();
        for hop in &self.declared.hops {
            self.series.set(Metric::HopWaiting, &[scenario, &hop.hop], value);
        }
    }

    fn finish(&mut self, record: &RunRecord, wall: Timestamp) {
        self.wait_for_hops(0.0);
        self.running.remove(&record.canary.to_string());
        let is_webhook =
            |hop: &str| self.declared.hops.iter().any(|it| it.hop == hop && it.kind == WEBHOOK);
        finished::add(&mut self.series, record, wall, is_webhook);
    }
}

/// Whether a value speaks of the moment and is no total.
fn is_live(metric: Metric) -> bool {
    matches!(metric, Metric::HopWaiting | Metric::RunInFlight | Metric::RunsInFlight)
}

/// Whether a scenario has such a series.
fn belongs(declared: &ScenarioSeries, metric: Metric, labels: &[String]) -> bool {
    metric.doc().labels.iter().zip(labels).all(|(name, value)| match *name {
        "hop" => {
            [PUSH, TOTAL].contains(&&**value) || declared.hops.iter().any(|it| it.hop == *value)
        }
        "slo" => declared.slos.contains(value),
        "target_cluster" => declared.clusters.contains(value),
        _ => true,
    })
}

fn decided(series: &mut Series, labels: &[&str], verdict: SloVerdict) {
    match verdict {
        SloVerdict::Good => series.count(Metric::SloEvents, labels),
        SloVerdict::Bad => {
            series.count(Metric::SloEvents, labels);
            series.count(Metric::SloBadEvents, labels);
        }
        SloVerdict::Unknown => series.count(Metric::SloUnknown, labels),
    }
}

fn declare(series: &mut Series, it: &ScenarioSeries) {
    let scenario = it.scenario.as_str();
    series.declare(Metric::ScheduledRuns, &[scenario]);
    series.declare(Metric::RunInFlight, &[scenario]);
    for reason in Missed::ALL {
        series.declare(Metric::MissedRuns, &[scenario, reason.as_str()]);
    }
    for outcome in Outcome::LABELS {
        series.declare(Metric::Runs, &[scenario, outcome]);
    }
    for slo in &it.slos {
        for metric in [Metric::SloEvents, Metric::SloBadEvents, Metric::SloUnknown] {
            series.declare(metric, &[scenario, slo]);
        }
    }
    let clusters: BTreeSet<&str> = it.clusters.iter().map(String::as_str).collect();
    for cluster in clusters {
        declare_cluster(series, scenario, cluster);
    }
    for hop in &it.hops {
        declare_hop(series, scenario, hop);
    }
}

fn declare_cluster(series: &mut Series, scenario: &str, cluster: &str) {
    for outcome in Outcome::LABELS {
        series.declare(Metric::ClusterRuns, &[scenario, cluster, outcome]);
    }
    for outcome in finished::MEASURED {
        series.declare_histogram(Metric::PushToApply, &[scenario, cluster, outcome]);
    }
    series.declare_histogram(Metric::StageDuration, &[scenario, cluster, PUSH]);
    for hop in [PUSH, TOTAL] {
        series.declare(Metric::UncertainHops, &[scenario, cluster, hop]);
    }
}

fn declare_hop(series: &mut Series, scenario: &str, it: &HopSeries) {
    let labels = [scenario, it.target_cluster.as_str(), it.hop.as_str()];
    let with = |more: &'static str| [labels[0], labels[1], labels[2], more];
    let (wakes, counters) = abilities(&it.kind);
    series.declare(Metric::HopWaiting, &[scenario, &it.hop]);
    series.declare_histogram(Metric::StageDuration, &labels);
    for counter in counters {
        series.declare(*counter, &labels);
    }
    let well: &[&str] = if it.optional { &finished::ENDED_WELL } else { &[] };
    for outcome in well.iter().chain(&finished::ENDED_BADLY) {
        series.declare(Metric::StageUnreached, &with(outcome));
    }
    for via in wakes {
        series.declare(Metric::HopWakes, &with(via.as_str()));
    }
    if it.kind == WEBHOOK {
        for webhook in [Webhook::Ours.as_str(), Webhook::Shared.as_str(), finished::NO_WEBHOOK] {
            series.declare(Metric::Webhooks, &with(webhook));
        }
    }
}

/// Who can wake the subject of a hop of this kind, and which counters it can move. Everything, if
/// the kind is not known here: a series that stays at zero does less harm than one that begins
/// with one.
fn abilities(kind: &str) -> (&'static [Via], &'static [Metric]) {
    use Metric::{HopBypassed, HopReordered, HopReverted, StageWait, UncertainHops};
    match kind {
        WEBHOOK => (&[], &[HopBypassed, UncertainHops]),
        "source_fetched" => (
            &[Via::Webhook, Via::Manual, Via::Interval, Via::Unknown],
            &[StageWait, HopBypassed, HopReordered, UncertainHops],
        ),
        "applied" => (&[Via::Upstream], &[StageWait, HopBypassed, HopReordered, UncertainHops]),
        "live" => (&[], &[HopBypassed, HopReordered, HopReverted, UncertainHops]),
        _ => (&Via::ALL, &[StageWait, HopBypassed, HopReordered, HopReverted, UncertainHops]),
    }
}
