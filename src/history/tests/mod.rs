//! Faults that only a hand inside can make, and what is kept how long.

mod faults;
mod retention;

use crate::engine::Batch;
use crate::history::{Options, SqliteStore};
use crate::model::{
    Account, CanaryId, Clock, HopRecord, KeptRun, LogLine, Moment, Outcome, Passage, RunRecord,
    Span, Usage,
};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A clock that stands where it was put.
pub(super) struct Standing(Mutex<Timestamp>);

// === impl Standing ===

impl Standing {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-01T00:00:00Z".parse().unwrap())))
    }

    pub(super) fn pass(&self, hours: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_hours(hours);
    }
}

impl Clock for Standing {
    fn now(&self) -> Moment {
        Moment::default()
    }

    fn wall(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A store with these options.
pub(super) async fn open(path: &Path, options: Options, clock: &Arc<Standing>) -> SqliteStore {
    let (store, set_aside) = SqliteStore::open(path, options, clock.clone()).await.unwrap();
    assert_eq!(set_aside, None);
    store
}

/// A run that was due now, with a log of so many bytes.
pub(super) fn run(scenario: &str, at: Timestamp, outcome: Outcome, bytes: usize) -> KeptRun {
    let second = Span::exactly(Duration::from_secs(1));
    let reached = Passage::Reached {
        at: second,
        stage: Some(second),
        wait: None,
        early: false,
        reordered: false,
        uncertain: false,
        via: None,
        webhook: None,
        carried_by: None,
    };
    KeptRun {
        due: at,
        ended: at,
        record: RunRecord {
            scenario: scenario.to_owned(),
            canary: CanaryId::next("test", at, None),
            started: at,
            push: None,
            hops: vec![HopRecord {
                hop: "applied".to_owned(),
                subject: "Kustomization flux-system/apps".to_owned(),
                target_cluster: String::new(),
                passage: reached,
                reverted: false,
                unready: false,
                sights: Vec::new(),
            }],
            outcome,
            push_to_apply: Some(second),
            tolerance: second.most,
            failing_since: None,
            slo: Vec::new(),
            usage: Usage::default(),
        },
        evidence: Vec::new(),
        log: vec![LogLine { at, text: "x".repeat(bytes) }],
    }
}

/// A batch with an account and runs.
pub(super) fn batch(scenario: &str, position: Timestamp, runs: Vec<KeptRun>) -> Batch {
    let account = Account { position: Some(position), ..Account::default() };
    Batch {
        accounts: [(scenario.to_owned(), account)].into(),
        forgotten: Vec::new(),
        runs: runs.into_iter().map(Arc::new).collect(),
    }
}
