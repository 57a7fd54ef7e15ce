//! When a scenario runs: its ticks, the delay of each, and when it pauses.
//!
//! All of it is a function of the scenario, a seed and the instant that is asked for. So a restart
//! or another replica goes on with the same ticks and delays, and nothing of them has to be kept.

mod calendar;
mod chance;
mod fields;
mod pause;
mod position;
mod usual;
mod zone;

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

pub use calendar::Calendar;
pub use fields::NotACalendar;
pub use pause::Pause;
pub use position::{Due, Position};
pub use zone::{zone, zones};

/// When one scenario runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Timetable {
    /// The scenario, which has a phase and delays of its own.
    pub scenario: String,
    /// What makes a tick.
    pub ticks: Ticks,
    /// Longest random delay of a run after its tick; unsaid, see [`Timetable::default_jitter`].
    pub jitter: Option<Duration>,
    /// When no run begins.
    pub pauses: Vec<Pause>,
}

/// What makes a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Ticks {
    /// A period.
    Every(Duration),
    /// A calendar.
    Cron(Calendar),
}

/// Ticks in a row that lie within pauses, or that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Whether it is a pause.
    pub is_paused: bool,
    /// How many ticks lie in it.
    pub ticks: u64,
    /// Its end, which belongs to it.
    pub until: Timestamp,
}

/// Most windows of pauses that are followed one by one.
const WINDOWS: usize = 2_000;

/// Longest time into which pauses are followed.
const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

// === impl Timetable ===

impl Timetable {
    /// The first tick after `after`; none at the end of time.
    ///
    /// A period ticks at its phase and every period from there, counted from 1970. The phase is a
    /// fixed one for each seed and scenario, so that scenarios are spread over the period and a
    /// restart moves none.
    #[must_use]
    pub fn next_after(&self, seed: &str, after: Timestamp) -> Option<Timestamp> {
        match &self.ticks {
            Ticks::Every(period) => {
                let period = nanoseconds(*period)?;
                let index = self.index(seed, period, after) + 1;
                Timestamp::from_nanosecond(index * period + self.phase(seed, period)).ok()
            }
            Ticks::Cron(calendar) => calendar.next_after(after),
        }
    }

