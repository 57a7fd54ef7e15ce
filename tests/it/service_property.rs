//! Whatever is done to a service, each tick is accounted for once.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{START, assert_accounted, entry};
use crate::service_stage::{Inside, MINUTE, Outside, SECOND};
use hopclock::engine::{Ending, Entry};
use hopclock::model::Missed;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::sleep;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The highest counts of each scenario that were shown or kept so far.
type Highest = BTreeMap<String, BTreeMap<String, u64>>;

/// What is kept of a scenario's totals.
fn kept(outside: &Outside, name: &str) -> BTreeMap<String, u64> {
    let kept = outside.store.0.accounts.lock().unwrap().get(name).cloned();
    kept.and_then(|it| serde_json::from_value(it.totals).ok()).unwrap_or_default()
}

/// What was shown never goes back: the next process restores what was kept. And each finished run
/// has its row.
fn check(outside: &Outside, highest: &mut Highest) {
    for name in NAMES {
        let kept = kept(outside, name);
        for (key, shown) in outside.counts.of(name) {
            assert!(kept.get(&key).copied().unwrap_or(0) >= shown, "{name} {key}");
        }
        for (key, count) in highest.get(name).into_iter().flatten() {
            assert!(kept.get(key) >= Some(count), "{name} {key}: {kept:?}");
        }
        highest.insert(name.to_owned(), kept);
    }
    let finished: u64 = highest.values().map(|it| it.get("finished").unwrap_or(&0)).sum();
    let rows = outside.store.0.runs.lock().unwrap().len();
    assert_eq!(finished, rows as u64, "a row for each finished run");
}

/// No canary was measured twice, and all that was pushed is measured or under way.
fn check_runs(outside: &Outside) {
    let records = outside.records();
    let canaries: BTreeSet<String> =
        records.iter().map(|it| format!("{} {}", it.scenario, it.canary)).collect();
    assert_eq!(canaries.len(), records.len(), "no run twice");
    let accounts = outside.store.0.accounts.lock().unwrap();
    for (name, canary) in outside.world.pushes.lock().unwrap().iter() {
        let mut left = accounts[name].ledger.runs();
        let known = canaries.contains(&format!("{name} {canary}"))
            || left.any(|it| it.1.canary.as_ref() == Some(canary));
        assert!(known, "{name} has pushed {canary}, and nobody knows of it");
    }
}

#[test]
fn property_o4_no_kill_loses_or_doubles_anything() {
    let outside = Outside::new(25 * SECOND);
    let mut chance = fastrand::Rng::with_seed(7);
    let mut highest = Highest::new();
    let live = async |it: &Inside, life: Duration| {
        let make = |name: &&str| entry(outside.lane(name, &it.clock), 90 * SECOND, 20 * SECOND);
        it.replace(NAMES.iter().map(make).collect());
        sleep(life).await;
    };
    for _ in 0..120 {
        let life = Duration::from_millis(chance.u64(1..400_000));
        outside.process(async |it| live(it, life).await);
        check(&outside, &mut highest);
        if chance.u8(0..4) == 0 {
            outside.pass(Duration::from_millis(chance.u64(0..600_000)));
        }
    }
    outside.process(async |it| {
        live(it, 5 * MINUTE).await;
        it.settle().await;
        for name in NAMES {
            assert_accounted(&outside.account(name), &outside.counts.of(name));
        }
    });
    let start: Timestamp = START.parse().unwrap();
    let ticks = outside.wall.lock().unwrap().duration_since(start).as_secs_f64() / 90.0;
    for name in NAMES {
        let scheduled = outside.account(name).ledger.scheduled();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let off = (scheduled as f64 - ticks).abs();
        assert!(off <= 2.0, "{scheduled} of {ticks}: each tick once");
    }
    check_runs(&outside);
    assert!(outside.records().len() > 100);
}

/// A form of the scenarios: which of them there are, and when they run.
fn form(outside: &Outside, it: &Inside, chance: &mut fastrand::Rng) -> Vec<Entry> {
    let mut entries = Vec::new();
    for name in NAMES {
        if chance.u8(0..4) == 0 {
            continue;
        }
        let mut lane = outside.lane(name, &it.clock);
        // Two of them push to one place.
        if name < "c" {
            "shared".clone_into(&mut lane.remote);
        }
        lane.takes = Duration::from_millis(chance.u64(1..8_000));
        let period = [90, 90, 90, 240][chance.usize(0..4)] * SECOND;
        let mut entry = entry(lane, period, 20 * SECOND);
        entry.timetable = entry.timetable.filter(|_| chance.u8(0..8) > 0);
        entry.fingerprint = format!("{period:?} {}", entry.timetable.is_some());
        entries.push(entry);
    }
    entries
}

#[test]
fn property_o4_no_deed_loses_or_doubles_anything() {
    for seed in 0..6 {
        let outside = Outside::new(25 * SECOND);
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut highest = Highest::new();
        for _ in 0..25 {
            outside.process(async |it| {
                for _ in 0..chance.u8(1..8) {
                    it.reload(form(&outside, it, &mut chance)).await;
                    sleep(Duration::from_millis(chance.u64(1..200_000))).await;
                    if chance.u8(0..5) == 0 {
                        let step = chance.i64(-3_600..3_600);
                        it.clock.set(SignedDuration::from_secs(step));
                    }
                    if chance.u8(0..3) == 0 {
                        let name = NAMES[chance.usize(0..NAMES.len())];
                        // It may be refused, for all sorts of reasons.
                        drop(it.process.service.request(name).await);
                    }
                }
                if chance.u8(0..3) == 0 {
                    let rest = [Ending::Leave, Ending::Stop][chance.usize(0..2)];
                    let grace = Duration::from_millis(chance.u64(1..60_000));
                    it.process.service.end(grace, rest).await;
                    it.settle().await;
                }
            });
            check(&outside, &mut highest);
            check_runs(&outside);
        }
        // In the end all is quiet, and the account says what is shown.
        outside.process(async |it| {
            let make = |name: &&str| {
                let mut entry = entry(outside.lane(name, &it.clock), 90 * SECOND, SECOND);
                entry.timetable = None;
                entry
            };
            it.reload(NAMES.iter().map(make).collect()).await;
            sleep(10 * MINUTE).await;
            it.settle().await;
            for name in NAMES {
                let account = outside.account(name);
                assert_eq!(account.ledger.in_flight(), 0, "{seed} {name}");
                assert_accounted(&account, &outside.counts.of(name));
            }
        });
        check(&outside, &mut highest);
        check_runs(&outside);
        assert!(outside.records().len() > 20, "{seed}: something happened");
        let missed = |reason| -> u64 {
            NAMES.iter().map(|it| outside.account(it).ledger.missed(reason)).sum()
        };
        assert!(missed(Missed::Overlap) > 0, "{seed}: lanes were shared");
    }
}
