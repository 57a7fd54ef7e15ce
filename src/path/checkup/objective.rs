//! Whether what is installed lets a scenario hold its objectives: the plan's word on them.

use crate::path::checkup::{Finding, Room, table};
use crate::path::plan::{Case, Course, Met, Plan, Prospect, Verdict, shown};

/// What a scenario promises.
#[derive(Clone, Debug)]
pub struct Goal {
    /// Its name.
    pub scenario: String,
    /// The way of its changes, and how long they may take.
    pub course: Course,
}

/// What keeps a scenario from its objectives, even with all webhooks or once one is lost.
pub(super) fn findings(room: &Room<'_>, goal: &Goal) -> Vec<Finding> {
    let plan = Plan::of(room.graph, &goal.course);
    let finding = |verdict: &Verdict| {
        let not = |it: &&Prospect| it.met == Met::Not;
        let first = verdict.cases.first().filter(not);
        let lost = || verdict.cases.iter().find(|it| it.case == Case::Lost && it.met == Met::Not);
        let problem = |it: &Prospect| {
            format!("the objective `{}` of {}: {}", verdict.slo, shown(verdict.within), it.sentence)
        };
        let found = match first {
            Some(it) => Finding::general(
                table::OBJECTIVE_OUT_OF_REACH,
                problem(it),
                "have a Receiver ask those to look that wait for an interval, shorten the intervals, \
                 or allow more in `slo.within`; `hopclock plan` shows each wait"
                    .to_owned(),
            ),
            None => Finding::general(
                table::OBJECTIVE_NEEDS_WEBHOOK,
                problem(lost()?),
                "nothing, if that is what the objective is to show; else shorten the intervals"
                    .to_owned(),
            ),
        };
        Some(found.in_scenario(&goal.scenario))
    };
    plan.verdicts.iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use crate::path::checkup::{kit::*, table};
    use serde_json::{Value, json};

    fn lane(interval: &str) -> Vec<Value> {
        let source = json!({"kind": "GitRepository", "name": "fleet"});
        vec![
            object("GitRepository", "fleet", json!({"interval": interval})),
            object("Kustomization", "apps", json!({"sourceRef": source, "interval": "1h"})),
        ]
    }

    fn push() -> Value {
        let named = json!([{"kind": "GitRepository", "name": "fleet"}]);
        object("Receiver", "push", json!({"resources": named}))
    }

    #[test]
    fn an_interval_without_a_receiver_defeats_a_short_objective() {
        let found = objective(&lane("10m"), 120);
        let finding = one(&found, table::OBJECTIVE_OUT_OF_REACH);
        assert_eq!(finding.scenario.as_deref(), Some("apps"));
        let problem = &finding.problem;
        assert!(
            problem.starts_with("the objective `total` of 2m: it cannot be met: "),
            "{problem}"
        );
        assert_eq!(objective(&lane("1m"), 120), []);
    }

    #[test]
    fn with_a_receiver_only_a_lost_webhook_defeats_it() {
        let mut lane = lane("10m");
        lane.push(push());
        let found = objective(&lane, 120);
        one(&found, table::OBJECTIVE_NEEDS_WEBHOOK);
        assert_eq!(objective(&lane, 900), []);
        lane[2]["spec"]["suspend"] = json!(true);
        one(&objective(&lane, 120), table::OBJECTIVE_OUT_OF_REACH);
    }

    #[test]
    fn levels_of_dependencies_count() {
        let mut lane = lane("1m");
        let source = json!({"kind": "GitRepository", "name": "fleet"});
        lane.push(object("Kustomization", "infra", json!({"sourceRef": source})));
        lane[1]["spec"]["dependsOn"] = json!([{"name": "infra"}]);
        one(&objective(&lane, 80), table::OBJECTIVE_OUT_OF_REACH);
        assert_eq!(objective(&lane, 100), []);
        lane.push(controller("kustomize-controller", &["--requeue-dependency=5s"]));
        assert_eq!(objective(&lane, 80), []);
    }
}
