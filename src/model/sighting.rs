//! What a detector says of one observed state of its subject.

use crate::model::{Carried, When};
use serde::{Deserialize, Serialize};

/// What a detector says of one observed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The change is not here, and nothing is wrong.
    NotYet,
    /// Somebody is at work; a failure shown before may still stand.
    Progress,
    /// The change is here.
    Reached(Reached),
    /// The change will not be seen here any more, though it went on its way.
    Passed,
    /// The subject says that it cannot go on.
    Failing(Failure),
    /// The subject is told not to go on.
    Suspended,
}

/// How a hop was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// When the change got here: the instant of the state that shows it.
    pub when: When,
    /// When somebody started to work on it (rule T10); none where Flux shows no sign.
    pub started: Option<When>,
    /// Who woke the subject (rule T11); none for hops that nobody wakes.
    pub via: Option<Via>,
    /// Whose revision or canary brought it.
    pub carried: Carried,
    /// Later canary of the lane that was found in the place of ours, if one was.
    pub canary: Option<String>,
    /// Whose webhook it was (rule T12); none for hops that are no webhook.
    pub webhook: Option<Webhook>,
}

/// Who woke a subject (rule T11). Its text is the label `via`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A Receiver's request.
    Webhook,
    /// Somebody else's request, or a change of the spec.
    Manual,
    /// The subject's own interval.
    Interval,
    /// A watch on what feeds it.
    Upstream,
    /// The event that would tell was missed.
    Unknown,
}

/// Whose webhook it was (rule T12). Its text is the label `webhook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Webhook {
    /// Nobody else's can have arrived there.
    Ours,
    /// Ours, or that of another who calls the same Receiver.
    Shared,
}

/// A failure that a subject shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Flux's reason, such as `BuildFailed`.
    pub reason: String,
    /// What it says of our change.
    pub sort: FailureSort,
    /// Flux gave up for good after `publish` began: there will be no retry.
    pub stalled: bool,
}

/// What a failure says of our change (the outcome table of the design).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureSort {
    /// It happened at an attempted revision that carries ours.
    OfOurs,
    /// It names no revision, and stands in the way of all.
    OfAny,
}

// === impl Reached ===

impl Reached {
    /// Reached at `when` by our own revision, and nothing else known.
    #[must_use]
    pub fn at(when: When) -> Self {
        Self { when, started: None, via: None, carried: Carried::Ours, canary: None, webhook: None }
    }
}

// === impl Via ===

impl Via {
    /// Every value of the label.
    pub const ALL: [Self; 5] =
        [Self::Webhook, Self::Manual, Self::Interval, Self::Upstream, Self::Unknown];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Manual => "manual",
            Self::Interval => "interval",
            Self::Upstream => "upstream",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Webhook ===

impl Webhook {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Shared => "shared",
        }
    }
}
