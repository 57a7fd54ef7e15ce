//! Runs of a command whose totals outlive it: each is kept before it is shown, as those of a service
//! are, so that ten pods in a row count to ten.

use crate::cli::assemble::Workshop;
use crate::cli::assembly::ScenarioAssembly;
use crate::cli::metrics;
use crate::cli::run::{self, All};
use crate::cli::state::StatePlace;
use crate::cli::stop::Stop;
use crate::config::Scenario;
use crate::engine::{
    Ending, Entry, Lanes, Setting, StoreError, Surroundings, Totals, perform_once,
};
use crate::export::Metrics;
use crate::history::Recorder;
use crate::model::{Account, Event, Observer, RunRecord, fnv1a};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Runs whose totals outlive the process.
pub(super) struct Kept {
    place: StatePlace,
    recorder: Recorder,
    setting: Setting,
    accounts: BTreeMap<String, Account>,
}

// === impl Kept ===

impl Kept {
    /// Takes up the accounts of these scenarios, whose totals are in the metrics then.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or another process keeps them now; nothing has changed then.
    pub(super) async fn open(
        place: &StatePlace,
        writer: &str,
        workshop: &Workshop,
        lanes: Arc<dyn Lanes>,
        (scenarios, metrics): (&[Scenario], &Arc<Metrics>),
        heard: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let names: BTreeSet<_> = scenarios.iter().map(|it| it.name.clone()).collect();
        let clock = workshop.clock.clone();
        let home = workshop.clusters.home();
        let mut store = place.open_for(&names, home, writer, clock.clone()).await?;
        let mut accounts = store.load().await?;
        accounts.retain(|it, _| names.contains(it));
        for scenario in scenarios {
            let Some(account) = accounts.get(&scenario.name) else { continue };
            let series = metrics::series(scenario, &workshop.instance);
            metrics.declare_with(&series, &account.totals).map_err(|error| StoreError {
                reason: "totals",
                message: format!("{error} (it is kept in {place})"),
            })?;
        }
        let totals: Arc<dyn Totals> = metrics.clone();
        let recorder = Recorder::start(store, totals, accounts, clock.clone());
        let accounts = recorder.adopt(names).await;
        let observer = Arc::new(All(vec![Arc::new(recorder.clone()), heard]));
        let around = Surroundings { clock, journal: Arc::new(recorder.clone()), observer };
        let keeper = Arc::new(recorder.clone());
        let setting = Setting { around, lanes, seed: workshop.instance.clone(), keeper };
        Ok(Self { place: place.clone(), recorder, setting, accounts })
    }

    /// Runs a scenario once, and returns when what it counts is kept.
    ///
    /// # Errors
    ///
    /// A sentence, if it does not begin or what it counts cannot be kept.
    pub(super) async fn run(
        &mut self,
        workshop: &Workshop,
        scenario: &Scenario,
        stop: &Stop,
    ) -> Result<RunRecord, String> {
        let entry = Entry {
            scenario: scenario.name.clone(),
            timetable: None,
            deadline: scenario.deadline,
            fingerprint: format!("{:016x}", fnv1a(format!("{scenario:?}").into_bytes())),
            assembly: Arc::new(ScenarioAssembly::new(workshop, scenario.clone())),
        };
        let account = self.accounts.remove(&scenario.name).unwrap_or_default();
        let (end, ending) = watch::channel(Ending::No);
        let stopped = async {
            drop(stop.asked().await);
            end.send_replace(Ending::Stop);
            std::future::pending().await
        };
        let record = tokio::select! {
            record = perform_once(&entry, &account, &self.setting, &ending) => record,
            never = stopped => never,
        };
        self.recorder.flush().await;
        if let Some(error) = self.trouble() {
            return Err(error);
        }
        record.inspect(run::complain_of).map_err(|it| it.to_string())
    }

    /// Counts what is no run, and returns when it is kept.
    ///
    /// # Errors
    ///
    /// A sentence, if it cannot be kept.
    pub(super) async fn tell(&self, event: &Event) -> Result<(), String> {
        self.setting.around.observer.observe(event);
        self.recorder.flush().await;
        self.trouble().map_or(Ok(()), Err)
    }

    /// Hears of it when what is counted cannot be kept.
    pub(super) fn watch_trouble(&self) -> watch::Receiver<Option<StoreError>> {
        self.recorder.watch_trouble()
    }

    /// Why what was counted is not kept, if it is not: it must not be shown to anybody then.
    fn trouble(&self) -> Option<String> {
        let error = self.recorder.trouble()?;
        let place = &self.place;
        Some(format!("what this run counts is not kept in {place}, nor sent: {}", error.message))
    }
}
