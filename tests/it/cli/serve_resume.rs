//! Runs that a killed service left behind, taken up through the real git trigger and watches.

use crate::cli::serve_kit::{QUIET, Running, Scene, patient, silent};
use hopclock_sandbox::git::{Fault, FaultRule, RequestKind};
use std::time::Duration;

const STATE: [&str; 4] = ["--state", "file:state.sqlite", "--token-file", "token"];

const WAITING: &str = "hopclock_hop_waiting{scenario=\"canary\",hop=\"live\"} 1";

/// A service that is killed during a push which the host handles in its own way.
async fn killed_in_push(fault: Fault) -> Scene {
    let scene = Scene::with(&silent(), &patient(QUIET)).await;
    scene.stage.sandbox.git().add_fault(FaultRule::always(RequestKind::Push, fault));
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    scene.service.eventually("/metrics", WAITING).await;
    scene
}

/// The only run in history, with all that is known of it.
async fn in_full(scene: &Scene) -> String {
    let arguments = ["history", "--db", "state.sqlite", "--output", "json"];
    let row = scene.stage.tell(&arguments).await.out;
    let row: serde_json::Value = serde_json::from_str(row.trim()).unwrap();
    let canary = row["canary"].as_str().unwrap();
    scene.stage.tell(&[&arguments[..], &[canary]].concat()).await.out
}

#[tokio::test]
async fn t2_a_push_that_was_killed_before_its_answer_is_found_on_the_remote_once_that_answers() {
    let scene = killed_in_push(Fault::AnswerLate(Duration::from_secs(60))).await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    if scene.stage.sandbox.git().ref_updates().len() < 2 {
        tokio::time::timeout(Duration::from_secs(60), updates.recv()).await.unwrap().unwrap();
    }
    let Scene { stage, service } = scene;
    service.kill().await;
    let pushes = stage.sandbox.git().ref_updates().len();
    stage.sandbox.git().clear_faults();
    stage.sandbox.git().go_down();
    let scene = Scene { service: Running::start(&stage, &STATE).await, stage };
    scene.service.eventually_says("cannot go on yet").await;
    scene.stage.sandbox.git().come_back().unwrap();
    scene.fetch();
    let ok = "hopclock_runs_total{scenario=\"canary\",outcome=\"ok\"} 1";
    scene.service.eventually("/metrics", ok).await;
    assert_eq!(scene.stage.sandbox.git().ref_updates().len(), pushes, "nothing is pushed again");
    let rows = in_full(&scene).await;
    assert!(rows.contains("\"push\":{"), "{rows}");
    scene.end(1).await;
}

#[tokio::test]
async fn t2_a_push_that_never_reached_the_remote_ends_as_interrupted() {
    let scene = killed_in_push(Fault::Silence).await;
    let Scene { stage, service } = scene;
    service.kill().await;
    stage.sandbox.git().clear_faults();
    let scene = Scene { service: Running::start(&stage, &STATE).await, stage };
    scene.service.eventually("/metrics", "runs_in_flight{scenario=\"canary\"} 0").await;
    scene.service.eventually("/readyz", "the remote does not have its change").await;
    let rows = in_full(&scene).await;
    assert!(rows.contains("interrupted") && rows.contains("\"push\":null"), "{rows}");
    scene.end(1).await;
}

#[tokio::test]
async fn o4_an_api_server_that_is_away_at_the_restart_ends_no_run() {
    let scene = Scene::with(&silent(), &patient(QUIET)).await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    updates.recv().await.unwrap();
    scene.service.eventually("/metrics", WAITING).await;
    let Scene { stage, service } = scene;
    service.kill().await;
    stage.sandbox.api().go_away().await;
    let service = Running::start(&stage, &STATE).await;
    service.eventually("/readyz", "HTTP/1.1 503").await;
    stage.sandbox.api().come_back().await.unwrap();
    let scene = Scene { stage, service };
    scene.fetch();
    let ok = "hopclock_runs_total{scenario=\"canary\",outcome=\"ok\"} 1";
    scene.service.eventually("/metrics", ok).await;
    scene.end(1).await;
}

#[tokio::test]
async fn t9_a_canary_that_was_superseded_while_nobody_looked_is_not_taken_for_delivered_alone() {
    let scene = Scene::with(&silent(), &patient(QUIET)).await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    updates.recv().await.unwrap();
    scene.service.eventually("/metrics", WAITING).await;
    let Scene { stage, service } = scene;
    service.kill().await;
    // Another run of the lane pushes over it, and Flux fetches only what that has pushed.
    let mut updates = stage.sandbox.git().watch_updates();
    let run = stage.tell(&["run", "scenarios/canary.yaml"]);
    let fetch = async {
        updates.recv().await.unwrap();
        let value = serde_json::json!({"reconcile.fluxcd.io/requestedAt": "later"});
        let patch = serde_json::json!({"metadata": {"annotations": value}});
        stage.change("GitRepository", "canary", &patch);
    };
    let (told, ()) = tokio::join!(run, fetch);
    assert_eq!(told.code, Some(0), "{told:?}");
    let scene = Scene { service: Running::start(&stage, &STATE).await, stage };
    scene.service.eventually("/metrics", "runs_in_flight{scenario=\"canary\"} 0").await;
    let rows = in_full(&scene).await;
    assert!(rows.contains("\"carried_by\":\"") || rows.contains("superseded"), "{rows}");
    scene.end(1).await;
}
