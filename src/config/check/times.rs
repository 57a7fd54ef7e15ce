//! Deadlines, objectives and schedules that do not fit together (rules O2, O5, S1).

use super::Findings;
use crate::config::file::{ScenarioFile, ScheduleFile};
use crate::config::mistake::Mistake;
use crate::config::nearest::nearest;
use crate::config::node::Step::{self, Item, Key};
use crate::config::scenario::zone;
use crate::model::Duration;
use crate::trigger::TriggerConfig;

/// Shortest period of a scenario whose source others use, too (rule S1).
const SHORTEST_SHARED: Duration = Duration(std::time::Duration::from_secs(15 * 60));

/// Looks at every length of time.
pub(super) fn check(file: &ScenarioFile, findings: &mut Findings<'_>) {
    if file.deadline.0.is_zero() {
        findings.value(&[Key("deadline")], Mistake::NoTime { key: "deadline" });
    }
    if let Some(slo) = &file.slo {
        let way = [Key("slo"), Key("within")];
        objective(&way, "the objective", slo.within, file.deadline, findings);
    }
    for (index, hop) in file.hops.iter().enumerate() {
        if let Some(within) = hop.shared.within {
            let way = [Key("hops"), Item(index), Key("within")];
            let what = format!("the objective of `{}`", hop.name());
            objective(&way, &what, within, file.deadline, findings);
        }
    }
    if let Some(schedule) = &file.schedule {
        ticks(schedule, findings);
        period(file, schedule, findings);
    }
}

fn objective(
    way: &[Step<'_>],
    what: &str,
    within: Duration,
    deadline: Duration,
    findings: &mut Findings<'_>,
) {
    if within.0.is_zero() {
        findings.value(way, Mistake::NoTime { key: "within" });
    } else if within > deadline && !deadline.0.is_zero() {
        let what = what.to_owned();
        findings.value(way, Mistake::AboveDeadline { what, within, deadline });
    }
}

fn ticks(schedule: &ScheduleFile, findings: &mut Findings<'_>) {
    match (schedule.every, &schedule.cron) {
        (None, None) => findings.key(&[Key("schedule")], Mistake::NoTicks),
        (Some(_), Some(_)) => findings.key(&[Key("schedule"), Key("cron")], Mistake::TwoTicks),
        (Some(_), None) if schedule.timezone.is_some() => {
            findings.key(&[Key("schedule"), Key("timezone")], Mistake::ZoneWithoutCron);
        }
        (None, Some(cron)) if cron.split_whitespace().count() != 5 => {
            findings.value(&[Key("schedule"), Key("cron")], Mistake::BadCron);
        }
        _ => {}
    }
    if let Some(name) = schedule.timezone.as_deref().filter(|it| zone(Some(it)).is_none()) {
        let known: Vec<_> = jiff::tz::db().available().collect();
        let near = nearest(name, known.iter().map(jiff::tz::TimeZoneName::as_str));
        let near = near.map(str::to_owned);
        let mistake = Mistake::UnknownZone { zone: name.to_owned(), near };
        findings.value(&[Key("schedule"), Key("timezone")], mistake);
    }
}

fn period(file: &ScenarioFile, schedule: &ScheduleFile, findings: &mut Findings<'_>) {
    let Some(period) = schedule.every else { return };
    let (deadline, way) = (file.deadline, [Key("schedule"), Key("every")]);
    let jitter = schedule.jitter.map_or(std::time::Duration::ZERO, |it| it.0);
    let sum = Duration(deadline.0.saturating_add(jitter));
    if period.0.is_zero() {
        findings.value(&way, Mistake::NoTime { key: "every" });
    } else if deadline >= period {
        findings.value(&[Key("deadline")], Mistake::DeadlineNotBelowPeriod { deadline, period });
    } else if sum >= period {
        let jitter = [Key("schedule"), Key("jitter")];
        findings.value(&jitter, Mistake::JitterNotBelowPeriod { sum, period });
    }
    let TriggerConfig::GitCommit(trigger) = &file.trigger;
    if trigger.shared && !period.0.is_zero() && period < SHORTEST_SHARED {
        findings.value(&way, Mistake::PeriodTooShortForShared { period });
    }
}
