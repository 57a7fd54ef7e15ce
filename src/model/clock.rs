//! What time is: instants of one monotonic clock, and the port that gives them.
//!
//! Everything that hopclock measures is a difference of two [`Moment`]s of one process. Wall time
//! is for people, for history and for whole-second sanity checks; it is never subtracted.

use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::time::Duration;

/// An instant of this process's monotonic clock, as the time since the clock's own origin.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub Duration);

/// The only source of `now`; handed to everything that needs one.
pub trait Clock: Send + Sync {
    /// The monotonic instant; never goes back.
    fn now(&self) -> Moment;

    /// The wall clock, for people and history. May jump.
    fn wall(&self) -> jiff::Timestamp;
}

// === impl Moment ===

impl Moment {
    /// Time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_never_negative() {
        let (early, late) = (Moment(Duration::from_secs(1)), Moment(Duration::from_secs(3)));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early + Duration::from_secs(2), late);
    }
}
