//! What the tests of the service stand on: what outlives processes, and one process after another.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{
    Counts, Lane, MemoryStore, Process, START, SimClock, World, runtime, start,
};
use hopclock::engine::{Entry, Totals};
use hopclock::model::{Account, Clock, RunRecord};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What outlives the processes of a test.
pub(crate) struct Outside {
    pub(crate) world: Arc<World>,
    pub(crate) store: MemoryStore,
    pub(crate) counts: Arc<Counts>,
    pub(crate) wall: Mutex<Timestamp>,
}

/// What a test has to do with while a process lives.
pub(crate) struct Inside {
    pub(crate) process: Process,
    pub(crate) clock: Arc<SimClock>,
    counts: Arc<Counts>,
}

// === impl Outside ===

impl Outside {
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            world: World::new(delay),
            store: MemoryStore::default(),
            counts: Arc::default(),
            wall: Mutex::new(START.parse().unwrap()),
        }
    }

    pub(crate) fn lane(&self, name: &str, clock: &Arc<SimClock>) -> Lane {
        Lane {
            name: name.to_owned(),
            remote: name.to_owned(),
            deadline: 2 * MINUTE,
            world: self.world.clone(),
            clock: clock.clone(),
            broken: Arc::default(),
            takes: Duration::from_millis(5),
            longest_poll: Some(MINUTE),
        }
    }

    /// Lives through `life` in a process of its own, which is killed at its end.
    pub(crate) fn process<T>(&self, life: impl AsyncFnOnce(&Inside) -> T) -> T {
        let runtime = runtime();
        let result = runtime.block_on(async {
            let clock = SimClock::new(*self.wall.lock().unwrap());
            let process = start(&clock, &self.store, &self.counts).await;
            let counts = self.counts.clone();
            let inside = Inside { process, clock, counts };
            let result = life(&inside).await;
            *self.wall.lock().unwrap() = inside.clock.wall();
            // Nothing gets a chance to end well.
            std::mem::forget(inside.process.service);
            result
        });
        drop(runtime);
        result
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.step(SignedDuration::try_from(time).unwrap());
    }

    /// Sets the clock, while nobody is there.
    pub(crate) fn step(&self, by: SignedDuration) {
        *self.wall.lock().unwrap() += by;
    }

    pub(crate) fn account(&self, name: &str) -> Account {
        self.store.0.accounts.lock().unwrap()[name].clone()
    }

    /// What became of the runs, in the order of their ends.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let runs = self.store.0.runs.lock().unwrap();
        runs.iter().map(|it| it.record.outcome.as_str().to_owned()).collect()
    }

    pub(crate) fn records(&self) -> Vec<RunRecord> {
        self.store.0.runs.lock().unwrap().iter().map(|it| it.record.clone()).collect()
    }
}

// === impl Inside ===

impl Inside {
    pub(crate) fn replace(&self, entries: Vec<Entry>) {
        self.process.service.replace(entries, &self.process.accounts);
    }

    /// Makes these the scenarios, as `hopclock serve` does after a look at its folder.
    pub(crate) async fn reload(&self, entries: Vec<Entry>) {
        let names = entries.iter().map(|it| it.scenario.clone()).collect();
        let new = self.process.service.keep(&names);
        let accounts = self.process.recorder.adopt(new).await;
        for (name, account) in accounts.iter().filter(|it| !it.1.totals.is_null()) {
            self.counts.restore(name, &account.totals).unwrap();
        }
        self.process.service.replace(entries, &accounts);
    }

    /// Waits until something was pushed.
    pub(crate) async fn pushed(&self, outside: &Outside) {
        while outside.world.pushes.lock().unwrap().is_empty() {
            sleep(SECOND).await;
        }
    }

    /// Everything that has happened is kept.
    pub(crate) async fn settle(&self) {
        self.process.recorder.flush().await;
    }
}
