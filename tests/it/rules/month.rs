//! Thirty days of random faults that the objectives allow: nobody is paged. An outage in them pages in
//! the time that the arithmetic says.

use crate::rules::kit::{Rulebook, Story, objectives_of};
use crate::rules::world::{OK, Run, SLOW, TIMEOUT, World};
use hopclock::rules::{Severity, plan};
use std::time::Duration;

const DAY: u32 = 24 * 60;
const MONTH: u32 = 30 * DAY;

/// Minutes between two samples, and two evaluations.
const STEP: u32 = 5;

/// Faults of a path that holds its objective, by this seed: four of a thousand runs are bad, some are
/// superseded, skipped or errors, webhooks and notifications get lost.
fn faults(seed: u64) -> impl FnMut(u32) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    move |at| {
        let webhook = if random.u32(0..100) < 5 { "none" } else { "ours" };
        let notification = if random.u32(0..100) < 5 { "lost" } else { "heard" };
        let run = Run { webhook, notification, leaves: 0, ..OK };
        // Every Tuesday the controllers are upgraded, and everything is late for ten minutes.
        match (at % (7 * DAY)).checked_sub(DAY + 600) {
            Some(0..15) => return Run { outcome: "skipped", ..run },
            Some(15..25) => return Run { webhook: "unready", ..SLOW },
            _ => (),
        }
        match random.u32(0..1_000) {
            0..3 => SLOW,
            3..4 => TIMEOUT,
            4..12 => Run { outcome: "superseded", ..run },
            12..20 => Run { outcome: "probe_error", ..run },
            _ => run,
        }
    }
}

/// A month of a scenario, with weekends off if it says so, and restarts of its pod.
fn month(scenario: &'static str, period: u32, seed: u64, weekends: bool) -> World {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut pods = Vec::new();
    let mut from = 0;
    while from < MONTH {
        let until = from + random.u32(DAY / 2..3 * DAY);
        pods.push((from, until));
        from = until + random.u32(1..12);
    }
    let weeks = if weekends { 0..5 } else { 0..0 };
    let pauses = weeks.map(|it| (it * 7 * DAY + 5 * DAY, (it + 1) * 7 * DAY)).collect();
    World {
        period,
        step: STEP,
        pods,
        pauses,
        gaps: vec![(10 * DAY, 10 * DAY + 15), (20 * DAY + 7, 20 * DAY + 13)],
        run: Box::new(faults(seed)),
        ..World::calm(scenario).until(MONTH)
    }
}

/// One seed, and only what pages, because promtool takes minutes for a month and loads no more samples:
/// that warnings and what is recent stay silent over a month is not shown here.
#[test]
fn a_month_of_faults_within_the_budget_pages_nobody() {
    let all = [
        objectives_of("fast", "{ every: 5m }", "{ within: 2m }"),
        objectives_of("office", "{ every: 15m }", "{ within: 2m }"),
        objectives_of("slow", "{ every: 1h }", "{ within: 2m, objective: 97% }"),
    ];
    let story = |seed: u64| {
        Story::of(&format!("seed {seed}"), month("fast", 5, seed, false))
            .and(month("office", 15, seed, true))
            .and(month("slow", 60, seed, false))
            .have_paged(MONTH, &[])
    };
    Rulebook::of_pages(&all.concat()).play(STEP, &[story(1)]);
}

#[test]
fn an_outage_pages_in_the_time_that_was_computed() {
    let start = DAY + 7;
    for (name, schedule, period, slo) in [
        ("fast", "{ every: 5m }", 5, "{ within: 2m }"),
        ("office", "{ every: 15m }", 15, "{ within: 2m }"),
        ("slow", "{ every: 1h }", 60, "{ within: 2m, objective: 97% }"),
    ] {
        let objectives = objectives_of(name, schedule, slo);
        let tiers = plan(&objectives[0]).unwrap().tiers;
        let pages = tiers.iter().filter(|it| it.severity == Severity::Critical);
        let latest =
            pages.map(|it| it.detects_after(&objectives[0], Duration::ZERO)).min().unwrap();
        let latest = u32::try_from(latest.as_secs() / 60).unwrap();
        let mut before = faults(3);
        let run = move |at| if at >= start { TIMEOUT } else { before(at) };
        let world = World { run: Box::new(run), ..month(name, period, 3, false).until(DAY + 400) };
        let world = World { step: 1, pods: vec![(0, u32::MAX)], gaps: Vec::new(), ..world };
        Rulebook::of(&objectives).play(
            1,
            &[Story::of(name, world)
                .have_paged(start, &[])
                .have_paged(start + latest + 2, &["HopclockErrorBudgetBurn"])],
        );
    }
}
