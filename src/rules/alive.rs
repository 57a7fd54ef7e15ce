//! Whether anybody measures: runs that do not come, do not end, or decide nothing.
//!
//! None of these says that delivery is slow. Where an increase is compared with a number of runs,
//! half a run less is asked for, because it is extrapolated to the edges of its window.

use crate::export::Metric;
use crate::rules::names::{DEADLINE, EVENTS, NEXT_RUN, PERIOD, RUNS, max, recent};
use crate::rules::rule::{Alert, Group, Rule, Severity};
use crate::rules::settings::{Arrival, Settings};
use crate::rules::span::text;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = days(1);

/// How long an installation that is gone is told.
const WEEK: Duration = days(7);

/// Periods after which a run that was due is missed.
const OVERDUE: u32 = 2;

/// Longest period, in seconds, of which a day holds runs enough to say that all were skipped.
const OFTEN: u64 = 21_600;

/// Up to which period in seconds, over which time, and how that and its half are written, no run may
/// end while one has been due for half of that time. All samples are taken at the same instants: a
/// run that ends leaves the time together with the promise that it keeps.
const BROKEN: [(u64, Duration, &str, &str); 3] = [
    (OFTEN, DAY, "1d", "12h"),
    (86_400, days(4), "4d:1h", "2d:1h"),
    (7 * 86_400, days(28), "28d:6h", "14d:6h"),
];

/// Seconds beyond its deadline after which a run hangs: settling, lingering and tidying up take less.
const HANGING: u32 = 300;

