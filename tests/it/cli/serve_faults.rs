//! A cluster on a bad day, and a service that goes on: what each fault is counted as, and that the
//! next run is right.

use crate::cli::kit::Stage;
use crate::cli::serve_kit::{QUIET, Running, Scene, canary, silent, write};
use hopclock::model::{HopRecord, Outcome, Passage, RunRecord, SloVerdict};
use hopclock_sandbox::api::{Answer, Scope};
use hopclock_sandbox::flux::Controller;
use serde_json::Value;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The reason of a run that could not measure.
fn reason(record: &RunRecord) -> &str {
    match &record.outcome {
        Outcome::ProbeError(error) => &error.reason,
        other => panic!("{other}"),
    }
}

fn is_uncertain(hop: &HopRecord) -> bool {
    matches!(hop.passage, Passage::Reached { uncertain: true, .. })
}

/// Whether a Kustomization has applied a commit.
fn has_applied(commit: &str) -> impl Fn(&Value) -> bool {
    move |it| it["status"]["lastAppliedRevision"].as_str().is_some_and(|it| it.ends_with(commit))
}

#[tokio::test]
async fn t6_a_410_and_a_relist_during_a_run_make_it_uncertain_and_not_an_error() {
    let scene = Scene::new().await;
    let before = scene.counts().await;
    let faults = scene.stage.sandbox.api().faults();
    let record = scene.ask_and(async || {
        faults.slow_lists(SECOND, Scope::all());
        assert!(faults.relist(&Scope::all()) > 0);
        scene.fetch();
    });
    let record = record.await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
    assert!(record.hops.iter().all(is_uncertain), "{record:?}");
    assert_eq!(scene.counted_since(&before).await, ["runs_total ok", "slo_events_total total"]);
    for hop in ["source_fetched", "applied", "live"] {
        let series = format!("hopclock_uncertain_hops_total canary {hop}");
        assert!(scene.service.value(&series).await > 0.9, "{hop}");
    }
    let restarts = scene.service.value("hopclock_watch_restarts_total GitRepository gone").await;
    assert!(restarts > 0.9, "{restarts}");
    faults.lift_all();
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn t6_watches_that_are_cut_during_a_run_are_opened_again_and_it_is_in_time() {
    let scene = Scene::new().await;
    let before = scene.counts().await;
    let record = scene.ask_and(async || {
        scene.fetch();
        assert!(scene.stage.sandbox.api().faults().cut_watches(&Scope::all()) > 0);
    });
    assert_eq!(record.await.outcome, Outcome::Ok);
    assert_eq!(scene.counted_since(&before).await, ["runs_total ok", "slo_events_total total"]);
    let restarts = scene.service.value("hopclock_watch_restarts_total Kustomization broken").await;
    assert!(restarts > 0.9, "{restarts}");
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn t6_watches_that_swallow_everything_leave_the_objective_unknown() {
    let scene = Scene::new().await;
    let before = scene.counts().await;
    let faults = scene.stage.sandbox.api().faults();
    let record = scene.ask_and(async || {
        faults.black_hole_watches(Scope::all());
        scene.fetch();
    });
    let record = record.await;
    assert_eq!(record.slo[0].verdict, SloVerdict::Unknown, "{record:?}");
    let counted = scene.counted_since(&before).await;
    assert_eq!(counted, ["runs_total ok", "slo_unknown_total total"], "{record:?}");
    faults.lift_all();
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_during_a_run_is_a_probe_error_and_no_bad_event() {
    let scene = Scene::new().await;
    let before = scene.counts().await;
    let faults = scene.stage.sandbox.api().faults();
    let record = scene.ask_and(async || {
        let scope = Scope::all().kind("Kustomization");
        faults.answer(Answer::Forbidden, scope.clone());
        assert_eq!(faults.cut_watches(&scope), 1);
    });
    assert_eq!(reason(&record.await), "forbidden");
    let counted = scene.counted_since(&before).await;
    assert_eq!(counted, ["probe_errors_total forbidden", "runs_total probe_error"]);
    // The next one does not even begin, and says why.
    let before = scene.counts().await;
    assert_eq!(reason(&scene.ask().await), "forbidden");
    assert_eq!(scene.counted_since(&before).await, counted);
    scene.service.eventually("/readyz", "forbids `get` of `kustomizations").await;
    faults.lift_all();
    scene.goes_on().await;
    scene.end(3).await;
}

#[tokio::test]
async fn t6_an_api_server_that_is_gone_for_a_while_makes_a_run_uncertain_and_readyz_says_so() {
    let scene = Scene::new().await;
    let before = scene.counts().await;
    let api = scene.stage.sandbox.api();
    let record = scene.ask_and(async || {
        api.go_away().await;
        scene.fetch();
        scene.until("Kustomization", has_applied(&scene.tip())).await;
        let ready = scene.service.eventually("/readyz", "what is seen now is uncertain").await;
        assert!(ready.contains("HTTP/1.1 200"), "it still serves: {ready}");
        api.come_back().await.unwrap();
    });
    let record = record.await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
    assert!(record.hops.iter().all(is_uncertain), "{record:?}");
    assert_eq!(scene.counted_since(&before).await[0], "runs_total ok");
    scene.service.eventually("/readyz", "connected to").await;
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn o2_an_api_server_that_stays_away_is_a_probe_error_and_an_unknown_objective() {
    let scene = Scene::new().await;
    let before = scene.counts().await;
    let api = scene.stage.sandbox.api();
    let record = scene.ask_and(async || api.go_away().await).await;
    assert_eq!(reason(&record), "watch_lost");
    assert_eq!(
        scene.counted_since(&before).await,
        ["probe_errors_total watch_lost", "runs_total probe_error", "slo_unknown_total total"]
    );
    // Whoever asks now is told so at once.
    assert_eq!(reason(&scene.ask().await), "unreachable");
    let ready = scene.service.eventually("/readyz", "what is seen now is uncertain").await;
    assert!(ready.contains("refuses the connection"), "{ready}");
    // Nobody runs; it finds out by itself that the server is back.
    api.come_back().await.unwrap();
    scene.service.eventually("/readyz", "connected to").await;
    scene.goes_on().await;
    scene.end(3).await;
}

#[tokio::test]
async fn a_service_that_is_there_before_its_api_server_says_so_and_waits_for_it() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    stage.sandbox.api().go_away().await;
    let service = Running::start(&stage, &["--state", "none"]).await;
    let ready = service.eventually("/readyz", "refuses the connection").await;
    assert!(ready.contains("HTTP/1.1 503"), "{ready}");
    assert!(service.get("/healthz").await.contains("HTTP/1.1 200"), "a restart helps nobody");
    stage.sandbox.api().come_back().await.unwrap();
    service.eventually_ready().await;
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn a_controller_that_is_killed_during_a_run_delivers_when_it_is_back() {
    let scene = Scene::new().await;
    let flux = scene.stage.sandbox.flux();
    for controller in [Controller::Source, Controller::Kustomize] {
        let before = scene.counts().await;
        let record = scene.ask_and(async || {
            flux.kill_controller(controller).await;
            scene.fetch();
            flux.start_controller(controller).await.unwrap();
        });
        let record = record.await;
        assert_eq!(record.outcome, Outcome::Ok, "{controller:?}: {record:?}");
        assert!(!record.hops.iter().any(is_uncertain), "{record:?}");
        assert_eq!(scene.counted_since(&before).await, ["runs_total ok", "slo_events_total total"]);
    }
    scene.goes_on().await;
    scene.end(3).await;
}
