//! What dashboards show of every objective: decisions, their bad share, and the budget that is left.

use crate::rules::names::{BAD, BUDGET_LEFT, ERROR_RATIO, EVENTS, OBJECTIVE, max};
use crate::rules::rule::{Group, Rule};
use crate::rules::settings::Settings;
use crate::rules::span::{range, text};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Windows of every objective, whatever its cadence.
const WINDOWS: [u64; 4] = [HOUR, 6 * HOUR, DAY, 3 * DAY];

/// The window of the budget that is shown where nobody says another.
const MONTH: Duration = Duration::from_secs(30 * DAY);

/// The groups. The month is looked at less often, yet often enough not to have gaps.
pub(super) fn groups(settings: &Settings) -> Vec<Group> {
    let windows = WINDOWS.map(Duration::from_secs);
    let mut month = records(settings, MONTH, "");
    let labels = settings.by(&["scenario", "slo"]);
    month.push(Rule::record(
        format!("{BUDGET_LEFT}{}", text(MONTH)),
        format!(
            "1 - {}\n  / on ({labels})\n(1 - {})",
            settings.series(&format!("{ERROR_RATIO}{}", text(MONTH)), ""),
            settings.series(OBJECTIVE, "")
        ),
    ));
    vec![
        Group {
            name: "hopclock-slo".to_owned(),
            interval: Duration::from_secs(60),
            rules: windows.iter().flat_map(|it| records(settings, *it, "")).collect(),
        },
        Group {
            name: "hopclock-slo-budget".to_owned(),
            interval: Duration::from_secs(180),
            rules: month,
        },
    ]
}

/// Whether a window is recorded for every objective.
pub(super) fn is_common(window: Duration) -> bool {
    window == MONTH || WINDOWS.contains(&window.as_secs())
}

/// What is recorded of one window: decisions, bad ones, and their share where there were any.
pub(super) fn records(settings: &Settings, window: Duration, matchers: &str) -> Vec<Rule> {
    let increase =
        |of: &str| format!("increase({}[{}])", settings.series(&max(of), matchers), range(window));
    let name = |of: &str| increase_name(of, window);
    vec![
        Rule::record(name(EVENTS), increase(EVENTS)),
        Rule::record(name(BAD), increase(BAD)),
        Rule::record(
            ratio_name(window),
            format!(
                "{}\n  /\n({} > 0)",
                settings.series(&name(BAD), matchers),
                settings.series(&name(EVENTS), matchers)
            ),
        ),
    ]
}

/// What the increase of a counter over a window is called.
pub(super) fn increase_name(of: &str, window: Duration) -> String {
    format!("{of}:increase{}", text(window))
}

/// What the bad share of a window is called.
pub(super) fn ratio_name(window: Duration) -> String {
    format!("{ERROR_RATIO}{}", text(window))
}
