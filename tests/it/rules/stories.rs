//! Days in the life of an installation, on which nobody should be told anything that is not so.

use crate::rules::kit::{Rulebook, Story, objectives_of, timetable_of};
use crate::rules::world::{OK, Run, SLOW, World};
use hopclock::rules::{Arrival, Settings, installation, of_objectives, prometheus};

const DAY: u32 = 24 * 60;

fn rulebook() -> Rulebook {
    Rulebook::of(&objectives_of("a", "{ every: 15m }", "{ within: 2m }"))
}

/// Decisions of six hours, as whole ones.
const DECISIONS: &str = "round(sum(hopclock:slo_events:increase6h))";

#[test]
fn an_installation_and_a_restart_are_silent_and_lose_no_decision() {
    let pods = vec![(0, 305), (307, 602), (606, u32::MAX)];
    let fresh = World { pods: vec![(7, u32::MAX)], ..World::calm("a") };
    let kept = World { pods: pods.clone(), ..World::calm("a").until(900) };
    let lost = World { pods, keeps_totals: false, ..World::calm("a").until(900) };
    // Nobody marks what a Prometheus that was restarted itself does not scrape any more.
    let overlapping = Story::of("series of an old pod that linger", World::calm("a").until(900))
        .with(r#"hopclock_slo_events_total{job="hopclock", namespace="hopclock", pod="old", scenario="a", slo="total"}"#, "0+0x305 _x595");
    rulebook().play(
        1,
        &[
            Story::of("fresh", fresh).have_fired(600, &[]),
            Story::of("restarted", kept).have_fired(900, &[]).yields(660, DECISIONS, Some(24.0)),
            Story::of("restarted without state", lost).have_fired(900, &[]).yields(
                660,
                DECISIONS,
                Some(24.0),
            ),
            overlapping.have_fired(900, &[]).yields(720, DECISIONS, Some(24.0)),
        ],
    );
}

#[test]
fn a_paused_weekend_is_silent_and_monday_is_watched_again() {
    let weekend =
        || World { pauses: vec![(DAY, 3 * DAY + 8 * 60)], ..World::calm("a").until(4 * DAY) };
    let monday = 3 * DAY + 8 * 60;
    // Half of the runs of a long window have to be in before anybody is paged.
    let page = monday + 5 * 15 + 2;
    rulebook().play(
        5,
        &[
            Story::of("a weekend", weekend()).have_fired(4 * DAY, &[]),
            Story::of("an outage on Monday", weekend().from(monday, SLOW))
                .have_paged(page - 2, &[])
                .have_paged(page + 8, &["HopclockErrorBudgetBurn"]),
        ],
    );
}

#[test]
fn a_run_that_a_restart_prevented_before_a_pause_is_not_overdue_in_it() {
    // It was due as the pause began, and nobody was there.
    let restarted = |length: u32| World {
        pauses: vec![(DAY + 5, DAY + 5 + length)],
        pods: vec![(0, DAY - 5), (DAY + 10, u32::MAX)],
        step: 5,
        ..World::calm("a").until(2 * DAY + 6 * 60)
    };
    rulebook().play(
        5,
        &[
            Story::of("before a weekend", restarted(2 * DAY)).have_fired(2 * DAY + 6 * 60, &[]),
            Story::of("before a long day", restarted(26 * 60)).have_fired(2 * DAY + 6 * 60, &[]),
        ],
    );
}

#[test]
fn an_upgrade_of_flux_is_silent() {
    let upgrade = |at: u32| match at {
        300 => Run { outcome: "skipped", ..OK },
        315 => Run { outcome: "failed", takes: 4, webhook: "unready", ..OK },
        330 => Run { webhook: "none", notification: "lost", ..OK },
        345 => Run { outcome: "probe_error", ..OK },
        _ => OK,
    };
    let world = World { run: Box::new(upgrade), ..World::calm("a") };
    rulebook().play(1, &[Story::of("an upgrade", world).have_fired(600, &[])]);
}

#[test]
fn scrapes_that_fail_for_a_while_are_silent() {
    let world = World { gaps: vec![(200, 212), (400, 403)], ..World::calm("a") };
    rulebook().play(1, &[Story::of("gaps", world).have_fired(600, &[])]);
}

#[test]
fn what_two_scrape_at_once_counts_once() {
    let twice = |run: Run| {
        let mut story = Story::new("both halves of a pair in one store", 1);
        for (name, values) in World::calm("a").from(300, run).series() {
            for replica in ["{replica=\"a\", ", "{replica=\"b\", "] {
                story = story.with(&name.replacen('{', replica, 1), &values);
            }
        }
        story
    };
    rulebook().play(
        1,
        &[
            twice(OK).have_fired(600, &[]).yields(600, DECISIONS, Some(24.0)),
            // Missed at 302, 317 and 332.
            twice(SLOW).have_paged(331, &[]).have_paged(334, &["HopclockErrorBudgetBurn"]),
        ],
    );
}

#[test]
fn two_installations_do_not_hide_each_other() {
    let mut other = Story::new("two installations", 1);
    for (name, values) in World::calm("a").until(700).series() {
        other =
            other.with(&name, &values).with(&name.replace("=\"hopclock\"", "=\"other\""), &values);
    }
    let gone = World { pods: vec![(0, 300)], ..World::calm("a").until(700) };
    for (name, values) in gone.series() {
        other = other.with(&name, &values);
    }
    rulebook().play(
        1,
        &[other.fire(310, &[]).fire(320, &["HopclockAbsent"]).yields(
            320,
            r#"count(ALERTS{alertstate="firing", job="hopclock"})"#,
            Some(1.0),
        )],
    );
}

#[test]
fn a_cron_job_that_sends_its_totals_at_the_end_is_watched_too() {
    let objectives = objectives_of("a", "{ every: 15m }", "{ within: 2m }");
    let by = ["job"].map(str::to_owned);
    let settings = Settings::new(&by, None, Arrival::Pushed).unwrap();
    let mut groups = installation(&settings);
    groups.extend(of_objectives(&settings, &objectives).unwrap());
    let rulebook = Rulebook::text(prometheus(&settings, &groups));
    // One sample for each run, of a pod of its own, until minute 600; and nothing afterwards.
    let sent = |name: &str, bad_from: u32| {
        let mut story = Story::new(name, 1);
        for (number, at) in (0..40_u32).map(|it| (it + 1, it * 15 + 2)) {
            let bad = number.saturating_sub(bad_from);
            for (metric, labels, value) in [
                ("slo_events_total", ", slo=\"total\"", number),
                ("slo_bad_events_total", ", slo=\"total\"", bad),
                ("runs_total", ", outcome=\"ok\"", number - bad),
                ("runs_total", ", outcome=\"slow\"", bad),
                ("scenario_period_seconds", "", 900),
                ("scenario_deadline_seconds", "", 540),
                ("next_run_timestamp_seconds", "", number * 900),
                ("build_info", "", 1),
            ] {
                let series = format!(
                    "hopclock_{metric}{{job=\"cron\", pod=\"{number}\", scenario=\"a\"{labels}}}"
                );
                story = story.with(&series, &format!("_x{at} {value}"));
            }
        }
        story
    };
    rulebook.play(
        1,
        &[
            sent("in order, then no more", 40)
                .yields(599, DECISIONS, Some(24.0))
                .have_fired(638, &[])
                .have_fired(642, &["HopclockStale"]),
            // The 21st run is the first bad one, at 302.
            sent("slow", 20).have_paged(331, &[]).have_paged(334, &["HopclockErrorBudgetBurn"]),
        ],
    );
}

#[test]
fn the_first_runs_of_a_cron_job_and_those_of_a_slow_one_are_silent() {
    let pushed = || Settings::new(&["job".to_owned()], None, Arrival::Pushed).unwrap();
    let general =
        |settings: &Settings| Rulebook::text(prometheus(settings, &installation(settings)));
    let build = r#"hopclock_build_info{job="cron", version="1"}"#;
    let first = Story::new("the first run", 1).with(build, "_x55 1 _x185");
    general(&pushed()).play(1, &[first.have_fired(240, &[])]);
    // Each Monday; whoever does not know that takes the silence of four days for an end.
    let mondays = || Story::new("each week", 60).with(build, "1 _x167 1 _x167 1 _x167 1 _x60");
    let mut weekly = pushed();
    weekly.remember(&timetable_of("{ cron: '0 6 * * 1' }"));
    general(&weekly).play(60, &[mondays().have_fired(21 * DAY, &[])]);
    general(&pushed()).play(60, &[mondays().have_fired(21 * DAY, &["HopclockAbsent"])]);
}

#[test]
fn an_outage_of_a_path_with_uneven_runs_pages() {
    let thrice =
        objectives_of("a", "{ cron: '0 9,10,17 * * *' }", "{ within: 2m, objective: 95% }");
    let world = World {
        times: vec![9 * 60, 10 * 60, 17 * 60],
        period: 465,
        step: 5,
        ..World::calm("a").until(5 * DAY).from(2 * DAY, SLOW)
    };
    Rulebook::of_pages(&thrice).play(
        5,
        &[Story::of("thrice a day", world)
            .have_paged(2 * DAY + 12 * 60, &[])
            .have_paged(5 * DAY, &["HopclockErrorBudgetBurn"])],
    );
    let twice = objectives_of("a", "{ cron: '0,5 * * * *' }", "{ within: 2m, objective: 90% }");
    let times = (0..24).flat_map(|it| [it * 60, it * 60 + 5]).collect();
    let world = World { times, period: 30, deadline: 4, step: 5, ..World::calm("a").until(DAY) };
    Rulebook::of_pages(&twice).play(
        5,
        &[Story::of("twice an hour", world.from(720, SLOW))
            .have_paged(720, &[])
            .have_paged(720 + 7 * 60, &["HopclockErrorBudgetBurn"])],
    );
}
