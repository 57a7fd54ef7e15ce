//! What is kept how long, and what is never removed.

use crate::engine::Store;
use crate::history::tests::{Standing, batch, open, run};
use crate::history::{Filter, History, Options, Retention};
use crate::model::{Clock, Outcome};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How many runs of each outcome are kept.
fn kept(path: &Path) -> BTreeMap<String, usize> {
    let mut kept = BTreeMap::new();
    for run in History::open_read_only(path).unwrap().runs(&Filter::default()).unwrap() {
        *kept.entry(run.outcome).or_default() += 1;
    }
    kept
}

fn counts(ok: usize, timeout: usize) -> BTreeMap<String, usize> {
    let both = [("ok".to_owned(), ok), ("timeout".to_owned(), timeout)];
    both.into_iter().filter(|it| it.1 > 0).collect()
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

#[tokio::test]
async fn failures_are_kept_longer_than_successes_and_the_newest_of_both_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("history.sqlite"), Standing::new());
    let retention = Retention { ok: days(2), others: days(10), ..Retention::default() };
    let mut store = open(&path, Options { retention, ..Options::default() }, &clock).await;
    let first = clock.wall();
    for number in 0..24 {
        let outcome = if number % 4 == 0 { Outcome::Timeout } else { Outcome::Ok };
        let one = run("a", clock.wall(), outcome, 10);
        store.save(&batch("a", clock.wall(), vec![one])).await.unwrap();
        clock.pass(1);
    }
    assert_eq!(kept(&path), counts(18, 6));
    let complete = |path: &Path| History::open_read_only(path).unwrap().complete_since().unwrap();
    assert_eq!(complete(&path), None);
    let tick = batch("b", first, Vec::new());
    clock.pass(3 * 24);
    store.save(&tick).await.unwrap();
    assert_eq!(kept(&path), counts(1, 6), "the newest run, and all failures");
    // The last run of the day was `ok` and stays; the one before it is the last that went.
    let last_removed = first + jiff::SignedDuration::from_hours(22);
    assert_eq!(complete(&path), Some(last_removed));
    clock.pass(10 * 24);
    store.save(&tick).await.unwrap();
    assert_eq!(kept(&path), counts(1, 1), "the newest run, and the newest failure");
    clock.pass(10_000 * 24);
    store.save(&tick).await.unwrap();
    assert_eq!(kept(&path), counts(1, 1));
}

#[tokio::test]
async fn a_history_that_is_too_large_loses_successes_first_and_its_file_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("history.sqlite"), Standing::new());
    let mut store = open(&path, Options::default(), &clock).await;
    for number in 0..300 {
        let outcome = if number % 10 == 0 { Outcome::Timeout } else { Outcome::Ok };
        let one = run("a", clock.wall(), outcome, 8_000);
        store.save(&batch("a", clock.wall(), vec![one])).await.unwrap();
        clock.pass(1);
    }
    assert_eq!(kept(&path), counts(270, 30));
    drop(store);
    let before = path.metadata().unwrap().len();
    let retention = Retention { bytes: 1_000_000, ..Retention::default() };
    let mut store = open(&path, Options { retention, ..Options::default() }, &clock).await;
    for _ in 0..10 {
        store.save(&batch("b", clock.wall(), Vec::new())).await.unwrap();
    }
    let kept = kept(&path);
    assert_eq!(kept["timeout"], 30, "failures go last: {kept:?}");
    assert!(kept["ok"] < 150, "{kept:?}");
    drop(store);
    let after = path.metadata().unwrap().len();
    assert!(after < before / 2 && after < 1_200_000, "{before} became {after}");
}
