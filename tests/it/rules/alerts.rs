//! Each alert fires when it should, does not when that nearly happens, and has nothing to say where
//! there is no data.

use crate::rules::kit::{Rulebook, Story, objectives_of};
use crate::rules::world::{OK, Run, SLOW, TIMEOUT, World, of_pod};

const DAY: u32 = 24 * 60;

const BUILD: &str = r#"hopclock_build_info{job="push", version="1"}"#;

/// A story of the calm scenario whose runs come to something else from minute 120 on.
fn from_120(name: &str, run: Run) -> Story {
    Story::of(name, World::calm("a").until(300).from(120, run))
}

/// The same where only the runs at minutes 120 and 135 do.
fn twice(name: &str, run: Run) -> Story {
    Story::of(name, World::calm("a").until(300).during(120..150, run)).have_fired(300, &[])
}

#[test]
fn nothing_fires_while_all_is_well_nor_before_there_were_any_data() {
    let calm = World { step: 5, ..World::calm("a").until(2 * DAY) };
    Rulebook::of(&objectives_of("a", "{ every: 15m }", "{ within: 2m }")).play(
        5,
        &[
            Story::of("calm", calm).have_fired(2 * DAY, &[]),
            Story::new("no data", 1).with("up", "1+0x600").have_fired(600, &[]),
            // From a Pushgateway, of which nothing is there until the first run has ended.
            Story::new("the first CronJob", 5)
                .with(BUILD, "_x11 1+0x40 stale")
                .have_fired(1_700, &[])
                .have_fired(1_800, &["HopclockAbsent"]),
        ],
    );
}

#[test]
fn a_scenario_whose_runs_do_not_come_or_do_not_end_is_told() {
    let hanging = World { hangs: Some(120), ..World::calm("a") };
    let restarted = World { pods: vec![(0, 120), (130, u32::MAX)], ..World::calm("a") };
    let gone = World { pods: vec![(0, 120)], step: 5, ..World::calm("a").until(1_800) };
    let broken = Run { outcome: "superseded", ..OK };
    Rulebook::general().play(
        1,
        &[
            // Due at 120, and 39 minutes are two periods and the deadline.
            Story::of("no runs", hanging).fire(158, &[]).fire(162, &["HopclockStale"]),
            Story::of("ten minutes without a pod", restarted).have_fired(300, &[]),
            from_120("a run that does not end", Run { takes: 30, ..broken })
                .fire(133, &[])
                .fire(137, &["HopclockRunInFlightTooLong"]),
            from_120("runs that take until their deadline", Run { takes: 10, ..SLOW })
                .have_fired(300, &[]),
        ],
    );
    Rulebook::general().play(
        5,
        &[Story::of("gone", gone)
            .fire(130, &[])
            .fire(140, &["HopclockAbsent"])
            .fire(1_570, &["HopclockAbsent"])
            .fire(1_700, &["HopclockAbsent"])
            .have_fired(1_800, &["HopclockAbsent"])],
    );
}

#[test]
fn an_installation_that_is_gone_is_told_for_a_week_though_another_lives() {
    let service = |job: &str| format!("hopclock_config_last_reload_successful{{job=\"{job}\"}}");
    let gone = 24 * 60;
    Rulebook::general().play(
        5,
        &[Story::new("one of two", 5)
            .with(&service("a"), "1+0x2592")
            .with(&service("b"), "1+0x287 stale")
            .fire(gone + 10, &[])
            .fire(gone + 30, &["HopclockAbsent"])
            .fire(gone + 2 * DAY, &["HopclockAbsent"])
            .fire(gone + 7 * DAY - 30, &["HopclockAbsent"])
            .fire(gone + 7 * DAY + 30, &[])],
    );
}

