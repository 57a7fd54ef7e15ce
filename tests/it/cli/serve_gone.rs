//! Scenarios whose files go and come back, while a real service runs or between two of them.

use crate::cli::kit::Stage;
use crate::cli::serve_kit::{QUIET, Running, Scene, canary, patient, silent, write};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

const STATE: [&str; 4] = ["--state", "file:state.sqlite", "--token-file", "token"];

fn file(stage: &Stage, name: &str) -> PathBuf {
    stage.folder.path().join("scenarios").join(name)
}

/// A second scenario, so that the folder is not empty without the first.
fn write_other(stage: &Stage) {
    write(stage, "other.yaml", &canary(QUIET).replace("name: canary", "name: other"));
}

/// A service of two scenarios, with a run of the first under way.
async fn under_way() -> Scene {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &patient(QUIET));
    write_other(&stage);
    let scene = Scene::on(stage, &STATE[..2]).await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    timeout(Duration::from_secs(60), updates.recv()).await.unwrap().unwrap();
    scene.service.eventually("/metrics", "runs_in_flight{scenario=\"canary\"} 1").await;
    scene
}

#[tokio::test]
async fn o4_a_file_that_is_put_back_during_the_last_run_keeps_series_and_account() {
    let scene = under_way().await;
    fs::remove_file(file(&scene.stage, "canary.yaml")).unwrap();
    scene.service.eventually("/readyz", "1 scenario of").await;
    write(&scene.stage, "canary.yaml", &patient(QUIET));
    scene.service.eventually("/readyz", "2 scenarios of").await;
    scene.fetch();
    scene.service.eventually("/metrics", "runs_in_flight{scenario=\"canary\"} 0").await;
    scene.service.eventually("/readyz", "scenario canary").await;
    let value = scene.service.value("hopclock_scheduled_runs_total canary").await;
    assert!((value - 1.0).abs() < 0.1, "{value}");
    scene.end(1).await;
}

#[tokio::test]
async fn o4_a_run_of_a_file_that_is_gone_is_waited_for_at_the_end() {
    let scene = under_way().await;
    fs::remove_file(file(&scene.stage, "canary.yaml")).unwrap();
    scene.service.eventually("/readyz", "1 scenario of").await;
    scene.fetch();
    scene.end(1).await;
}

#[tokio::test]
async fn o4_a_run_outlives_a_start_without_its_file() {
    let scene = under_way().await;
    let Scene { stage, service } = scene;
    service.kill().await;
    fs::remove_file(file(&stage, "canary.yaml")).unwrap();
    let service = Running::start(&stage, &STATE).await;
    service.eventually_ready().await;
    assert!(!service.get("/metrics").await.contains("scenario=\"canary\""), "it has no series");
    assert_eq!(service.stop().await, Some(0));
    write(&stage, "canary.yaml", &patient(QUIET));
    let scene = Scene { service: Running::start(&stage, &STATE).await, stage };
    scene.service.eventually_ready().await;
    scene.fetch();
    scene.service.eventually("/metrics", "runs_in_flight{scenario=\"canary\"} 0").await;
    let value = scene.service.value("hopclock_scheduled_runs_total canary").await;
    assert!((value - 1.0).abs() < 0.1, "{value}");
    scene.end(1).await;
}

#[tokio::test]
async fn o4_a_start_with_an_empty_folder_forgets_nothing() {
    let scene = Scene::new().await;
    scene.ask_and(async || scene.fetch()).await;
    let Scene { stage, service } = scene;
    assert_eq!(service.stop().await, Some(0));
    fs::remove_file(file(&stage, "canary.yaml")).unwrap();
    let service = Running::start(&stage, &STATE).await;
    service.eventually("/readyz", "0 scenarios of").await;
    assert!(service.get("/readyz").await.contains("HTTP/1.1 503"), "nothing runs");
    assert_eq!(service.stop().await, Some(0));
    write(&stage, "canary.yaml", &canary(QUIET));
    let scene = Scene { service: Running::start(&stage, &STATE).await, stage };
    scene.service.eventually_ready().await;
    let ended = scene.service.value("hopclock_runs_total canary ok").await;
    assert!((ended - 1.0).abs() < 0.1, "{ended}");
    scene.end(1).await;
}
