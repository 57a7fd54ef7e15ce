//! How often to run, how long to wait and what to promise, from the intervals of a path.
//!
//! A run should live to see the poller that stands behind a dead webhook: that is a finding, and a
//! timeout would hide it. The rest follows from rule O5.

use crate::model::Subject;
use std::time::Duration;

/// Schedule, deadline and objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The period.
    pub period: Duration,
    /// The longest random delay of a run.
    pub jitter: Duration,
    /// How long a run looks for its change.
    pub deadline: Duration,
    /// The objective.
    pub within: Duration,
}

/// Something on the path that looks by itself every so often.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) subject: Subject,
    pub(super) interval: Duration,
    /// Whether a Receiver asks it to look.
    pub(super) woken: bool,
}

/// What is behind the last poll.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind {
    /// Levels of `dependsOn` that are asked for again and again.
    pub(super) levels: usize,
    /// Whether somebody waits for health.
    pub(super) waits: bool,
    /// Commits and pushes of somebody else.
    pub(super) commits: usize,
}

/// Most that a run waits for a poller that a webhook makes superfluous.
const MOST_FALLBACK: Duration = Duration::from_secs(15 * 60);
/// What a woken object takes to look.
pub(super) const WOKEN: Duration = Duration::from_secs(30);
/// What applying takes.
const APPLY: Duration = Duration::from_secs(60);
/// What waiting for health takes.
const HEALTH: Duration = Duration::from_secs(60);
/// After how long a dependency is looked at again.
const REQUEUE: Duration = Duration::from_secs(30);
/// Shortest period; rule S1 has the same for shared sources.
const SHORTEST: u64 = 15;
/// Periods that people like, in minutes; the shortest of them is [`SHORTEST`].
const PERIODS: [u64; 11] = [SHORTEST, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880];

// === impl Poll ===

impl Poll {
    /// How long a change may wait here at most as things should be, with Flux's own jitter.
    pub(super) fn objective(&self) -> Duration {
        if self.woken { WOKEN } else { round(jittered(self.interval) + WOKEN, 30) }
    }

    /// How long it may wait at most if no webhook arrives.
    fn worst(&self) -> Duration {
        let worst = jittered(self.interval);
        if self.woken { worst.min(MOST_FALLBACK) } else { worst }
    }
}

/// The times of a path.
pub(super) fn times(polls: &[Poll], behind: Behind) -> Times {
    let levels = u32::try_from(behind.levels).unwrap_or(u32::MAX);
    let commits = u32::try_from(behind.commits).unwrap_or(u32::MAX);
    let health = if behind.waits { HEALTH } else { Duration::ZERO };
    let rest = APPLY + REQUEUE.saturating_mul(levels) + WOKEN.saturating_mul(commits) + health;
    let within = round(polls.iter().map(Poll::objective).sum::<Duration>() + rest, 30);
    let worst = polls.iter().map(Poll::worst).sum::<Duration>() + rest;
    let least = Duration::from_secs(5 * 60);
    let deadline = round((worst + APPLY).max(within + APPLY).max(least), 60);
    let longest = polls.iter().map(|it| it.interval).max().unwrap_or(APPLY);
    let minutes = |it: u64| Duration::from_secs(60 * it);
    let fits = |period: &Duration| deadline + longest < *period;
    let period = PERIODS.into_iter().map(minutes).find(fits);
    // Where no period has room for the whole interval, the jitter takes what room there is.
    let period = period.unwrap_or_else(|| round(deadline * 2, 3600).max(minutes(2880)));
    let room = period.saturating_sub(deadline + APPLY);
    let jitter = round(longest, 1).min(room).max(Duration::from_secs(1));
    Times { period, jitter, deadline, within }
}

/// Flux spreads its intervals by a twentieth.
fn jittered(interval: Duration) -> Duration {
    interval + interval / 20
}

/// Up to the next multiple of so many seconds.
fn round(time: Duration, seconds: u64) -> Duration {
    let all = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(all.div_ceil(seconds) * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;

    fn poll(seconds: u64, woken: bool) -> Poll {
        let subject = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
        Poll { subject, interval: Duration::from_secs(seconds), woken }
    }

    fn of(polls: &[Poll]) -> [u64; 4] {
        let Times { period, jitter, deadline, within } = times(polls, Behind::default());
        [period, jitter, deadline, within].map(|it| it.as_secs())
    }

    #[test]
    fn o5_deadline_and_jitter_fit_into_the_period() {
        for seconds in [1, 30, 60, 300, 600, 3600, 86_400, 604_800] {
            for woken in [true, false] {
                let [period, jitter, deadline, within] = of(&[poll(seconds, woken)]);
                assert!(deadline + jitter < period, "{seconds} {woken}");
                assert!(within <= deadline, "{seconds} {woken}");
                assert!(period >= 15 * 60 && jitter > 0, "{seconds} {woken}");
            }
        }
    }

    #[test]
    fn a_run_lives_to_see_the_poller_behind_a_dead_webhook() {
        assert_eq!(of(&[poll(600, true)]), [1800, 600, 780, 90]);
        assert_eq!(of(&[poll(60, false)]), [900, 60, 300, 180]);
        // But not one that comes once a day.
        let [_, _, deadline, _] = of(&[poll(86_400, true)]);
        assert_eq!(deadline, 17 * 60);
    }

    #[test]
    fn what_stands_behind_the_polls_is_waited_for_too() {
        let plain = times(&[poll(60, true)], Behind::default());
        let behind = Behind { levels: 2, waits: true, commits: 1 };
        let slow = times(&[poll(60, true)], behind);
        assert_eq!(slow.within.as_secs() - plain.within.as_secs(), 150);
    }
}