/// The group of these alerts.
pub(super) fn group(settings: &Settings) -> Group {
    let alerts = [
        stale(settings),
        absent(settings),
        hanging(settings),
        undecided(settings),
        broken(settings),
        skipped(settings),
    ];
    Group {
        name: "hopclock-alive".to_owned(),
        interval: MINUTE,
        rules: alerts.map(Rule::Alert).to_vec(),
    }
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

fn stale(settings: &Settings) -> Alert {
    let (labels, next) = (settings.by(&["scenario"]), settings.series(NEXT_RUN, ""));
    let period = settings.series(PERIOD, "");
    let due = format!(
        "time() - {next}\n  > on ({labels})\n({OVERDUE} * {period} + {})",
        settings.series(DEADLINE, ""),
    );
    // Every start of a process promises anew, so of one that starts again and again, or cannot begin,
    // the oldest promise is looked at. One that a restart broke just before a pause is not made up for
    // until that ends, and nothing is promised anew meanwhile.
    let mut shorter = 0;
    let broken = BROKEN.map(|(longest, back, range, half)| {
        let above = if shorter > 0 { format!(" > {shorter}") } else { String::new() };
        shorter = longest;
        format!(
            "time() - min_over_time({next}[{range}]) > {}\n  and changes({next}[{half}]) > 0\n  and on \
             ({labels}) ({period}{above} <= {longest})\n  unless on ({labels}) sum by ({labels}) (increase({}[{range}])) > 0",
            back.as_secs() / 2,
            settings.series(&max(RUNS), ""),
        )
    });
    Alert {
        name: "HopclockStale",
        expr: [due].into_iter().chain(broken).collect::<Vec<_>>().join("\nor\n"),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Runs of a scenario are due and do not end, so nothing is measured.",
        description: "A run of scenario {{ $labels.scenario }} was due \
                      {{ $value | humanizeDuration }} ago, and none has ended since, whatever its \
                      outcome."
            .to_owned(),
    }
}

fn absent(settings: &Settings) -> Alert {
    let service = settings.series(Metric::ReloadSuccessful.doc().name, "");
    let any = settings.series(Metric::BuildInfo.doc().name, "");
    let by = settings.by(&[]);
    // Without any data there must have been some, or an installation would begin with a page.
    let expr = match settings.arrival {
        // The second arm is for what comes from a Pushgateway. Steps of five minutes see every sample.
        Arrival::Scraped => {
            let known = format!("(last_over_time({service}[7d:5m]))");
            format!(
                "group by ({by}) {known}\n  unless on ({by}) {service}\nor\nabsent_over_time({any}[1d])\n  \
                 and on () group (last_over_time({any}[8d:5m]))\n  unless on () group {known}"
            )
        }
        Arrival::Pushed => format!(
            "absent_over_time({any}[{}])\n  and on () group (last_over_time({any}[{}]))",
            text(settings.memory()),
            text(settings.memory() + WEEK)
        ),
    };
    Alert {
        name: "HopclockAbsent",
        expr,
        wait: Some(15 * MINUTE),
        severity: Severity::Critical,
        labels: Vec::new(),
        summary: "There are no metrics of a hopclock that was there before, so nobody would notice \
                  that changes are not delivered.",
        description: "Prometheus gets nothing from hopclock{{ with $labels.job }} (job {{ . }}){{ \
                      end }} any more."
            .to_owned(),
    }
}

fn hanging(settings: &Settings) -> Alert {
    let labels = settings.by(&["scenario"]);
    Alert {
        name: "HopclockRunInFlightTooLong",
        expr: format!(
            "max by ({labels}) ({})\n  > on ({labels})\n({} + {HANGING})",
            settings.series(Metric::RunInFlight.doc().name, ""),
            settings.series(DEADLINE, ""),
        ),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "A run is under way for longer than its deadline allows.",
        description: "A run of scenario {{ $labels.scenario }} has been under way for \
                      {{ $value | humanizeDuration }} and should have ended at its deadline."
            .to_owned(),
    }
}

fn undecided(settings: &Settings) -> Alert {
    let labels = settings.by(&["scenario"]);
    Alert {
        name: "HopclockNoMeasurement",
        expr: format!(
            "{} < 0.5\nand on ({labels})\n  sum by ({labels}) ({}) > 2.5",
            settings.series(&recent(EVENTS), ""),
            settings.series(&recent(RUNS), r#"outcome!="skipped""#),
        ),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Runs end without a decision on an objective, so its error budget says nothing.",
        description:
            "None of the last runs of scenario {{ $labels.scenario }}, three at least, says \
                      whether the objective {{ $labels.slo }} was met."
                .to_owned(),
    }
}

fn broken(settings: &Settings) -> Alert {
    let labels = settings.by(&["scenario"]);
    let runs = |matchers: &str| {
        format!("sum by ({labels}) ({})", settings.series(&recent(RUNS), matchers))
    };
    let (errors, all) = (runs(r#"outcome="probe_error""#), runs(r#"outcome!="skipped""#));
    Alert {
        name: "HopclockProbeErrors",
        expr: format!("{errors} > 2.5\nand\n{errors} / {all} > 0.5"),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Most runs of a scenario cannot measure, because something is wrong with hopclock \
                  or its surroundings.",
        description: "{{ $value | humanize }} of the last runs of scenario {{ $labels.scenario }} \
                      ended as probe_error. They count neither as good nor as bad."
            .to_owned(),
    }
}

fn skipped(settings: &Settings) -> Alert {
    let labels = settings.by(&["scenario"]);
    let [skipped, others] = [r#"outcome="skipped""#, r#"outcome!="skipped""#];
    let of_day = |matchers: &str| {
        format!("sum by ({labels}) (increase({}[1d]))", settings.series(&max(RUNS), matchers))
    };
    let last = |matchers: &str| {
        format!("sum by ({labels}) ({})", settings.series(&recent(RUNS), matchers))
    };
    Alert {
        name: "HopclockSkipped",
        expr: format!(
            "{} > 2.5\n  unless {} > 0.5\nor\n{} > 2.5\n  unless {} > 0.5\n  and on ({labels}) ({} > \
             {OFTEN})",
            of_day(skipped),
            of_day(others),
            last(skipped),
            last(others),
            settings.series(PERIOD, ""),
        ),
        wait: Some(240 * MINUTE),
        severity: Severity::Info,
        labels: Vec::new(),
        summary: "Something on the path of a scenario has been suspended for long, so nothing is \
                  delivered there and nothing is measured.",
        description: "All of the last {{ $value | humanize }} runs of scenario \
                      {{ $labels.scenario }} were skipped."
            .to_owned(),
    }
}
