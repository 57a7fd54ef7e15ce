//! Where a schedule stands: the tick that waits for its delay, and those around it.
//!
//! Every tick is accounted for in the order of ticks, and the position that is kept with it says
//! that all before are, too. So whenever the process is killed, the next one counts each tick once
//! (rule O4).

use crate::model::{Account, Due, Event, Missed, Moment, Position, Timetable};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How late a run may begin after its instant. What is later was missed.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// How far the two clocks may come apart between two looks: synchronisation does that.
const SLEW: SignedDuration = SignedDuration::from_secs(2);

/// Longest sleep between two looks at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Where the schedule of a scenario stands.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    scenario: String,
    seed: String,
    position: Position,
    /// What makes the ticks that the position speaks of.
    ticks: String,
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
    /// Up to where later ticks are missed already.
    until: Timestamp,
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn from(account: &Account, scenario: &str, seed: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            seed: seed.to_owned(),
            position: Position { last: account.position },
            ticks: account.ticks.clone(),
            ..Self::default()
        }
    }

    /// From now on follows this timetable, or none. The ticks that it would have had before never
    /// were. One of another timetable that still waits is not run any more, and counts as paused.
    /// Says what has to be told.
    pub(super) fn follow(&mut self, timetable: Option<&Timetable>, wall: Timestamp) -> Vec<Event> {
        let ticks = timetable.map(Timetable::ticks_text).unwrap_or_default();
        if ticks == self.ticks && timetable.is_some() == self.position.last.is_some() {
            return Vec::new();
        }
        let waiting = self.waiting.take();
        (self.position.last, self.ticks) = (timetable.map(|_| wall), ticks);
        (self.next, self.looked) = (None, None);
        let paused = waiting.map(|it| self.missed(Missed::Paused, 1, it.tick));
        paused.into_iter().chain([self.positioned()]).collect()
    }

    /// Looks at the clock. Says what has to be told at once.
    pub(super) fn look(
        &mut self,
        timetable: &Timetable,
        jitter: Duration,
        wall: Timestamp,
        now: Moment,
    ) -> Vec<Event> {
        if self.waiting.is_some() {
            return Vec::new();
        }
        let is_set_back = self.set_back(wall, now);
        self.looked = Some((wall, now));
        let from = self.position.last;
        let Due { run, next, stepped_back, position, .. } =
            self.position.due(timetable, &self.seed, jitter, wall, GRACE);
        let mut events = Vec::new();
        if is_set_back {
            events.push(self.positioned());
        }
        (self.position, self.next) = (position, next);
        if stepped_back {
            events.push(self.positioned());
        }
        let from = from.filter(|_| !stepped_back).unwrap_or(wall);
        let until = position.last.unwrap_or(wall);
        let Some(tick) = run else {
            events.extend(self.passed(timetable, from, until));
            return events;
        };
        let before = tick.checked_sub(Duration::from_nanos(1)).unwrap_or(tick);
        events.extend(self.passed(timetable, from, before));
        let delay = timetable.delay(&self.seed, tick, jitter);
        let begins = tick.checked_add(delay).unwrap_or(tick);
        self.waiting = Some(Waiting { tick, begins, until });
        events
    }

    /// If the clock was set back since the last look: goes on from where it would have been then,
    /// so that what has passed since is not lost.
    fn set_back(&mut self, wall: Timestamp, now: Moment) -> bool {
        let Some((then, looked)) = self.looked else { return false };
        let passed = now.since(looked);
        let expected = then.checked_add(passed);
        if !expected.is_ok_and(|it| wall.duration_until(it) > SLEW) {
            return false;
        }
        let last = wall.checked_sub(passed).ok();
        self.position = Position { last: last.or(self.position.last) };
        last.is_some()
    }

    /// The tick whose run begins now, if one does. The caller accounts for it, and then tells what
    /// [`Schedule::after`] says.
    pub(super) fn begin(&mut self, wall: Timestamp) -> Option<Waiting> {
        // A clock that was set back meanwhile must not make the run wait for an hour.
        self.waiting.take_if(|it| wall >= it.begins || wall < it.tick)
    }

    /// What has to be told once a tick itself is accounted for.
    pub(super) fn after(&self, timetable: &Timetable, tick: &Waiting) -> Vec<Event> {
        self.passed(timetable, tick.tick, tick.until)
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

    /// Ticks in (`after`, `until`] that passed while nobody was there; those in a pause would not
    /// have been run by anybody. Each event says with its instant that all before is told.
    fn passed(&self, timetable: &Timetable, after: Timestamp, until: Timestamp) -> Vec<Event> {
        let stretches = timetable.stretches(&self.seed, after, until).into_iter();
        let missed = stretches.map(|it| {
            let reason = if it.is_paused { Missed::Paused } else { Missed::Down };
            self.missed(reason, it.ticks, it.until)
        });
        missed.collect()
    }

    fn missed(&self, reason: Missed, count: u64, due: Timestamp) -> Event {
        Event::Missed { scenario: self.scenario.clone(), reason, count, due }
    }

    fn positioned(&self) -> Event {
        let (position, ticks) = (self.position.last, self.ticks.clone());
        Event::Positioned { scenario: self.scenario.clone(), position, ticks }
    }
}
