//! Turns what happens into series. One instance is one registry; there is no global one.

use crate::engine::{Stamped, Totals};
use crate::export::declared::ScenarioSeries;
use crate::export::reference::Metric;
use crate::export::saved;
use crate::export::series::Series;
use crate::export::snapshot::Snapshot;
use crate::export::tally::Tally;
use crate::model::{Clock, Event, Observer};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what happens, and says it when asked.
///
/// A one-shot command lets it observe events as they come. A service that keeps its totals uses it
/// as [`Totals`], and so shows nothing that it could still lose.
pub struct Metrics {
    pub(super) clock: Arc<dyn Clock>,
    version: String,
    restarts: RestartSource,
    state: Mutex<State>,
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
    process: Series,
    /// Shared with snapshots, which nobody has to wait for.
    tallies: BTreeMap<String, Arc<Tally>>,
    /// Scenarios that go with their last run.
    leaving: BTreeSet<String>,
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
        let mut state = State::default();
        state.process.set_since(Some(clock.wall()));
        Self { clock, version: version.to_owned(), restarts, state: Mutex::new(state) }
    }

    /// Makes every series of a scenario exist, at zero. What was counted of one that was declared
    /// before stays; what it has not any more goes. Events of scenarios that were never declared
    /// are not counted.
    pub fn declare(&self, scenario: &ScenarioSeries) {
        declare(&mut self.state(), scenario, self.clock.wall());
    }

    /// What a scenario has series of; none if it was not declared.
    #[must_use]
    pub fn declared(&self, scenario: &str) -> Option<ScenarioSeries> {
        self.state().tallies.get(scenario).map(|it| it.declared().clone())
    }

    /// The same for a scenario of an earlier process, whose totals are there at once: a scrape
    /// between the two would see them begin anew.
    ///
    /// # Errors
    ///
    /// As [`Totals::restore`]; the scenario is declared all the same.
    pub fn declare_with(&self, scenario: &ScenarioSeries, saved: &Value) -> Result<(), String> {
        let mut state = self.state();
        declare(&mut state, scenario, self.clock.wall());
        restore(&mut state, &scenario.scenario, saved)
    }

    /// Whether totals that were saved can be gone on from, whatever series the scenario has.
    ///
    /// # Errors
    ///
    /// A sentence, if they cannot be understood.
    pub fn check(scenario: &str, saved: &Value) -> Result<(), String> {
        let blank = Tally::new(ScenarioSeries::default(), Timestamp::UNIX_EPOCH);
        saved::read(&blank, saved).map(drop).map_err(|it| unreadable(scenario, &it))
    }

    /// When it began to count.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.state().process.since().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What all series say now, of one instant.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let (mut process, tallies) = {
            let state = self.state();
            (state.process.clone(), state.tallies.values().cloned().collect())
        };
        for it in (self.restarts)() {
            let labels = [it.target_cluster.as_str(), &it.kind, &it.reason];
            #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 restarts")]
            process.set(Metric::WatchRestarts, &labels, it.count as f64);
        }
        process.set(Metric::BuildInfo, &[&self.version], 1.0);
        Snapshot::new(now, process, tallies)
    }

    /// Changes the series of the process.
    pub(super) fn with_process(&self, change: impl FnOnce(&mut Series)) {
        change(&mut self.state().process);
    }

    /// Changes a scenario's tally; one that was leaving goes with its last run.
    fn with_tally(&self, scenario: &str, change: impl FnOnce(&mut Tally)) {
        let mut state = self.state();
        let Some(tally) = state.tallies.get_mut(scenario) else { return };
        change(Arc::make_mut(tally));
        if !tally.is_running() && state.leaving.remove(scenario) {
            state.tallies.remove(scenario);
        }
    }

    fn tally(&self, scenario: &str) -> Option<Arc<Tally>> {
        self.state().tallies.get(scenario).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event) {
        let wall: Timestamp = self.clock.wall();
        self.with_tally(event.scenario(), |tally| tally.observe(event, wall));
    }
}

impl Totals for Metrics {
    /// Null for a scenario that was not declared.
    fn after(&self, scenario: &str, events: &[Stamped]) -> Value {
        let Some(tally) = self.tally(scenario) else { return Value::Null };
        let mut tally = Arc::unwrap_or_clone(tally);
        count(&mut tally, scenario, events);
        saved::write(&tally)
    }

    fn count(&self, scenario: &str, events: &[Stamped]) {
        self.with_tally(scenario, |tally| count(tally, scenario, events));
    }

    /// The scenario has to be declared first, because that says which of its series it still has.
    /// What was counted meanwhile is replaced.
    fn restore(&self, scenario: &str, saved: &Value) -> Result<(), String> {
        restore(&mut self.state(), scenario, saved)
    }

    /// Its series go at once or, if a run of it is under way, with its last run.
    fn forget(&self, scenario: &str) {
        let mut state = self.state();
        if state.tallies.get(scenario).is_some_and(|it| it.is_running()) {
            state.leaving.insert(scenario.to_owned());
        } else {
            state.tallies.remove(scenario);
        }
    }
}

fn declare(state: &mut State, scenario: &ScenarioSeries, now: Timestamp) {
    let known = state.tallies.get(&scenario.scenario);
    let tally = match known {
        Some(tally) if tally.declared() == scenario => tally.clone(),
        Some(tally) => Arc::new(tally.redeclared(scenario.clone(), now)),
        None => Arc::new(Tally::new(scenario.clone(), now)),
    };
    state.leaving.remove(&scenario.scenario);
    state.tallies.insert(scenario.scenario.clone(), tally);
}

fn restore(state: &mut State, scenario: &str, saved: &Value) -> Result<(), String> {
    let Some(tally) = state.tallies.get_mut(scenario) else {
        return Err(format!(
            "cannot restore the totals of scenario `{scenario}`: it has no series; declare it \
             first"
        ));
    };
    let restored = saved::read(tally, saved).map_err(|it| unreadable(scenario, &it))?;
    *tally = Arc::new(restored);
    Ok(())
}

fn unreadable(scenario: &str, error: &saved::NotATally) -> String {
    format!("cannot restore the totals of scenario `{scenario}`: {error}")
}

fn count(tally: &mut Tally, scenario: &str, events: &[Stamped]) {
    for it in events {
        debug_assert_eq!(it.event.scenario(), scenario, "an event of another scenario");
        tally.observe(&it.event, it.at);
    }
}
