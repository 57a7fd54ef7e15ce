//! How a service ends: within the time that it was given, and with every run accounted for.

use crate::cli::kit::Stage;
use crate::cli::serve_kit::{QUIET, Scene, patient, record, silent, write};
use hopclock::model::Outcome;

/// A service with little time to end, whose runs wait for somebody who has Flux fetch.
async fn scene(state: &str, grace: &str) -> Scene {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &patient(QUIET));
    Scene::on(stage, &["--state", state, "--grace", grace]).await
}

#[tokio::test]
async fn a_run_that_ends_within_the_grace_is_waited_for() {
    let scene = scene("file:state.sqlite", "15s").await;
    let run = scene.ask_and(async || {
        scene.service.signal("TERM").await;
        scene.service.eventually_says("stopping").await;
        let refused = scene.trigger(&[]).await;
        assert_eq!(refused.code, Some(3), "none begins any more: {refused:?}");
        scene.fetch();
    });
    assert_eq!(run.await.outcome, Outcome::Ok);
    assert_eq!(scene.service.ended().await.0, Some(0));
    let history = ["history", "--db", "state.sqlite", "--output", "json"];
    assert_eq!(scene.stage.tell(&history).await.out.lines().count(), 1);
}

#[tokio::test]
async fn t6_a_run_that_outlasts_the_grace_is_left_to_the_next_process() {
    let scene = scene("file:state.sqlite", "200ms").await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    updates.recv().await.unwrap();
    assert_eq!(scene.service.stop().await, Some(0));
    let scene = Scene::on(scene.stage, &["--state", "file:state.sqlite"]).await;
    scene.fetch();
    let ok = "hopclock_runs_total{scenario=\"canary\",outcome=\"ok\"} 1";
    scene.service.eventually("/metrics", ok).await;
    assert!((scene.service.value("hopclock_scheduled_runs_total canary").await - 1.0).abs() < 0.1);
    scene.end(1).await;
}

#[tokio::test]
async fn a_run_that_outlasts_the_grace_ends_with_what_it_has_where_nobody_could_go_on() {
    let scene = scene("none", "200ms").await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    let ask = ["--wait", "--output", "json"];
    let (told, ()) = tokio::join!(scene.trigger(&ask), async {
        updates.recv().await.unwrap();
        scene.service.signal("TERM").await;
    });
    assert_eq!(told.code, Some(3), "{told:?}");
    let Outcome::ProbeError(error) = record(&told).outcome else { panic!("{told:?}") };
    assert_eq!(error.reason, "stopped");
    assert_eq!(scene.service.ended().await.0, Some(0));
}
