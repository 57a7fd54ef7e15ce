//! The service accounts for every tick of a schedule, and says what it does.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{assert_accounted, entry};
use crate::service_stage::{Inside, MINUTE, Outside, SECOND};
use hopclock::engine::Refusal;
use hopclock::model::{Clock, Missed, Outcome, Pause};
use jiff::SignedDuration;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

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
