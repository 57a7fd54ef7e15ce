//! A disk that fills, a file that turns read-only, pages that turn bad: the store goes on.

use crate::engine::Store;
use crate::history::tests::{Standing, batch, open, run};
use crate::history::{Filter, History, Lost, Options, SqliteStore};
use crate::model::{Clock, Outcome};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

fn runs_in(path: &Path) -> usize {
    History::open_read_only(path).unwrap().runs(&Filter::default()).unwrap().len()
}

fn pragma(store: &SqliteStore, text: &str) {
    store.locked().connection.as_ref().unwrap().execute_batch(text).unwrap();
}

#[tokio::test]
async fn a_file_that_may_not_grow_keeps_what_it_holds_and_takes_more_once_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("history.sqlite"), Standing::new());
    let mut store = open(&path, Options::default(), &clock).await;
    let now = clock.wall();
    store.save(&batch("a", now, vec![run("a", now, Outcome::Ok, 10)])).await.unwrap();
    // SQLite never sets this below what the file has.
    pragma(&store, "PRAGMA max_page_count = 1");
    clock.pass(1);
    let large = batch("a", clock.wall(), vec![run("a", clock.wall(), Outcome::Ok, 100_000)]);
    let error = store.save(&large).await.unwrap_err();
    assert_eq!(error.reason, "history_disk_full");
    assert_eq!(
        error.message,
        format!(
            "the history `{}` cannot be written: its disk is full; free some space there",
            path.display()
        )
    );
    assert_eq!(runs_in(&path), 1);
    assert_eq!(store.load().await.unwrap()["a"].position, Some(now), "all of a batch or nothing");
    pragma(&store, "PRAGMA max_page_count = 1000000");
    store.save(&large).await.unwrap();
    assert_eq!(runs_in(&path), 2);
    assert_eq!(store.load().await.unwrap()["a"].position, Some(clock.wall()));
}

#[tokio::test]
async fn a_file_that_turns_read_only_is_an_error_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("history.sqlite"), Standing::new());
    let mut store = open(&path, Options::default(), &clock).await;
    let one = batch("a", clock.wall(), vec![run("a", clock.wall(), Outcome::Ok, 10)]);
    pragma(&store, "PRAGMA query_only = true");
    let error = store.save(&one).await.unwrap_err();
    assert_eq!(error.reason, "history_read_only");
    assert!(store.load().await.unwrap().is_empty());
    assert_eq!(runs_in(&path), 0);
    pragma(&store, "PRAGMA query_only = false");
    store.save(&one).await.unwrap();
    assert_eq!(runs_in(&path), 1);
}

#[tokio::test]
async fn pages_that_turn_bad_under_way_cost_the_past_runs_and_no_account() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("history.sqlite"), Standing::new());
    let mut store = open(&path, Options::default(), &clock).await;
    let now = clock.wall();
    store.save(&batch("a", now, vec![run("a", now, Outcome::Ok, 10)])).await.unwrap();
    pragma(&store, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xff; usize::try_from(length).unwrap() - 4096]).unwrap();
    drop(file);

    clock.pass(1);
    let later = clock.wall();
    store.save(&batch("b", later, vec![run("b", later, Outcome::Ok, 10)])).await.unwrap();
    let set_aside = store.set_aside();
    assert_eq!(set_aside.len(), 1, "{set_aside:?}");
    assert_eq!(set_aside[0].lost, Lost::Runs);
    let moved = folder.path().join("history.sqlite.corrupt-20261101T010000Z");
    assert_eq!(set_aside[0].moved_to, moved);
    assert!(moved.exists());
    assert_eq!(runs_in(&path), 1);

    drop(store);
    let mut store = open(&path, Options::default(), &clock).await;
    let positions: Vec<_> =
        store.load().await.unwrap().into_iter().map(|it| (it.0, it.1.position)).collect();
    assert_eq!(positions, [("a".to_owned(), Some(now)), ("b".to_owned(), Some(later))]);
}

#[tokio::test(start_paused = true)]
async fn work_on_the_disk_does_not_move_a_paused_clock() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("history.sqlite"), Standing::new());
    let before = tokio::time::Instant::now();
    let distant = tokio::spawn(tokio::time::sleep(std::time::Duration::from_secs(3600)));
    let mut store = open(&path, Options::default(), &clock).await;
    for number in 0..20 {
        clock.pass(1);
        let one = run("a", clock.wall(), Outcome::Ok, number * 1000);
        store.save(&batch("a", clock.wall(), vec![one])).await.unwrap();
    }
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    assert!(!distant.is_finished());
}
