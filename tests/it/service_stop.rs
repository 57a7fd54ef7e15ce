//! How a service ends: within its grace, and with nothing lost.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{assert_accounted, entry};
use crate::service_stage::{MINUTE, Outside, SECOND};
use hopclock::engine::{Ending, Refusal};
use hopclock::model::{Clock, Outcome};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

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
fn a_grace_holds_while_a_job_is_being_made_and_no_run_begins_any_more() {
    for (makes, grace) in [(60 * SECOND, 10 * SECOND), (10 * SECOND, 60 * SECOND)] {
        let outside = Outside::new(10 * SECOND);
        outside.process(async |it| {
            let mut lane = outside.lane("a", &it.clock);
            lane.takes = makes;
            it.replace(vec![entry(lane, 100 * MINUTE, Duration::ZERO)]);
            sleep(makes + SECOND).await;
            let stop = async {
                sleep(SECOND).await;
                let before = it.clock.now();
                it.process.service.end(grace, Ending::Leave).await;
                assert!(it.clock.now().since(before) < SECOND, "there is nothing to wait for");
            };
            let (begun, ()) = tokio::join!(it.process.service.request("a"), stop);
            assert_eq!(begun.err(), Some(Refusal::Stopping));
            it.settle().await;
        });
        assert_eq!(outside.world.pushes.lock().unwrap().len(), 0);
        assert_eq!(outside.account("a").ledger.scheduled(), 0);
    }
}

#[test]
fn o4_a_tick_whose_job_is_being_made_at_the_end_is_run_by_the_next_process() {
    let outside = Outside::new(10 * SECOND);
    let tick = outside.process(async |it| {
        let mut lane = outside.lane("a", &it.clock);
        lane.takes = 10 * SECOND;
        let entry = entry(lane, 10 * MINUTE, Duration::ZERO);
        let wall = it.clock.wall();
        let tick = entry.timetable.as_ref().unwrap().next_after("test", wall).unwrap();
        it.replace(vec![entry]);
        sleep(Duration::try_from(tick.duration_since(wall)).unwrap() + 2 * SECOND).await;
        it.process.service.end(MINUTE, Ending::Leave).await;
        it.settle().await;
        tick
    });
    assert_eq!(outside.account("a").ledger.scheduled(), 0);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(MINUTE).await;
        it.settle().await;
    });
    let due = outside.store.0.runs.lock().unwrap()[0].due;
    assert_eq!((outside.outcomes(), due), (vec!["ok".to_owned()], tick));
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn runs_are_abandoned_together_with_their_service() {
    let outside = Outside::new(10 * SECOND);
    outside.process(async |it| {
        let process = crate::service_kit::start(&it.clock, &outside.store, &outside.counts).await;
        let mut lane = outside.lane("a", &it.clock);
        lane.takes = 10 * SECOND;
        let entries = vec![entry(lane, 100 * MINUTE, Duration::ZERO)];
        process.service.replace(entries, &process.accounts);
        let asked = process.service.request("a");
        assert!(tokio::time::timeout(5 * SECOND, asked).await.is_err(), "it makes its job");
        drop(process.service);
        sleep(MINUTE).await;
    });
    assert_eq!(outside.world.pushes.lock().unwrap().len(), 0);
}

#[test]
fn o4_a_run_that_breaks_off_is_accounted_for() {
    let outside = Outside::new(10 * SECOND);
    outside.world.faulty.store(true, Ordering::SeqCst);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(11 * MINUTE).await;
        outside.world.faulty.store(false, Ordering::SeqCst);
        sleep(10 * MINUTE).await;
        it.settle().await;
    });
    let outcomes = outside.outcomes();
    assert!(outcomes.contains(&"ok".to_owned()) && outcomes[0] == "probe_error", "{outcomes:?}");
    let Outcome::ProbeError(error) = outside.records()[0].outcome.clone() else { panic!() };
    assert_eq!(error.reason, "fault");
    assert_eq!(outside.account("a").ledger.in_flight(), 0);
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}
