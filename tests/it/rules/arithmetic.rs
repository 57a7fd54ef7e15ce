//! Windows that fit a cadence, and objectives that no cadence of theirs can support.

#![expect(clippy::cast_precision_loss, reason = "numbers of runs")]

use crate::rules::kit::{objectives_of, timetable_of};
use hopclock::model::Timetable;
use hopclock::rules::{Cadence, Error, Objective, Plan, Severity, Tier, plan};
use proptest::prelude::*;
use std::time::Duration;

const HOUR: u64 = 3_600;

/// An objective with a run every so many minutes.
fn objective(minutes: u64, share: f64, days: u64) -> Objective {
    Objective {
        scenario: "a".to_owned(),
        slo: "total".to_owned(),
        within: Duration::from_secs(120),
        share,
        window: Duration::from_secs(days * 24 * HOUR),
        cadence: Cadence::every(Duration::from_secs(minutes * 60)),
    }
}

fn tiers(objective: &Objective) -> Vec<Tier> {
    plan(objective).unwrap_or_else(|it| panic!("{it}")).tiers
}

/// Severity, minutes of both windows, threshold in per mille, bad runs of how many.
fn told(objective: &Objective) -> Vec<String> {
    let each = |it: &Tier| {
        let (severity, long, short) =
            (it.severity, it.long.as_secs() / 60, it.short.as_secs() / 60);
        let share = it.threshold * 1_000.0;
        format!("{} {long}/{short} >{share:.0} {} of {}", severity.as_str(), it.bad, it.runs)
    };
    tiers(objective).iter().map(each).collect()
}

#[test]
fn windows_of_frequent_runs_are_those_of_the_workbook() {
    let expected = [
        "critical 60/5 >144 9 of 60",
        "critical 360/30 >60 22 of 360",
        "warning 1440/120 >30 44 of 1440",
        "warning 4320/360 >10 44 of 4320",
    ];
    assert_eq!(told(&objective(1, 0.99, 30)), expected);
}

#[test]
fn windows_of_rare_runs_hold_twelve_and_three_of_them() {
    let expected = [
        "critical 180/45 >144 3 of 12",
        "critical 360/45 >60 3 of 24",
        "warning 1440/120 >30 3 of 96",
        "warning 4320/360 >10 3 of 288",
    ];
    assert_eq!(told(&objective(15, 0.99, 30)), expected);
    // A single one of 12 would be above 6 %, so only the faster tier pages.
    let expected = [
        "critical 720/180 >144 3 of 12",
        "warning 720/180 >60 2 of 12",
        "warning 1440/180 >30 2 of 24",
        "warning 4320/360 >10 2 of 72",
    ];
    assert_eq!(told(&objective(60, 0.99, 30)), expected);
    // Over a week the windows are a quarter as long, until they hold too few runs.
    let expected = [
        "critical 60/15 >144 3 of 12",
        "warning 84/15 >60 2 of 16",
        "warning 336/28 >30 3 of 67",
        "warning 1008/84 >10 3 of 201",
    ];
    assert_eq!(told(&objective(5, 0.99, 7)), expected);
}

#[test]
fn windows_of_an_uneven_calendar_hold_twelve_and_three_of_its_runs() {
    let thrice =
        objectives_of("a", "{ cron: '0 9,10,17 * * *' }", "{ within: 2m, objective: 95% }");
    let expected = [
        "critical 5760/1440 >720 9 of 12",
        "critical 5760/1440 >300 4 of 12",
        "warning 5760/1440 >150 2 of 12",
        "warning 5760/1440 >50 2 of 12",
    ];
    let told = told(&thrice[0]);
    assert!(told.iter().all(|it| expected.contains(&it.as_str())), "{told:?}");
    assert!(told.iter().any(|it| it.starts_with("critical")), "{told:?}");
    let office = objectives_of("a", "{ cron: '*/15 8-17 * * 1-5' }", "{ within: 2m }");
    let page = tiers(&office[0])[0];
    let hours = |it: Duration| it.as_secs() / HOUR;
    assert_eq!((hours(page.long), page.runs, page.bad), (3, 12, 3));
}

