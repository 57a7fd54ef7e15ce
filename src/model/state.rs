//! What a subject showed at one moment: a value with its arrival instant, certainty and bounds.
//!
//! Every subject, in the cluster or outside, is a stream of these. A state that was missed (a
//! relist, a broken or silent connection, a poll) is known only to lie in an interval (rule T6).

use crate::model::{Moment, Subject};
use serde_json::Value;
use std::sync::Arc;

/// When something was, or between which two moments it must have been.
///
/// Invariant: `earliest <= latest`; they are equal exactly when the instant is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct When {
    /// It was not before this.
    pub earliest: Moment,
    /// It was not after this; the instant itself when certain.
    pub latest: Moment,
}

/// How a state reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// From the list that opened the watch: it has been so for an unknown time.
    First,
    /// A watch event, directly behind the one before it: nothing was missed in between, though
    /// after a silent or broken connection it may come late.
    Next,
    /// After a gap (a list after a 410, an overflow, a poll): states may have been missed.
    AfterGap,
}

/// What a subject showed at one moment.
#[derive(Clone, Debug)]
pub struct State {
    /// When it came to be so.
    pub when: When,
    /// How it reached us.
    pub arrival: Arrival,
    /// The object, or null while it does not exist.
    pub value: Arc<Value>,
}

/// A state of a named subject, on its way to the runs that follow it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whose state it is.
    pub subject: Arc<Subject>,
    /// What it showed.
    pub state: State,
}

// === impl When ===

impl When {
    /// A certain instant.
    #[must_use]
    pub fn at(instant: Moment) -> Self {
        Self { earliest: instant, latest: instant }
    }

    /// Some time after `earliest`, and at the latest at `latest`.
    #[must_use]
    pub fn between(earliest: Moment, latest: Moment) -> Self {
        Self { earliest: earliest.min(latest), latest }
    }

    /// The later of two instants, bound by bound.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self { earliest: self.earliest.max(other.earliest), latest: self.latest.max(other.latest) }
    }

    /// Whether the instant is exact.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self.earliest == self.latest
    }
}

// === impl State ===

impl State {
    /// Whether the subject exists.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.value.is_null()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bounds_that_cross_collapse_to_the_later_one() {
        let (one, two) = (Moment(Duration::from_secs(1)), Moment(Duration::from_secs(2)));
        assert!(When::at(one).is_certain());
        assert!(!When::between(one, two).is_certain());
        assert_eq!(When::between(two, one), When::at(one));
    }

    #[test]
    fn the_later_of_two_instants_has_the_later_of_each_bound() {
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let wide = When::between(at(1), at(5));
        assert_eq!(wide.later(When::at(at(3))), When::between(at(3), at(5)));
        assert_eq!(wide.later(When::at(at(7))), When::at(at(7)));
    }
}
