//! What goes wrong beside the runs: webhooks and notifications that are lost, things left behind,
//! and a service that cannot read, keep or send.

use crate::export::Metric;
use crate::rules::names::{LEFTOVERS, NOTIFICATIONS, WEBHOOKS, recent};
use crate::rules::rule::{Alert, Group, Rule, Severity};
use crate::rules::settings::Settings;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Leftovers that nobody has to look at.
const LEFT: u32 = 20;

/// The group of these alerts.
pub(super) fn group(settings: &Settings) -> Group {
    let alerts = [
        webhooks(settings),
        notifications(settings),
        leftovers(settings),
        reload(settings),
        state(settings),
        exports(settings),
    ];
    Group {
        name: "hopclock-upkeep".to_owned(),
        interval: MINUTE,
        rules: alerts.map(Rule::Alert).to_vec(),
    }
}

fn webhooks(settings: &Settings) -> Alert {
    let labels = settings.by(&["scenario", "target_cluster", "hop"]);
    let series = |matchers: &str| {
        format!("sum by ({labels}) ({})", settings.series(&recent(WEBHOOKS), matchers))
    };
    let (none, all) = (series(r#"webhook="none""#), series(r#"webhook!="unready""#));
    Alert {
        name: "HopclockWebhookLost",
        expr: format!("{none} > 2.5\nand\n{none} / {all} > 0.5"),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Webhooks do not arrive any more, so Flux notices changes only when it polls.",
        description:
            "{{ $value | humanize }} of the last changes of scenario {{ $labels.scenario }} \
                      were made without a webhook reaching {{ $labels.hop }}, though its Receiver \
                      was ready."
                .to_owned(),
    }
}

fn notifications(settings: &Settings) -> Alert {
    let labels = settings.by(&["scenario", "target_cluster", "hop"]);
    let series = |matchers: &str| {
        format!("sum by ({labels}) ({})", settings.series(&recent(NOTIFICATIONS), matchers))
    };
    let (lost, all) = (series(r#"notification="lost""#), series(""));
    Alert {
        name: "HopclockNotificationsLost",
        expr: format!("{lost} > 2.5\nand\n{lost} / {all} > 0.5"),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Flux delivers changes and does not tell of it any more.",
        description:
            "{{ $value | humanize }} of the last changes of scenario {{ $labels.scenario }} \
                      were delivered, and no notification of it reached {{ $labels.hop }}."
                .to_owned(),
    }
}

fn leftovers(settings: &Settings) -> Alert {
    let series = settings.series(LEFTOVERS, "");
    Alert {
        name: "HopclockLeftovers",
        expr: format!("min_over_time({series}[1d]) > {LEFT}\nand\n{series} > {series} offset 1d"),
        wait: Some(60 * MINUTE),
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Canaries pile up on a remote, because hopclock cannot take them away.",
        description:
            "For a day scenario {{ $labels.scenario }} has had {{ $value | humanize }} canaries \
                      or more beyond those that stay, and they become more."
                .to_owned(),
    }
}

fn reload(settings: &Settings) -> Alert {
    let by = settings.by(&[]);
    Alert {
        name: "HopclockReloadFailed",
        expr: format!(
            "min by ({by}) ({}) == 0",
            settings.series(Metric::ReloadSuccessful.doc().name, "")
        ),
        wait: Some(15 * MINUTE),
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "A scenario file is broken; its last good form runs, or nothing of it.",
        description:
            "hopclock{{ with $labels.job }} (job {{ . }}){{ end }} could not take over all \
                      scenario files."
                .to_owned(),
    }
}

fn state(settings: &Settings) -> Alert {
    let by = settings.by(&[]);
    Alert {
        name: "HopclockStateNotSaved",
        expr: format!(
            "min by ({by}) ({}) == 0",
            settings.series(Metric::StateSaved.doc().name, "")
        ),
        wait: Some(10 * MINUTE),
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "hopclock cannot keep its totals; they would be lost in a restart.",
        description: "The last changes of the state of hopclock{{ with $labels.job }} (job \
                      {{ . }}){{ end }} could not be kept."
            .to_owned(),
    }
}

fn exports(settings: &Settings) -> Alert {
    let labels = settings.by(&["way"]);
    let sum = |matchers: &str, range: &str| {
        let series = settings.series(Metric::Exports.doc().name, matchers);
        format!("sum by ({labels}) (increase({series}[{range}]))")
    };
    let most = |range: &str| {
        let (lost, all) = (sum(r#"result=~"failed|dropped""#, range), sum("", range));
        format!("{lost} > 2.5\n  and {lost} / {all} > 0.5")
    };
    Alert {
        name: "HopclockExportsFailing",
        // Some ways are gone once a run, and an hour may hold none.
        expr: format!("{}\nor\n{}\n  unless {} > 2.5", most("1h"), most("1d"), sum("", "1h")),
        wait: None,
        severity: Severity::Warning,
        labels: Vec::new(),
        summary: "Most of what hopclock sends elsewhere does not arrive.",
        description:
            "{{ $value | humanize }} of the last exports by {{ $labels.way }} failed or were \
                      dropped."
                .to_owned(),
    }
}
