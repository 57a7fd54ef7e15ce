//! Runs that a process left behind: resumed with bounds, or ended with what is known of them.
//!
//! Every process lives in a runtime that was made with `start_paused(true)`.

use crate::service_kit::{assert_accounted, entry};
use crate::service_stage::{Inside, MINUTE, Outside, SECOND};
use hopclock::engine::Refusal;
use hopclock::model::{CanaryId, Outcome, Tick};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

#[test]
fn t6_a_killed_run_is_resumed_with_bounds_and_counted_once() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
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
    for once in ["opens its watches", "about to be sent", "hopclock is back, and goes on"] {
        assert_eq!(text.iter().filter(|it| it.contains(once)).count(), 1, "{text:?}");
    }
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn t6_what_became_live_while_nobody_looked_lies_between_the_last_word_and_the_first_look() {
    let outside = Outside::new(20 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
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
        it.pushed(&outside).await;
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
        it.pushed(&outside).await;
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
fn o4_a_run_whose_hops_lead_elsewhere_now_ends_as_interrupted() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
        sleep(5 * SECOND).await;
    });
    outside.world.moved.store(true, Ordering::SeqCst);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(SECOND).await;
        it.settle().await;
    });
    let Outcome::ProbeError(error) = outside.records()[0].outcome.clone() else { panic!() };
    assert_eq!(
        error.message,
        "hopclock was stopped during the run, and its path has changed since"
    );
    assert_accounted(&outside.account("a"), &outside.counts.of("a"));
}

#[test]
fn o4_an_interrupted_run_keeps_what_was_measured() {
    let outside = Outside::new(20 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
        sleep(5 * SECOND).await;
    });
    outside.pass(30 * MINUTE);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(SECOND).await;
        it.settle().await;
    });
    let record = outside.records().remove(0);
    assert_eq!(record.outcome.as_str(), "probe_error");
    assert_eq!(record.canary, outside.world.pushes.lock().unwrap()[0].1);
    let push = record.push.unwrap();
    assert_eq!((push.attempts, push.revisions.len()), (1, 1), "the push is known");
    assert!(push.took.most >= Duration::from_millis(90), "{push:?}");
}

#[test]
fn o4_a_passing_hiccup_at_the_restart_ends_no_run() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
        sleep(5 * SECOND).await;
    });
    outside.process(async |it| {
        let lane = outside.lane("a", &it.clock);
        let broken = lane.broken.clone();
        *broken.lock().unwrap() = Some("the API server refuses the connection".to_owned());
        it.replace(vec![entry(lane, 10 * MINUTE, Duration::ZERO)]);
        sleep(10 * SECOND).await;
        *broken.lock().unwrap() = None;
        sleep(2 * MINUTE).await;
        it.settle().await;
    });
    assert_eq!(outside.outcomes(), ["ok"]);
    assert!(outside.records()[0].push.is_some());
}

#[test]
fn o4_a_run_that_cannot_be_taken_up_ends_with_its_deadline_and_says_why() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
        sleep(5 * SECOND).await;
    });
    outside.process(async |it| {
        let lane = outside.lane("a", &it.clock);
        *lane.broken.lock().unwrap() = Some("the API server is gone".to_owned());
        it.replace(vec![entry(lane, 10 * MINUTE, Duration::ZERO)]);
        sleep(100 * SECOND).await;
        assert_eq!(outside.outcomes(), Vec::<String>::new(), "its deadline is 2 minutes");
        sleep(30 * SECOND).await;
        it.settle().await;
    });
    let record = outside.records().remove(0);
    let Outcome::ProbeError(error) = record.outcome else { panic!() };
    assert_eq!(
        error.message,
        "hopclock was stopped during the run, and it could not be taken up again: the API server \
         is gone"
    );
    assert!(record.push.is_some());
}

