//! Whether what polls on a scenario's path lets it hold its objective.

use crate::model::{Duration, GroupKind, Subject};
use crate::path::checkup::{Finding, Room, table};
use std::collections::BTreeSet;
use std::time;

/// What a scenario promises.
#[derive(Clone, Debug)]
pub struct Goal {
    /// Its name.
    pub scenario: String,
    /// What its hops look at.
    pub subjects: Vec<Subject>,
    /// How long a change may take.
    pub within: time::Duration,
}

/// Something that looks by itself every so often.
struct Poll {
    subject: Subject,
    worst: time::Duration,
    is_woken: bool,
}

/// What keeps a scenario from its objective.
pub(super) fn findings(room: &Room<'_>, goal: &Goal) -> Vec<Finding> {
    let polls = polls(room, goal);
    let levels = goal.subjects.iter().map(|it| {
        let levels = u32::try_from(room.graph.levels(it).len()).unwrap_or(u32::MAX);
        room.controllers.requeue(&it.kind).saturating_mul(levels)
    });
    let levels = levels.max().unwrap_or_default();
    let sum = |only: fn(&Poll) -> bool| {
        polls.iter().filter(|it| only(it)).map(|it| it.worst).sum::<time::Duration>() + levels
    };
    let (anyhow, alone) = (sum(|it| !it.is_woken), sum(|_| true));
    let within = Duration(goal.within);
    let named = |only: fn(&Poll) -> bool| {
        let all = polls.iter().filter(|it| only(it));
        let named = all.map(|it| format!("{} ({})", it.subject, Duration(it.worst)));
        let waits = Some(format!("`dependsOn` ({})", Duration(levels)));
        let all: Vec<_> = named.chain(waits.filter(|_| !levels.is_zero())).collect();
        all.join(", ")
    };
    let finding = if anyhow > goal.within {
        Finding::general(
            table::OBJECTIVE_OUT_OF_REACH,
            format!(
                "a change may wait {} at {}, and its objective is {within}",
                Duration(anyhow),
                named(|it| !it.is_woken)
            ),
            "have a Receiver ask them to look, shorten their intervals, or allow more in \
             `slo.within`"
                .to_owned(),
        )
    } else if alone > goal.within {
        Finding::general(
            table::OBJECTIVE_NEEDS_WEBHOOK,
            format!(
                "if a webhook is lost, a change may wait {} at {}, and its objective is {within}",
                Duration(alone),
                named(|_| true)
            ),
            "nothing, if that is what the objective is to show; else shorten the intervals"
                .to_owned(),
        )
    } else {
        return Vec::new();
    };
    vec![finding.in_scenario(&goal.scenario)]
}

/// What polls on the path; a chart is woken by its repository, unless that never looks.
fn polls(room: &Room<'_>, goal: &Goal) -> Vec<Poll> {
    let kinds = [
        GroupKind::git_repository(),
        GroupKind::source("OCIRepository"),
        GroupKind::source("Bucket"),
        GroupKind::source("HelmRepository"),
        GroupKind::image("ImageRepository"),
    ];
    let chart = GroupKind::source("HelmChart");
    let is_poller = |it: &Subject| kinds.contains(&it.kind) || it.kind == chart;
    let mut all: BTreeSet<&Subject> = goal.subjects.iter().filter(|it| is_poller(it)).collect();
    if all.is_empty() {
        // What feeds the appliers was not named; another source of theirs need not be on the path.
        all = goal.subjects.iter().flat_map(|it| room.graph.fed_by(it)).collect();
    }
    let poll = |subject: &Subject| {
        let facts = room.graph.facts(subject);
        let is_static = |it: &Subject| room.graph.facts(it).is_static;
        let looks = kinds.contains(&subject.kind)
            || subject.kind == chart && room.graph.fed_by(subject).any(is_static);
        // Flux spreads its intervals by a twentieth.
        let interval = facts.interval.filter(|_| looks)?;
        let is_woken = room.graph.wakers(subject).next().is_some();
        Some(Poll { subject: subject.clone(), worst: interval + interval / 20, is_woken })
    };
    all.into_iter().filter_map(poll).collect()
}

#[cfg(test)]
mod tests {
    use crate::model::{GroupKind, Subject};
    use crate::path::checkup::{kit::*, table};
    use serde_json::{Value, json};

    fn apps() -> Subject {
        Subject::local(GroupKind::kustomization(), "flux-system", "apps")
    }

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
        let found = objective(&lane("10m"), 120, &[apps()]);
        let finding = one(&found, table::OBJECTIVE_OUT_OF_REACH);
        assert_eq!(finding.scenario.as_deref(), Some("apps"));
        assert!(finding.problem.starts_with("a change may wait 10m30s at GitRepository"));
        assert_eq!(objective(&lane("1m"), 120, &[apps()]), []);
    }

    #[test]
    fn with_a_receiver_only_a_lost_webhook_defeats_it() {
        let mut lane = lane("10m");
        lane.push(push());
        let found = objective(&lane, 120, &[apps()]);
        one(&found, table::OBJECTIVE_NEEDS_WEBHOOK);
        assert_eq!(objective(&lane, 900, &[apps()]), []);
        lane[2]["spec"]["suspend"] = json!(true);
        one(&objective(&lane, 120, &[apps()]), table::OBJECTIVE_OUT_OF_REACH);
    }

    #[test]
    fn levels_of_dependencies_count() {
        let mut lane = lane("1m");
        lane.push(object("Kustomization", "infra", json!({})));
        lane[1]["spec"]["dependsOn"] = json!([{"name": "infra"}]);
        let found = objective(&lane, 80, &[apps()]);
        let finding = one(&found, table::OBJECTIVE_OUT_OF_REACH);
        assert!(finding.problem.contains("`dependsOn` (30s)"), "{finding:?}");
        assert_eq!(objective(&lane, 100, &[apps()]), []);
    }
}
