//! The one place where the time is read.

use crate::model::{Clock, Moment};
use std::time::Duration;
use tokio::time::Instant;

/// What the clock shows when it is made. Runs of an earlier process began before that, and their
/// instants have to lie somewhere.
const HEAD_START: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The machine's clocks. Its monotonic one is tokio's, so that tests can stop it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

// === impl SystemClock ===

impl SystemClock {
    /// A clock whose origin lies far enough back for the instants of earlier processes.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a clock is made once, on purpose")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// The runtime's instant of a moment, to sleep until it.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + moment.0.saturating_sub(HEAD_START)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(HEAD_START + self.origin.elapsed())
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}
