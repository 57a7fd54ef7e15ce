//! How a run ends: an undelivered change is a measurement, a broken prober is an error.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a run ended. Its text is the label `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Every required hop was reached and every objective met.
    Ok,
    /// Every required hop was reached, an objective missed.
    Slow,
    /// The deadline passed and a failure stood, or Flux gave up for good.
    Failed {
        /// Flux's last reason.
        reason: String,
        /// The object that failed.
        subject: String,
    },
    /// The deadline passed and nothing said why.
    Timeout,
    /// Somebody removed, replaced or outran our change.
    Superseded {
        /// The revision that came instead.
        by: String,
    },
    /// Something on the path is suspended.
    Skipped(Skip),
    /// We could not measure.
    ProbeError(ProbeError),
}

/// Why a run was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Skip {
    /// It was suspended before anything was pushed.
    Suspended {
        /// The suspended object.
        subject: String,
    },
    /// It was suspended while the run waited (rule P5).
    SuspendedDuring {
        /// The suspended object.
        subject: String,
    },
}

/// Why nothing could be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeError {
    /// Bounded name for the label `reason`.
    pub reason: String,
    /// One sentence: what, where, what to do.
    pub message: String,
}

/// What one run says of one objective (rule O2). Its text is the label of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SloVerdict {
    /// Within the objective.
    Good,
    /// Not within the objective.
    Bad,
    /// It could not be settled.
    Unknown,
}

// === impl Outcome ===

impl Outcome {
    /// Every value of the label.
    pub const LABELS: [&'static str; 7] =
        ["ok", "slow", "failed", "timeout", "superseded", "skipped", "probe_error"];

    /// The label's value.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Failed { .. } => "failed",
            Self::Timeout => "timeout",
            Self::Superseded { .. } => "superseded",
            Self::Skipped(_) => "skipped",
            Self::ProbeError(_) => "probe_error",
        }
    }

    /// Whether the run says how long delivery takes: it does unless the change was taken away,
    /// or was never made, or nobody could look.
    #[must_use]
    pub fn is_measurement(&self) -> bool {
        matches!(self, Self::Ok | Self::Slow | Self::Failed { .. } | Self::Timeout)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok | Self::Slow | Self::Timeout => f.write_str(self.as_str()),
            Self::Failed { reason, subject } => write!(f, "failed: {reason} at {subject}"),
            Self::Superseded { by } => write!(f, "superseded by {by}"),
            Self::Skipped(Skip::Suspended { subject }) => {
                write!(f, "skipped: {subject} is suspended")
            }
            Self::Skipped(Skip::SuspendedDuring { subject }) => {
                write!(f, "skipped: {subject} was suspended during the run")
            }
            Self::ProbeError(error) => write!(f, "could not measure: {}", error.message),
        }
    }
}

// === impl ProbeError ===

impl ProbeError {
    /// A run was cut off, and cannot be taken up again because of `why`.
    #[must_use]
    pub fn interrupted(why: &str) -> Self {
        Self {
            reason: "interrupted".to_owned(),
            message: format!("hopclock was stopped during the run, and {why}"),
        }
    }
}

// === impl SloVerdict ===

impl SloVerdict {
    /// The verdict's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}
