//! The service accounts for every tick: over days, kills, stops, reloads and clocks that are set.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{
    Counts, Lane, MemoryStore, Process, START, SimClock, World, assert_accounted, entry, runtime,
    start,
};
use hopclock::engine::{Ending, Entry, Refusal};
use hopclock::model::{Account, Clock, Missed, Outcome, Pause, RunRecord};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What outlives the processes of a test.
pub(crate) struct Outside {
    pub(crate) world: Arc<World>,
    pub(crate) store: MemoryStore,
    pub(crate) counts: Arc<Counts>,
    wall: Mutex<Timestamp>,
}

/// What a test has to do with while a process lives.
pub(crate) struct Inside {
    pub(crate) process: Process,
    pub(crate) clock: Arc<SimClock>,
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
            deadline: 2 * MINUTE,
            world: self.world.clone(),
            clock: clock.clone(),
            broken: Arc::default(),
            takes: Duration::from_millis(5),
        }
    }

    /// Lives through `life` in a process of its own, which is killed at its end.
    pub(crate) fn process<T>(&self, life: impl AsyncFnOnce(&Inside) -> T) -> T {
        let runtime = runtime();
        let result = runtime.block_on(async {
            let clock = SimClock::new(*self.wall.lock().unwrap());
            let process = start(&clock, &self.store, &self.counts).await;
            let inside = Inside { process, clock };
            let result = life(&inside).await;
            *self.wall.lock().unwrap() = inside.clock.wall();
            // Nothing gets a chance to end well.
            std::mem::forget(inside.process.service);
            result
        });
        drop(runtime);
        result
    }

    fn pass(&self, time: Duration) {
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
    fn outcomes(&self) -> Vec<String> {
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

    /// Everything that has happened is kept.
    pub(crate) async fn settle(&self) {
        self.process.recorder.flush().await;
    }
}

#[test]
fn o4_an_hour_of_a_schedule_is_accounted_for() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 5 * MINUTE, MINUTE)]);
        sleep(60 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!((account.ledger.scheduled(), account.ledger.finished()), (12, 12));
    assert_accounted(&account, &outside.counts.of("a"));
    assert_eq!(outside.outcomes(), vec!["ok"; 12]);
    let took = outside.records()[0].push_to_apply.unwrap().most;
    assert!(took > 9 * SECOND && took < 11 * SECOND, "{took:?}");
}

#[test]
fn o4_a_tick_during_a_run_is_missed_as_overlap() {
    let outside = Outside::new(90 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), MINUTE, Duration::ZERO)]);
        sleep(10 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Overlap), 5);
    assert_eq!(account.ledger.scheduled(), 10);
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o4_what_passed_while_nobody_was_there_is_missed_as_down() {
    let outside = Outside::new(10 * SECOND);
    let live = async |it: &Inside| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO)]);
        sleep(20 * MINUTE).await;
        it.settle().await;
    };
    outside.process(live);
    outside.pass(60 * MINUTE);
    outside.process(live);
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Down), 12);
    assert_eq!(account.ledger.scheduled(), 20);
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o4_a_new_scenario_owes_no_ticks() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 24 * 60 * MINUTE, Duration::ZERO)]);
        sleep(SECOND).await;
        it.settle().await;
    });
    outside.pass(72 * 60 * MINUTE);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 24 * 60 * MINUTE, Duration::ZERO)]);
        sleep(SECOND).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.scheduled(), 3, "since the first look, though nothing ever ran");
}