#[test]
fn t2_a_push_that_was_not_acknowledged_is_asked_for_until_the_remote_answers() {
    for is_pushed in [true, false] {
        let outside = Outside::new(60 * SECOND);
        outside.world.mute.store(true, Ordering::SeqCst);
        outside.process(async |it| {
            it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
            it.pushed(&outside).await;
            sleep(5 * SECOND).await;
        });
        outside.world.mute.store(false, Ordering::SeqCst);
        if !is_pushed {
            outside.world.lose_pushes();
        }
        outside.process(async |it| {
            let unreachable = &outside.world.unreachable;
            *unreachable.lock().unwrap() = Some("the host refuses the connection".to_owned());
            it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
            sleep(10 * SECOND).await;
            *unreachable.lock().unwrap() = None;
            sleep(90 * SECOND).await;
            it.settle().await;
        });
        let record = outside.records().remove(0);
        assert_eq!(record.push.is_some(), is_pushed, "{:?}", record.outcome);
        if let Outcome::ProbeError(error) = &record.outcome {
            let why =
                "hopclock was stopped during the run, and the remote does not have its change";
            assert_eq!(error.message, why);
        } else {
            assert_eq!(record.outcome, Outcome::Ok);
        }
        assert_eq!(record.outcome == Outcome::Ok, is_pushed);
        assert_accounted(&outside.account("a"), &outside.counts.of("a"));
    }
}

#[test]
fn s5_a_resumed_run_takes_its_lane_and_others_give_way() {
    let outside = Outside::new(60 * SECOND);
    let make = |name: &str, it: &Inside| {
        let mut lane = outside.lane(name, &it.clock);
        "shared".clone_into(&mut lane.remote);
        let mut entry = entry(lane, 10 * MINUTE, Duration::ZERO);
        entry.timetable = None;
        entry
    };
    outside.process(async |it| {
        it.replace(vec![make("a", it), make("b", it)]);
        sleep(SECOND).await;
        let _begun = it.process.service.request("a").await.ok().unwrap();
        it.pushed(&outside).await;
        sleep(SECOND).await;
    });
    outside.process(async |it| {
        it.replace(vec![make("a", it), make("b", it)]);
        sleep(5 * SECOND).await;
        let refused = it.process.service.request("b").await.err().unwrap();
        assert!(matches!(refused, Refusal::LaneHeld { .. }), "{refused}");
        sleep(MINUTE).await;
        it.settle().await;
        assert_eq!(outside.outcomes(), ["ok"]);
        let begun = it.process.service.request("b").await.ok().unwrap();
        assert_eq!(begun.record.await.unwrap().outcome, Outcome::Ok, "the lane is free again");
    });
}

#[test]
fn o4_events_of_a_resumed_run_are_not_taken_for_those_of_a_newer_one() {
    let outside = Outside::new(60 * SECOND);
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        it.pushed(&outside).await;
        sleep(5 * SECOND).await;
    });
    // A second run is left behind, as an older version could leave one.
    let younger = {
        let mut accounts = outside.store.0.accounts.lock().unwrap();
        let ledger = &mut accounts.get_mut("a").unwrap().ledger;
        let (due, run) = ledger.runs().map(|it| (it.0, it.1.clone())).next().unwrap();
        let mut younger = run.clone();
        younger.canary = Some(CanaryId::next("test", due, run.canary.as_ref()));
        ledger.tick(Tick::Run(due + SECOND, Box::new(younger.clone()))).unwrap();
        younger
    };
    outside.process(async |it| {
        it.replace(vec![entry(outside.lane("a", &it.clock), 10 * MINUTE, Duration::ZERO)]);
        sleep(20 * SECOND).await;
        it.settle().await;
    });
    let account = outside.account("a");
    let (_, left) = account.ledger.runs().last().unwrap();
    assert_eq!((&left.canary, &left.log), (&younger.canary, &younger.log), "it is as it was left");
    assert_eq!(account.ledger.in_flight(), 2);
}
