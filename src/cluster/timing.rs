//! How long the cluster layer waits for what; the defaults are what production uses.
//!
//! A connection that dies without a word is found out by the server's overdue close, so
//! `watch` + `margin` + the time of one reconnect bounds every blind window: below 30 s.

use std::time::Duration;

/// How long to wait for what.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long the server is asked to keep a watch open before it closes it; whole seconds.
    pub watch: Duration,
    /// How much later than that the close may come before the connection counts as dead.
    pub margin: Duration,
    /// Longest wait for the answer to a request: a whole list, or the head of a watch.
    pub answer: Duration,
    /// Longest wait for the first state of every watch of a `follow`.
    pub first_state: Duration,
    /// Shortest pause before a watch is opened again after a failure; doubles each time.
    pub backoff_least: Duration,
    /// Longest such pause.
    pub backoff_most: Duration,
    /// How long a watch stays open after its last follower left.
    pub linger: Duration,
    /// How much doubt about an instant is none worth mentioning.
    pub certain_within: Duration,
    /// How long nothing must come before what waited during a reconnect counts as delivered.
    pub quiet: Duration,
    /// How long a watch may lag behind a list that proves it.
    pub grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(20),
            margin: Duration::from_secs(4),
            answer: Duration::from_secs(5),
            first_state: Duration::from_secs(10),
            backoff_least: Duration::from_millis(50),
            backoff_most: Duration::from_secs(5),
            linger: Duration::from_secs(10),
            certain_within: Duration::from_millis(50),
            quiet: Duration::from_millis(250),
            grace: Duration::from_millis(500),
        }
    }
}

impl Timing {
    /// The `timeoutSeconds` of a watch; at least one, for zero means the server's own choice.
    pub(super) fn watch_seconds(&self) -> u64 {
        self.watch.as_secs().max(1)
    }

    /// How long after its request a watch that was not closed is dead.
    pub(super) fn overdue(&self) -> Duration {
        Duration::from_secs(self.watch_seconds()) + self.margin
    }

    /// The pause before attempt number `attempts`, jittered to between half and all of it.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        let doubled = self.backoff_least.saturating_mul(1 << attempts.min(16));
        doubled.min(self.backoff_most).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_blind_window_is_above_thirty_seconds() {
        let timing = Timing::default();
        assert!(timing.overdue() + timing.answer < Duration::from_secs(30));
    }

    #[test]
    fn pauses_grow_to_a_limit_and_never_vanish() {
        let timing = Timing::default();
        for attempts in 0..100 {
            let pause = timing.pause(attempts);
            assert!(pause >= timing.backoff_least / 2 && pause <= timing.backoff_most, "{pause:?}");
        }
        assert!(timing.pause(50) >= timing.backoff_most / 2);
    }
}
