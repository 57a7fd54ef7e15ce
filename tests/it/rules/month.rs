//! Weeks and a month of random faults that the objectives allow: nobody is told anything, whatever its
//! severity. Where something breaks in earnest, just that is told, and as soon as was computed.

use crate::rules::kit::{Rulebook, Story, objectives_of};
use crate::rules::world::{OK, Run, SLOW, TIMEOUT, World};
use hopclock::rules::{Severity, plan};
use std::collections::VecDeque;
use std::time::Duration;

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
const WEEK: u32 = 7 * DAY;
const MONTH: u32 = 30 * DAY;

/// Minutes between two samples, and two evaluations.
const STEP: u32 = 5;

/// Minutes of a week: Tuesday's upgrade, Thursday's slow hour, and from when on Friday a change gets
/// lost. Each is as far from the others as the longest window of an alert is long.
const UPGRADE: u32 = DAY + 10 * HOUR;
const SLOW_HOUR: u32 = 3 * DAY + 14 * HOUR;
const LOST: u32 = 4 * DAY + 11 * HOUR;

/// A fault that happens so often at the most: more often it would be one that somebody should know of.
struct Rare {
    most: usize,
    within: u32,
    at: VecDeque<u32>,
}

impl Rare {
    fn new(most: usize, within: u32) -> Self {
        Self { most, within, at: VecDeque::new() }
    }

    fn may_happen(&mut self, at: u32) -> bool {
        self.at.retain(|it| at - it < self.within);
        let may = self.at.len() < self.most;
        if may {
            self.at.push_back(at);
        }
        may
    }
}

/// Faults that deserve no alert, by this seed: every twentieth webhook and notification is lost, but
/// never three of six; some runs are superseded, skipped or errors, a Receiver answers 503 to one. In
/// every other week Flux is upgraded and one change is not delivered; in the others two changes of one
/// hour are late. The scenario of five minutes has some late ones besides.
fn faults(seed: u64, period: u32) -> impl FnMut(u32) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    let few = || Rare::new(2, 6 * period);
    let (mut webhooks, mut notifications, mut undecided) = (few(), few(), few());
    let mut late = Rare::new(2, DAY);
    let mut lost = Rare::new(1, 2 * DAY);
    let from = LOST + random.u32(0..11 * HOUR);
    move |at| {
        let mut chance = |per_mille: u32| random.u32(0..1_000) < per_mille;
        let dead = chance(50) && webhooks.may_happen(at);
        let silent = chance(50) && notifications.may_happen(at);
        let webhook = match chance(5) {
            true => "unready",
            false if dead => "none",
            false => "ours",
        };
        let run = Run { webhook, notification: if silent { "lost" } else { "heard" }, ..OK };
        let upgrades = (u64::from(at / WEEK) + seed) % 2 == 1;
        let week = at % WEEK;
        if upgrades && (UPGRADE..UPGRADE + 15).contains(&week) {
            return Run { outcome: "skipped", ..run };
        }
        if upgrades && (UPGRADE + 15..UPGRADE + 25).contains(&week) {
            return Run { webhook: "unready", ..SLOW };
        }
        if upgrades && (from..LOST + 13 * HOUR).contains(&week) && lost.may_happen(at) {
            return TIMEOUT;
        }
        let is_half = week.is_multiple_of(30);
        if !upgrades && is_half && (SLOW_HOUR..SLOW_HOUR + HOUR).contains(&week) {
            return SLOW;
        }
        if period == 5 && chance(4) && late.may_happen(at) {
            return SLOW;
        }
        if chance(20) && undecided.may_happen(at) {
            let outcome = ["superseded", "probe_error", "skipped"][random.usize(0..3)];
            return Run { outcome, ..run };
        }
        run
    }
}

/// Some time of a scenario, with weekends off if it says so. Its pod is restarted, or comes back on
/// another node: then nobody marks the end of its series.
fn months(scenario: &'static str, period: u32, seed: u64, weekends: bool) -> World {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut pods = Vec::new();
    let mut from = 0;
    while from < MONTH {
        let until = from + random.u32(DAY / 2..3 * DAY);
        pods.push((from, until));
        from = until + random.u32(1..12);
    }
    let weeks = if weekends { 0..5 } else { 0..0 };
    let pauses = weeks.map(|it| (it * WEEK + 5 * DAY, (it + 1) * WEEK)).collect();
    World {
        period,
        deadline: 9.min(period - 1),
        step: STEP,
        pods,
        dies: seed.is_multiple_of(2),
        pauses,
        gaps: vec![(2 * DAY + 7, 2 * DAY + 13), (10 * DAY, 10 * DAY + 15)],
        run: Box::new(faults(seed, period)),
        ..World::calm(scenario).until(MONTH)
    }
}

