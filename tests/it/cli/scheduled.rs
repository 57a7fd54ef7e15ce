//! Runs that stand for a tick, as those of a `CronJob`: their delay, and pauses.

use crate::cli::kit::{HOPS, SOURCE, Stage, lane, scenario};
use hopclock_sandbox::pipeline::{Door, Hook};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

/// Pauses since long ago and for long.
const PAUSE: &str = "pause: [{ from: 2000-01-01T00:00:00Z, until: 2100-01-01T00:00:00Z }]";

async fn stage(schedule: &str) -> Stage {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let text = scenario("canary", SOURCE, HOPS);
    stage.file("canary.yaml", &format!("{text}schedule: {{ {schedule} }}\n"));
    stage
}

fn pushes(stage: &Stage) -> usize {
    stage.sandbox.git().ref_updates().len()
}

#[tokio::test]
async fn o4_a_tick_in_a_pause_begins_no_run_and_is_missed_once() {
    let stage = stage(&format!("every: 1h, {PAUSE}")).await;
    let before = pushes(&stage);
    for number in 1..=2 {
        let metrics = format!("metrics-{number}.prom");
        let arguments = ["run", "canary.yaml", "--scheduled", "--state", "file:state.sqlite"];
        let told = stage.tell(&[&arguments[..], &["--textfile", &metrics]].concat()).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        let says = "scenario `canary` is paused until 2100-01-01T00:00:00Z: no run begins";
        assert!(told.err.contains(says), "{told:?}");
        let page = std::fs::read_to_string(stage.folder.path().join(metrics)).unwrap();
        let missed =
            format!("hopclock_missed_runs_total{{scenario=\"canary\",reason=\"paused\"}} {number}");
        assert!(page.contains(&missed), "{page}");
        let scheduled = format!("hopclock_scheduled_runs_total{{scenario=\"canary\"}} {number}");
        assert!(page.contains(&scheduled), "{page}");
    }
    assert_eq!(pushes(&stage), before, "nothing was pushed");
    // Whoever asks for a run has one.
    let told = stage.tell(&["run", "canary.yaml"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(pushes(&stage) > before);
}

#[tokio::test]
async fn o5_a_run_that_stands_for_a_tick_waits_for_the_delay_of_the_tick() {
    let stage = stage("every: 24h, jitter: 23h").await;
    let before = pushes(&stage);
    let mut child = stage.call(&["run", "canary.yaml", "--scheduled"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(line.starts_with("scenario `canary` begins in "), "{line}");
    let id = child.id().unwrap().to_string();
    assert!(
        Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .await
            .unwrap()
            .success()
    );
    let status = timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    let mut rest = String::new();
    lines.into_inner().read_to_string(&mut rest).await.unwrap();
    assert_eq!(status.code(), Some(3), "{rest}");
    assert!(rest.contains("it was stopped before its turn came, and nothing was pushed"), "{rest}");
    assert_eq!(pushes(&stage), before);
}

#[tokio::test]
async fn without_a_delay_it_begins_at_once() {
    let stage = stage("every: 1h, jitter: 0s").await;
    let told = stage.tell(&["run", "canary.yaml", "--scheduled", "--output", "json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(record["outcome"], "ok");
}

#[tokio::test]
async fn a_scenario_without_a_schedule_stands_for_no_tick() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let file = stage.scenario(SOURCE, HOPS);
    let told = stage.tell(&["run", file, "--scheduled"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(
        told.sentence("no schedule").contains("scenario `canary` has no `schedule`"),
        "{told:?}"
    );
}
