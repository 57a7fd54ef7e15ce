//! A cluster that cannot be watched all the time: hops become uncertain, never wrong (rule T6).

use crate::e2e_kit::{Bench, Course, quick};
use hopclock::cluster::Timing;
use hopclock::model::{Event, Passage, SloVerdict};
use hopclock_sandbox::api::{Answer, Scope};
use hopclock_sandbox::pipeline::Hook;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A lane that is fetched only when asked.
async fn lane(bench: &Bench, name: &str) -> Course {
    bench.lane(name, "10m", Hook::Silent).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_watches_that_are_cut_lose_no_hop_and_their_bounds_hold_the_truth() {
    let bench = Bench::new().await;
    let course = lane(&bench, "cut").await;
    let other = bench.clone();
    let measured = course.run(move |event: &Event| {
        let cut = match event {
            Event::Published { .. } => {
                other.request("cut");
                true
            }
            Event::Reached { hop, .. } => hop == "source_fetched",
            _ => false,
        };
        if cut {
            assert!(other.sandbox.api().faults().cut_watches(&Scope::all()) > 0);
        }
    });
    let measured = measured.await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    measured.assert_all_true();
    let uncertain = |it: &&hopclock::model::HopRecord| {
        matches!(it.passage, Passage::Reached { uncertain: true, .. })
    };
    assert!(measured.record.hops.iter().any(|it| uncertain(&it)), "{:?}", measured.record);
    assert!(bench.cluster.watch_restarts().keys().any(|it| it.1 == "broken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_a_relist_loses_no_hop_and_its_bounds_hold_the_truth() {
    let bench = Bench::new().await;
    let course = lane(&bench, "relist").await;
    let other = bench.clone();
    let measured = course.run_and(move || {
        // The versions are too old for ever, and lists are late: what happens is found in a list.
        let faults = other.sandbox.api().faults();
        faults.slow_lists(SECOND, Scope::all());
        assert!(faults.relist(&Scope::all()) > 0);
        other.request("relist");
    });
    let measured = measured.await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    for hop in ["source_fetched", "applied", "live"] {
        measured.assert_true(hop);
        let at = measured.passage(hop).at().unwrap();
        assert!(!at.is_exact(), "{hop} was missed: {at:?}");
    }
    assert!(bench.cluster.watch_restarts().keys().any(|it| it.1 == "gone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_watches_that_fall_silent_are_found_out_and_replaced() {
    let timing = Timing { watch: 2 * SECOND, margin: SECOND, ..Timing::default() };
    let bench = Bench::with(quick(), timing).await;
    let course = lane(&bench, "silent").await;
    let other = bench.clone();
    let measured = course.run_and(move || {
        let faults = other.sandbox.api().faults();
        let open = faults.open_watches(&Scope::all());
        faults.black_hole_watches(Scope::all().times(open));
        other.request("silent");
    });
    let measured = measured.await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    for hop in ["source_fetched", "applied", "live"] {
        measured.assert_true(hop);
        assert!(!measured.passage(hop).at().unwrap().is_exact(), "{hop} was not heard at once");
    }
    assert!(bench.cluster.watch_restarts().keys().any(|it| it.1 == "silent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_an_api_server_that_goes_away_and_comes_back_loses_no_hop() {
    let bench = Bench::new().await;
    let course = lane(&bench, "away").await;
    let other = bench.clone();
    let lane = Arc::new(course.share());
    let measured = course.run_and(move || {
        let (other, lane) = (other.clone(), lane.clone());
        tokio::spawn(async move {
            other.sandbox.api().go_away().await;
            other.request("away");
            let ours = lane.tip();
            let is_applied = |it: &Value| {
                it["status"]["lastAppliedRevision"].as_str().is_some_and(|it| it.ends_with(&ours))
            };
            other.until("Kustomization", "away", is_applied).await;
            other.sandbox.api().come_back().await.unwrap();
        });
    });
    let measured = measured.await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    for hop in ["source_fetched", "applied", "live"] {
        measured.assert_true(hop);
        assert!(!measured.passage(hop).at().unwrap().is_exact(), "{hop} was not heard at once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_an_api_server_that_stays_away_is_an_error_and_the_objective_unknown() {
    let bench = Bench::new().await;
    let mut course = lane(&bench, "gone").await;
    course.plan.deadline = 3 * SECOND;
    course.plan.within = Some(SECOND);
    let other = bench.clone();
    let measured = course.run_and(move || {
        let other = other.clone();
        tokio::spawn(async move { other.sandbox.api().go_away().await });
    });
    let measured = measured.await;
    assert_eq!(measured.error().0, "watch_lost", "{}", measured.error().1);
    assert!(measured.error().1.contains("flux-system/gone"), "{}", measured.error().1);
    assert_eq!(measured.verdicts(), [("total", SloVerdict::Unknown)]);
    assert_eq!(measured.record.push_to_apply, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_forbidden_during_a_run_is_an_error_that_says_which_right_is_missing() {
    let bench = Bench::new().await;
    let mut course = lane(&bench, "forbidden").await;
    course.plan.within = Some(20 * SECOND);
    let other = bench.clone();
    let measured = course.run_and(move || {
        let faults = other.sandbox.api().faults();
        let scope = Scope::all().kind("Kustomization");
        faults.answer(Answer::Forbidden, scope.clone());
        assert_eq!(faults.cut_watches(&scope), 1);
    });
    let measured = measured.await;
    assert_eq!(measured.error().0, "forbidden", "{}", measured.error().1);
    assert!(measured.error().1.contains("kustomizations"), "{}", measured.error().1);
    assert!(measured.verdicts().is_empty(), "an error of ours says nothing of the objective");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_is_served_under_another_version_during_a_run_is_followed_there() {
    let bench = Bench::new().await;
    let course = lane(&bench, "renamed").await;
    let other = bench.clone();
    let measured = course.run_and(move || {
        let faults = other.sandbox.api().faults();
        for kind in ["GitRepository", "Kustomization"] {
            assert_eq!(faults.change_version(kind, "v2").unwrap(), 1);
        }
        other.request("renamed");
    });
    let measured = measured.await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    measured.assert_all_true();
    let requests = bench.sandbox.api().requests();
    assert!(requests.iter().any(|it| it.verb == "watch" && it.path.contains("/v2/")));
}