#[test]
fn o4_a_pause_is_accounted_for() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let mut entry = entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO);
        let from = it.clock.wall() + 15 * MINUTE;
        let pause = Pause::Between { from, until: from + 30 * MINUTE };
        entry.timetable.as_mut().unwrap().pauses.push(pause);
        it.replace(vec![entry]);
        sleep(20 * MINUTE).await;
        let refused = it.process.service.request("a").await.err().unwrap();
        assert_eq!(
            refused,
            Refusal::Paused { scenario: "a".to_owned(), until: from + 30 * MINUTE }
        );
        sleep(40 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Paused), 6);
    assert_eq!(account.ledger.finished(), 6);
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn t6_a_killed_run_is_resumed_with_bounds_and_counted_once() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        while outside.world.pushes.lock().unwrap().is_empty() {
            sleep(SECOND).await;
        }
        sleep(5 * SECOND).await;
    });
    assert_eq!(outside.account("a").ledger.in_flight(), 1);
    outside.pass(20 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(2 * MINUTE).await;
        it.settle().await;
    });
    assert_eq!(outside.outcomes(), ["ok"]);
    assert_eq!(outside.world.pushes.lock().unwrap().len(), 1, "nothing is pushed again");
    let at = outside.records()[0].hops[0].passage.at().unwrap();
    assert!(!at.is_exact(), "by the wall clock");
    assert!(at.least < 60 * SECOND && at.most > 60 * SECOND && at.width() < 2 * SECOND, "{at:?}");
    let log = outside.store.0.runs.lock().unwrap()[0].log.clone();
    let text: Vec<&str> = log.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(text.iter().filter(|it| it.contains("opens its watches")).count(), 2, "{text:?}");
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn t6_what_became_live_while_nobody_looked_lies_between_the_last_word_and_the_first_look() {
    let outside = Outside::new(20 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        while outside.world.pushes.lock().unwrap().is_empty() {
            sleep(SECOND).await;
        }
        sleep(5 * SECOND).await;
    });
    outside.pass(40 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(MINUTE).await;
        it.settle().await;
    });
    let at = outside.records()[0].hops[0].passage.at().unwrap();
    assert!(at.least < 20 * SECOND && at.most > 40 * SECOND, "{at:?}");
    assert_eq!(outside.outcomes(), ["ok"]);
}

#[test]
fn o4_a_run_whose_deadline_passed_while_nobody_looked_ends_as_interrupted() {
    let outside = Outside::new(20 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        while outside.world.pushes.lock().unwrap().is_empty() {
            sleep(SECOND).await;
        }
        sleep(5 * SECOND).await;
    });
    outside.pass(30 * MINUTE);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(MINUTE).await;
        it.settle().await;
    });
    let Outcome::ProbeError(error) = outside.records()[0].outcome.clone() else { panic!() };
    assert_eq!(error.reason, "interrupted");
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn o4_a_run_of_a_scenario_that_has_changed_since_ends_as_interrupted() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        while outside.world.pushes.lock().unwrap().is_empty() {
            sleep(SECOND).await;
        }
        sleep(5 * SECOND).await;
    });
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 7 * MINUTE, Duration::ZERO)]);
        sleep(SECOND).await;
        it.settle().await;
    });
    let Outcome::ProbeError(error) = outside.records()[0].outcome.clone() else { panic!() };
    assert_eq!(
        error.message,
        "hopclock was stopped during the run, and the scenario has changed since"
    );
}

