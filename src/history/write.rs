//! Writes accounts and runs as rows.

use crate::model::{HopRecord, KeptRun, Outcome, Passage, Skip, Span, Via, Webhook};
use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};
use serde::Serialize;

/// An instant as it stands in the tables: text order is time order.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// A value as JSON; what cannot be written as such is an error of the statement.
pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|it| rusqlite::Error::ToSqlConversionFailure(it.into()))
}

/// Writes an account over the one before it.
pub(super) fn account(to: &Connection, scenario: &str, account: &str) -> rusqlite::Result<()> {
    to.prepare_cached(
        "INSERT INTO accounts (scenario, account) VALUES (?1, ?2)
         ON CONFLICT (scenario) DO UPDATE SET account = excluded.account",
    )?
    .execute(params![scenario, account])?;
    Ok(())
}

/// Forgets an account.
pub(super) fn forget(to: &Connection, scenario: &str) -> rusqlite::Result<()> {
    to.prepare_cached("DELETE FROM accounts WHERE scenario = ?1")?.execute([scenario])?;
    Ok(())
}

/// Writes a run. One of the same scenario and canary that was due at the same instant is the same
/// run; ticks that come again because a clock was set back are others.
pub(super) fn run(to: &Connection, run: &KeptRun) -> rusqlite::Result<()> {
    let record = &run.record;
    let push = bounds(record.push.as_ref().map(|it| it.took));
    let total = bounds(record.push_to_apply);
    let id: i64 = to
        .prepare_cached(
            "INSERT INTO runs (scenario, canary, due, started, ended, outcome, reason, push_least,
                 push_most, push_to_apply_least, push_to_apply_most, tolerance, record)
             VALUES (:scenario, :canary, :due, :started, :ended, :outcome, :reason, :push_least,
                 :push_most, :total_least, :total_most, :tolerance, :record)
             ON CONFLICT (scenario, due, canary) DO UPDATE SET
                 started = excluded.started, ended = excluded.ended, outcome = excluded.outcome,
                 reason = excluded.reason, push_least = excluded.push_least,
                 push_most = excluded.push_most,
                 push_to_apply_least = excluded.push_to_apply_least,
                 push_to_apply_most = excluded.push_to_apply_most,
                 tolerance = excluded.tolerance, record = excluded.record
             RETURNING id",
        )?
        .query_row(
            named_params! {
                ":scenario": record.scenario,
                ":canary": record.canary.to_string(),
                ":due": instant(run.due),
                ":started": instant(record.started),
                ":ended": instant(run.ended),
                ":outcome": record.outcome.as_str(),
                ":reason": reason(&record.outcome),
                ":push_least": push.0,
                ":push_most": push.1,
                ":total_least": total.0,
                ":total_most": total.1,
                ":tolerance": record.tolerance.as_secs_f64(),
                ":record": json(record)?,
            },
            |row| row.get(0),
        )?;
    for table in ["hops", "evidence", "log"] {
        to.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1"))?.execute([id])?;
    }
    for (place, it) in (0_i64..).zip(&record.hops) {
        hop(to, id, place, it)?;
    }
    for (place, it) in (0_i64..).zip(&run.evidence) {
        let events = it.events.as_ref().map(json).transpose()?;
        to.prepare_cached("INSERT INTO evidence VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![id, place, it.subject, instant(it.at), json(&it.status)?, events])?;
    }
    for (place, it) in (0_i64..).zip(&run.log) {
        to.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            id,
            place,
            instant(it.at),
            it.text
        ])?;
    }
    Ok(())
}

fn hop(to: &Connection, run: i64, place: i64, hop: &HopRecord) -> rusqlite::Result<()> {
    let mut insert = to.prepare_cached(
        "INSERT INTO hops VALUES (:run, :place, :hop, :target_cluster, :subject, :passage,
             :at_least, :at_most, :stage_least, :stage_most, :wait_least, :wait_most, :via,
             :webhook, :early, :uncertain, :reordered, :reverted)",
    )?;
    let (name, at, lengths, who, marks) = match &hop.passage {
        Passage::Reached {
            at,
            stage,
            wait,
            via,
            webhook,
            early,
            uncertain,
            reordered,
            carried_by: _,
        } => (
            "reached",
            Some(*at),
            (*stage, *wait),
            (via.map(Via::as_str), webhook.map(Webhook::as_str)),
            [*early, *uncertain, *reordered],
        ),
        Passage::Bypassed => ("bypassed", None, (None, None), (None, None), [false; 3]),
        Passage::Unreached => ("unreached", None, (None, None), (None, None), [false; 3]),
    };
    let (at, stage, wait) = (bounds(at), bounds(lengths.0), bounds(lengths.1));
    insert.execute(named_params! {
        ":run": run,
        ":place": place,
        ":hop": hop.hop,
        ":target_cluster": hop.target_cluster,
        ":subject": hop.subject,
        ":passage": name,
        ":at_least": at.0,
        ":at_most": at.1,
        ":stage_least": stage.0,
        ":stage_most": stage.1,
        ":wait_least": wait.0,
        ":wait_most": wait.1,
        ":via": who.0,
        ":webhook": who.1,
        ":early": marks[0],
        ":uncertain": marks[1],
        ":reordered": marks[2],
        ":reverted": hop.reverted,
    })?;
    Ok(())
}

/// The bounds of a length in seconds.
fn bounds(span: Option<Span>) -> (Option<f64>, Option<f64>) {
    (span.map(|it| it.least.as_secs_f64()), span.map(|it| it.most.as_secs_f64()))
}

/// Why a run ended as it did, in one word where there is one.
fn reason(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Ok | Outcome::Slow | Outcome::Timeout => None,
        Outcome::Failed { reason, .. } => Some(reason),
        Outcome::Superseded { by } => Some(by),
        Outcome::Skipped(Skip::Suspended { .. }) => Some("suspended"),
        Outcome::Skipped(Skip::SuspendedDuring { .. }) => Some("suspended_during"),
        Outcome::ProbeError(error) => Some(&error.reason),
    }
}
