//! Schedules under odd conditions: pauses, slow looks at the path, shared lanes, clocks that jump.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{SimClock, assert_accounted, entry};
use crate::service_stage::{Inside, MINUTE, Outside, SECOND};
use hopclock::engine::{Entry, Refusal};
use hopclock::model::{Calendar, Clock, Missed, Pause, Ticks, zone};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The first tick of a scenario from now on.
fn first_tick(entry: &Entry, clock: &Arc<SimClock>) -> Timestamp {
    entry.timetable.as_ref().unwrap().next_after("test", clock.wall()).unwrap()
}

fn until(clock: &Arc<SimClock>, instant: Timestamp) -> Duration {
    Duration::try_from(instant.duration_since(clock.wall())).unwrap()
}

#[test]
fn o4_no_run_begins_in_a_pause_though_its_tick_was_before_it() {
    let outside = Outside::new(10 * SECOND);
    let pause = outside.process(async |it| {
        let mut entry = entry(outside.lane("a", &it.clock), 20 * MINUTE, 15 * MINUTE);
        let from = first_tick(&entry, &it.clock) + SECOND;
        let until = from + 19 * MINUTE;
        let pause = Pause::Between { from, until };
        entry.timetable.as_mut().unwrap().pauses.push(pause);
        it.replace(vec![entry]);
        sleep(60 * MINUTE).await;
        it.settle().await;
        from..until
    });
    assert!(!outside.records().is_empty());
    for record in outside.records() {
        assert!(!pause.contains(&record.started), "{pause:?}: {}", record.started);
    }
    assert_eq!(outside.account("a").ledger.missed(Missed::Paused), 1);
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn o4_ticks_in_a_pause_are_paused_even_if_nobody_was_there() {
    let outside = Outside::new(10 * SECOND);
    let start = *outside.wall.lock().unwrap();
    let live = async |it: &Inside| {
        let mut entry = entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO);
        let pause = Pause::Between { from: start, until: start + 100 * MINUTE };
        entry.timetable.as_mut().unwrap().pauses.push(pause);
        it.replace(vec![entry]);
        sleep(20 * MINUTE).await;
        it.settle().await;
    };
    outside.process(live);
    outside.pass(120 * MINUTE);
    outside.process(live);
    let account = outside.account("a");
    let missed = (account.ledger.missed(Missed::Paused), account.ledger.missed(Missed::Down));
    assert_eq!(missed, (20, 8), "100 minutes of pause, and 40 down without one");
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o4_a_slow_look_at_the_path_stops_no_schedule() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let first = entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO);
        let tick = first_tick(&first, &it.clock) + 10 * MINUTE;
        it.replace(vec![first]);
        sleep(until(&it.clock, tick - 20 * SECOND)).await;
        let mut lane = outside.lane("a", &it.clock);
        lane.takes = MINUTE;
        let mut edited = entry(lane, 5 * MINUTE, Duration::ZERO);
        edited.fingerprint = "edited".to_owned();
        // Nobody says how long runs are put off: that depends on the path.
        edited.timetable.as_mut().unwrap().jitter = None;
        it.replace(vec![edited]);
        sleep(7 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Down), 0, "it was up all the time");
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o4_a_slow_first_look_at_the_path_stops_no_schedule() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let mut lane = outside.lane("a", &it.clock);
        lane.takes = 10 * MINUTE;
        let mut entry = entry(lane, 5 * MINUTE, Duration::ZERO);
        entry.timetable.as_mut().unwrap().jitter = None;
        it.replace(vec![entry]);
        sleep(30 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Down), 0, "it was up all the time");
    assert!(account.ledger.missed(Missed::Overlap) > 0 && account.ledger.finished() > 0);
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o5_the_first_tick_waits_a_moment_for_the_path_that_says_its_delay() {
    let begun = |takes: Duration| {
        let outside = Outside::new(10 * SECOND);
        outside.process(async |it| {
            let mut lane = outside.lane("a", &it.clock);
            lane.takes = takes;
            let mut entry = entry(lane, 20 * MINUTE, Duration::ZERO);
            entry.timetable.as_mut().unwrap().jitter = None;
            let tick = first_tick(&entry, &it.clock);
            let next = tick + 20 * MINUTE;
            it.clock.set(next.duration_since(it.clock.wall()) - SignedDuration::from_secs(1));
            it.replace(vec![entry]);
            sleep(25 * MINUTE).await;
            it.settle().await;
            outside.records()[0].started.duration_since(next)
        })
    };
    let (quick, slow) = (begun(Duration::from_millis(5)), begun(6 * SECOND));
    let apart = (slow - quick).as_secs();
    assert!((0..=7).contains(&apart), "the delay is the same, the job takes longer: {apart}");
    assert!(quick <= SignedDuration::from_secs(61), "as long as the path polls: {quick}");
}

