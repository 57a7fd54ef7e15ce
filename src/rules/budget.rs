//! What is recorded of one objective, and who is told that its budget is being spent.

use crate::rules::burn::{Plan, Tier};
use crate::rules::error::{percent, plain};
use crate::rules::names::{BAD, BUDGET_LEFT, EVENTS};
use crate::rules::objective::Objective;
use crate::rules::rule::{Alert, Group, Rule};
use crate::rules::settings::Settings;
use crate::rules::sli::{increase_name, is_common, ratio_name, records};
use crate::rules::span::text;
use std::collections::BTreeSet;
use std::time::Duration;

/// Time between two evaluations.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// What is recorded of an objective beside what is of every one, then its alerts.
pub(super) fn rules(settings: &Settings, objective: &Objective, plan: &Plan) -> Vec<Rule> {
    let matchers = matchers(objective);
    let of_scenario = format!(r#"scenario="{}""#, objective.scenario);
    let all = plan.tiers.iter().flat_map(|it| [it.short, it.long]).chain([objective.window]);
    let windows: BTreeSet<Duration> = all.filter(|it| !is_common(*it)).collect();
    let mut rules: Vec<Rule> =
        windows.iter().flat_map(|it| records(settings, *it, &of_scenario)).collect();
    if windows.contains(&objective.window) {
        rules.push(Rule::record(
            format!("{BUDGET_LEFT}{}", text(objective.window)),
            format!(
                "1 - {} / {}",
                settings.series(&ratio_name(objective.window), &of_scenario),
                plain(1.0 - objective.share)
            ),
        ));
    }
    let mut rules: Vec<_> =
        rules.into_iter().map(|it| it.of_scenario(&objective.scenario)).collect();
    rules.extend(plan.tiers.iter().map(|it| alert(settings, objective, it, &matchers)));
    rules
}

/// Adds the rules of a further objective of the same scenario, whose windows are the same.
pub(super) fn join(group: &mut Group, rules: Vec<Rule>) {
    let new: Vec<_> = rules.into_iter().filter(|it| !group.rules.contains(it)).collect();
    group.rules.extend(new);
}

/// The label matchers of an objective.
pub(super) fn matchers(objective: &Objective) -> String {
    format!(r#"scenario="{}", slo="{}""#, objective.scenario, objective.slo)
}

fn alert(settings: &Settings, objective: &Objective, tier: &Tier, matchers: &str) -> Rule {
    let ratio = |window| settings.series(&ratio_name(window), matchers);
    let increase = |of| settings.series(&increase_name(of, tier.long), matchers);
    // Half a run less, because an increase is extrapolated to the edges of its window.
    let expr = format!(
        "{} > {threshold}\nand\n{} > {threshold}\nand\n{} > {}.5\nand\n{} > {}.5",
        ratio(tier.long),
        ratio(tier.short),
        increase(BAD),
        tier.fewest - 1,
        increase(EVENTS),
        tier.least - 1,
        threshold = plain(tier.threshold),
    );
    let (long, short) = (text(tier.long), text(tier.short));
    let description = format!(
        "{{{{ $value | humanizePercentage }}}} of the changes of scenario {{{{ $labels.scenario }}}} \
         in the last {long} missed the objective {{{{ $labels.slo }}}} ({} within {}), more than {} \
         times what its error budget over {} allows, and it goes on.",
        percent(objective.share),
        text(objective.within),
        plain(tier.factor),
        text(objective.window),
    );
    Rule::Alert(Alert {
        name: "HopclockErrorBudgetBurn",
        expr,
        wait: None,
        severity: tier.severity,
        labels: vec![
            ("scenario", objective.scenario.clone()),
            ("slo", objective.slo.clone()),
            ("long", long),
            ("short", short),
        ],
        summary: "Changes miss their objective so often that the error budget will not last.",
        description,
    })
}
