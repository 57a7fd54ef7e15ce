//! Up to where ticks are accounted for, over restarts, long sleeps and clocks that are set.
//!
//! A scheduler that asks nothing but "what comes next" forgets what came while it was down, and
//! runs an hour twice when the clock is set back without knowing that it does. This is the one
//! instant that has to be kept so that every tick is accounted for once (rule O4).

use super::Timetable;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The instant up to which every tick of a schedule is accounted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// None before the schedule was looked at for the first time: what came earlier counts for
    /// nothing.
    pub last: Option<Timestamp>,
}

/// What a look at the clock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Ticks that passed while nobody was there, and can no longer be run.
    pub missed_down: u64,
    /// The tick to run. Its run begins after its delay, which may lie ahead.
    pub run: Option<Timestamp>,
    /// The next tick; none at the end of time.
    pub next: Option<Timestamp>,
    /// Whether the clock was set back, so that the ticks from now on are new ones.
    pub stepped_back: bool,
    /// The position after this look. A tick is lost if this is kept and the run is not, and is
    /// given once more, with the same delay, if neither is: keep them together.
    pub position: Position,
}

/// How far a clock may go back without having been set: synchronisation does that.
const SLEW: SignedDuration = SignedDuration::from_secs(2);

/// How many of the newest ticks are looked at for one to run; a sane jitter and grace leave few.
const LOOKED_AT: usize = 1_000;

// === impl Position ===

impl Position {
    /// What is due at `wall`.
    ///
    /// Every tick since the last position is either the one to run or missed. The one to run is the
    /// newest whose run, `jitter` considered, began at most `grace` ago or begins later. A clock
    /// that was set forward, or a machine that slept, is like one that was down; after one that was
    /// set back nothing is due, and the ticks that come again are ticks of their own.
    #[must_use]
    pub fn due(
        self,
        timetable: &Timetable,
        seed: &str,
        jitter: Duration,
        wall: Timestamp,
        grace: Duration,
    ) -> Due {
        let last = self.last.unwrap_or(wall);
        let stepped_back = wall.duration_until(last) > SLEW;
        let from = if stepped_back { wall } else { last };
        let until = from.max(wall);
        let run = newest_runnable(timetable, seed, jitter, (from, until), grace);
        let passed = timetable.count_between(seed, from, until);
        Due {
            missed_down: passed - u64::from(run.is_some()),
            run,
            next: timetable.next_after(seed, until),
            stepped_back,
            position: Self { last: Some(until) },
        }
    }
}

/// The newest tick in (`from`, `until`] whose run is not over `grace` late at `until`.
fn newest_runnable(
    timetable: &Timetable,
    seed: &str,
    jitter: Duration,
    (from, until): (Timestamp, Timestamp),
    grace: Duration,
) -> Option<Timestamp> {
    let earlier = |at: Timestamp, by: Duration| at.checked_sub(by).unwrap_or(Timestamp::MIN);
    let on_time = earlier(until, grace);
    let in_time = |tick: &Timestamp| {
        let begin = tick.checked_add(timetable.delay(seed, *tick, jitter));
        begin.map_or(true, |it| it >= on_time)
    };
    // A tick before this has begun too long ago whatever its delay.
    let first = earlier(earlier(on_time, jitter), Duration::from_nanos(1));
    let mut from = from.max(first);
    while timetable.count_between(seed, from, until) > LOOKED_AT as u64 {
        from = earlier(until, from.duration_until(until).unsigned_abs() / 2);
    }
    let ticks = timetable.ticks_between(seed, from, until, LOOKED_AT);
    ticks.into_iter().rev().find(in_time)
}