#[test]
fn even_a_low_objective_can_be_paged_for() {
    for share in [0.95, 0.9, 0.8, 0.5] {
        let tiers = tiers(&objective(5, share, 30));
        assert!(tiers.iter().any(|it| it.severity == Severity::Critical), "{share}: {tiers:?}");
        assert!(tiers.iter().all(|it| it.threshold <= 0.8 + 1e-9), "{share}: {tiers:?}");
    }
}

#[test]
fn every_plan_keeps_what_the_page_promises() {
    for minutes in [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1_440] {
        for share in [0.5, 0.75, 0.9, 0.95, 0.97, 0.99, 0.995, 0.999] {
            for days in [1, 7, 28, 30, 90] {
                let objective = objective(minutes, share, days);
                let Ok(plan) = plan(&objective) else { continue };
                let period = objective.cadence.period;
                let budget = objective.cadence.runs_in(objective.window) * (1.0 - share);
                let runs = |it: &Tier| f64::from(u32::try_from(it.bad).unwrap());
                let pages = |it: &&Tier| it.severity == Severity::Critical;
                let mut paging = plan.tiers.iter().filter(pages);
                assert!(paging.any(|it| runs(it) < budget), "{objective:?} {plan:?}");
                for it in plan.tiers {
                    assert!(
                        it.long >= period * 12 && it.short >= period * 3,
                        "{objective:?} {it:?}"
                    );
                    assert!(it.short <= it.long && it.least >= 6, "{objective:?} {it:?}");
                    assert!(it.bad >= 2 && it.bad <= it.runs, "{objective:?} {it:?}");
                    assert!(!pages(&&it) || it.bad >= 3, "{objective:?} {it:?}");
                }
            }
        }
    }
}

#[test]
fn an_objective_that_its_cadence_cannot_support_is_refused_with_the_arithmetic() {
    let said = |objective: &Objective| match plan(objective) {
        Err(Error::Unsupported(it)) => it.to_string(),
        other => panic!("{other:?}"),
    };
    let burst = objectives_of("burst", "{ cron: '*/5 9 * * 1' }", "{ within: 2m, objective: 95% }");
    let office = objectives_of("office", "{ cron: '0 8-17 * * 1-5' }", "{ within: 2m }");
    let all = [
        objective(15, 0.999, 30),
        objective(5, 0.999, 30),
        objective(360, 0.99, 30),
        objective(1_440, 0.9, 7),
        objective(1_440, 0.99, 30),
        objective(1, 0.99999, 30),
        office[0].clone(),
        burst[0].clone(),
    ];
    insta::assert_snapshot!(all.map(|it| said(&it)).join("\n"));
}

#[test]
fn without_a_schedule_no_window_fits_and_without_an_slo_none_is_needed() {
    let scenario = |more: &str| {
        let text = format!(
            "name: a\ndeadline: 5m\n{more}trigger: {{ git_commit: {{ source: a/b, path: c }} }}\n\
             hops: [{{ live: {{ config_map: a/b }}, within: 1m }}]\n"
        );
        hopclock::config::load_text("a.yaml", &text).unwrap_or_else(|it| panic!("{it}"))
    };
    assert_eq!(hopclock::rules::objectives(&scenario("")), Ok(Vec::new()));
    let error = hopclock::rules::objectives(&scenario("slo: { within: 2m }\n")).unwrap_err();
    let expected = "scenario `a` has an objective and no `schedule`: without a period no window fits, so say \
                    how often it runs";
    assert_eq!(error.to_string(), expected);
    let both = hopclock::rules::objectives(&scenario(
        "schedule: { every: 15m }\nslo: { within: 2m, objective: 95% }\n",
    ));
    let both: Vec<_> = both.unwrap().into_iter().map(|it| (it.slo, it.share)).collect();
    assert_eq!(both, [("total".to_owned(), 0.95), ("live".to_owned(), 0.95)]);
}

