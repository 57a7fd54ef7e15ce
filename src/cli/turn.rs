//! The turn of a run that somebody else's timer starts, such as a `CronJob`'s: the delay of its tick,
//! and no run in a pause.
//!
//! A timer of the cluster starts at the full minute, as pollers do, and all of its jobs at once.
//! A service gives each run a delay of its own (rule O5); what stands for one of its ticks does the
//! same, and says of a tick in a pause that it was missed (rule O4).

use crate::cli::assemble::Workshop;
use crate::cli::assembly::ScenarioAssembly;
use crate::cli::say;
use crate::cli::stop::Stop;
use crate::config::Scenario;
use crate::engine::Assembly;
use crate::model::{Event, Missed, Ticks, Timetable};
use crate::path::plan::shown;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How late after its tick a process may start that stands for it: an image has to be pulled first.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// What a tick comes to.
#[derive(Debug)]
pub(super) enum Turn {
    /// A run.
    Run,
    /// None, which this event says.
    Missed(Event),
}

/// Says whether all have a schedule whose ticks can be stood for.
///
/// # Errors
///
/// A sentence that names the first that has none.
pub(super) fn check(scenarios: &[Scenario]) -> Result<(), String> {
    let Some(other) = scenarios.iter().find(|it| it.schedule.is_none()) else { return Ok(()) };
    Err(format!(
        "scenario `{}` has no `schedule`, and `--scheduled` asks for its delay and its pauses: give it \
         one, or leave `--scheduled` out",
        other.name
    ))
}

/// Waits for the turn of a scenario whose tick is now.
///
/// # Errors
///
/// If hopclock is stopped meanwhile.
pub(super) async fn await_turn(
    workshop: &Workshop,
    scenario: &Scenario,
    stop: &Stop,
) -> Result<Turn, String> {
    let Some(timetable) = &scenario.schedule else { return Ok(Turn::Run) };
    let tick = tick_before(timetable, &workshop.instance, workshop.clock.wall());
    if let Some(missed) = paused(timetable, &scenario.name, tick, tick) {
        return Ok(missed);
    }
    let jitter = if let Some(jitter) = timetable.jitter {
        jitter
    } else {
        // What keeps the path from being looked at keeps the run from beginning, and is said then.
        let assembly = ScenarioAssembly::new(workshop, scenario.clone());
        let Ok(assembled) = assembly.assemble().await else { return Ok(Turn::Run) };
        timetable.default_jitter(assembled.longest_poll, scenario.deadline)
    };
    let begins = tick.checked_add(timetable.delay(&workshop.instance, tick, jitter));
    let wall = workshop.clock.wall();
    let wait = begins.map(|it| it.duration_since(wall)).unwrap_or_default();
    let wait = Duration::try_from(wait).unwrap_or_default();
    if wait >= Duration::from_secs(1) {
        let shown = shown(wait);
        say(&format!(
            "scenario `{}` begins in {shown}, the random delay of its tick",
            scenario.name
        ));
    }
    tokio::select! {
        _ = stop.asked() => Err("it was stopped before its turn came, and nothing was pushed".to_owned()),
        () = tokio::time::sleep(wait) => {
            let missed = paused(timetable, &scenario.name, tick, workshop.clock.wall());
            Ok(missed.unwrap_or(Turn::Run))
        }
    }
}

/// The tick for which a process stands that started just now: the last one of a calendar, if it is not
/// long ago. A timer that starts processes knows nothing of the phase of a period: each of its minutes
/// is a tick then.
fn tick_before(timetable: &Timetable, seed: &str, now: Timestamp) -> Timestamp {
    if matches!(timetable.ticks, Ticks::Every(_)) {
        let minute = Timestamp::from_second(now.as_second().div_euclid(60) * 60);
        return minute.unwrap_or(now);
    }
    let from = now.checked_sub(LATE).unwrap_or(now);
    timetable.ticks_between(seed, from, now, usize::MAX).pop().unwrap_or(now)
}

/// What there is to say if `at` lies in a pause.
fn paused(timetable: &Timetable, scenario: &str, due: Timestamp, at: Timestamp) -> Option<Turn> {
    let until = timetable.is_paused(at)?;
    let end =
        if until == Timestamp::MAX { "for good".to_owned() } else { format!("until {until:.0}") };
    say(&format!("scenario `{scenario}` is paused {end}: no run begins"));
    let (scenario, reason, count) = (scenario.to_owned(), Missed::Paused, 1);
    Some(Turn::Missed(Event::Missed { scenario, reason, count, due }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn timetable(schedule: &str) -> Timetable {
        let text = format!(
            "name: a\ndeadline: 1m\nschedule: {{ {schedule} }}\n\
             trigger: {{ git_commit: {{ source: a/b, path: c }} }}\n\
             hops: [{{ live: {{ config_map: a/b }} }}]\n"
        );
        let scenario = config::load_text("a.yaml", &text).unwrap_or_else(|it| panic!("{it}"));
        scenario.schedule.unwrap()
    }

    #[test]
    fn o5_a_period_is_put_off_whatever_its_phase_is() {
        let timetable = timetable("every: 15m, jitter: 1m");
        let now: Timestamp = "2026-11-21T12:00:07Z".parse().unwrap();
        let delays: Vec<u64> = (0..24)
            .map(|it| {
                let seed = format!("instance-{it}");
                let tick = tick_before(&timetable, &seed, now);
                assert!(now.duration_since(tick).as_secs() < 60, "{seed}: {tick}");
                timetable.delay(&seed, tick, Duration::from_secs(60)).as_secs()
            })
            .collect();
        let later = delays.iter().filter(|it| **it > 7).count();
        assert!(later > 16, "most of them wait: {delays:?}");
    }

    #[test]
    fn a_process_stands_for_the_tick_just_before_it() {
        let timetable = timetable("cron: '0 * * * *'");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let tick = |now: &str| tick_before(&timetable, "seed", at(now));
        assert_eq!(tick("2026-11-21T12:00:00Z"), at("2026-11-21T12:00:00Z"));
        assert_eq!(tick("2026-11-21T12:03:10Z"), at("2026-11-21T12:00:00Z"));
        // Somebody started it by hand.
        assert_eq!(tick("2026-11-21T12:30:00Z"), at("2026-11-21T12:30:00Z"));
    }
}