#[test]
fn property_o4_no_kill_loses_or_doubles_anything() {
    let outside = Outside::new(25 * SECOND);
    let names = ["a", "b", "c", "d"];
    let mut chance = fastrand::Rng::with_seed(7);
    let mut highest: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut rows = 0;
    for _ in 0..120 {
        let life = Duration::from_millis(chance.u64(1..400_000));
        let period = 90 * SECOND;
        outside.process(async |it| {
            let lane = |name: &&str| entry(outside.lane(name, &it.clock), period, 20 * SECOND);
            it.replace(names.iter().map(lane).collect());
            sleep(life).await;
        });
        // What was shown never goes back: the next process restores what was kept.
        for name in names {
            let kept = outside.store.0.accounts.lock().unwrap().get(name).cloned();
            let kept: BTreeMap<String, u64> =
                kept.and_then(|it| serde_json::from_value(it.totals).ok()).unwrap_or_default();
            for (key, shown) in outside.counts.of(name) {
                assert!(kept.get(&key).copied().unwrap_or(0) >= shown, "{name} {key}");
            }
            for (key, count) in highest.get(name).into_iter().flatten() {
                assert!(kept.get(key) >= Some(count), "{name} {key}");
            }
            highest.insert(name.to_owned(), kept);
        }
        let finished: u64 = names.iter().map(|it| highest[*it].get("finished").unwrap_or(&0)).sum();
        rows = outside.store.0.runs.lock().unwrap().len();
        assert_eq!(finished, rows as u64, "a row for each finished run");
        if chance.u8(0..4) == 0 {
            outside.pass(Duration::from_millis(chance.u64(0..600_000)));
        }
    }
    outside.process(async |it| {
        let lane = |name: &&str| entry(outside.lane(name, &it.clock), 90 * SECOND, 20 * SECOND);
        it.replace(names.iter().map(lane).collect());
        sleep(5 * MINUTE).await;
        it.settle().await;
        for name in names {
            assert_accounted(&outside.account(name), &outside.counts.of(name));
        }
    });
    let start: Timestamp = START.parse().unwrap();
    let hours = outside.wall.lock().unwrap().duration_since(start).as_secs_f64() / 90.0;
    for name in names {
        let scheduled = outside.account(name).ledger.scheduled();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let off = (scheduled as f64 - hours).abs();
        assert!(off <= 2.0, "{scheduled} of {hours}: each tick once");
    }
    let mut dues: Vec<_> = {
        let runs = outside.store.0.runs.lock().unwrap();
        runs.iter().map(|it| (it.record.scenario.clone(), it.due)).collect()
    };
    dues.sort();
    dues.dedup();
    let all = outside.store.0.runs.lock().unwrap().len();
    assert_eq!(dues.len(), all, "no run twice");
    assert!(all >= rows && all > 100);
}

#[test]
fn o4_a_clock_that_is_set_neither_loses_nor_doubles_ticks() {
    for step in [-1, 1] {
        let outside = Outside::new(10 * SECOND);
        outside.process(async |it| {
            it.replace(vec![entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO)]);
            sleep(30 * MINUTE).await;
            it.clock.set(SignedDuration::from_hours(step));
            sleep(30 * MINUTE).await;
            it.settle().await;
        });
        let account = outside.account("a");
        let down = if step > 0 { 12 } else { 0 };
        assert_eq!(account.ledger.missed(Missed::Down), down, "{step}");
        assert_eq!(account.ledger.finished(), 12, "{step}: it runs on as before");
        assert_accounted(&account, &outside.counts.of("a"));
    }
}

#[test]
fn a_full_disk_stops_pushes_and_nothing_else_and_all_is_kept_once_there_is_room() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO)]);
        sleep(12 * MINUTE).await;
        let before = outside.account("a");
        outside.store.0.full.store(true, Ordering::SeqCst);
        sleep(10 * MINUTE).await;
        assert_eq!(outside.account("a"), before, "the old state is intact");
        assert_eq!(it.process.recorder.trouble().unwrap().message, "the disk is full");
        assert_eq!(outside.counts.of("a")["probe_error"], 2, "runs that nobody could resume");
        outside.store.0.full.store(false, Ordering::SeqCst);
        sleep(MINUTE).await;
        assert_eq!(it.process.recorder.trouble(), None);
        sleep(10 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_accounted(&account, &outside.counts.of("a"));
    assert_eq!(account.ledger.finished(), outside.outcomes().len() as u64);
    assert_eq!(outside.outcomes().iter().filter(|it| *it == "probe_error").count(), 2);
}