/// Bad runs until a page, of an outage that begins with the run of this number; none if there is no
/// page until the last.
fn bad_until_paged(plan: &Plan, runs: &[i64], begin: usize) -> Option<usize> {
    let pages = |it: &&Tier| it.severity == Severity::Critical;
    let fires = |tier: &Tier, at: usize| {
        // All runs of a window that ends now, and the bad ones of them.
        let of = |window: Duration| {
            let from = runs[at] - i64::try_from(window.as_secs()).unwrap();
            let held = runs[..=at].iter().filter(|it| **it > from).count();
            (held, held.min(at - begin + 1))
        };
        let share = |(all, bad): (usize, usize)| bad as f64 / all as f64;
        let (long, short) = (of(tier.long), of(tier.short));
        long.0 as u64 >= tier.least
            && long.1 as u64 >= tier.fewest
            && share(long) > tier.threshold
            && share(short) > tier.threshold
    };
    let at = (begin..runs.len())
        .find(|at| plan.tiers.iter().filter(pages).any(|tier| fires(tier, *at)))?;
    Some(at - begin + 1)
}

fn seconds(timetable: &Timetable, limit: usize) -> Vec<i64> {
    timetable.some_runs(limit).into_iter().map(jiff::Timestamp::as_second).collect()
}

fn cron() -> impl Strategy<Value = String> {
    let minutes = prop_oneof![
        prop::collection::btree_set((0..12_u32).prop_map(|it| it * 5), 1..5)
            .prop_map(|it| { it.iter().map(ToString::to_string).collect::<Vec<_>>().join(",") }),
        Just("*/15".to_owned()),
        Just("*/10".to_owned()),
    ];
    let hours = prop_oneof![
        Just("*".to_owned()),
        Just("8-17".to_owned()),
        prop::collection::btree_set(0..24_u32, 1..5).prop_map(|it| it
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")),
    ];
    let days = prop_oneof![Just("*"), Just("1-5"), Just("1,3"), Just("1")];
    let pause = prop_oneof![Just(""), Just(", pause: [{ cron: '0 12 * * 3', for: 20h }]")];
    (minutes, hours, days, pause).prop_map(|(minutes, hours, days, pause)| {
        format!("{{ cron: '{minutes} {hours} * * {days}'{pause} }}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Whatever the calendar: if there is a plan, an outage that begins with any run of some weeks
    /// pages before the budget of its window is spent.
    #[test]
    fn every_outage_under_a_calendar_pages_within_its_budget(
        schedule in cron(),
        share in prop::sample::select(vec![0.5, 0.8, 0.9, 0.95, 0.97, 0.99, 0.995]),
        days in prop::sample::select(vec![7, 30, 90]),
    ) {
        let timetable = timetable_of(&schedule);
        let cadence = Cadence::of(&timetable);
        let objective = Objective { cadence: cadence.clone(), ..objective(5, share, days) };
        let Ok(plan) = plan(&objective) else { return Ok(()) };
        let budget = cadence.runs_in(objective.window) * (1.0 - share);
        let runs = seconds(&timetable, 1_500);
        let pages = plan.tiers.iter().filter(|it| it.severity == Severity::Critical);
        let longest = pages.map(|it| it.long.as_secs()).max().unwrap();
        let known = |it: &i64| it - runs[0] >= i64::try_from(longest).unwrap();
        let first = runs.iter().position(known).unwrap_or(runs.len());
        for begin in (first..runs.len() / 2).step_by(7) {
            let bad = bad_until_paged(&plan, &runs, begin);
            prop_assert!(bad.is_some_and(|it| (it as f64) < budget), "{bad:?} {budget} {plan:?}");
        }
        for it in plan.tiers {
            prop_assert!(cadence.held(it.long) >= 12 && cadence.held(it.short) >= 3, "{it:?}");
            prop_assert!(it.bad <= it.runs && it.short <= it.long, "{it:?}");
        }
    }
}
