//! Counts what is asked of a remote.
//!
//! One for all protocols, next to where a request leaves: what tokens, redirects and second
//! attempts cost is counted like everything else.

use crate::model::Usage;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts what is asked of one remote. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU32,
    throttled: AtomicU32,
}

// === impl Meter ===

impl Meter {
    /// A request is about to be sent.
    pub(super) fn asked(&self) {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer asks for patience.
    pub(super) fn throttled(&self) {
        self.counts.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// What was asked so far.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            requests: self.counts.requests.load(Ordering::Relaxed),
            throttled: self.counts.throttled.load(Ordering::Relaxed),
        }
    }
}
