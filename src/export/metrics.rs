//! Turns what happens into series. One instance is one registry; there is no global one.

use crate::engine::{Stamped, Totals};
use crate::export::family::Snapshot;
use crate::export::reference::Metric;
use crate::export::series::{Saved, Series};
use crate::export::tally::Tally;
use crate::model::{Clock, Event, Observer};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// What the process says of itself.
#[derive(Debug, Default)]
struct State {
    tallies: BTreeMap<String, Tally>,
    process: Series,
}

/// How the last look at the scenario files went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Scenarios that run as their files say.
    pub active: usize,
    /// Files that are broken now, whose last good form runs on.
    pub stale: usize,
    /// Files that are broken, and of which nothing runs.
    pub broken: usize,
    /// The folder could be read.
    pub readable: bool,
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

    /// Makes every series of a scenario exist, at zero if it is new. Of a scenario that has
    /// changed, what it still has keeps its counts, and the rest goes.
    pub fn declare(&self, scenario: &ScenarioSeries) {
        let mut state = self.state();
        match state.tallies.get_mut(&scenario.scenario) {
            Some(tally) => tally.declare(scenario),
            None => drop(state.tallies.insert(scenario.scenario.clone(), Tally::of(scenario))),
        }
    }

    /// Takes in how long a watch event took from a write of our own to us.
    pub fn observe_echo(&self, target_cluster: &str, took: Duration) {
        self.state().process.observe(Metric::WatchEcho, &[target_cluster], took);
    }

    /// Takes in how a look at the scenario files went.
    pub fn set_reload(&self, reload: Reload) {
        let Reload { active, stale, broken, readable } = reload;
        let successful = readable && stale + broken == 0;
        let process = &mut self.state().process;
        process.set(Metric::ReloadSuccessful, &[], f64::from(u8::from(successful)));
        if successful {
            let at = self.clock.wall().as_duration().as_secs_f64();
            process.set(Metric::ReloadTime, &[], at);
        }
        for (label, count) in [("active", active), ("stale", stale), ("broken", broken)] {
            #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 files")]
            process.set(Metric::ConfigScenarios, &[label], count as f64);
        }
    }

    /// Takes in whether the last change of state was kept; if not, the bounded reason.
    pub fn set_state_saved(&self, trouble: Option<&'static str>) {
        let process = &mut self.state().process;
        process.set(Metric::StateSaved, &[], f64::from(u8::from(trouble.is_none())));
        if let Some(reason) = trouble {
            process.count(Metric::StateErrors, &[reason]);
        }
    }

    /// What all series say now, of one instant.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let mut parts: Vec<Series> = Vec::new();
        {
            let state = self.state();
            parts.extend(state.tallies.values().map(|it| it.at(now)));
            parts.push(state.process.clone());
        }
        let mut process = Series::default();
        for it in (self.restarts)() {
            let labels = [it.target_cluster.as_str(), &it.kind, &it.reason];
            #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 restarts")]
            process.set(Metric::WatchRestarts, &labels, it.count as f64);
        }
        process.set(Metric::BuildInfo, &[&self.version], 1.0);
        parts.push(process);
        Snapshot::new(parts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event) {
        let wall = self.clock.wall();
        if let Some(tally) = self.state().tallies.get_mut(event.scenario()) {
            tally.observe(event, wall);
        }
    }
}

impl Totals for Metrics {
    fn after(&self, scenario: &str, events: &[Stamped]) -> Value {
        let Some(mut tally) = self.state().tallies.get(scenario).cloned() else {
            return Value::Null;
        };
        events.iter().for_each(|it| tally.observe(&it.event, it.at));
        serde_json::to_value(tally.save()).unwrap_or_default()
    }

    fn count(&self, scenario: &str, events: &[Stamped]) {
        if let Some(tally) = self.state().tallies.get_mut(scenario) {
            events.iter().for_each(|it| tally.observe(&it.event, it.at));
        }
    }

    fn restore(&self, scenario: &str, saved: &Value) -> Result<(), String> {
        let saved: Option<Saved> = Deserialize::deserialize(saved)
            .map_err(|error| format!("the totals of scenario `{scenario}` are damaged: {error}"))?;
        let mut state = self.state();
        if let (Some(tally), Some(saved)) = (state.tallies.get_mut(scenario), saved) {
            tally.restore(saved);
        }
        Ok(())
    }

    fn forget(&self, scenario: &str) {
        self.state().tallies.remove(scenario);
    }
}
