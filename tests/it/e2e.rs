//! A commit on its way from push to live, over real sockets: what is reported of it is true.

use crate::e2e_kit::{Bench, quick};
use hopclock::cluster::Timing;
use hopclock::model::{Event, Passage, Via, Webhook};
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::git::{Fault, FaultRule, RequestKind, WebhookMoment};
use hopclock_sandbox::pipeline::Hook;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_wakes_the_fetch_and_every_hop_is_timed_by_its_own_event() {
    // The source shows several states soon after each other: time to tell them apart.
    let speeds = Speeds { pick_up: Duration::from_millis(200), ..quick() };
    let bench = Bench::with(speeds, Timing::default()).await;
    let course = bench.lane("fleet", "10m", Hook::Right).await;
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.outcome(), "ok");
    measured.assert_all_exact();
    let &Passage::Reached { webhook, via, .. } = measured.passage("webhook_received") else {
        panic!("{:?}", measured.record)
    };
    assert_eq!((webhook, via), (Some(Webhook::Ours), None));
    let &Passage::Reached { via, wait, stage, .. } = measured.passage("source_fetched") else {
        panic!("{:?}", measured.record)
    };
    assert_eq!(via, Some(Via::Webhook));
    assert!(wait.unwrap().most < stage.unwrap().most, "somebody worked, too");
    let ups = bench.sandbox.git().ref_updates();
    let update = ups.iter().find(|it| it.new == measured.pushed()).unwrap();
    assert!(update.at <= measured.zero(), "zero is the acknowledgement");
    let deliveries = bench.sandbox.git().deliveries();
    assert_eq!(deliveries.iter().filter(|it| it.commit == measured.pushed()).count(), 1);
    let order: Vec<_> = ["webhook_received", "source_fetched", "live", "applied"]
        .map(|hop| measured.bounds(hop).1)
        .into();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(measured.record.push_to_apply, measured.passage("live").at());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_webhook_that_is_refused_is_bypassed_and_the_fetch_was_the_intervals() {
    let bench = Bench::new().await;
    let course = bench.lane("polled", "2s", Hook::WrongSecret).await;
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.outcome(), "ok");
    measured.assert_all_exact();
    assert_eq!(measured.passage("webhook_received"), &Passage::Bypassed);
    let &Passage::Reached { via, wait, .. } = measured.passage("source_fetched") else {
        panic!("{:?}", measured.record)
    };
    assert_eq!((via, wait), (Some(Via::Interval), None), "an interval fetch is not split");
    let deliveries = bench.sandbox.git().deliveries();
    let refused = deliveries.iter().find(|it| it.commit == measured.pushed()).unwrap();
    assert_eq!(refused.status, Some(400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_request_of_a_person_is_no_webhook() {
    let bench = Bench::new().await;
    let course = bench.lane("asked", "10m", Hook::Silent).await;
    let asked = bench.clone();
    let measured = course.run_and(move || asked.request("asked")).await;
    assert_eq!(measured.outcome(), "ok");
    measured.assert_all_exact();
    assert_eq!(measured.passage("webhook_received"), &Passage::Bypassed);
    let &Passage::Reached { via, .. } = measured.passage("source_fetched") else { panic!() };
    assert_eq!(via, Some(Via::Manual));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_what_is_seen_before_the_acknowledgement_counts_as_nothing_and_is_early() {
    let bench = Bench::new().await;
    let course = bench.lane("early", "10m", Hook::Silent).await;
    course.hook(WebhookMoment::BeforeAcknowledgement);
    let late = Fault::AnswerLate(Duration::from_secs(3));
    bench.sandbox.git().add_fault(FaultRule::once(RequestKind::Push, late));
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.outcome(), "ok");
    for hop in ["webhook_received", "source_fetched", "live", "applied"] {
        let &Passage::Reached { at, stage, early, uncertain, .. } = measured.passage(hop) else {
            panic!("{hop}: {:?}", measured.record)
        };
        assert!(at.is_exact() && at.most.is_zero(), "{hop}: {at:?}");
        assert!(early && !uncertain, "{hop}");
        assert_eq!(stage, Some(at), "{hop}");
        assert!(measured.truth(hop).0 <= measured.zero(), "{hop}");
    }
    let took = measured.record.push.as_ref().unwrap().took;
    assert!(took.is_exact() && took.most >= Duration::from_secs(3), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_second_run_of_a_lane_follows_its_own_canary() {
    let bench = Bench::new().await;
    let course = bench.lane("again", "10m", Hook::Right).await;
    let first = course.run(|_| ()).await;
    let second = course.run(|_| ()).await;
    for measured in [&first, &second] {
        assert_eq!(measured.outcome(), "ok");
        measured.assert_all_exact();
        let kept = |it: &&Event| matches!(it, Event::Reached { .. });
        assert_eq!(measured.events.iter().filter(kept).count(), 4, "each hop is told once");
    }
    assert!(second.record.canary.sequence() > first.record.canary.sequence());
    assert_ne!(second.pushed(), first.pushed());
}
