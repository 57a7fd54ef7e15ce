//! Turns what happens into series. One instance is one registry; there is no global one.

use crate::export::family::Snapshot;
use crate::export::finished;
use crate::export::reference::{Metric, PUSH, TOTAL};
use crate::export::series::Series;
use crate::model::{
    Clock, Event, Missed, Moment, Observer, Outcome, RunRecord, SloVerdict, Via, Webhook,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The kind of hop that is the arrival of a webhook.
const WEBHOOK: &str = "webhook_received";

/// Counts what happens, and says it when asked.
pub struct Metrics {
    clock: Arc<dyn Clock>,
    version: String,
    restarts: RestartSource,
    state: Mutex<State>,
}

/// Which series a scenario has, so that they exist before anything happened: an increase from
/// nothing to one is none to Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScenarioSeries {
    /// The scenario's name.
    pub scenario: String,
    /// Its hops.
    pub hops: Vec<HopSeries>,
    /// Labels of its objectives: `total`, and the names of hops with one of their own.
    pub slos: Vec<String>,
    /// The clusters that it looks at, as the label `target_cluster`.
    pub clusters: Vec<String>,
}

/// A hop that has series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopSeries {
    /// The hop's name.
    pub hop: String,
    /// The cluster of its subject.
    pub target_cluster: String,
    /// Its kind, as in scenarios.
    pub kind: String,
    /// Whether a run can end well without it (`required: false`).
    pub optional: bool,
}

/// How often one sort of watch was opened again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRestarts {
    /// The cluster.
    pub target_cluster: String,
    /// Kind of the watched objects.
    pub kind: String,
    /// Why, bounded.
    pub reason: String,
    /// How often since the process started.
    pub count: u64,
}

/// Says how often watches were opened again; asked at each scrape.
pub type RestartSource = Box<dyn Fn() -> Vec<WatchRestarts> + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    series: Series,
    declared: BTreeMap<String, ScenarioSeries>,
    /// Scenario, run, and when it started.
    running: BTreeMap<(String, String), Moment>,
}

// === impl Metrics ===

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Metrics {
    /// A registry without series, of hopclock `version`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, version: &str, restarts: RestartSource) -> Self {
        Self { clock, version: version.to_owned(), restarts, state: Mutex::default() }
    }

    /// Makes every series of a scenario exist, at zero. What was counted before stays.
    pub fn declare(&self, scenario: &ScenarioSeries) {
        let mut state = self.state();
        declare(&mut state.series, scenario);
        state.declared.insert(scenario.scenario.clone(), scenario.clone());
    }

    /// Removes every series of a scenario that is not there any more. A run of it that finishes
    /// later brings some of them back, so forget it after its last run.
    pub fn forget(&self, scenario: &str) {
        let mut state = self.state();
        state.series.forget(scenario);
        state.declared.remove(scenario);
        state.running.retain(|it, _| it.0 != scenario);
    }

    /// What all series say now, of one instant.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let mut series = {
            let state = self.state();
            let mut series = state.series.clone();
            for (scenario, started) in state.oldest() {
                let age = now.since(started).as_secs_f64();
                series.set(Metric::RunInFlight, &[scenario], age);
            }
            series
        };
        for it in (self.restarts)() {
            let labels = [it.target_cluster.as_str(), &it.kind, &it.reason];
            #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 restarts")]
            series.set(Metric::WatchRestarts, &labels, it.count as f64);
        }
        series.set(Metric::BuildInfo, &[&self.version], 1.0);
        Snapshot::new(series)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Scheduled { scenario, .. } => {
                state.series.count(Metric::ScheduledRuns, &[scenario]);
            }
            Event::Missed { scenario, reason, count, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "nobody misses 2^52 runs")]
                let count = *count as f64;
                state.series.add(Metric::ScheduledRuns, &[scenario], count);
                state.series.add(Metric::MissedRuns, &[scenario, reason.as_str()], count);
            }
            Event::Started { scenario, canary, at } => {
                state.running.insert((scenario.clone(), canary.to_string()), *at);
            }
            Event::Publishing { scenario, .. } => state.wait_for_hops(scenario, 1.0),
            Event::Published { .. }
            | Event::Failing { .. }
            | Event::Positioned { .. }
            | Event::Witnessed { .. } => (),
            Event::Reached { scenario, hop, .. } => {
                state.series.set(Metric::HopWaiting, &[scenario, hop], 0.0);
            }
            Event::Decided { scenario, slo, verdict } => {
                decided(&mut state.series, &[scenario, slo], *verdict);
            }
            Event::Ended { scenario, .. } => state.wait_for_hops(scenario, 0.0),
            Event::Finished(record) => state.finish(record, self.clock.wall()),
        }
    }
}

// === impl State ===

impl State {
    /// When the oldest run in flight of each scenario started.
    fn oldest(&self) -> BTreeMap<&str, Moment> {
        let mut oldest = BTreeMap::new();
        for ((scenario, _), started) in &self.running {
            let first = oldest.entry(scenario.as_str()).or_insert(*started);
            *first = (*first).min(*started);
        }
        oldest
    }

    fn wait_for_hops(&mut self, scenario: &str, value: f64) {
        let hops = self.declared.get(scenario).map(|it| it.hops.as_slice()).unwrap_or_default();
        for hop in hops {
            self.series.set(Metric::HopWaiting, &[scenario, &hop.hop], value);
        }
    }

    fn finish(&mut self, record: &RunRecord, wall: jiff::Timestamp) {
        self.wait_for_hops(&record.scenario, 0.0);
        self.running.remove(&(record.scenario.clone(), record.canary.to_string()));
        let declared = self.declared.get(&record.scenario);
        let is_webhook = |hop: &str| {
            let hops = declared.into_iter().flat_map(|it| &it.hops);
            hops.into_iter().any(|it| it.hop == hop && it.kind == WEBHOOK)
        };
        finished::add(&mut self.series, record, wall, is_webhook);
    }
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
