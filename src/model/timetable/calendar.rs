//! A calendar: five fields in a time zone, and the instants that they mean.
//!
//! Where a zone's clock jumps, a calendar with one time of day keeps its one tick a day: one that
//! the clock leaps over comes when the leap ends, one that it shows twice comes at the first. Any
//! other calendar goes on in real time: what is leapt over is left out, what is shown twice comes
//! twice, so that `*/15` ticks every fifteen real minutes.

use super::fields::{self, NotACalendar};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A cron expression of five fields, read in a time zone.
///
/// Invariant: it fires at some time.
#[derive(Clone, PartialEq)]
pub struct Calendar {
    text: String,
    zone: TimeZone,
    cron: Arc<Cron>,
}

/// How far apart neighbouring ticks can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gaps {
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
}

/// The days whose ticks stand for those of all years: four years, one of them a leap year. In others
/// a clock may jump between two ticks that are not its neighbours here, which is an hour or so.
const SAMPLE: (Date, Date) = (date(2026, 1, 1), date(2029, 12, 31));

/// More jumps than any zone has in these years. A zone without a rule for the future repeats itself.
const JUMPS: usize = 64;

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

// === impl Calendar ===

impl Calendar {
    /// Reads five fields, for a zone.
    ///
    /// # Errors
    ///
    /// [`NotACalendar`] with the field that is wrong, or if there is no day like that.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, NotACalendar> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        fields::check(&text.to_uppercase())?;
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&text).map_err(|it| NotACalendar::Unreadable(it.to_string()))?;
        let calendar = Self { text, zone, cron: Arc::new(cron) };
        if !calendar.ever_fires() {
            return Err(NotACalendar::Never);
        }
        Ok(calendar)
    }

    /// The zone in which the fields are read.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What it says, in words and with its zone.
    #[must_use]
    pub fn describe(&self) -> String {
        let words = self.cron.describe();
        let words = words.trim_end_matches('.');
        match self.zone.iana_name() {
            Some(zone) => format!("{words} ({zone})"),
            None => words.to_owned(),
        }
    }

    /// The first tick after `after`; none at the end of time.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let find = |from: Timestamp, inclusive| {
            let from = from.to_zoned(self.zone.clone());
            self.cron.find_next_occurrence(&from, inclusive).ok().map(|it| it.timestamp())
        };
        // A leap of more than two hours, as over a whole day, is too much for the search.
        let beyond = || find(self.zone.following(after).next()?.timestamp(), true);
        let next = find(after, false).or_else(beyond)?;
        (next > after).then_some(next)
    }

    /// How many ticks lie in (`after`, `until`]. Whole days are counted without looking at their
    /// ticks, so that years cost little.
    #[must_use]
    pub fn count(&self, after: Timestamp, until: Timestamp) -> u64 {
        let day_of = |it: Timestamp| it.to_zoned(self.zone.clone()).date();
        let begin = |day: Date| day.to_zoned(self.zone.clone()).ok().map(|it| it.timestamp());
        let (first, last) = (day_of(after).tomorrow().ok(), day_of(until));
        let Some((first, from, to)) = first.and_then(|it| Some((it, begin(it)?, begin(last)?)))
        else {
            return count(self.walk(after, until));
        };
        if from >= to {
            return count(self.walk(after, until));
        }
        let mut sum = count(self.walk(after, before(from)));
        let (mut day, mut start) = (first, from);
        while day < last {
            let Ok(next) = day.tomorrow() else { break };
            let end = begin(next).unwrap_or(to);
            sum += if self.is_ordinary(start, end) {
                if self.has(day) { self.times_a_day() } else { 0 }
            } else {
                count(self.walk(before(start), before(end)))
            };
            (day, start) = (next, end);
        }
        sum + count(self.walk(before(to), until))
    }

    /// The ticks in (`after`, `until`], one by one.
    pub(super) fn walk(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Timestamp> {
        let ticks = std::iter::successors(self.next_after(after), |it| self.next_after(*it));
        ticks.take_while(move |it| *it <= until)
    }

    /// The shortest and the longest time between two neighbouring ticks, with the days on which
    /// the zone's clock jumps.
    pub(super) fn gaps(&self) -> Gaps {
        let begin =
            SAMPLE.0.to_zoned(self.zone.clone()).map_or(Timestamp::UNIX_EPOCH, |it| it.timestamp());
        let end = SAMPLE.1.to_zoned(self.zone.clone()).map_or(begin, |it| it.timestamp());
        let mut gaps = Gaps { shortest: Duration::MAX, longest: Duration::ZERO };
        self.ordinary_gaps(&mut gaps);
        for jump in self.zone.following(begin).take(JUMPS).take_while(|it| it.timestamp() < end) {
            self.gaps_around(jump.timestamp(), &mut gaps);
        }
        if gaps.longest.is_zero() {
            // Rarer than once in the sample.
            let ticks: Vec<_> = self.walk(begin, Timestamp::MAX).take(2).collect();
            ticks.windows(2).for_each(|it| gaps.see(between(it[0], it[1])));
        }
        gaps
    }

    /// Gaps as if no clock ever jumped.
    fn ordinary_gaps(&self, gaps: &mut Gaps) {
        let minutes = self.cron.pattern.minutes.values();
        let hours = self.cron.pattern.hours.values();
        let times: Vec<u64> = hours
            .iter()
            .flat_map(|hour| minutes.iter().map(move |it| u64::from(*hour) * 60 + u64::from(*it)))
            .collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return };
        let minutes = |it: u64| Duration::from_secs(it * 60);
        times.windows(2).for_each(|it| gaps.see(minutes(it[1] - it[0])));
        let mut since = None;
        for day in SAMPLE.0.series(jiff::Span::new().days(1)).take_while(|it| *it <= SAMPLE.1) {
            since = since.map(|it: u64| it + 1);
            if self.has(day) {
                if let Some(days) = since {
                    gaps.see(minutes(days * 24 * 60 + first - last));
                }
                since = Some(0);
            }
        }
    }

    /// Gaps between the ticks around an instant at which the clock jumps.
    fn gaps_around(&self, jump: Timestamp, gaps: &mut Gaps) {
        // Many ticks a day: those that are far from the jump are further apart than the shortest.
        let hours = if self.times_a_day() >= 48 { 3 } else { 26 };
        let margin = SignedDuration::from_hours(hours);
        let from = jump.checked_sub(margin).unwrap_or(Timestamp::MIN);
        let until = jump.checked_add(margin).unwrap_or(Timestamp::MAX);
        let ticks: Vec<_> = self.walk(from, until).collect();
        ticks.windows(2).for_each(|it| gaps.see(between(it[0], it[1])));
    }

    /// Whether some day of some year is like that. The rarest day is a fifth weekday in February,
    /// once in 28 years.
    fn ever_fires(&self) -> bool {
        let days = date(2001, 1, 1).series(jiff::Span::new().days(1));
        days.take_while(|it| it.year() <= 2040).any(|it| self.has(it))
    }

    /// Whether it ticks on that day.
    fn has(&self, day: Date) -> bool {
        let unsigned = |it: i8| u32::try_from(it).unwrap_or_default();
        let (month, number) = (unsigned(day.month()), unsigned(day.day()));
        let weekday = unsigned(day.weekday().to_sunday_zero_offset());
        let weekday = croner::Weekday::from_days_from_sunday(weekday);
        let pattern = &self.cron.pattern;
        pattern.month_match(month).unwrap_or(false)
            && pattern.day_match(i32::from(day.year()), month, number, weekday).unwrap_or(false)
    }

    fn times_a_day(&self) -> u64 {
        let pattern = &self.cron.pattern;
        let times = pattern.minutes.values().len() * pattern.hours.values().len();
        u64::try_from(times).unwrap_or(u64::MAX)
    }

    /// Whether the clock did not jump from just before `start` to `end`, a day later.
    fn is_ordinary(&self, start: Timestamp, end: Timestamp) -> bool {
        let offset = self.zone.to_offset(start);
        start.duration_until(end) == DAY
            && self.zone.to_offset(before(start)) == offset
            && self.zone.to_offset(end) == offset
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.zone.iana_name().unwrap_or("a zone without a name"))
    }
}

// === impl Gaps ===

impl Gaps {
    fn see(&mut self, gap: Duration) {
        self.shortest = self.shortest.min(gap);
        self.longest = self.longest.max(gap);
    }
}

fn before(instant: Timestamp) -> Timestamp {
    instant.checked_sub(NANOSECOND).unwrap_or(Timestamp::MIN)
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    from.duration_until(to).unsigned_abs()
}

fn count(ticks: impl Iterator<Item = Timestamp>) -> u64 {
    u64::try_from(ticks.count()).unwrap_or(u64::MAX)
}
