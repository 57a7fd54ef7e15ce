//! Hears which runs end, and hands them to the ways that tell of runs.
//!
//! It is called on the way of a run, so it never waits: each way has a short line of its own, and who
//! is too slow for it loses runs, which are counted.

use crate::model::{CanaryId, Clock, Event, Observer, RunRecord};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// A run that has ended.
pub(super) struct FinishedRun {
    pub(super) record: RunRecord,
    /// When its push was acknowledged; none if this process did not see that.
    pub(super) zero: Option<Timestamp>,
    /// When it had ended.
    pub(super) ended: Timestamp,
}

/// Hears which runs end.
pub(super) struct Ear {
    clock: Arc<dyn Clock>,
    /// When pushes of runs under way were acknowledged.
    zeros: Mutex<HashMap<(String, CanaryId), Timestamp>>,
    mouths: Vec<Mouth>,
}

/// Where runs are handed to one way.
pub(super) struct Mouth {
    to: mpsc::Sender<Arc<FinishedRun>>,
    dropped: Arc<AtomicU32>,
}

/// What one way gets.
pub(super) struct Heard {
    pub(super) runs: mpsc::Receiver<Arc<FinishedRun>>,
    /// What did not fit in.
    dropped: Arc<AtomicU32>,
}

/// Runs that wait for one way.
const WAITING: usize = 256;

/// A new line, with its two ends.
pub(super) fn line() -> (Mouth, Heard) {
    let (to, runs) = mpsc::channel(WAITING);
    let dropped = Arc::<AtomicU32>::default();
    (Mouth { to, dropped: dropped.clone() }, Heard { runs, dropped })
}

// === impl Ear ===

impl Ear {
    pub(super) fn new(clock: Arc<dyn Clock>, mouths: Vec<Mouth>) -> Self {
        Self { clock, zeros: Mutex::default(), mouths }
    }

    fn hand_over(&self, record: &RunRecord) {
        let run = (record.scenario.clone(), record.canary.clone());
        let zero = self.zeros.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        let (record, ended) = (record.clone(), self.clock.wall());
        let run = Arc::new(FinishedRun { record, zero, ended });
        for mouth in &self.mouths {
            if mouth.to.try_send(run.clone()).is_err() {
                mouth.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Observer for Ear {
    fn observe(&self, event: &Event) {
        match event {
            _ if self.mouths.is_empty() => (),
            Event::Published { scenario, canary, zero, .. } => {
                let ago = self.clock.now().since(zero.latest);
                let at = self.clock.wall().checked_sub(ago).unwrap_or(Timestamp::MIN);
                let run = (scenario.clone(), canary.clone());
                self.zeros.lock().unwrap_or_else(PoisonError::into_inner).insert(run, at);
            }
            Event::Finished(record) => self.hand_over(record),
            _ => (),
        }
    }
}

// === impl Heard ===

impl Heard {
    /// How many runs did not fit in since this was last asked.
    pub(super) fn dropped(&self) -> u32 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}
