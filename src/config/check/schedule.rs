//! Schedules that never tick, leave no room for a run, or never let one begin (rules O5, S1).

use super::Findings;
use crate::config::file::ScenarioFile;
use crate::config::mistake::Mistake;
use crate::config::nearest::nearest;
use crate::config::node::Step::{self, Item, Key};
use crate::config::schedule::calendar;
use crate::config::schedule_file::{PauseFile, ScheduleFile};
use crate::model::{Duration, Ticks, Timetable, zone, zones};

/// Shortest period of a scenario whose source others use, too (rule S1).
const SHORTEST_SHARED: Duration = Duration(std::time::Duration::from_secs(15 * 60));

/// Looks at a schedule.
pub(super) fn check(file: &ScenarioFile, schedule: &ScheduleFile, findings: &mut Findings<'_>) {
    let way = [Key("schedule")];
    match (schedule.every, &schedule.cron) {
        (None, None) => findings.key(&way, Mistake::NoTicks),
        (Some(_), Some(_)) => findings.key(&[way[0], Key("cron")], Mistake::TwoTicks),
        _ => {}
    }
    zoned(&way, schedule.cron.as_deref(), schedule.timezone.as_deref(), findings);
    period(file, schedule, findings);
    for (index, window) in schedule.pause.iter().enumerate() {
        pause(&[way[0], Key("pause"), Item(index)], window, findings);
    }
}

/// Looks at a calendar and its zone.
fn zoned(way: &[Step<'_>], cron: Option<&str>, name: Option<&str>, findings: &mut Findings<'_>) {
    let key = |it| [way, &[Key(it)]].concat();
    if let (None, Some(_)) = (cron, name) {
        findings.key(&key("timezone"), Mistake::ZoneWithoutCron);
    }
    if let Some(name) = name.filter(|it| zone(it).is_none()) {
        let known = zones();
        let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        let mistake = Mistake::UnknownZone { zone: name.to_owned(), near };
        findings.value(&key("timezone"), mistake);
    }
    // The fields are looked at even if the zone is unknown.
    let read = cron.and_then(|it| calendar(it, name).or_else(|| calendar(it, None)));
    if let Some(Err(wrong)) = read {
        findings.value(&key("cron"), Mistake::BadCron(wrong));
    }
}

fn period(file: &ScenarioFile, schedule: &ScheduleFile, findings: &mut Findings<'_>) {
    let Some(ticks) = schedule.ticks() else { return };
    let key = if matches!(ticks, Ticks::Every(_)) { "every" } else { "cron" };
    let (scenario, jitter, pauses) = (file.name.clone(), None, Vec::new());
    let period = Duration(Timetable { scenario, ticks, jitter, pauses }.shortest_gap());
    let (deadline, way) = (file.deadline, [Key("schedule"), Key(key)]);
    let jitter = schedule.jitter.map_or(std::time::Duration::ZERO, |it| it.0);
    let sum = Duration(deadline.0.saturating_add(jitter));
    if period.0.is_zero() {
        findings.value(&way, Mistake::NoTime { key });
    } else if deadline >= period {
        findings.value(&[Key("deadline")], Mistake::DeadlineNotBelowPeriod { deadline, period });
    } else if sum >= period {
        let jitter = [Key("schedule"), Key("jitter")];
        findings.value(&jitter, Mistake::JitterNotBelowPeriod { sum, period });
    }
    if file.trigger.kind().is_shared() && !period.0.is_zero() && period < SHORTEST_SHARED {
        findings.value(&way, Mistake::PeriodTooShortForShared { period });
    }
}

fn pause(way: &[Step<'_>], window: &PauseFile, findings: &mut Findings<'_>) {
    let key = |it| [way, &[Key(it)]].concat();
    let once = [("from", window.from.is_some()), ("until", window.until.is_some())];
    let again = [("cron", window.cron.is_some()), ("for", window.lasts.is_some())];
    let is_once = once.iter().any(|it| it.1);
    let meant = if is_once { once } else { again };
    let missing = meant.iter().find(|it| !it.1);
    match (meant.iter().any(|it| it.1), missing) {
        (false, _) => findings.value(way, Mistake::NoPause),
        (true, Some((key, _))) => findings.value(way, Mistake::HalfAPause { key }),
        (true, None) => {}
    }
    for (name, _) in again.iter().filter(|it| is_once && it.1) {
        findings.key(&key(name), Mistake::TwoPauses { key: name });
    }
    zoned(way, window.cron.as_deref(), window.timezone.as_deref(), findings);
    if let (Some(from), Some(until)) = (window.from, window.until)
        && until <= from
    {
        findings.value(&key("until"), Mistake::PauseEndsFirst);
    }
    if let Some(lasts) = window.lasts {
        if lasts.0.is_zero() {
            findings.value(&key("for"), Mistake::NoTime { key: "for" });
        } else if window.pause().is_some_and(|it| it.is_endless()) {
            findings.value(&key("for"), Mistake::EndlessPause { lasts });
        }
    }
}
