//! From a written schedule to a timetable.

use super::schedule_file::{PauseFile, ScheduleFile};
use crate::model::{Calendar, Duration, NotACalendar, Pause, Ticks, Timetable, zone};
use jiff::tz::TimeZone;

impl ScheduleFile {
    /// The timetable of a scenario; `None` if the schedule breaks a rule that `check` knows.
    pub(crate) fn timetable(&self, scenario: &str) -> Option<Timetable> {
        let pauses: Option<Vec<_>> = self.pause.iter().map(PauseFile::pause).collect();
        Some(Timetable {
            scenario: scenario.to_owned(),
            ticks: self.ticks()?,
            jitter: self.jitter.map(|it| it.0),
            pauses: pauses?,
        })
    }

    /// What makes its ticks.
    pub(crate) fn ticks(&self) -> Option<Ticks> {
        match (self.every, &self.cron) {
            (Some(Duration(period)), None) => Some(Ticks::Every(period)),
            (None, Some(text)) => calendar(text, self.timezone.as_deref())?.ok().map(Ticks::Cron),
            _ => None,
        }
    }
}

impl PauseFile {
    /// The window; `None` if it breaks a rule that `check` knows.
    pub(crate) fn pause(&self) -> Option<Pause> {
        match (self.from, self.until, &self.cron, self.lasts) {
            (Some(from), Some(until), None, None) => {
                Some(Pause::Between { from: from.0, until: until.0 })
            }
            (None, None, Some(text), Some(Duration(lasts))) => {
                let starts = calendar(text, self.timezone.as_deref())?.ok()?;
                Some(Pause::Recurring { starts, lasts })
            }
            _ => None,
        }
    }
}

/// A calendar in the zone of this name; `None` if there is no such zone.
pub(crate) fn calendar(text: &str, name: Option<&str>) -> Option<Result<Calendar, NotACalendar>> {
    let zone = name.map_or(Some(TimeZone::UTC), zone)?;
    Some(Calendar::parse(text, zone))
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;
    use crate::model::{Ticks, Timetable, zone};

    fn timetable(schedule: &str) -> Timetable {
        let text = format!(
            "name: a\ndeadline: 5m\ntrigger: {{ git_commit: {{ source: a/b, path: c }} }}\n\
             hops: [{{ live: {{ config_map: a/b }} }}]\nschedule: {schedule}\n"
        );
        load_text("a.yaml", &text).unwrap_or_else(|it| panic!("{it}")).schedule.unwrap()
    }

    #[test]
    fn a_calendar_is_read_in_the_zone_of_the_bundled_database() {
        let table = timetable("{ cron: '30 2 * * *', timezone: Europe/Berlin }");
        let Ticks::Cron(calendar) = &table.ticks else { panic!("a calendar") };
        assert_eq!(Some(calendar.zone().clone()), zone("Europe/Berlin"));
        let next = table.next_after("", "2026-03-29T00:00:00Z".parse().unwrap());
        assert_eq!(next, Some("2026-03-29T01:00:00Z".parse().unwrap()));
        let table = timetable("{ cron: '30 2 * * *' }");
        let next = table.next_after("", "2026-03-29T00:00:00Z".parse().unwrap());
        assert_eq!(next, Some("2026-03-29T02:30:00Z".parse().unwrap()));
    }

    #[test]
    fn pauses_of_both_kinds_are_read() {
        let table = timetable(
            "{ every: 15m, jitter: 1m, pause: [{ from: 2026-12-24T00:00:00+01:00, until: \
             2026-12-27T00:00:00+01:00 }, { cron: 0 18 * * 5, timezone: Europe/Berlin, for: 62h }] }",
        );
        assert_eq!(table.scenario, "a");
        assert_eq!(table.jitter, Some(std::time::Duration::from_secs(60)));
        let end = |at: &str| table.is_paused(at.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(end("2026-12-23T22:59:59Z"), None);
        // Thursday's window reaches into Friday's, which ends on Monday.
        assert_eq!(end("2026-12-23T23:00:00Z").as_deref(), Some("2026-12-28T07:00:00Z"));
        assert_eq!(end("2026-11-28T12:00:00Z").as_deref(), Some("2026-11-30T07:00:00Z"));
    }
}
