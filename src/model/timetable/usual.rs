//! What a timetable is like while it runs: its runs without pauses, and how far they usually are
//! apart.
//!
//! The shortest gap of a calendar says little: of `0 9,10,17 * * *` it is an hour, and nobody sees
//! four runs in four hours. So people and rules are told what most runs see.

use super::{Ticks, Timetable, YEAR};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Runs that the usual gap is taken over.
const FOUR: usize = 4;

/// Runs that are looked at for it: five working days of a run every quarter of an hour.
const SAMPLE: usize = 200;

// === impl Timetable ===

impl Timetable {
    /// The first ticks after `after` that no pause takes, at most `limit`, within a year.
    #[must_use]
    pub fn runs_after(&self, seed: &str, after: Timestamp, limit: usize) -> Vec<Timestamp> {
        let horizon = after.checked_add(YEAR).unwrap_or(Timestamp::MAX);
        let opens = |at| self.pauses.iter().filter_map(|it| it.next_after(at)).min();
        let (mut runs, mut at, mut clear_until) = (Vec::new(), after, Some(after));
        while runs.len() < limit
            && let Some(tick) = self.next_after(seed, at).filter(|it| *it <= horizon)
        {
            at = tick;
            if clear_until.is_some_and(|it| it <= tick) {
                if let Some(end) = self.is_paused(tick) {
                    // The end of a pause belongs to it no more.
                    at = end.checked_sub(Duration::from_nanos(1)).unwrap_or(end).max(tick);
                    continue;
                }
                clear_until = opens(tick);
            }
            runs.push(tick);
        }
        runs
    }

    /// Its runs in a year of which nothing is special, from a Monday on, at most `limit`.
    #[must_use]
    pub fn some_runs(&self, limit: usize) -> Vec<Timestamp> {
        let monday = date(2027, 1, 4).to_zoned(TimeZone::UTC).map(|it| it.timestamp());
        self.runs_after("", monday.unwrap_or(Timestamp::UNIX_EPOCH), limit)
    }

    /// The usual time between two runs: the period; of a calendar, or with pauses, a quarter of the
    /// time that the last four runs take as most runs see it (the median).
    #[must_use]
    pub fn usual_gap(&self) -> Duration {
        if self.is_even() {
            return self.shortest_gap();
        }
        let runs = self.some_runs(SAMPLE);
        let mut spans: Vec<_> = runs.windows(FOUR + 1).map(|it| gap(it[0], it[FOUR])).collect();
        spans.sort_unstable();
        let usual = spans.get(spans.len() / 2).map(|it| it.as_secs() / 4);
        usual.map_or_else(|| self.shortest_gap(), Duration::from_secs)
    }

    /// The longest time between two of at most so many runs, nights and pauses included.
    #[must_use]
    pub fn longest_wait(&self, limit: usize) -> Duration {
        let waits = |runs: Vec<Timestamp>| runs.windows(2).map(|it| gap(it[0], it[1])).max();
        let longest = if self.is_even() { None } else { waits(self.some_runs(limit)) };
        longest.unwrap_or_else(|| self.shortest_gap())
    }

    /// Whether all runs are equally far apart, day and night.
    #[must_use]
    pub fn is_even(&self) -> bool {
        matches!(self.ticks, Ticks::Every(_)) && self.pauses.is_empty()
    }
}

fn gap(from: Timestamp, until: Timestamp) -> Duration {
    from.duration_until(until).unsigned_abs()
}
