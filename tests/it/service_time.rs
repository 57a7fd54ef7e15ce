//! Clocks that are set, days on which they jump, and schedules that lose and double nothing.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{START, assert_accounted, entry};
use crate::service_stage::{Inside, Outside};
use hopclock::engine::Entry;
use hopclock::model::{Calendar, Missed, Outcome, ProbeError, Ticks, zone};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A scenario that runs by a calendar of Berlin.
fn by_calendar(outside: &Outside, it: &Inside, cron: &str) -> Entry {
    let mut entry = entry(outside.lane("a", &it.clock), HOUR, Duration::ZERO);
    let calendar = Calendar::parse(cron, zone("Europe/Berlin").unwrap()).unwrap();
    entry.timetable.as_mut().unwrap().ticks = Ticks::Cron(calendar);
    entry
}

/// When runs were due, in the order of their ends.
fn dues(outside: &Outside) -> Vec<String> {
    let runs = outside.store.0.runs.lock().unwrap();
    runs.iter().map(|it| it.due.to_string()).collect()
}

/// A service that lives for hours from an instant on.
fn live(begin: &str, hours: u32, cron: &str) -> Outside {
    let outside = Outside::new(10 * SECOND);
    let (usual, begin): (Timestamp, Timestamp) = (START.parse().unwrap(), begin.parse().unwrap());
    outside.step(begin.duration_since(usual));
    outside.process(async |it| {
        it.replace(vec![by_calendar(&outside, it, cron)]);
        sleep(hours * HOUR).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_accounted(&account, &outside.counts.of("a"));
    assert_eq!(account.ledger.finished(), account.ledger.scheduled(), "nothing is missed");
    outside
}

#[test]
fn o4_a_daily_run_at_a_time_that_is_leapt_over_or_comes_twice_runs_once_a_day() {
    let outside = live("2026-03-29T00:30:00Z", 25, "30 2 * * *");
    assert_eq!(dues(&outside), ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    let outside = live("2026-10-25T00:00:00Z", 26, "30 2 * * *");
    assert_eq!(dues(&outside), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

#[test]
fn o4_an_hourly_run_goes_on_in_real_time_when_summer_time_begins_and_ends() {
    for begin in ["2026-03-28T22:30:00Z", "2026-10-24T22:30:00Z"] {
        let outside = live(begin, 6, "0 * * * *");
        let instants: Vec<Timestamp> =
            dues(&outside).iter().map(|it| it.parse().unwrap()).collect();
        assert_eq!(instants.len(), 6, "{begin}");
        for pair in instants.windows(2) {
            assert_eq!(pair[1].duration_since(pair[0]), SignedDuration::from_hours(1), "{begin}");
        }
    }
}

#[test]
fn o4_a_clock_that_is_set_an_hour_runs_the_ticks_of_its_new_hour_and_misses_what_it_leapt_over() {
    for (step, finished, down) in [(-1, 8, 0), (1, 8, 4)] {
        let outside = Outside::new(10 * SECOND);
        outside.process(async |it| {
            it.replace(vec![by_calendar(&outside, it, "*/15 * * * *")]);
            sleep(HOUR + MINUTE).await;
            it.clock.set(SignedDuration::from_hours(step));
            sleep(HOUR).await;
            it.settle().await;
        });
        let account = outside.account("a");
        assert_eq!(account.ledger.finished(), finished, "{step}");
        assert_eq!(account.ledger.missed(Missed::Down), down, "{step}");
        assert_accounted(&account, &outside.counts.of("a"));
    }
}

#[test]
fn o4_a_clock_that_is_set_an_hour_while_nobody_is_there_loses_and_doubles_nothing() {
    for (step, down) in [(-HOUR.as_secs().cast_signed(), 0), (HOUR.as_secs().cast_signed(), 4)] {
        let outside = Outside::new(10 * SECOND);
        let life = async |it: &Inside| {
            it.replace(vec![by_calendar(&outside, it, "*/15 * * * *")]);
            sleep(HOUR).await;
            it.settle().await;
        };
        // Not at the instant of a tick.
        outside.step(SignedDuration::from_mins(1));
        outside.process(life);
        assert_eq!(outside.account("a").ledger.finished(), 4);
        outside.step(SignedDuration::from_secs(step));
        outside.process(life);
        let account = outside.account("a");
        assert_eq!(account.ledger.finished(), 8, "{step}");
        assert_eq!(account.ledger.missed(Missed::Down), down, "{step}");
        assert_accounted(&account, &outside.counts.of("a"));
    }
}

#[test]
fn a_clock_that_is_set_during_a_run_changes_nothing_that_it_measures() {
    for step in [-1, 1] {
        let outside = Outside::new(30 * SECOND);
        outside.process(async |it| {
            let quiet = entry(outside.lane("a", &it.clock), 24 * HOUR, Duration::ZERO);
            it.replace(vec![Entry { timetable: None, ..quiet }]);
            sleep(SECOND).await;
            let begun = it.process.service.request("a").await.ok().unwrap();
            sleep(10 * SECOND).await;
            assert_eq!(outside.world.pushes.lock().unwrap().len(), 1);
            it.clock.set(SignedDuration::from_hours(step));
            let record = begun.record.await.unwrap();
            assert_eq!(record.outcome, Outcome::Ok, "{step}");
            let took = record.push_to_apply.unwrap();
            assert!(
                took.is_exact() && took.most > 29 * SECOND && took.most < 31 * SECOND,
                "{took:?}"
            );
            it.settle().await;
        });
        assert_accounted(&outside.account("a"), &outside.counts.of("a"));
    }
}

#[test]
fn t6_a_run_that_was_cut_off_ends_as_interrupted_if_the_clock_was_set_an_hour_meanwhile() {
    let back = "hopclock was stopped during the run, and the wall clock was set back meanwhile";
    let forward = "hopclock was stopped during the run, and its deadline had passed before \
                   hopclock was back";
    for (hours, message) in [(-1, back), (1, forward)] {
        let outside = Outside::new(MINUTE);
        let life = async |it: &Inside, time: Duration| {
            it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
            while outside.world.pushes.lock().unwrap().is_empty() {
                sleep(SECOND).await;
            }
            sleep(time).await;
        };
        outside.process(async |it| life(it, 5 * SECOND).await);
        assert_eq!(outside.account("a").ledger.in_flight(), 1);
        outside.step(SignedDuration::from_hours(hours));
        outside.process(async |it| {
            life(it, 10 * SECOND).await;
            it.settle().await;
        });
        let first = outside.records()[0].outcome.clone();
        let (reason, message) = ("interrupted".to_owned(), message.to_owned());
        assert_eq!(first, Outcome::ProbeError(ProbeError { reason, message }), "{hours}");
        assert_accounted(&outside.account("a"), &outside.counts.of("a"));
    }
}
