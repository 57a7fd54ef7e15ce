//! One run after the other, each a process of its own, with totals that outlive them all.

use crate::cli::kit::{HOPS, SOURCE, Stage, lane, scenario, told};
use crate::cli::serve_kit::silent;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use hopclock_sandbox::pipeline::{Door, Hook};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const STATE: &str = "configmap:flux-system/totals";

const LIMIT: Duration = Duration::from_secs(60);

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "canary.yaml", "--state"][..], more].concat()
}

/// What is kept of the scenario in the ConfigMap.
fn kept(stage: &Stage) -> Value {
    let stored = stage.sandbox.store().get(&Key::new("ConfigMap", "flux-system", "totals"));
    let bytes = stored.unwrap()["binaryData"]["canary.json.gz"].clone();
    let bytes = BASE64_STANDARD.decode(bytes.as_str().unwrap()).unwrap();
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The total of a counter over all its labels.
fn total(account: &Value, metric: &str) -> f64 {
    let series = account["totals"]["numbers"][metric].as_array();
    series.into_iter().flatten().filter_map(|it| it[1].as_f64()).sum()
}

fn assert_total(account: &Value, metric: &str, expected: u32) {
    let found = total(account, metric);
    assert!((found - f64::from(expected)).abs() < 1e-9, "{metric}: {found}, not {expected}");
}

/// A pipeline that moves only when it is told to, and a run that has pushed and waits.
async fn waiting(state: &str) -> (Stage, tokio::process::Child) {
    let stage = Stage::quick(&silent()).await;
    let text = scenario("canary", SOURCE, HOPS).replace("deadline: 20s", "deadline: 60s");
    stage.file("canary.yaml", &text);
    let mut updates = stage.sandbox.git().watch_updates();
    let child = stage.call(&run(&[state])).spawn().unwrap();
    timeout(LIMIT, updates.recv()).await.unwrap().unwrap();
    (stage, child)
}

#[tokio::test]
async fn ten_processes_in_a_row_count_to_ten() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.scenario(SOURCE, HOPS);
    for number in 1..=10 {
        let told = stage.tell(&run(&[STATE])).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        let account = kept(&stage);
        assert_total(&account, "hopclock_runs_total", number);
        assert_total(&account, "hopclock_scheduled_runs_total", number);
        assert_total(&account, "hopclock_slo_events_total", number);
        assert_total(&account, "hopclock_runs_in_flight", 0);
    }
}

#[tokio::test]
async fn a_file_keeps_totals_and_history() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.scenario(SOURCE, HOPS);
    for _ in 0..2 {
        assert_eq!(stage.tell(&run(&["file:state.sqlite"])).await.code, Some(0));
    }
    let told = stage.tell(&["history", "--db", "state.sqlite", "--output", "json"]).await;
    assert_eq!(told.out.matches("\"outcome\":\"ok\"").count(), 2, "{told:?}");
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_counts_nothing_twice() {
    for state in [STATE, "file:state.sqlite"] {
        let (stage, mut child) = waiting(state).await;
        child.kill().await.unwrap();
        let mut updates = stage.sandbox.git().watch_updates();
        let next = tokio::spawn(told(stage.call(&run(&[state, "--output", "json"]))));
        // The run that was cut off goes on, and ends; then comes the next one.
        stage.fetch();
        timeout(LIMIT, updates.recv()).await.unwrap().unwrap();
        stage.fetch();
        let told = next.await.unwrap();
        assert_eq!(told.code, Some(0), "{told:?}");
        if state == STATE {
            let account = kept(&stage);
            assert_total(&account, "hopclock_scheduled_runs_total", 2);
            assert_total(&account, "hopclock_runs_total", 2);
            assert_total(&account, "hopclock_runs_in_flight", 0);
        } else {
            let told = stage.tell(&["history", "--db", "state.sqlite", "--output", "json"]).await;
            assert_eq!(told.out.matches("\"outcome\":\"ok\"").count(), 2, "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_second_process_leaves_a_run_under_way_alone_and_says_so() {
    for (state, says) in [(STATE, "is in use by"), ("file:state.sqlite", "state.sqlite")] {
        let (stage, child) = waiting(state).await;
        let second = stage.tell(&run(&[state])).await;
        assert_eq!(second.code, Some(3), "{second:?}");
        assert!(second.sentence(state).contains(says), "{second:?}");
        stage.fetch();
        let first = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
        if state == STATE {
            assert_total(&kept(&stage), "hopclock_runs_total", 1);
            assert_total(&kept(&stage), "hopclock_scheduled_runs_total", 1);
            // Whoever started the second one sees that it failed; no tick of ours is missed.
            assert_total(&kept(&stage), "hopclock_missed_runs_total", 0);
        }
    }
}

#[tokio::test]
async fn whoever_comes_second_to_the_state_keeps_nothing_and_says_who_was_first() {
    let (stage, child) = waiting(STATE).await;
    let key = Key::new("ConfigMap", "flux-system", "totals");
    let stored = stage.sandbox.store().get(&key).unwrap();
    let other = json!({
        "metadata": {"annotations": {"hopclock.dev/written-by": "hopclock@elsewhere"}},
        "binaryData": {"canary.json.gz": null},
    });
    stage.sandbox.store().merge(&key, &other, Part::Whole, "hopclock").unwrap();
    assert_ne!(stage.sandbox.store().get(&key).unwrap(), stored);
    stage.fetch();
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(
        error.contains("not kept") && error.contains("`hopclock@elsewhere` wrote it"),
        "{error}"
    );
}

#[tokio::test]
async fn state_that_cannot_be_read_or_written_is_said_before_anything_is_pushed() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.scenario(SOURCE, HOPS);
    let before = stage.sandbox.git().ref_updates().len();
    let refused = async |state: &str| {
        let told = stage.tell(&run(&[state])).await;
        assert_eq!(told.code, Some(3), "{told:?}");
        told.err
    };
    assert!(refused("file:canary.yaml/totals").await.contains("canary.yaml"));
    std::fs::create_dir(stage.folder.path().join("folder")).unwrap();
    assert!(refused("file:folder").await.contains("folder"));
    let broken = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"canary.json.gz": "AAAA"},
        "metadata": {"namespace": "flux-system", "name": "totals"},
    });
    stage.create(broken);
    assert!(refused(STATE).await.contains("delete the key"));
    assert_eq!(stage.sandbox.git().ref_updates().len(), before, "something was pushed");
    let bad: Command = stage.call(&run(&["configmap:totals"]));
    assert_eq!(told(bad).await.code, Some(2));
}
