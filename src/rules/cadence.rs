//! How often a scenario decides on its objectives.

use crate::model::{Ticks, Timetable};
use jiff::civil::date;
use jiff::tz::TimeZone;
use std::time::Duration;

const DAY: f64 = 86_400.0;

/// How often a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cadence {
    /// Shortest time between two runs, as they follow each other while there are any.
    pub period: Duration,
    /// Runs a day, in the mean over a year; fewer than the period says where there are nights,
    /// weekends and pauses.
    pub per_day: f64,
}

// === impl Cadence ===

impl Cadence {
    /// A run every so often, day and night.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self { period, per_day: DAY / period.as_secs_f64() }
    }

    /// The cadence of a schedule. Pauses are those of the year 2027.
    #[must_use]
    pub fn of(timetable: &Timetable) -> Self {
        let period = timetable.shortest_gap();
        if matches!(timetable.ticks, Ticks::Every(_)) && timetable.pauses.is_empty() {
            return Self::every(period);
        }
        let begin = |year| date(year, 1, 1).to_zoned(TimeZone::UTC).map(|it| it.timestamp());
        let (Ok(from), Ok(until)) = (begin(2027), begin(2028)) else { return Self::every(period) };
        let stretches = timetable.stretches("", from, until);
        let ticks: u64 = stretches.iter().filter(|it| !it.is_paused).map(|it| it.ticks).sum();
        #[expect(clippy::cast_precision_loss, reason = "nobody runs 2^52 times a year")]
        let per_day = ticks as f64 / 365.0;
        Self { period, per_day }
    }

    /// Runs in a window, in the mean.
    #[must_use]
    pub fn runs_in(&self, window: Duration) -> f64 {
        self.per_day * window.as_secs_f64() / DAY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn cadence(schedule: &str) -> Cadence {
        let text = format!(
            "name: a\ndeadline: 5m\nschedule: {schedule}\n\
             trigger: {{ git_commit: {{ source: a/b, path: c }} }}\n\
             hops: [{{ live: {{ config_map: a/b }} }}]\n"
        );
        let scenario = config::load_text("a.yaml", &text).unwrap_or_else(|it| panic!("{it}"));
        Cadence::of(&scenario.schedule.unwrap())
    }

    #[test]
    fn nights_and_pauses_are_no_runs() {
        assert_eq!(cadence("{ every: 15m }"), Cadence::every(Duration::from_secs(900)));
        let office = cadence("{ cron: '*/15 8-17 * * 1-5' }");
        assert_eq!(office.period, Duration::from_secs(900));
        // 2027 has 261 working days.
        assert!((office.per_day - 40.0 * 261.0 / 365.0).abs() < 1e-9, "{office:?}");
        let paused = cadence("{ every: 15m, pause: [{ cron: '0 0 * * 6', for: 48h }] }");
        assert!(
            (paused.runs_in(Duration::from_secs(7 * 86_400)) - 480.0).abs() < 3.0,
            "{paused:?}"
        );
    }
}