#[test]
fn a_reload_touches_only_what_has_changed() {
    let outside = Outside::new(50 * SECOND);
    outside.process(async |it| {
        let all = |changed: Duration| {
            vec![
                entry(outside.lane("same", &it.clock), 10 * MINUTE, Duration::ZERO),
                entry(outside.lane("changed", &it.clock), changed, Duration::ZERO),
            ]
        };
        let mut entries = all(10 * MINUTE);
        entries.push(entry(outside.lane("gone", &it.clock), 10 * MINUTE, Duration::ZERO));
        it.replace(entries);
        sleep(30 * MINUTE).await;
        let begun = it.process.service.request("gone").await.ok().unwrap();
        sleep(5 * SECOND).await;
        it.replace(all(5 * MINUTE));
        sleep(SECOND).await;
        assert!(matches!(it.process.service.request("gone").await, Err(Refusal::Unknown { .. })));
        assert_eq!(begun.record.await.unwrap().outcome, Outcome::Ok, "its last run goes on");
        sleep(30 * MINUTE).await;
        it.settle().await;
        assert_eq!(it.process.service.statuses().keys().collect::<Vec<_>>(), ["changed", "same"]);
    });
    assert_eq!(outside.account("same").ledger.scheduled(), 6);
    assert_eq!(outside.account("changed").ledger.scheduled(), 9);
    assert!(!outside.counts.all().contains_key("gone"), "its series are gone");
    assert!(!outside.store.0.accounts.lock().unwrap().contains_key("gone"));
    let runs = outside.records();
    assert!(runs.iter().any(|it| it.scenario == "gone"), "its runs stay in history");
}

#[test]
fn a_scenario_that_cannot_run_says_why_and_counts_its_ticks() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let lane = outside.lane("a", &it.clock);
        let broken = lane.broken.clone();
        *broken.lock().unwrap() = Some("the Secret `a/b` is not there".to_owned());
        it.replace(vec![entry(lane, 5 * MINUTE, Duration::ZERO)]);
        sleep(SECOND).await;
        let problem = it.process.service.statuses()["a"].problem.clone();
        assert_eq!(problem.as_deref(), Some("the Secret `a/b` is not there"));
        sleep(9 * MINUTE + 59 * SECOND).await;
        *broken.lock().unwrap() = None;
        sleep(5 * MINUTE).await;
        assert_eq!(it.process.service.statuses()["a"].problem, None);
        it.settle().await;
    });
    assert_eq!(outside.outcomes(), ["probe_error", "probe_error", "ok"]);
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn a_graceful_stop_waits_and_then_leaves_the_rest_to_the_next_process() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        let quick = entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO);
        it.replace(vec![quick]);
        sleep(SECOND).await;
        let begun = it.process.service.request("a").await.ok().unwrap();
        sleep(2 * SECOND).await;
        it.process.service.end(10 * SECOND, Ending::Leave).await;
        assert!(begun.record.await.is_err(), "nobody says how it ended");
        it.settle().await;
    });
    assert_eq!(outside.account("a").ledger.in_flight(), 1);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(90 * SECOND).await;
        let begun = it.process.service.request("a").await.ok().unwrap();
        sleep(2 * SECOND).await;
        it.process.service.end(10 * SECOND, Ending::Stop).await;
        let Outcome::ProbeError(error) = begun.record.await.unwrap().outcome else { panic!() };
        assert_eq!(error.reason, "stopped");
        it.settle().await;
    });
    assert_eq!(outside.outcomes(), ["ok", "probe_error"]);
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn a_run_on_request_is_a_run_like_any_other() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let mut entry = entry(outside.lane("a", &it.clock), MINUTE, Duration::ZERO);
        entry.timetable = None;
        it.replace(vec![entry]);
        sleep(SECOND).await;
        let begun = it.process.service.request("a").await.ok().unwrap();
        let busy = it.process.service.request("a").await.err().unwrap();
        assert_eq!(busy, Refusal::Busy { scenario: "a".to_owned(), since: begun.due });
        assert_eq!(begun.record.await.unwrap().outcome, Outcome::Ok);
        it.settle().await;
    });
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
    assert_eq!(outside.account("a").position, None, "no tick of a schedule");
}
