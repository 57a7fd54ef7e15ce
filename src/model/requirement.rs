//! Whether a run needs a hop (rule P3).

use serde::{Deserialize, Serialize};

/// Whether a run needs a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// Needed, and waited for to the deadline even if a hop downstream of it was reached:
    /// `required: true`.
    Waited,
    /// Needed, but not waited for once it was bypassed: what most kinds are unless told otherwise.
    Required,
    /// Timed if reached; never delays or fails a run: `required: false`, and webhooks unless told
    /// otherwise.
    Optional,
}

impl Requirement {
    /// Whether the outcome of a run depends on the hop.
    #[must_use]
    pub fn is_needed(self) -> bool {
        self != Self::Optional
    }
}
