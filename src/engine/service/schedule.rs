//! Where a schedule stands: the tick that waits for its delay, and those around it.
//!
//! Every tick is accounted for in the order of ticks, and the position that is kept with it says
//! that all before are, too. So whenever the process is killed, the next one counts each tick once
//! (rule O4).

use crate::model::{Due, Event, Missed, Moment, Position, Timetable};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How late a run may begin after its instant. What is later was missed.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// How far the two clocks may come apart between two looks: synchronisation does that.
const SLEW: SignedDuration = SignedDuration::from_secs(2);

/// Longest sleep between two looks at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Where a schedule stands.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    position: Position,
    waiting: Option<Waiting>,
    next: Option<Timestamp>,
    /// The last look, by both clocks.
    looked: Option<(Timestamp, Moment)>,
}

/// A tick whose run is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The tick.
    pub(super) tick: Timestamp,
    /// When its run begins.
    begins: Timestamp,
    /// Later ticks that are missed already.
    later: u64,
    /// Up to where they reach.
    until: Timestamp,
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn from(last: Option<Timestamp>) -> Self {
        Self { position: Position { last }, ..Self::default() }
    }

    /// Looks at the clock. Says what has to be told at once.
    pub(super) fn look(
        &mut self,
        timetable: &Timetable,
        seed: &str,
        jitter: Duration,
        wall: Timestamp,
        now: Moment,
    ) -> Vec<Event> {
        if self.waiting.is_some() {
            return Vec::new();
        }
        let scenario = || timetable.scenario.clone();
        let set_back = self.set_back(wall, now);
        self.looked = Some((wall, now));
        let from = self.position.last;
        let Due { missed_down, run, next, stepped_back, position } =
            self.position.due(timetable, seed, jitter, wall, GRACE);
        (self.position, self.next) = (position, next);
        let mut events = Vec::new();
        let new = (stepped_back || from.is_none()).then_some(wall);
        if let Some(position) = new.or(set_back) {
            events.push(Event::Positioned { scenario: scenario(), position });
        }
        let until = position.last.unwrap_or(wall);
        let Some(tick) = run else {
            events.extend(missed(scenario(), missed_down, until));
            return events;
        };
        let before = tick.checked_sub(Duration::from_nanos(1)).unwrap_or(tick);
        let later = timetable.count_between(seed, tick, until).min(missed_down);
        events.extend(missed(scenario(), missed_down - later, before));
        let delay = timetable.delay(seed, tick, jitter);
        let begins = tick.checked_add(delay).unwrap_or(tick);
        self.waiting = Some(Waiting { tick, begins, later, until });
        events
    }

    /// If the clock was set back since the last look: goes on from where it would have been then,
    /// so that what has passed since is not lost. Says where that is.
    fn set_back(&mut self, wall: Timestamp, now: Moment) -> Option<Timestamp> {
        let (then, looked) = self.looked?;
        let passed = now.since(looked);
        let expected = then.checked_add(passed).ok()?;
        if wall.duration_until(expected) <= SLEW {
            return None;
        }
        let last = wall.checked_sub(passed).ok()?;
        self.position = Position { last: Some(last) };
        Some(last)
    }

    /// The tick whose run begins now, if one does. The caller accounts for it, and then tells what
    /// [`Waiting::after`] says.
    pub(super) fn begin(&mut self, wall: Timestamp) -> Option<Waiting> {
        // A clock that was set back meanwhile must not make the run wait for an hour.
        self.waiting.take_if(|it| wall >= it.begins || wall < it.tick)
    }

    /// When the next run begins, or its tick comes.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.waiting.map(|it| it.begins).or(self.next)
    }

    /// How long to sleep before the next look.
    pub(super) fn sleep(&self, wall: Timestamp) -> Duration {
        let next = self.next().map(|it| it.duration_since(wall));
        let next = next.map(|it| Duration::try_from(it).unwrap_or_default());
        next.map_or(LONGEST_SLEEP, |it| it.min(LONGEST_SLEEP))
    }
}

// === impl Waiting ===

impl Waiting {
    /// What has to be told once the tick itself is accounted for.
    pub(super) fn after(&self, scenario: &str) -> Option<Event> {
        missed(scenario.to_owned(), self.later, self.until)
    }
}

fn missed(scenario: String, count: u64, due: Timestamp) -> Option<Event> {
    (count > 0).then_some(Event::Missed { scenario, reason: Missed::Down, count, due })
}
