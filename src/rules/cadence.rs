//! How often a scenario decides on its objectives.
//!
//! Runs of a calendar are not evenly apart, and a window that holds twelve of some holds three of
//! others. So they are looked at one by one: what counts is how many of them a window holds as most
//! runs see it (the median), and how an outage would go that begins with any of them.

use crate::model::Timetable;
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;

const DAY: f64 = 86_400.0;

/// Runs that are looked at one by one: a week and a weekend of one every minute.
pub(super) const WALK: usize = 12_000;

/// How often a scenario runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cadence {
    /// Usual time between two runs, as they follow each other while there are any.
    pub period: Duration,
    /// Runs a day, in the mean over a year; fewer than the period says where there are nights,
    /// weekends and pauses.
    pub per_day: f64,
    /// Seconds of the runs of some weeks; none if all are a period apart, day and night.
    runs: Option<Arc<[u64]>>,
}

// === impl Cadence ===

impl Cadence {
    /// A run every so often, day and night.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self { period, per_day: DAY / period.as_secs_f64(), runs: None }
    }

    /// The cadence of a schedule. Pauses are those of the year 2027.
    #[must_use]
    pub fn of(timetable: &Timetable) -> Self {
        let period = timetable.usual_gap();
        if timetable.is_even() {
            return Self::every(period);
        }
        let runs: Vec<u64> = timetable.some_runs(WALK).into_iter().map(seconds).collect();
        let is_even = runs.windows(2).all(|it| it[1] - it[0] == period.as_secs());
        if is_even && timetable.pauses.is_empty() {
            return Self::every(period);
        }
        let begin = |year| date(year, 1, 1).to_zoned(TimeZone::UTC).map(|it| it.timestamp());
        let (Ok(from), Ok(until)) = (begin(2027), begin(2028)) else { return Self::every(period) };
        let stretches = timetable.stretches("", from, until);
        let ticks: u64 = stretches.iter().filter(|it| !it.is_paused).map(|it| it.ticks).sum();
        #[expect(clippy::cast_precision_loss, reason = "nobody runs 2^52 times a year")]
        let per_day = ticks as f64 / 365.0;
        Self { period, per_day, runs: Some(runs.into()) }
    }

    /// Whether all runs are a period apart, day and night.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.runs.is_none()
    }

    /// Runs in a window, in the mean.
    #[must_use]
    pub fn runs_in(&self, window: Duration) -> f64 {
        self.per_day * window.as_secs_f64() / DAY
    }

    /// The window that holds the last `count` runs as most runs see it.
    #[must_use]
    pub fn span(&self, count: u32) -> Duration {
        let Some(runs) = &self.runs else { return self.period.saturating_mul(count) };
        let back = usize::try_from(count).unwrap_or(usize::MAX);
        let mut spans: Vec<u64> =
            runs.iter().zip(runs.iter().skip(back)).map(|it| it.1 - it.0).collect();
        spans.sort_unstable();
        // Too rare to say: as if the longest wait were the rule.
        let longest = || runs.windows(2).map(|it| it[1] - it[0]).max();
        let few = || longest().map_or(Duration::MAX, |it| Duration::from_secs(it) * count);
        spans.get(spans.len() / 2).map_or_else(few, |it| Duration::from_secs(*it))
    }

    /// How many runs a window holds that ends with a run: no fewer for most of them.
    #[must_use]
    pub fn held(&self, window: Duration) -> u64 {
        let Some(runs) = &self.runs else {
            return u64::try_from(window.as_nanos() / self.period.as_nanos()).unwrap_or(u64::MAX);
        };
        let mut held = held_by_each(runs, window);
        // What lies before the first run is not known.
        held.drain(..runs.partition_point(|it| it - runs[0] < window.as_secs()));
        held.sort_unstable();
        held.get(held.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }

    /// The runs one by one, in seconds; none if all are a period apart.
    pub(super) fn runs(&self) -> Option<&[u64]> {
        self.runs.as_deref()
    }
}

/// How many runs the window holds that ends with each of them.
pub(super) fn held_by_each(runs: &[u64], window: Duration) -> Vec<u64> {
    let mut first = 0;
    let mut held = Vec::with_capacity(runs.len());
    for (number, at) in runs.iter().enumerate() {
        while first < number && at - runs[first] >= window.as_secs() {
            first += 1;
        }
        held.push((number - first) as u64 + 1);
    }
    held
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn cadence(schedule: &str) -> Cadence {
        let text = format!(
            "name: a\ndeadline: 4m\nschedule: {schedule}\n\
             trigger: {{ git_commit: {{ source: a/b, path: c }} }}\n\
             hops: [{{ live: {{ config_map: a/b }} }}]\n"
        );
        let scenario = config::load_text("a.yaml", &text).unwrap_or_else(|it| panic!("{it}"));
        Cadence::of(&scenario.schedule.unwrap())
    }

    #[test]
    fn nights_and_pauses_are_no_runs() {
        assert_eq!(cadence("{ every: 15m }"), Cadence::every(Duration::from_secs(900)));
        assert_eq!(cadence("{ cron: '*/15 * * * *' }"), Cadence::every(Duration::from_secs(900)));
        assert_eq!(cadence("{ cron: '0 * * * *' }"), Cadence::every(HOUR));
        let office = cadence("{ cron: '*/15 8-17 * * 1-5' }");
        assert_eq!(office.period, Duration::from_secs(900));
        // 2027 has 261 working days.
        assert!((office.per_day - 40.0 * 261.0 / 365.0).abs() < 1e-9, "{office:?}");
        let paused = cadence("{ every: 15m, pause: [{ cron: '0 0 * * 6', for: 48h }] }");
        assert!(
            (paused.runs_in(Duration::from_secs(7 * 86_400)) - 480.0).abs() < 3.0,
            "{:?}",
            paused.per_day
        );
    }

    #[test]
    fn windows_hold_what_the_calendar_has_in_them() {
        let office = cadence("{ cron: '*/15 8-17 * * 1-5' }");
        assert_eq!((office.span(12), office.held(3 * HOUR)), (3 * HOUR, 12));
        let thrice = cadence("{ cron: '0 9,10,17 * * *' }");
        assert_eq!((thrice.span(12), thrice.held(12 * HOUR)), (96 * HOUR, 2));
        assert_eq!((thrice.span(3), thrice.held(96 * HOUR)), (24 * HOUR, 12));
        let twice = cadence("{ cron: '0,5 * * * *' }");
        assert_eq!((twice.span(12), twice.held(6 * HOUR)), (6 * HOUR, 12));
        let even = Cadence::every(HOUR);
        assert_eq!((even.span(12), even.held(90 * HOUR / 4)), (12 * HOUR, 22));
    }
}
