//! What a run has asked of its remote.
//!
//! Registries, buckets and git hosts limit how much one account may ask, and people share that
//! account. So a canary says what it costs, and whether it was told to slow down.

use serde::{Deserialize, Serialize};

/// What was asked of a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests that were sent, those for tokens included; over ssh, conversations.
    pub requests: u32,
    /// Answers that asked for patience, whether there was time for it or not.
    pub throttled: u32,
}

// === impl Usage ===

impl Usage {
    /// What was asked after `before`, an earlier count of the same remote.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            throttled: self.throttled.saturating_sub(before.throttled),
        }
    }
}
