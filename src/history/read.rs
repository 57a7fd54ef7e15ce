//! Reads a history, also while a service writes it.

use crate::history::error::Error;
use crate::history::owner::beside;
use crate::history::retention::removed_until;
use crate::history::schema::{Identity, identify};
use crate::history::write::instant;
use crate::model::{Evidence, KeptRun, LogLine, Span};
use jiff::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, named_params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a reader waits for a lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most runs that an ambiguous name is said to mean, or that a wrong one is near to.
const CANDIDATES: usize = 3;

/// A history that is read and never changed. Its calls block.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: PathBuf,
}

/// Which runs are meant. What is none is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The scenario.
    pub scenario: Option<String>,
    /// How it ended, as the label `outcome`.
    pub outcome: Option<String>,
    /// It started then or later.
    pub since: Option<Timestamp>,
    /// It started before then.
    pub until: Option<Timestamp>,
    /// Most runs that are given, the newest first.
    pub limit: Option<u32>,
    /// Only runs that stand behind this one in the list.
    pub before: Option<Cursor>,
}

/// A place in the list of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the run started.
    pub started: Timestamp,
    /// Its number in the file.
    pub number: i64,
}

/// What a list says of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Its place in the list.
    pub cursor: Cursor,
    /// The scenario.
    pub scenario: String,
    /// The change's mark.
    pub canary: String,
    /// When it was due.
    pub due: Timestamp,
    /// When nothing more could come of it.
    pub ended: Timestamp,
    /// How it ended, as the label `outcome`.
    pub outcome: String,
    /// Why, in one word where there is one.
    pub reason: Option<String>,
    /// How long the push took; none if nothing was pushed.
    pub push: Option<Span>,
    /// From zero to the end of delivery; the deadline for a timeout.
    pub push_to_apply: Option<Span>,
    /// How far the bounds of a time may be apart for its upper bound to count (rule T6).
    pub tolerance: Duration,
    /// Its longest stage.
    pub slowest: Option<SlowestStage>,
    /// Who woke the first hop that somebody wakes, as the label `via`.
    pub via: Option<String>,
}

/// The longest stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowestStage {
    /// The hop at its end.
    pub hop: String,
    /// The hop's cluster.
    pub target_cluster: String,
    /// How long it took.
    pub stage: Span,
}

/// What a run says of one of its hops.
#[derive(Clone, Debug, PartialEq)]
pub struct HopRow {
    /// The run's number in the file.
    pub run: i64,
    /// The scenario.
    pub scenario: String,
    /// When the run started.
    pub started: Timestamp,
    /// How the run ended, as the label `outcome`.
    pub outcome: String,
    /// How far the bounds of a time may be apart for its upper bound to count (rule T6).
    pub tolerance: Duration,
    /// From zero to the end of the run's delivery; the deadline for a timeout.
    pub push_to_apply: Option<Span>,
    /// The hop's place in the scenario.
    pub place: u32,
    /// The hop.
    pub hop: String,
    /// Its cluster.
    pub target_cluster: String,
    /// `reached`, `bypassed` or `unreached`.
    pub passage: String,
    /// From zero to the hop.
    pub at: Option<Span>,
    /// From the hops before it.
    pub stage: Option<Span>,
    /// The part of it in which nobody had started.
    pub wait: Option<Span>,
    /// Who woke it, as the label `via`.
    pub via: Option<String>,
    /// Its time is known only to lie between bounds.
    pub uncertain: bool,
    /// It was seen before a hop that should come before it.
    pub reordered: bool,
    /// It lost the change again.
    pub reverted: bool,
}

/// Which run is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one whose change has this mark, or one that begins so.
    Canary(&'a str),
    /// The one that was due then.
    Due(Timestamp),
}

/// What was found of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// All that is kept of it.
    One(Box<KeptRun>),
    /// Several are meant; some of them, newest first.
    Several(Vec<RunSummary>),
    /// None is meant; the marks of those that come near.
    None(Vec<String>),
}

// === impl History ===

