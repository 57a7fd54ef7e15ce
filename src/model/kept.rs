//! A run as history keeps it: its record, the evidence for it, and our own log of it.

use crate::model::RunRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A run as history keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRun {
    /// When it was due.
    pub due: Timestamp,
    /// When nothing more could come of it.
    pub ended: Timestamp,
    /// What was measured.
    pub record: RunRecord,
    /// What the objects on its path said when it ended.
    pub evidence: Vec<Evidence>,
    /// What happened, in order.
    pub log: Vec<LogLine>,
}

/// What an object said of itself at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The object.
    pub subject: String,
    /// When it was looked at.
    pub at: Timestamp,
    /// Its generation, revisions and conditions, as they stood in it.
    pub status: serde_json::Value,
    /// The Kubernetes Events about it, oldest first; none if they could not be read.
    pub events: Option<Vec<ObjectEvent>>,
}

/// A Kubernetes Event about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEvent {
    /// `Normal` or `Warning`.
    pub r#type: String,
    /// Why it was written.
    pub reason: String,
    /// What it says, shortened.
    pub message: String,
    /// How often it was written.
    pub count: u32,
    /// When it was first written, to the second.
    pub first: Option<Timestamp>,
    /// When it was last written, to the second.
    pub last: Option<Timestamp>,
    /// Who wrote it.
    pub reporter: String,
}

/// A line of our own log of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in one sentence.
    pub text: String,
}
