//! Image automation: whether what is chosen is written, and where to.

use crate::model::{GroupKind, Subject};
use crate::path::checkup::{Finding, Room, table};
use crate::path::graph::Link;

/// What is wrong with policies and automations.
pub(super) fn findings(room: &Room<'_>) -> Vec<Finding> {
    let (policy, automation) =
        (GroupKind::image("ImagePolicy"), GroupKind::image("ImageUpdateAutomation"));
    if !room.sees(&policy) || !room.sees(&automation) {
        return Vec::new();
    }
    let of = |kind: GroupKind| room.graph.nodes().filter(move |it| it.subject.kind == kind);
    let policies = of(policy).filter_map(|it| unused(room, &it.subject));
    policies.chain(of(automation).flat_map(|it| written(room, &it.subject))).collect()
}

/// Whether its markers stand in any file, the cluster does not say.
fn unused(room: &Room<'_>, policy: &Subject) -> Option<Finding> {
    let used = room.graph.out_of(policy).any(|it| it.link == Link::Chosen);
    (!used).then(|| {
        Finding::of(
            table::POLICY_UNUSED,
            policy,
            format!(
                "no ImageUpdateAutomation of namespace `{}` selects it, so Flux writes its choice nowhere",
                policy.namespace
            ),
            "label it as a `policySelector` asks, or put an automation beside it".to_owned(),
        )
    })
}

fn written(room: &Room<'_>, automation: &Subject) -> Vec<Finding> {
    let mut found = Vec::new();
    if !room.graph.into(automation).any(|it| it.link == Link::Chosen) {
        found.push(Finding::of(
            table::AUTOMATION_WITHOUT_POLICY,
            automation,
            format!(
                "it selects no ImagePolicy of namespace `{}`, so it writes nothing",
                automation.namespace
            ),
            "correct its `policySelector`, or put a policy beside it".to_owned(),
        ));
    }
    for edge in room.graph.into(automation).chain(room.graph.out_of(automation)) {
        if let Link::Committed { branch: Some(branch) } = &edge.link {
            let source = if edge.from == *automation { &edge.to } else { &edge.from };
            found.push(Finding::of(
                table::AUTOMATION_ELSEWHERE,
                automation,
                format!("it pushes to branch `{branch}`, and {source} follows another one: somebody has to merge"),
                "measure it with the hop `merged`, or push to the branch that is followed".to_owned(),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::path::checkup::{kit::*, table};
    use serde_json::{Value, json};

    fn lane(selector: &Value, branch: &str) -> Vec<Value> {
        let mut fleet = object("GitRepository", "fleet", json!({"ref": {"branch": "main"}}));
        fleet["metadata"]["annotations"] = json!({"hopclock.dev/canary": "hopclock"});
        let mut policy =
            object("ImagePolicy", "web", json!({"imageRepositoryRef": {"name": "web"}}));
        policy["metadata"]["labels"] = json!({"team": "a"});
        let automation = json!({"policySelector": selector,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            "git": {"push": {"branch": branch}}});
        vec![
            fleet,
            object("ImageRepository", "web", json!({})),
            policy,
            object("ImageUpdateAutomation", "web", automation),
        ]
    }

    #[test]
    fn a_whole_lane_has_nothing_wrong_with_it() {
        assert_eq!(ids(&lane(&Value::Null, "main")), [""; 0]);
        assert_eq!(ids(&lane(&json!({"matchLabels": {"team": "a"}}), "main")), [""; 0]);
    }

    #[test]
    fn a_policy_that_nobody_selects_is_written_nowhere() {
        let lane = lane(&json!({"matchLabels": {"team": "b"}}), "main");
        assert_eq!(ids(&lane), ["automation_without_policy", "policy_unused"]);
        let mut snapshot = snapshot(&lane[..3]);
        let automation = crate::model::GroupKind::image("ImageUpdateAutomation");
        snapshot.miss(automation, "not allowed".to_owned());
        assert_eq!(ids_of(&installation(snapshot)), ["unseen"]);
    }

    #[test]
    fn an_automation_that_pushes_elsewhere_needs_a_merge() {
        let found = found(&lane(&Value::Null, "updates"));
        let finding = one(&found, table::AUTOMATION_ELSEWHERE);
        assert!(finding.problem.contains("branch `updates`"), "{finding:?}");
    }
}
