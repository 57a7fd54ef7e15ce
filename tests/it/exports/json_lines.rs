//! Runs as lines of JSON: the same that `--output json` prints, whatever becomes of the file.

use crate::cli::kit::{HOPS, SOURCE, Stage};
use crate::cli::serve_kit::{QUIET, Scene, canary, silent, write};
use hopclock::model::RunRecord;
use std::fs;

fn lines(text: &str) -> Vec<RunRecord> {
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test]
async fn a_file_holds_what_is_printed() {
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    let mut printed = String::new();
    for more in [&[][..], &["--state", "file:state.sqlite"]] {
        let call = ["run", file, "--output", "json", "--json-lines", "runs"];
        let told = stage.tell(&[&call, more].concat()).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        printed += &told.out;
    }
    let path = stage.folder.path().join("runs");
    assert_eq!(fs::read_to_string(&path).unwrap(), printed);
    assert_eq!(lines(&printed).len(), 2);
    let told = stage.tell(&["run", file, "--json-lines", "-"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.err.contains("give `--output json`"), "{}", told.err);
    // The log says what was not written, and the run is what it is.
    let told = stage.tell(&["run", file, "--json-lines", "/dev/full"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("json_lines: `/dev/full` does not take a line"), "{}", told.err);
}

#[tokio::test]
async fn a_service_goes_on_in_a_new_file_when_its_own_was_rotated_away() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let (path, old) = (stage.folder.path().join("runs"), stage.folder.path().join("runs.1"));
    let scene = Scene::on(stage, &["--json-lines", "runs"]).await;
    let first = scene.ask_and(async || scene.fetch()).await;
    let sent = "hopclock_exports_total{way=\"json_lines\",result=\"sent\"}";
    scene.service.eventually("/metrics", &format!("{sent} 1")).await;
    fs::rename(&path, &old).unwrap();
    let second = scene.ask_and(async || scene.fetch()).await;
    scene.service.eventually("/metrics", &format!("{sent} 2")).await;
    assert_eq!(lines(&fs::read_to_string(old).unwrap()), [first]);
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()), [second]);
    // A folder takes no lines; that is said once.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        scene.ask_and(async || scene.fetch()).await;
    }
    let failed = "hopclock_exports_total{way=\"json_lines\",result=\"failed\"} 2";
    scene.service.eventually("/metrics", failed).await;
    let said = scene.service.said();
    assert_eq!(said.matches("does not take a line").count(), 1, "{said}");
    assert_eq!(scene.service.stop().await, Some(0));
}

#[tokio::test]
async fn a_service_writes_to_its_standard_output() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let mut scene = Scene::on(stage, &["--json-lines", "-"]).await;
    let run = scene.ask_and(async || scene.fetch()).await;
    let mut out = scene.service.child.stdout.take().unwrap();
    assert_eq!(scene.service.stop().await, Some(0));
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut out, &mut text).await.unwrap();
    assert_eq!(lines(&text), [run]);
}
