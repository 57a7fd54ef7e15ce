//! Pause windows: times in which no run begins.

use super::calendar::Calendar;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A time in which no run begins. Its begin belongs to it, its end does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Pause {
    /// Once.
    Between {
        /// Its begin.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// Again and again.
    Recurring {
        /// Its begins.
        starts: Calendar,
        /// How long it lasts each time.
        lasts: Duration,
    },
}

// === impl Pause ===

impl Pause {
    /// When the window that is open at `at` closes; none if none is open.
    #[must_use]
    pub fn end(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Between { from, until } => (*from <= at && at < *until).then_some(*until),
            Self::Recurring { starts, lasts } => {
                let lasts = SignedDuration::try_from(*lasts).unwrap_or(SignedDuration::MAX);
                let earliest = at.checked_sub(lasts).unwrap_or(Timestamp::MIN);
                let start = starts.walk(earliest, at).last()?;
                Some(start.checked_add(lasts).unwrap_or(Timestamp::MAX))
            }
        }
    }

    /// When its first window after `after` opens; none if none does.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Between { from, .. } => Some(*from).filter(|it| *it > after),
            Self::Recurring { starts, .. } => starts.next_after(after),
        }
    }

    /// Whether it never closes, because the next window opens before the last one is over.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        match self {
            Self::Between { .. } => false,
            Self::Recurring { starts, lasts } => starts.gaps().longest <= *lasts,
        }
    }
}