#[test]
fn promises_that_are_broken_again_and_again_are_told() {
    // Every start of a process promises a run within the hour, and is ended before.
    let pods = || (0..100).map(|it| (it * 50 + 1, it * 50 + 51)).collect();
    let hourly = |hangs| World {
        period: 60,
        step: 5,
        pods: pods(),
        hangs,
        ..World::calm("a").until(2 * DAY)
    };
    let daily = World {
        period: DAY,
        step: 5,
        pods: (0..6).map(|it| (it * 1_300 + 1, it * 1_300 + 1_301)).collect(),
        hangs: Some(0),
        ..World::calm("a").until(5 * DAY)
    };
    Rulebook::general().play(
        5,
        &[
            Story::of("restarts before every run", hourly(Some(0)))
                .fire(770, &[])
                .fire(800, &["HopclockStale"])
                .fire(2 * DAY, &["HopclockStale"]),
            Story::of("restarts between runs", hourly(None)).have_fired(2 * DAY, &[]),
            Story::of("restarts before the run of every day", daily)
                .fire(3 * DAY - 30, &[])
                .fire(3 * DAY + 90, &["HopclockStale"]),
        ],
    );
}

#[test]
fn runs_of_an_uneven_calendar_are_enough_to_tell() {
    let error = Run { outcome: "probe_error", ..OK };
    // At nine, ten and seventeen: four runs take 31 hours as a rule.
    let times = vec![9 * 60, 10 * 60, 17 * 60];
    let world = World { times, period: 465, step: 5, ..World::calm("a") };
    Rulebook::general().play(
        5,
        &[Story::of("errors", world.until(3 * DAY).from(DAY, error))
            .fire(DAY + 16 * 60, &[])
            .fire(2 * DAY + 18 * 60, &["HopclockProbeErrors"])],
    );
}

#[test]
fn runs_that_decide_nothing_are_told_by_why() {
    let superseded = Run { outcome: "superseded", ..OK };
    let error = Run { outcome: "probe_error", ..OK };
    let skipped = Run { outcome: "skipped", ..OK };
    let of_scenario = format!("{}, scenario=\"a\"", of_pod(0));
    let events = format!("hopclock_slo_events_total{{{of_scenario}, slo=\"total\"}}");
    let long = |run: Run, until| {
        let world = World::calm("a").until(2 * DAY).during(120..until, run);
        World { step: 5, ..world }
    };
    let daily =
        |run| World { period: DAY, step: 5, ..World::calm("a").until(5 * DAY).from(DAY, run) };
    Rulebook::general().play(
        1,
        &[
            from_120("superseded", superseded).fire(160, &[]).fire(170, &["HopclockNoMeasurement"]),
            twice("superseded twice", superseded),
            // Runs of hours, and an objective that was only now added to their scenario.
            Story::of("a new objective", World::calm("a").from(300, superseded))
                .with(&events, "_x310 0+0x289")
                .fire(330, &[])
                .fire(380, &["HopclockNoMeasurement"]),
            from_120("errors", error)
                .fire(150, &[])
                .fire(155, &["HopclockProbeErrors"])
                .fire(175, &["HopclockNoMeasurement", "HopclockProbeErrors"]),
            twice("two errors", error),
        ],
    );
    Rulebook::general().play(
        5,
        &[
            Story::of("skipped", long(skipped, 2 * DAY))
                .fire(1_700, &[])
                .fire(1_800, &["HopclockSkipped"]),
            Story::of("skipped for hours", long(skipped, 1_000)).have_fired(2 * DAY, &[]),
            Story::of("skipped each day", daily(skipped))
                .fire(4 * DAY, &[])
                .fire(5 * DAY - 60, &["HopclockSkipped"]),
        ],
    );
}

#[test]
fn webhooks_and_notifications_are_lost_only_if_most_of_several_are() {
    let dead = Run { webhook: "none", ..OK };
    let silent = Run { notification: "lost", ..OK };
    let unready = Run { webhook: "unready", ..OK };
    Rulebook::general().play(
        1,
        &[
            from_120("no webhook", dead).fire(150, &[]).fire(155, &["HopclockWebhookLost"]),
            twice("two webhooks lost", dead),
            from_120("a Receiver that is suspended or not ready", unready).have_fired(300, &[]),
            from_120("no notification", silent)
                .fire(150, &[])
                .fire(155, &["HopclockNotificationsLost"]),
            twice("two notifications lost", silent),
        ],
    );
}

