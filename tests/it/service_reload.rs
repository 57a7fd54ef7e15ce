//! Scenarios that change, go and come back while the service runs, or while it does not.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{assert_accounted, entry};
use crate::service_stage::{MINUTE, Outside, SECOND};
use hopclock::engine::{Ending, Journal, Refusal};
use hopclock::model::{Clock, Missed, Outcome};
use std::time::Duration;
use tokio::time::sleep;

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
    assert_eq!(outside.account("gone").ledger.in_flight(), 0, "it is kept, should it come back");
    let runs = outside.records();
    assert!(runs.iter().any(|it| it.scenario == "gone"), "its runs stay in history");
}

#[test]
fn o4_a_scenario_that_is_put_back_during_its_last_run_keeps_its_account_and_its_one_run() {
    let outside = Outside::new(50 * SECOND);
    outside.process(async |it| {
        let a = || entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO);
        it.replace(vec![a()]);
        sleep(25 * MINUTE).await;
        let begun = it.process.service.request("a").await.ok().unwrap();
        sleep(5 * SECOND).await;
        it.reload(vec![]).await;
        sleep(4 * SECOND).await;
        let refused = it.process.service.request("a").await.err();
        assert_eq!(refused, Some(Refusal::Unknown { scenario: "a".to_owned() }));
        it.reload(vec![a()]).await;
        sleep(2 * SECOND).await;
        let busy = it.process.service.request("a").await.err();
        assert_eq!(busy, Some(Refusal::Busy { scenario: "a".to_owned(), since: begun.due }));
        assert_eq!(begun.record.await.unwrap().outcome, Outcome::Ok);
        sleep(SECOND).await;
        assert!(it.process.service.statuses().contains_key("a"));
        sleep(20 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_accounted(&account, &outside.counts.of("a"));
    assert_eq!(account.ledger.finished(), outside.outcomes().len() as u64);
    assert!(account.ledger.finished() >= 4, "{account:?}");
}

#[test]
fn o4_a_scenario_that_is_put_back_after_its_last_run_goes_on_counting() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let a = || entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO);
        it.reload(vec![a()]).await;
        sleep(25 * MINUTE).await;
        it.reload(vec![]).await;
        sleep(30 * MINUTE).await;
        it.settle().await;
        let before = outside.account("a").ledger.finished();
        assert!(before >= 2);
        assert!(!outside.counts.all().contains_key("a"), "what is gone has no series");
        it.reload(vec![a()]).await;
        sleep(10 * MINUTE).await;
        it.settle().await;
        assert_eq!(outside.account("a").ledger.scheduled(), before + 1, "one tick since");
    });
    let account = outside.account("a");
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o4_runs_of_a_scenario_that_is_forgotten_end_as_interrupted_with_what_was_measured() {
    let outside = Outside::new(50 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
        sleep(SECOND).await;
    });
    outside.process(async |it| {
        it.replace(vec![]);
        sleep(SECOND).await;
        it.process.recorder.forget("a");
        it.settle().await;
    });
    assert!(!outside.store.0.accounts.lock().unwrap().contains_key("a"));
    let record = outside.records().remove(0);
    let Outcome::ProbeError(error) = record.outcome else { panic!() };
    assert_eq!(error.message, "hopclock was stopped during the run, and its scenario is gone");
    assert!(record.push.is_some(), "its push is known");
    assert_eq!(record.canary, outside.world.pushes.lock().unwrap()[0].1);
}

#[test]
fn a_run_of_a_scenario_that_is_gone_is_waited_for_at_the_end() {
    let outside = Outside::new(50 * SECOND);
    outside.process(async |it| {
        let a = || entry(outside.lane("a", &it.clock), 100 * MINUTE, Duration::ZERO);
        let b = || entry(outside.lane("b", &it.clock), 100 * MINUTE, Duration::ZERO);
        it.replace(vec![a(), b()]);
        sleep(SECOND).await;
        let begun = it.process.service.request("a").await.ok().unwrap();
        sleep(5 * SECOND).await;
        it.reload(vec![b()]).await;
        sleep(SECOND).await;
        let before = it.clock.now();
        it.process.service.end(90 * SECOND, Ending::Leave).await;
        let took = it.clock.now().since(before);
        assert!(took > 40 * SECOND && took < 50 * SECOND, "{took:?}");
        assert_eq!(begun.record.await.unwrap().outcome, Outcome::Ok);
        it.settle().await;
    });
    assert_eq!(outside.account("a").ledger.in_flight(), 0);
    assert_eq!(outside.outcomes(), ["ok"]);
}

#[test]
fn o4_a_push_of_a_run_that_is_not_in_the_account_is_refused() {
    let outside = Outside::new(SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        let canary = "test-19cad0d5a00".parse().unwrap();
        let refused =
            it.process.recorder.publishing("a", &canary, &[], Vec::new()).await.unwrap_err();
        assert_eq!(
            refused,
            "run `test-19cad0d5a00` of scenario `a` is not in the account, so its push could not \
             be written down"
        );
    });
}

#[test]
fn o4_a_schedule_that_has_changed_owes_no_ticks() {
    let outside = Outside::new(10 * SECOND);
    let live = async |it: &crate::service_stage::Inside, period: Duration, time: Duration| {
        it.reload(vec![entry(outside.lane("a", &it.clock), period, Duration::ZERO)]).await;
        sleep(time).await;
        it.settle().await;
    };
    outside.process(async |it| live(it, 24 * 60 * MINUTE, 23 * 60 * MINUTE).await);
    outside.process(async |it| {
        live(it, 5 * MINUTE, 20 * MINUTE).await;
        live(it, 24 * 60 * MINUTE, 23 * 60 * MINUTE).await;
        live(it, 5 * MINUTE, 20 * MINUTE).await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Down), 0);
    let daily = account.ledger.scheduled() - 8;
    assert!(daily <= 2, "one tick a day: {daily}");
    assert_accounted(&account, &outside.counts.of("a"));
}

#[test]
fn o4_a_tick_that_waits_when_its_schedule_goes_is_accounted_for_and_never_run_late() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let make = |schedule: bool| {
            let mut entry = entry(outside.lane("a", &it.clock), 20 * MINUTE, 15 * MINUTE);
            entry.timetable = entry.timetable.filter(|_| schedule);
            entry.fingerprint = schedule.to_string();
            entry
        };
        let wall = it.clock.wall();
        let tick = make(true).timetable.unwrap().next_after("test", wall).unwrap();
        it.replace(vec![make(true)]);
        sleep(Duration::try_from(tick.duration_since(wall)).unwrap() + SECOND).await;
        it.reload(vec![make(false)]).await;
        sleep(600 * MINUTE).await;
        it.settle().await;
        let account = outside.account("a");
        assert_eq!((account.ledger.scheduled(), account.ledger.missed(Missed::Paused)), (1, 1));
        assert_eq!(account.position, None, "no schedule, no position");
        it.reload(vec![make(true)]).await;
        sleep(SECOND).await;
        it.settle().await;
        assert_eq!(outside.account("a").ledger.scheduled(), 1, "nothing is owed");
        sleep(60 * MINUTE).await;
        it.settle().await;
    });
    let account = outside.account("a");
    assert_eq!(account.ledger.missed(Missed::Down), 0);
    assert!(account.ledger.finished() >= 2);
    assert_accounted(&account, &outside.counts.of("a"));
}
