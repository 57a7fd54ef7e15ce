//! What the tests of the history share: stores of temporary files, and runs as they may be.

use hopclock::engine::{Batch, Store};
use hopclock::history::{Filter, History, Options, SqliteStore};
use hopclock::model::{
    Account, CanaryId, Clock, HopRecord, KeptRun, LogLine, Moment, Outcome, Passage, Push,
    Revision, RunRecord, Span, Usage, Via,
};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A clock that stands.
pub(crate) struct Noon;

// === impl Noon ===

impl Clock for Noon {
    fn now(&self) -> Moment {
        Moment::default()
    }

    fn wall(&self) -> Timestamp {
        noon()
    }
}

/// The instant that [`Noon`] shows.
pub(crate) fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// So many minutes before noon.
pub(crate) fn minutes_ago(minutes: i64) -> Timestamp {
    noon() - SignedDuration::from_mins(minutes)
}

pub(crate) async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default(), Arc::new(Noon)).await.unwrap().0
}

/// A batch of runs, and an account with this position.
pub(crate) fn batch(position: Timestamp, runs: impl IntoIterator<Item = KeptRun>) -> Batch {
    let account = Account { position: Some(position), ..Account::default() };
    Batch {
        accounts: [("fleet".to_owned(), account)].into(),
        forgotten: Vec::new(),
        runs: runs.into_iter().map(Arc::new).collect(),
    }
}

/// Writes a file with these runs.
pub(crate) async fn write(path: &Path, runs: Vec<KeptRun>) {
    open(path).await.save(&batch(noon(), runs)).await.unwrap();
}

/// The marks of the runs in a file, newest first.
pub(crate) fn marks(path: &Path) -> Vec<String> {
    let runs = History::open_read_only(path).unwrap().runs(&Filter::default()).unwrap();
    runs.into_iter().map(|it| it.canary).collect()
}

/// A run that was delivered: the push, the fetch, the apply, each with its length in seconds.
pub(crate) fn delivered(
    scenario: &str,
    at: Timestamp,
    fetch: f64,
    apply: f64,
    via: Via,
) -> KeptRun {
    let hops = vec![
        hop("source_fetched", reached(fetch, fetch, Some(fetch / 2.0), Some(via))),
        hop("applied", reached(fetch + apply, apply, Some(0.25), Some(Via::Upstream))),
    ];
    run(scenario, at, hops, Outcome::Ok, fetch + apply)
}

/// A run that waited in vain for its fetch, for nine minutes.
pub(crate) fn timed_out(scenario: &str, at: Timestamp) -> KeptRun {
    let hops = vec![hop("source_fetched", Passage::Unreached), hop("applied", Passage::Unreached)];
    run(scenario, at, hops, Outcome::Timeout, 540.0)
}

pub(crate) fn run(
    scenario: &str,
    at: Timestamp,
    hops: Vec<HopRecord>,
    outcome: Outcome,
    total: f64,
) -> KeptRun {
    let ended = at + SignedDuration::from_secs(60);
    KeptRun {
        due: at,
        ended,
        record: RunRecord {
            scenario: scenario.to_owned(),
            canary: CanaryId::next("hopclock", at, None),
            started: at,
            push: Some(Push {
                revisions: vec![Revision::Commit("2db739a384".repeat(4))],
                took: seconds(0.25),
                attempts: 1,
            }),
            hops,
            outcome,
            push_to_apply: Some(seconds(total)),
            tolerance: Duration::from_secs(1),
            failing_since: None,
            slo: Vec::new(),
            usage: Usage::default(),
        },
        evidence: Vec::new(),
        log: vec![LogLine { at, text: "waits for watches".to_owned() }],
    }
}

pub(crate) fn hop(name: &str, passage: Passage) -> HopRecord {
    HopRecord {
        hop: name.to_owned(),
        subject: "Kustomization flux-system/canary".to_owned(),
        target_cluster: String::new(),
        passage,
        reverted: false,
        unready: false,
        sights: Vec::new(),
    }
}

pub(crate) fn reached(at: f64, stage: f64, wait: Option<f64>, via: Option<Via>) -> Passage {
    Passage::Reached {
        at: seconds(at),
        stage: Some(seconds(stage)),
        wait: wait.map(seconds),
        early: false,
        reordered: false,
        uncertain: false,
        via,
        webhook: None,
        carried_by: None,
    }
}

pub(crate) fn seconds(seconds: f64) -> Span {
    Span::exactly(Duration::from_secs_f64(seconds))
}