#[test]
fn o5_less_jitter_than_the_longest_interval_is_said() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let make = |name: &str, jitter| {
            let mut lane = outside.lane(name, &it.clock);
            lane.longest_poll = Some(5 * MINUTE);
            entry(lane, 20 * MINUTE, jitter)
        };
        it.replace(vec![make("little", MINUTE), make("enough", 5 * MINUTE)]);
        sleep(SECOND).await;
        let statuses = it.process.service.statuses();
        let warning = statuses["little"].warning.clone().unwrap();
        assert!(warning.contains("60s") && warning.contains("300s"), "{warning}");
        assert_eq!(statuses["enough"].warning, None);
    });
}

#[test]
fn s5_of_two_scenarios_on_one_lane_the_later_one_gives_way() {
    let outside = Outside::new(30 * SECOND);
    outside.process(async |it| {
        let make = |name: &str, schedule: bool| {
            let mut lane = outside.lane(name, &it.clock);
            "shared".clone_into(&mut lane.remote);
            let mut entry = entry(lane, 10 * MINUTE, Duration::ZERO);
            entry.timetable = entry.timetable.filter(|_| schedule);
            entry
        };
        let ticking = make("ticking", true);
        let tick = first_tick(&ticking, &it.clock);
        it.replace(vec![ticking, make("asked", false)]);
        sleep(until(&it.clock, tick - 5 * SECOND)).await;
        let begun = it.process.service.request("asked").await.ok().unwrap();
        sleep(15 * SECOND).await;
        it.settle().await;
        assert_eq!(outside.account("ticking").ledger.missed(Missed::Overlap), 1);
        assert_eq!(begun.record.await.unwrap().outcome.as_str(), "ok");
        let problem = it.process.service.statuses()["ticking"].problem.clone();
        assert_eq!(problem.unwrap(), "its lane is in use by scenario `asked` of this process");
        sleep(2 * MINUTE).await;
        assert_eq!(it.process.service.statuses()["ticking"].problem, None, "that is over");
        sleep(until(&it.clock, tick + 10 * MINUTE) + 5 * SECOND).await;
        let refused = it.process.service.request("asked").await.err().unwrap();
        let by = "scenario `ticking` of this process".to_owned();
        assert_eq!(refused, Refusal::LaneHeld { scenario: "asked".to_owned(), by });
        sleep(MINUTE).await;
        it.settle().await;
    });
    assert_eq!(outside.outcomes(), ["ok", "ok"]);
    for name in ["ticking", "asked"] {
        assert_accounted(&outside.account(name), &outside.counts.of(name));
    }
}

#[test]
fn o4_a_day_on_which_the_clock_of_the_zone_jumps_is_accounted_for() {
    let days = [("2026-03-28T12:00:00Z", 23), ("2026-10-24T12:00:00Z", 25)];
    for (start, hours) in days {
        let outside = Outside::new(10 * SECOND);
        *outside.wall.lock().unwrap() = start.parse().unwrap();
        outside.process(async |it| {
            let make = |name: &str, text: &str| {
                let mut entry = entry(outside.lane(name, &it.clock), MINUTE, Duration::ZERO);
                let calendar = Calendar::parse(text, zone("Europe/Berlin").unwrap()).unwrap();
                entry.timetable.as_mut().unwrap().ticks = Ticks::Cron(calendar);
                entry
            };
            it.replace(vec![make("hourly", "0 * * * *"), make("daily", "30 2 * * *")]);
            // From 12:00 UTC to the same local time of the next day.
            sleep(60 * hours * MINUTE + MINUTE).await;
            it.settle().await;
        });
        let hourly = outside.account("hourly").ledger;
        assert_eq!(hourly.finished(), u64::from(hours), "{start}");
        assert_eq!(outside.account("daily").ledger.finished(), 1, "{start}");
        for name in ["hourly", "daily"] {
            let account = outside.account(name);
            assert_eq!(account.ledger.missed(Missed::Down), 0, "{start}");
            assert_accounted(&account, &outside.counts.of(name));
        }
    }
}

#[test]
fn o4_a_clock_that_is_set_by_any_length_loses_and_doubles_no_tick() {
    for step in [-20, -7, 7, 20] {
        let outside = Outside::new(10 * SECOND);
        outside.process(async |it| {
            it.replace(vec![entry(outside.lane("a", &it.clock), 5 * MINUTE, Duration::ZERO)]);
            sleep(30 * MINUTE).await;
            it.clock.set(SignedDuration::from_mins(step));
            sleep(30 * MINUTE).await;
            it.settle().await;
        });
        let account = outside.account("a");
        let (lived, down) = (account.ledger.finished(), account.ledger.missed(Missed::Down));
        let skipped = u64::try_from(step.max(0) / 5).unwrap();
        assert!((11..=13).contains(&lived), "{step}: {lived}");
        assert!((skipped..=skipped + 1).contains(&down), "{step}: {down}");
        assert_eq!(outside.records().len() as u64, lived, "{step}: a row for each run");
        assert_accounted(&account, &outside.counts.of("a"));
    }
}
