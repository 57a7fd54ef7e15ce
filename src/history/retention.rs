//! How long runs are kept: what went wrong longer than what went right, and never for ever.
//!
//! A little is removed after each save, so that no save waits for much. Percentiles of a time from
//! which only failures are left would be wrong, so the end of that time is written down, and
//! reports begin there.

use crate::history::write::instant;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::time::Duration;

/// Most runs that are removed at once.
const AT_ONCE: i64 = 64;

/// Most unused pages that are given back at once.
const PAGES_AT_ONCE: i64 = 256;

/// Name of the fact up to when runs were removed.
pub(super) const REMOVED_UNTIL: &str = "removed_until";

/// Runs that were `ok`, but for the newest run of each scenario.
const OK: &str = "r.outcome = 'ok' AND EXISTS (SELECT 1 FROM runs n WHERE n.scenario = r.scenario
    AND n.due > r.due)";

/// Those that were not, but for the newest such run of each scenario.
const OTHERS: &str = "r.outcome <> 'ok' AND EXISTS (SELECT 1 FROM runs n
    WHERE n.scenario = r.scenario AND n.outcome <> 'ok' AND n.due > r.due)";

/// How long runs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long runs that were `ok` are kept.
    pub ok: Duration,
    /// How long all others are kept.
    pub others: Duration,
    /// How large the history may become: above that the oldest runs go, those that were `ok`
    /// first.
    pub bytes: u64,
}

// === impl Retention ===

impl Default for Retention {
    fn default() -> Self {
        let days = |it: u64| Duration::from_secs(it * 24 * 3600);
        Self { ok: days(30), others: days(180), bytes: 1 << 30 }
    }
}

/// Removes some of what is kept too long, and gives its room back to the disk.
pub(super) fn tend(
    connection: &mut Connection,
    retention: Retention,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let before = |age: Duration| {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        instant(now.checked_sub(age).unwrap_or(Timestamp::MIN))
    };
    let change = Transaction::new(connection, TransactionBehavior::Immediate)?;
    remove(&change, OK, &before(retention.ok))?;
    remove(&change, OTHERS, &before(retention.others))?;
    if used_bytes(&change)? > retention.bytes && remove(&change, OK, &instant(now))? == 0 {
        remove(&change, OTHERS, &instant(now))?;
    }
    change.commit()?;
    give_back(connection)
}

/// Up to when runs were removed; a report of a time before that would lack some.
pub(super) fn removed_until(from: &Connection) -> rusqlite::Result<Option<String>> {
    from.query_row("SELECT value FROM facts WHERE name = ?1", [REMOVED_UNTIL], |row| row.get(0))
        .optional()
}

/// Removes the oldest runs of a sort that ended before an instant, and says how many.
fn remove(change: &Transaction<'_>, sort: &str, before: &str) -> rusqlite::Result<usize> {
    let mut runs = change.prepare_cached(&format!(
        "SELECT r.id, r.ended FROM runs r WHERE {sort} AND r.ended < ?1 ORDER BY r.ended
         LIMIT {AT_ONCE}"
    ))?;
    let rows = runs.query_map([before], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    for (id, _) in &rows {
        change.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute([id])?;
    }
    if let Some(last) = rows.iter().map(|it| &it.1).max() {
        change.execute(
            "INSERT INTO facts VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
            params![REMOVED_UNTIL, last],
        )?;
    }
    Ok(rows.len())
}

/// How many bytes the rows take.
fn used_bytes(of: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma| {
        of.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages * number("page_size")?)
}

fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let unused: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if unused > 0 {
        // Gives a page back with each row that it is asked for.
        let mut pages =
            connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
        let mut rows = pages.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
