//! Windows that fit a cadence, and objectives that no cadence of theirs can support.

use crate::rules::kit::objectives_of;
use hopclock::rules::{Cadence, Error, Objective, Severity, Tier, plan};
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
    let office = objectives_of("office", "{ cron: '0 8-17 * * 1-5' }", "{ within: 2m }");
    let all = [
        objective(15, 0.999, 30),
        objective(5, 0.999, 30),
        objective(360, 0.99, 30),
        objective(1_440, 0.9, 7),
        objective(1_440, 0.99, 30),
        objective(1, 0.99999, 30),
        office[0].clone(),
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