    /// The first ticks in (`after`, `until`], at most `limit`.
    #[must_use]
    pub fn ticks_between(
        &self,
        seed: &str,
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Vec<Timestamp> {
        let next = |it: &Timestamp| self.next_after(seed, *it);
        let ticks = std::iter::successors(next(&after), next);
        ticks.take_while(|it| *it <= until).take(limit).collect()
    }

    /// How many ticks lie in (`after`, `until`], without looking at each.
    #[must_use]
    pub fn count_between(&self, seed: &str, after: Timestamp, until: Timestamp) -> u64 {
        match &self.ticks {
            _ if until <= after => 0,
            Ticks::Every(period) => nanoseconds(*period).map_or(0, |period| {
                let count = self.index(seed, period, until) - self.index(seed, period, after);
                u64::try_from(count).unwrap_or(u64::MAX)
            }),
            Ticks::Cron(calendar) => calendar.count(after, until),
        }
    }

    /// The ticks in (`after`, `until`] in stretches, as pauses divide them; only such as have
    /// ticks. What lies behind very many windows counts as not paused.
    #[must_use]
    pub fn stretches(&self, seed: &str, after: Timestamp, until: Timestamp) -> Vec<Stretch> {
        let before = |it: Timestamp| it.checked_sub(Duration::from_nanos(1)).unwrap_or(it);
        let mut stretches: Vec<Stretch> = Vec::new();
        let (mut at, mut windows) = (after, 0);
        while let Some(tick) = self.next_after(seed, at).filter(|it| *it <= until) {
            let (open, is_paused) = match self.window(tick) {
                _ if windows >= WINDOWS => (None, false),
                Some(end) => (Some(end), true),
                None => (self.pauses.iter().filter_map(|it| it.next_after(tick)).min(), false),
            };
            let end = open.map_or(until, before).clamp(tick, until);
            let ticks = self.count_between(seed, at, end);
            match stretches.last_mut().filter(|it| it.is_paused == is_paused) {
                Some(last) => (last.ticks, last.until) = (last.ticks + ticks, end),
                None => stretches.push(Stretch { is_paused, ticks, until: end }),
            }
            (at, windows) = (end, windows + 1);
        }
        stretches
    }

    /// What makes its ticks, in a form that is equal for equal ones.
    #[must_use]
    pub fn ticks_text(&self) -> String {
        match &self.ticks {
            Ticks::Every(period) => format!("every {period:?}"),
            Ticks::Cron(calendar) => {
                let zone = calendar.zone().iana_name().unwrap_or_default();
                format!("{calendar} {zone}").trim_end().to_owned()
            }
        }
    }

    /// How long after its tick a run begins (rule O5): each tick has a delay of its own, evenly
    /// spread over the whole milliseconds from none to `jitter`, and the same whenever it is asked
    /// for.
    #[must_use]
    pub fn delay(&self, seed: &str, tick: Timestamp, jitter: Duration) -> Duration {
        let tick = tick.as_nanosecond().to_le_bytes();
        let parts = [b"delay", seed.as_bytes(), self.scenario.as_bytes(), &tick];
        chance::spread(chance::number(&parts), jitter)
    }

    /// The jitter of a scenario that says none (rule O5): the longest interval at which anybody on
    /// its path polls, as far as it fits between two runs. If nothing is known of the path, as much
    /// as fits. A millisecond is left, because deadline and jitter have to stay below the period.
    #[must_use]
    pub fn default_jitter(&self, longest_poll: Option<Duration>, deadline: Duration) -> Duration {
        let taken = deadline.saturating_add(Duration::from_millis(1));
        let room = self.shortest_gap().saturating_sub(taken);
        longest_poll.map_or(room, |it| it.min(room))
    }

    /// The period; of a calendar the shortest time between two ticks in the years 2026 to 2029, with
    /// the days on which the clock of its zone jumps.
    #[must_use]
    pub fn shortest_gap(&self) -> Duration {
        match &self.ticks {
            Ticks::Every(period) => *period,
            Ticks::Cron(calendar) => calendar.gaps().shortest,
        }
    }

    /// When the pause that holds at `at` is over; none if there is none. Windows that touch or
    /// overlap are one pause.
    #[must_use]
    pub fn is_paused(&self, at: Timestamp) -> Option<Timestamp> {
        let horizon = at.checked_add(YEAR).unwrap_or(Timestamp::MAX);
        let end = |at: &Timestamp| self.window(*at);
        let mut ends = std::iter::successors(end(&at), |it| end(it).filter(|_| *it < horizon));
        let first = ends.next()?;
        Some(ends.last().unwrap_or(first))
    }

    /// When the windows that are open at `at` have closed; none if none is open.
    fn window(&self, at: Timestamp) -> Option<Timestamp> {
        self.pauses.iter().filter_map(|it| it.end(at)).max()
    }

    /// The number of the last tick at or before `at`.
    fn index(&self, seed: &str, period: i128, at: Timestamp) -> i128 {
        (at.as_nanosecond() - self.phase(seed, period)).div_euclid(period)
    }

    /// Where in a period its tick lies: whole milliseconds, less than the period.
    fn phase(&self, seed: &str, period: i128) -> i128 {
        let parts: [&[u8]; 3] = [b"phase", seed.as_bytes(), self.scenario.as_bytes()];
        let millis = u64::try_from((period - 1) / 1_000_000).unwrap_or(u64::MAX);
        let phase = chance::spread(chance::number(&parts), Duration::from_millis(millis));
        nanoseconds(phase).unwrap_or(0)
    }
}

/// A length in nanoseconds; none if it is no length, or longer than time is.
fn nanoseconds(length: Duration) -> Option<i128> {
    let fits = !length.is_zero() && length.as_secs() < 1 << 40;
    fits.then(|| i128::try_from(length.as_nanos()).ok()).flatten()
}

#[cfg(test)]
mod tests;
