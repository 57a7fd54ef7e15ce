//! The one place where the time is read.

use crate::model::{Clock, Moment};
use tokio::time::Instant;

/// The machine's clocks. Its monotonic one is tokio's, so that tests can stop it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

// === impl SystemClock ===

impl SystemClock {
    /// A clock that starts at zero.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a clock is made once, on purpose")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// The runtime's instant of a moment, to sleep until it.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + moment.0
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(self.origin.elapsed())
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}