impl History {
    /// Opens a history that a service may be writing. Nothing is ever changed in it.
    ///
    /// # Errors
    ///
    /// If it is not there, not a history, of a newer version, or cannot be read.
    pub fn open_read_only(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Missing { path: path.to_owned() });
        }
        if path.is_dir() {
            return Err(Error::Folder { path: path.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match Self::open(path, path, flags) {
            // Where no index of the log can be made, a file without a log is read as it lies.
            Err(Error::Denied { .. } | Error::ReadOnly { .. })
                if !beside(path, "-wal").exists() =>
            {
                Self::open(path, &as_it_lies(path), flags | OpenFlags::SQLITE_OPEN_URI)
            }
            result => result,
        }
    }

    /// The runs that are meant, newest first.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<RunSummary>, Error> {
        let query = format!(
            "SELECT r.id, r.scenario, r.canary, r.due, r.started, r.ended, r.outcome, r.reason,
                 r.push_least, r.push_most, r.push_to_apply_least, r.push_to_apply_most,
                 r.tolerance, s.hop, s.target_cluster, s.stage_least, s.stage_most,
                 (SELECT via FROM hops v WHERE v.run = r.id AND via IS NOT NULL
                     ORDER BY place LIMIT 1) AS via
             FROM runs r LEFT JOIN hops s ON s.run = r.id AND s.place =
                 (SELECT place FROM hops h WHERE h.run = r.id AND h.stage_most IS NOT NULL
                     ORDER BY h.stage_most DESC, place LIMIT 1)
             WHERE {MEANT}
             ORDER BY r.started DESC, r.id DESC LIMIT :limit"
        );
        self.select(&query, filter, summary)
    }

    /// What the runs that are meant say of their hops, newest run first, hops in their order.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn stages(&self, filter: &Filter) -> Result<Vec<HopRow>, Error> {
        let query = format!(
            "SELECT r.id, r.scenario, r.started, r.outcome, r.tolerance, r.push_to_apply_least,
                 r.push_to_apply_most, h.place, h.hop, h.target_cluster, h.passage, h.at_least,
                 h.at_most, h.stage_least, h.stage_most, h.wait_least, h.wait_most, h.via,
                 h.uncertain, h.reordered, h.reverted
             FROM (SELECT * FROM runs r WHERE {MEANT} ORDER BY r.started DESC, r.id DESC
                 LIMIT :limit) r
             JOIN hops h ON h.run = r.id
             ORDER BY r.started DESC, r.id DESC, h.place"
        );
        self.select(&query, filter, hop_row)
    }

    /// All that is kept of one run.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn run(&self, scenario: Option<&str>, which: Which<'_>) -> Result<Found, Error> {
        let numbers = |which: &str, text: &str| {
            let query = format!(
                "SELECT id FROM runs WHERE {which} AND (?2 IS NULL OR scenario = ?2)
                 ORDER BY started DESC, id DESC"
            );
            let mut rows = self.connection.prepare_cached(&query)?;
            let rows = rows.query_map((text, scenario), |row| row.get::<_, i64>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = match which {
            Which::Due(due) => numbers("due = ?1", &instant(due)),
            Which::Canary(mark) => match numbers("canary = ?1", mark) {
                Ok(none) if none.is_empty() && !mark.is_empty() => {
                    numbers("substr(canary, 1, length(?1)) = ?1", mark)
                }
                result => result,
            },
        };
        match found.map_err(|it| self.failed(&it))?[..] {
            [] => Ok(Found::None(self.near(which)?)),
            [number] => Ok(Found::One(Box::new(self.kept(number)?))),
            [..] => {
                let meant = |it: &RunSummary| match which {
                    Which::Canary(mark) => it.canary.starts_with(mark),
                    Which::Due(due) => it.due == due,
                };
                let scenario = scenario.map(str::to_owned);
                let runs = self.runs(&Filter { scenario, ..Filter::default() })?;
                Ok(Found::Several(runs.into_iter().filter(meant).take(CANDIDATES).collect()))
            }
        }
    }

    /// The scenarios of which runs are kept, by name.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn scenarios(&self) -> Result<Vec<String>, Error> {
        let query = "SELECT DISTINCT scenario FROM runs ORDER BY scenario";
        self.select_all(query, [], |row| row.get(0))
    }

    /// Up to when runs were removed because of their age or for lack of room. What was measured
    /// before is incomplete: failures are kept longer than the rest.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn complete_since(&self) -> Result<Option<Timestamp>, Error> {
        let text = removed_until(&self.connection).map_err(|it| self.failed(&it))?;
        Ok(text.and_then(|it| it.parse().ok()))
    }

    fn open(path: &Path, name: &Path, flags: OpenFlags) -> Result<Self, Error> {
        let failed = |error: rusqlite::Error| Error::of_database(path, &error);
        let connection = Connection::open_with_flags(name, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        match identify(&connection, path)? {
            Identity::Ours(_) => Ok(Self { connection, path: path.to_owned() }),
            Identity::Empty => Err(Error::Missing { path: path.to_owned() }),
        }
    }

    /// The marks of runs that come near to a wrong one.
    fn near(&self, which: Which<'_>) -> Result<Vec<String>, Error> {
        let Which::Canary(wrong) = which else { return Ok(Vec::new()) };
        let query = "SELECT DISTINCT canary FROM runs ORDER BY started DESC LIMIT 10000";
        let marks: Vec<String> = self.select_all(query, [], |row| row.get(0))?;
        let same = |it: &str| it.chars().zip(wrong.chars()).take_while(|(a, b)| a == b).count();
        let mut marks: Vec<_> = marks.into_iter().map(|it| (same(&it), it)).collect();
        marks.sort_by_key(|it| std::cmp::Reverse(it.0));
        Ok(marks.into_iter().take(CANDIDATES).map(|it| it.1).collect())
    }

    fn kept(&self, number: i64) -> Result<KeptRun, Error> {
        let run = "SELECT due, ended, record FROM runs WHERE id = ?1";
        let evidence =
            "SELECT subject, at, status, events FROM evidence WHERE run = ?1 ORDER BY place";
        let log = "SELECT at, text FROM log WHERE run = ?1 ORDER BY place";
        let read = |row: &Row<'_>| {
            Ok(KeptRun {
                due: time(row, "due")?,
                ended: time(row, "ended")?,
                record: parsed(row, "record")?,
                evidence: Vec::new(),
                log: Vec::new(),
            })
        };
        let mut kept =
            self.connection.query_row(run, [number], read).map_err(|it| self.failed(&it))?;
        kept.evidence = self.select_all(evidence, [number], |row| {
            let events = row.get_ref("events")? != ValueRef::Null;
            Ok(Evidence {
                subject: row.get("subject")?,
                at: time(row, "at")?,
                status: parsed(row, "status")?,
                events: if events { Some(parsed(row, "events")?) } else { None },
            })
        })?;
        kept.log = self.select_all(log, [number], |row| {
            Ok(LogLine { at: time(row, "at")?, text: row.get("text")? })
        })?;
        Ok(kept)
    }

    fn select<T>(
        &self,
        query: &str,
        filter: &Filter,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let parameters = named_params! {
            ":scenario": filter.scenario,
            ":outcome": filter.outcome,
            ":since": filter.since.map(instant),
            ":until": filter.until.map(instant),
            ":started": filter.before.map(|it| instant(it.started)),
            ":number": filter.before.map(|it| it.number),
            // Negative: all.
            ":limit": filter.limit.map_or(-1, i64::from),
        };
        self.select_all(query, parameters, read)
    }

    fn select_all<T>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let rows = || {
            let mut rows = self.connection.prepare_cached(query)?;
            rows.query_map(parameters, read)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        rows().map_err(|it| self.failed(&it))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        if let rusqlite::Error::FromSqlConversionFailure(_, _, why) = error {
            let (path, what) = (self.path.clone(), "a run".to_owned());
            return Error::Unreadable { path, what, why: why.to_string() };
        }
        Error::of_database(&self.path, error)
    }
}

