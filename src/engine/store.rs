//! The ports to whatever outlives the process: a store of accounts, and the totals in them.
//!
//! Whoever records a run first lets the store keep what it changes and only then shows it. So a
//! process that is killed in between has shown nothing that is lost, and nothing is counted twice.

use crate::model::{Account, Event, KeptRun};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keeps accounts and finished runs across restarts.
#[async_trait::async_trait]
pub trait Store: Send {
    /// The accounts that were kept, by scenario.
    async fn load(&mut self) -> Result<BTreeMap<String, Account>, StoreError>;

    /// Keeps all of a batch, or nothing of it. It is kept for good when this returns.
    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError>;
}

/// What has changed since the last one was saved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The accounts as they are now, by scenario.
    pub accounts: BTreeMap<String, Account>,
    /// Scenarios that are gone: their accounts go, their runs stay.
    pub forgotten: Vec<String>,
    /// Runs that have finished.
    pub runs: Vec<Arc<KeptRun>>,
}

/// What a store could not do; what it kept before is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// Bounded name for the label `reason`.
    pub reason: &'static str,
    /// One sentence: what, where, what to do.
    pub message: String,
}

/// An event, and the wall time at which it was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Totals that are counted from events, saved with the account, and shown once that is done.
pub trait Totals: Send + Sync {
    /// What the totals of a scenario will be after these events. Nothing changes yet.
    fn after(&self, scenario: &str, events: &[Stamped]) -> serde_json::Value;

    /// Counts these events. The totals are then what [`Totals::after`] said.
    fn count(&self, scenario: &str, events: &[Stamped]);

    /// Goes on from totals that were saved.
    ///
    /// # Errors
    ///
    /// A sentence, if they cannot be understood; nothing has changed then.
    fn restore(&self, scenario: &str, saved: &serde_json::Value) -> Result<(), String>;

    /// Forgets a scenario.
    fn forget(&self, scenario: &str);
}

// === impl Batch ===

impl Batch {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.forgotten.is_empty() && self.runs.is_empty()
    }
}
