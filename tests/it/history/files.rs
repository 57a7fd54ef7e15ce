//! Files that are locked, damaged, of others, or not there: one sentence each, and the old intact.

use crate::history::kit::{Noon, batch, marks, minutes_ago, noon, open, timed_out, write};
use hopclock::engine::{Store, StoreError};
use hopclock::history::{Error, History, Lost, Options, SqliteStore};
use std::fs;
use std::path::Path;
use std::sync::Arc;

async fn refused(path: &Path) -> StoreError {
    SqliteStore::open(path, Options::default(), Arc::new(Noon)).await.unwrap_err()
}

/// The name of every file beside a history that was set aside.
fn set_aside(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
    let names = names.map(|it| it.to_str().unwrap().to_owned());
    let mut names: Vec<_> = names.filter(|it| it.contains(".corrupt-")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn two_stores_never_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let first = open(&path).await;
    let error = refused(&path).await;
    assert_eq!(error.reason, "history_in_use");
    assert_eq!(
        error.message,
        format!(
            "the history `{}` is in use by process {}: stop that one, or name another file",
            path.display(),
            std::process::id()
        )
    );
    drop(first);
    open(&path).await;
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_an_error_until_it_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let options = Options { patience: std::time::Duration::ZERO, ..Options::default() };
    let (mut store, _) = SqliteStore::open(&path, options, Arc::new(Noon)).await.unwrap();
    store.save(&batch(minutes_ago(2), [timed_out("fleet", minutes_ago(2))])).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let next = batch(minutes_ago(1), [timed_out("fleet", minutes_ago(1))]);
    let error = store.save(&next).await.unwrap_err();
    assert_eq!(error.reason, "history_locked");
    assert!(error.message.contains(path.to_str().unwrap()), "{}", error.message);
    assert_eq!(store.load().await.unwrap()["fleet"].position, Some(minutes_ago(2)));
    assert_eq!(marks(&path).len(), 1, "readers are let in");
    other.execute_batch("ROLLBACK").unwrap();
    store.save(&next).await.unwrap();
    assert_eq!(marks(&path).len(), 2);
}

#[tokio::test]
async fn places_that_hold_no_history_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let lost = folder.path().join("no/such/history.sqlite");
    let error = refused(&lost).await;
    assert_eq!(error.reason, "history_no_folder");
    assert!(error.message.contains("its folder does not exist; create it"), "{}", error.message);
    assert_eq!(refused(folder.path()).await.reason, "history_is_a_folder");
    let error = History::open_read_only(&lost).unwrap_err();
    assert_eq!(error, Error::Missing { path: lost });
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let error = History::open_read_only(&empty).unwrap_err();
    assert_eq!(error.reason(), "history_missing");
    open(&empty).await;
    History::open_read_only(&empty).unwrap();
}

#[tokio::test]
async fn a_newer_history_and_a_database_of_others_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer.sqlite");
    write(&newer, vec![timed_out("fleet", noon())]).await;
    let edit = |path: &Path, sql: &str| {
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute_batch(sql).unwrap();
    };
    edit(&newer, "PRAGMA user_version = 99");
    let foreign = folder.path().join("foreign.sqlite");
    edit(&foreign, "CREATE TABLE places (url TEXT)");
    for (path, reason, part) in [
        (&newer, "history_newer", "by a newer hopclock (its layout is 99, this one knows 1)"),
        (&foreign, "history_foreign", "is a database, but no history of hopclock"),
    ] {
        let before = fs::read(path).unwrap();
        let error = refused(path).await;
        assert_eq!(error.reason, reason);
        assert!(error.message.contains(part), "{}", error.message);
        assert_eq!(History::open_read_only(path).unwrap_err().reason(), reason);
        assert_eq!(fs::read(path).unwrap(), before, "{reason}: the file was changed");
    }
    assert_eq!(set_aside(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_with_what_belongs_to_it_and_a_new_one_begun() {
    for (damage, what) in [
        ("no database at all", "file is not a database"),
        ("bad pages", "Failed to read"),
        ("cut off", "malformed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.sqlite");
        write(&path, (1..40).map(|it| timed_out("fleet", minutes_ago(it))).collect()).await;
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            "bad pages" => bytes[4096..].fill(0xff),
            "cut off" => bytes.truncate(4096 * 3),
            _ => bytes = b"hello ".repeat(4096),
        }
        fs::write(&path, &bytes).unwrap();
        fs::write(folder.path().join("history.sqlite-wal"), "left behind").unwrap();
        // Reading leaves it where it is.
        let error = History::open_read_only(&path);
        let error = error.and_then(|it| it.runs(&hopclock::history::Filter::default()).map(|_| ()));
        assert_eq!(error.unwrap_err().reason(), "history_damaged", "{damage}");
        assert_eq!(set_aside(folder.path()), Vec::<String>::new(), "{damage}");

        let opened = SqliteStore::open(&path, Options::default(), Arc::new(Noon)).await;
        let (mut store, said) = opened.unwrap();
        let said = said.unwrap();
        assert!(said.why.contains(what), "{damage}: {}", said.why);
        assert_eq!(said.lost, Lost::Everything);
        let moved = folder.path().join("history.sqlite.corrupt-20261120T120000Z");
        assert_eq!(
            said.to_string(),
            format!(
                "the history `{}` was damaged ({}) and is now `{}`: the runs in it are lost, and \
                 totals and schedules begin again",
                path.display(),
                said.why,
                moved.display()
            )
        );
        assert_eq!(fs::read(&moved).unwrap(), bytes, "{damage}: what was set aside was changed");
        assert!(store.load().await.unwrap().is_empty());
        store.save(&batch(noon(), [timed_out("fleet", noon())])).await.unwrap();
        assert_eq!(marks(&path).len(), 1);

        // A second one within the same second gets a name of its own.
        drop(store);
        fs::write(&path, &bytes).unwrap();
        open(&path).await;
        let moved = set_aside(folder.path());
        assert!(
            moved.contains(&"history.sqlite.corrupt-20261120T120000Z-2".to_owned()),
            "{moved:?}"
        );
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_named_and_nothing_is_counted_from_zero() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    write(&path, Vec::new()).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("UPDATE accounts SET account = '{\"ledger\":7}'").unwrap();
    drop(other);
    let error = open(&path).await.load().await.unwrap_err();
    assert_eq!(error.reason, "history_unreadable");
    assert!(error.message.contains("an account of the scenario `fleet`"), "{}", error.message);
}
