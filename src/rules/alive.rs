//! Whether anybody measures: runs that do not come, do not end, or decide nothing.
//!
//! None of these says that delivery is slow. Where an increase is compared with a number of runs,
//! half a run less is asked for, because it is extrapolated to the edges of its window.

use crate::export::Metric;
use crate::rules::names::{DEADLINE, EVENTS, NEXT_RUN, PERIOD, RUNS, max, recent};
use crate::rules::rule::{Alert, Group, Rule, Severity};
use crate::rules::settings::{Arrival, Settings};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Periods after which a run that was due is missed.
const OVERDUE: u32 = 2;

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

fn stale(settings: &Settings) -> Alert {
    Alert {
        name: "HopclockStale",
        expr: format!(
            "time() - {}\n  > on ({})\n({OVERDUE} * {} + {})",
            settings.series(NEXT_RUN, ""),
            settings.by(&["scenario"]),
            settings.series(PERIOD, ""),
            settings.series(DEADLINE, ""),
        ),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Runs of a scenario are due and do not end, so nothing is measured.",
        description: "The next run of scenario {{ $labels.scenario }} was due \
                      {{ $value | humanizeDuration }} ago, and none has ended since, whatever its \
                      outcome."
            .to_owned(),
    }
}

fn absent(settings: &Settings) -> Alert {
    let service = settings.series(Metric::ReloadSuccessful.doc().name, "");
    let any = settings.series(Metric::BuildInfo.doc().name, "");
    let by = settings.by(&[]);
    let expr = match settings.arrival {
        // The second arm begins where the first ends.
        Arrival::Scraped => format!(
            "group by ({by}) (last_over_time({service}[1d1h]))\n  unless on ({by}) {service}\nor\n\
             absent_over_time({any}[1d])"
        ),
        Arrival::Pushed => format!("absent_over_time({any}[4d])"),
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
    let runs = |matchers: &str| {
        format!("sum by ({labels}) (increase({}[1d]))", settings.series(&max(RUNS), matchers))
    };
    Alert {
        name: "HopclockSkipped",
        expr: format!(
            "{} > 2.5\nunless\n{} > 0.5",
            runs(r#"outcome="skipped""#),
            runs(r#"outcome!="skipped""#)
        ),
        wait: Some(240 * MINUTE),
        severity: Severity::Info,
        labels: Vec::new(),
        summary: "Something on the path of a scenario has been suspended for long, so nothing is \
                  delivered there and nothing is measured.",
        description: "All of the last day's {{ $value | humanize }} runs of scenario \
                      {{ $labels.scenario }} were skipped."
            .to_owned(),
    }
}