#[test]
fn leftovers_are_told_while_they_grow() {
    let grows = Run { leaves: 1, ..OK };
    let left = |name, values| {
        let series = format!("hopclock_leftovers{{{}, scenario=\"a\"}}", of_pod(0));
        let world = World { step: 5, ..World::calm("a").until(2 * DAY) };
        Story::of(name, world).with(&series, values)
    };
    let growing = World { step: 5, ..World::calm("a").until(2 * DAY).from(0, grows) };
    Rulebook::general().play(
        5,
        &[
            Story::of("growing", growing).fire(1_750, &[]).fire(1_850, &["HopclockLeftovers"]),
            left("as many as ever", "30+0x576").have_fired(2 * DAY, &[]),
            left("many, but not for a day", "0+0x300 21+1x275").have_fired(1_700, &[]),
            left("few", "0+0x200 20+0x375").have_fired(2 * DAY, &[]),
        ],
    );
}

#[test]
fn a_service_that_cannot_read_keep_or_send_is_told() {
    let pod = of_pod(0);
    let with = |name: &str, series: &[(&str, &str)]| {
        let story = Story::of(name, World::calm("a"));
        series.iter().fold(story, |story, (series, values)| {
            let (metric, labels) = series.split_once(' ').unwrap_or((series, ""));
            let comma = if labels.is_empty() { "" } else { ", " };
            story.with(&format!("{metric}{{{pod}{comma}{labels}}}"), values)
        })
    };
    let reload = "hopclock_config_last_reload_successful";
    let failed = r#"hopclock_exports_total way="remote_write", result="failed""#;
    let sent = r#"hopclock_exports_total way="remote_write", result="sent""#;
    let hourly = (0..10).fold(String::new(), |text, it| format!("{text}{it}+0x59 "));
    Rulebook::general().play(
        1,
        &[
            with("a broken file", &[(reload, "1+0x100 0+0x200 1+0x298")])
                .fire(113, &[])
                .fire(120, &["HopclockReloadFailed"])
                .fire(320, &[]),
            with("a file broken for a moment", &[(reload, "1+0x100 0+0x10 1+0x488")])
                .have_fired(600, &[]),
            with("state", &[("hopclock_state_saved", "1+0x100 0+0x200 1+0x298")])
                .fire(108, &[])
                .fire(115, &["HopclockStateNotSaved"])
                .fire(320, &[]),
            with("state for a moment", &[("hopclock_state_saved", "1+0x100 0+0x5 1+0x493")])
                .have_fired(600, &[]),
            with("exports", &[(failed, "0+0x100 1+1x498"), (sent, "0+1x100 100+0x498")])
                .fire(125, &[])
                .fire(140, &["HopclockExportsFailing"]),
            with("one export an hour", &[(failed, &hourly), (sent, "0+0x599")])
                .fire(170, &[])
                .fire(200, &["HopclockExportsFailing"]),
            with("some exports", &[(failed, "0+0x100 1+1x10 11+0x487"), (sent, "0+1x599")])
                .have_fired(600, &[]),
        ],
    );
}

#[test]
fn a_budget_that_is_spent_too_fast_pages_after_three_bad_runs_and_as_long_as_it_goes_on() {
    let page = r#"count(ALERTS{alertstate="firing", severity="critical"})"#;
    let outage = |run| World::calm("a").during(300..420, run);
    let two = World::calm("a").during(300..330, TIMEOUT);
    Rulebook::of(&objectives_of("a", "{ every: 15m }", "{ within: 2m }")).play(
        1,
        &[
            // Missed at 302, 317 and 332.
            Story::of("an outage", outage(TIMEOUT))
                .have_paged(331, &[])
                .have_paged(334, &["HopclockErrorBudgetBurn"])
                .yields(480, page, None),
            Story::of("a slow path", outage(SLOW))
                .have_paged(331, &[])
                .have_paged(334, &["HopclockErrorBudgetBurn"]),
            // Two of a day's runs are worth a look by day.
            Story::of("two bad runs", two)
                .have_paged(600, &[])
                .have_fired(600, &["HopclockErrorBudgetBurn"]),
            Story::of("one bad run", World::calm("a").during(300..315, TIMEOUT))
                .have_fired(600, &[]),
            Story::of("an outage from the first run on", World::calm("a").from(0, TIMEOUT))
                .have_paged(76, &[])
                .have_paged(79, &["HopclockErrorBudgetBurn"]),
        ],
    );
}