/// Which runs a [`Filter`] means.
const MEANT: &str = "(:scenario IS NULL OR r.scenario = :scenario)
    AND (:outcome IS NULL OR r.outcome = :outcome)
    AND (:since IS NULL OR r.started >= :since)
    AND (:until IS NULL OR r.started < :until)
    AND (:started IS NULL OR (r.started, r.id) < (:started, :number))";

/// The address of a file that nobody writes.
fn as_it_lies(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let text = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    PathBuf::from(format!("file:{text}?immutable=1"))
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RunSummary> {
    let stage = span(row, "stage_least", "stage_most")?;
    Ok(RunSummary {
        cursor: Cursor { started: time(row, "started")?, number: row.get("id")? },
        scenario: row.get("scenario")?,
        canary: row.get("canary")?,
        due: time(row, "due")?,
        ended: time(row, "ended")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        push: span(row, "push_least", "push_most")?,
        push_to_apply: span(row, "push_to_apply_least", "push_to_apply_most")?,
        tolerance: length(row.get("tolerance")?),
        slowest: match stage {
            Some(stage) => Some(SlowestStage {
                hop: row.get("hop")?,
                target_cluster: row.get("target_cluster")?,
                stage,
            }),
            None => None,
        },
        via: row.get("via")?,
    })
}

fn hop_row(row: &Row<'_>) -> rusqlite::Result<HopRow> {
    Ok(HopRow {
        run: row.get("id")?,
        scenario: row.get("scenario")?,
        started: time(row, "started")?,
        outcome: row.get("outcome")?,
        tolerance: length(row.get("tolerance")?),
        push_to_apply: span(row, "push_to_apply_least", "push_to_apply_most")?,
        place: row.get("place")?,
        hop: row.get("hop")?,
        target_cluster: row.get("target_cluster")?,
        passage: row.get("passage")?,
        at: span(row, "at_least", "at_most")?,
        stage: span(row, "stage_least", "stage_most")?,
        wait: span(row, "wait_least", "wait_most")?,
        via: row.get("via")?,
        uncertain: row.get("uncertain")?,
        reordered: row.get("reordered")?,
        reverted: row.get("reverted")?,
    })
}

fn span(row: &Row<'_>, least: &str, most: &str) -> rusqlite::Result<Option<Span>> {
    let (least, most): (Option<f64>, Option<f64>) = (row.get(least)?, row.get(most)?);
    Ok(least.zip(most).map(|(least, most)| Span { least: length(least), most: length(most) }))
}

/// A length; what no clock can have measured becomes zero.
fn length(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: jiff::Error| unreadable(error))
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}
