//! The tables, and how a file of an older layout becomes one of this.

use crate::history::error::Error;
use crate::history::owner::beside;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Marks a file as ours (`application_id`): "hopc".
const OURS: i64 = 0x686f_7063;

/// What each version adds to the one before it. A released one is never changed.
///
/// Instants are RFC 3339 in UTC with nine digits of a second, so that text order is time order;
/// lengths are seconds. Bounds stand in pairs.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE accounts (
        scenario TEXT PRIMARY KEY NOT NULL,
        account TEXT NOT NULL
    ) STRICT;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        scenario TEXT NOT NULL,
        canary TEXT NOT NULL,
        due TEXT NOT NULL,
        started TEXT NOT NULL,
        ended TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT,
        push_least REAL,
        push_most REAL,
        push_to_apply_least REAL,
        push_to_apply_most REAL,
        tolerance REAL NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (scenario, due, canary)
    ) STRICT;
    CREATE INDEX runs_by_start ON runs (started, id);
    CREATE INDEX runs_ok_by_end ON runs (ended) WHERE outcome = 'ok';
    CREATE INDEX runs_not_ok_by_end ON runs (ended) WHERE outcome <> 'ok';
    CREATE INDEX runs_by_canary ON runs (canary);
    CREATE INDEX runs_not_ok ON runs (scenario, due) WHERE outcome <> 'ok';
    CREATE TABLE hops (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        hop TEXT NOT NULL,
        target_cluster TEXT NOT NULL,
        subject TEXT NOT NULL,
        passage TEXT NOT NULL,
        at_least REAL,
        at_most REAL,
        stage_least REAL,
        stage_most REAL,
        wait_least REAL,
        wait_most REAL,
        via TEXT,
        webhook TEXT,
        early INTEGER NOT NULL,
        uncertain INTEGER NOT NULL,
        reordered INTEGER NOT NULL,
        reverted INTEGER NOT NULL,
        PRIMARY KEY (run, place)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE evidence (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        subject TEXT NOT NULL,
        at TEXT NOT NULL,
        status TEXT NOT NULL,
        events TEXT,
        PRIMARY KEY (run, place)
    ) STRICT;
    CREATE TABLE log (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        at TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (run, place)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE facts (
        name TEXT PRIMARY KEY NOT NULL,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

/// The layout that this program writes.
pub(super) const VERSION: i64 = 1;

const _: () = assert!(VERSION.unsigned_abs() == MIGRATIONS.len() as u64);

/// Largest file that is looked through at every start; a larger one only after a process that was
/// killed. What is damaged later is found when it is read.
const QUICK_BYTES: u64 = 32 << 20;

/// Largest log that is left behind after its pages have gone into the file.
const LOG_BYTES: i64 = 4 << 20;

/// Opens a file for writing, makes it if it is not there, and brings it to this version.
///
/// Every commit is synchronised (`synchronous = FULL`): neither a killed process nor a power cut
/// takes back what a commit returned, as far as the disk keeps its own promises. `NORMAL` would
/// do for a killed process, but a power cut could take the last commits; a run has only a few,
/// and each costs one synchronisation, so nothing is gained by that.
pub(super) fn open(path: &Path, patience: Duration) -> Result<Connection, Error> {
    let failed = |error: rusqlite::Error| Error::of_database(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let suspect = is_suspect(path);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    let version = match identify(&connection, path)? {
        Identity::Empty => {
            // Only a file without pages takes it.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
            0
        }
        Identity::Ours(version) => version,
    };
    let settings = |connection: &Connection| {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        if mode != "wal" {
            tracing::warn!(path = %path.display(), mode, "readers of the history may have to wait");
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
        if !suspect {
            return Ok("ok".to_owned());
        }
        connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0))
    };
    let verdict = settings(&connection).map_err(failed)?;
    if verdict != "ok" {
        // A title and, often, many complaints of which the first is enough.
        let why = verdict.lines().find(|it| !it.starts_with("***")).unwrap_or(&verdict).to_owned();
        return Err(Error::Damaged { path: path.to_owned(), why });
    }
    migrate(&mut connection, version).map_err(failed)?;
    Ok(connection)
}

/// Whether a file is to be looked through: it is small, or whoever wrote it was killed and left a
/// log behind.
fn is_suspect(path: &Path) -> bool {
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |it| it.len());
    bytes(path) <= QUICK_BYTES || bytes(&beside(path, "-wal")) > 0
}

/// What a file is.
pub(super) enum Identity {
    /// Nothing was ever written into it.
    Empty,
    /// A history of this version.
    Ours(i64),
}

/// Says what a file is, and refuses what is not to be touched.
pub(super) fn identify(connection: &Connection, path: &Path) -> Result<Identity, Error> {
    let failed = |error: rusqlite::Error| Error::of_database(path, &error);
    let number = |pragma: &str| {
        connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(failed)
    };
    let (mark, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if mark == OURS && version > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    match mark {
        OURS => Ok(Identity::Ours(version)),
        0 if tables == 0 && version == 0 => Ok(Identity::Empty),
        _ => Err(Error::Foreign { path: path.to_owned() }),
    }
}

/// Brings a file to this version, or leaves it as it is.
fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let change = Transaction::new(connection, TransactionBehavior::Immediate)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "application_id", OURS)?;
    change.pragma_update(None, "user_version", VERSION)?;
    change.commit()
}