/// The rules of such a scenario.
fn rules(scenario: &str) -> Rulebook {
    Rulebook::of_alerts(&match scenario {
        "fast" => objectives_of(scenario, "{ every: 5m }", "{ within: 2m }"),
        "office" => objectives_of(scenario, "{ every: 15m }", "{ within: 2m }"),
        _ => objectives_of(scenario, "{ every: 1h }", "{ within: 2m, objective: 97% }"),
    })
}

/// Some days of each seed. Samples are `step` minutes apart: with only a handful of them in what is
/// recent, and some missing, an increase says more than there was.
fn silent(scenario: &'static str, period: u32, step: u32, until: u32, seeds: [u64; 2]) {
    let story = |seed: u64| {
        let world = World { step, ..months(scenario, period, seed, false).until(until) };
        Story::of(&format!("{scenario} {seed}"), world).have_fired(until, &[])
    };
    rules(scenario).play(step, &seeds.map(story));
}

#[test]
fn a_month_of_faults_within_the_budget_alerts_nobody() {
    let world = months("office", 15, 1, true);
    rules("office").play(STEP, &[Story::of("a month", world).have_fired(MONTH, &[])]);
}

#[test]
fn days_of_a_frequent_scenario_alert_nobody() {
    silent("fast", 5, 2, 5 * DAY, [2, 3]);
}

#[test]
fn weeks_of_a_scenario_of_every_hour_alert_nobody() {
    silent("slow", 60, STEP, WEEK + HOUR, [4, 5]);
}

#[test]
fn of_a_week_in_which_things_break_just_those_are_told() {
    let mut before = faults(6, 15);
    let at = |day: u32, hour: u32| day * DAY + hour * HOUR;
    let run = move |minute: u32| {
        let run = before(minute);
        let hours =
            |day: u32, from: u32, until: u32| (at(day, from)..at(day, until)).contains(&minute);
        match run {
            _ if hours(2, 8, 12) => Run { webhook: "none", ..OK },
            _ if hours(3, 8, 11) => TIMEOUT,
            _ if hours(4, 8, 13) => Run { outcome: "probe_error", ..OK },
            run => run,
        }
    };
    let pods = vec![(0, at(5, 8)), (at(5, 9), u32::MAX)];
    let world = World { run: Box::new(run), pods, ..months("office", 15, 6, false).until(6 * DAY) };
    let story = Story::of("things break", world)
        .have_fired(at(2, 8), &[])
        .fire(at(2, 10), &["HopclockWebhookLost"])
        .fire(at(3, 7), &[])
        .fire(at(3, 10), &["HopclockErrorBudgetBurn"])
        .fire(at(4, 7), &[])
        .fire(at(4, 12), &["HopclockNoMeasurement", "HopclockProbeErrors"])
        .fire(at(5, 7), &[])
        .fire(at(5, 8) + 30, &["HopclockAbsent"])
        .fire(6 * DAY, &[])
        .have_paged(6 * DAY, &["HopclockAbsent", "HopclockErrorBudgetBurn"]);
    let told = [
        "HopclockAbsent",
        "HopclockErrorBudgetBurn",
        "HopclockNoMeasurement",
        "HopclockProbeErrors",
        "HopclockWebhookLost",
    ];
    rules("office").play(STEP, &[story.have_fired(6 * DAY, &told)]);
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
        let mut before = faults(3, period);
        let run = move |at| if at >= start { TIMEOUT } else { before(at) };
        let world = World { run: Box::new(run), ..months(name, period, 3, false).until(DAY + 400) };
        let world = World { step: 1, pods: vec![(0, u32::MAX)], gaps: Vec::new(), ..world };
        Rulebook::of(&objectives).play(
            1,
            &[Story::of(name, world)
                .have_paged(start, &[])
                .have_paged(start + latest + 2, &["HopclockErrorBudgetBurn"])],
        );
    }
}
