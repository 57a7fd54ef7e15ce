//! What a store said is kept is there after `kill -9`.

use crate::history::kit::{batch, marks, minutes_ago, open, timed_out};
use hopclock::engine::Store;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the process that is to be killed writes.
const FILE: &str = "HOPCLOCK_TEST_HISTORY";

/// How many runs are acknowledged before the process is killed.
const ACKNOWLEDGED: usize = 40;

/// The test binary calls itself: the child saves run after run and says each time that it is kept.
#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_was_told_is_kept() {
    if let Some(path) = std::env::var_os(FILE) {
        return save_for_ever(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let name = "history::killed::a_killed_process_loses_nothing_that_it_was_told_is_kept";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeSet::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines {
        let line = line.unwrap();
        // The harness writes into the same line before the first.
        if let Some((_, mark)) = line.split_once("kept ") {
            acknowledged.insert(mark.to_owned());
        }
        if acknowledged.len() == ACKNOWLEDGED {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was not killed: {status}");
    assert!(acknowledged.len() >= ACKNOWLEDGED, "{acknowledged:?}");

    let mut store = open(&path).await;
    assert_eq!(store.set_aside(), []);
    let position = store.load().await.unwrap()["fleet"].position.unwrap();
    let kept: BTreeSet<_> = marks(&path).into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    // The account and the runs of a batch are kept together.
    assert_eq!(position, minutes_ago(100_000 - i64::try_from(kept.len()).unwrap()));
}

async fn save_for_ever(path: &Path) {
    let mut store = open(path).await;
    for number in 1.. {
        let at = minutes_ago(100_000 - number);
        let run = timed_out("fleet", at);
        let mark = run.record.canary.to_string();
        store.save(&batch(at, [run])).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "kept {mark}").and_then(|()| out.flush()).unwrap();
    }
}
