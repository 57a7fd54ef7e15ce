//! Where a change waits though nobody has to look at an interval: fixed requeues, values that wake
//! nobody, health that is asked for step by step.

use crate::model::{Duration, GroupKind, Subject};
use crate::path::checkup::{Finding, Room, table};
use crate::path::graph::Link;
use std::time;

/// A requeue that is as fast as people set it.
const FAST: time::Duration = time::Duration::from_secs(5);

/// Where a change waits.
pub(super) fn findings(room: &Room<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let appliers = [GroupKind::kustomization(), GroupKind::helm_release()];
    for node in room.graph.nodes().filter(|it| appliers.contains(&it.subject.kind)) {
        let subject = &node.subject;
        found.extend(chain(room, subject));
        values(room, subject, &mut found);
        if node.facts.waits && subject.kind == GroupKind::kustomization() {
            found.push(Finding::of(
                table::WAITS_FOR_HEALTH,
                subject,
                "it waits for health, which is asked for every 5 s: `applied` is up to 5 s late"
                    .to_owned(),
                "measure the workload itself with the hops `live` and `rolled_out`".to_owned(),
            ));
        }
    }
    found
}

/// Of a chain only its end is told of.
fn chain(room: &Room<'_>, subject: &Subject) -> Option<Finding> {
    let levels = room.graph.levels(subject);
    if room.graph.waits_for_itself(subject) {
        let named: Vec<_> = levels.iter().flatten().map(|it| it.name.as_str()).collect();
        return Some(Finding::of(
            table::DEPENDS_ON_LOOP,
            subject,
            format!(
                "its `dependsOn` leads back to itself (by {}): it waits for ever",
                named.join(", ")
            ),
            "take one of them out of the other's `spec.dependsOn`".to_owned(),
        ));
    }
    let requeue = room.controllers.requeue(&subject.kind);
    let is_end = !room.graph.out_of(subject).any(|it| it.link == Link::Precedes);
    if levels.is_empty() || !is_end || requeue <= FAST {
        return None;
    }
    let named: Vec<_> = levels.iter().flatten().map(|it| it.name.as_str()).collect();
    let (count, each) = (u32::try_from(levels.len()).unwrap_or(u32::MAX), Duration(requeue));
    let all = Duration(requeue.saturating_mul(count));
    let controller = if subject.kind == GroupKind::helm_release() {
        "helm-controller"
    } else {
        "kustomize-controller"
    };
    let levels = if count == 1 { "1 level".to_owned() } else { format!("{count} levels") };
    Some(Finding::of(
        table::DEPENDS_ON_CHAIN,
        subject,
        format!(
            "it waits for {levels} of `dependsOn` ({}): each is asked for again after {each}, which may cost {all}",
            named.join(", ")
        ),
        format!(
            "run {controller} with `--requeue-dependency=5s`, or leave out what need not be in order"
        ),
    ))
}

fn values(room: &Room<'_>, subject: &Subject, found: &mut Vec<Finding>) {
    for edge in room.graph.into(subject).filter(|it| it.link == Link::Configures) {
        let Some(values) = room.graph.node(&edge.from) else { continue };
        let labels = &room.graph.object(&edge.from)["metadata"]["labels"];
        if room.controllers.watch_values(&subject.kind, labels) {
            continue;
        }
        let Subject { kind, namespace, name, .. } = &values.subject;
        let kind = kind.kind.to_lowercase();
        let interval = room.graph.facts(subject).interval.map(|it| format!(" ({})", Duration(it)));
        found.push(Finding::of(
            table::VALUES_UNWATCHED,
            &values.subject,
            format!(
                "{subject} takes values from it, and is not woken by a change: it waits for its interval{}",
                interval.unwrap_or_default()
            ),
            format!("`kubectl label {kind} -n {namespace} {name} reconcile.fluxcd.io/watch=Enabled`"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::path::checkup::{kit::*, table};
    use serde_json::{Value, json};

    fn applier(name: &str, spec: &Value) -> Value {
        let mut object = object("Kustomization", name, spec.clone());
        object["spec"]["interval"] = json!("10m");
        object
    }

    fn behind(name: &str, before: &str) -> Value {
        applier(name, &json!({"dependsOn": [{"name": before}]}))
    }

    #[test]
    fn a_chain_is_told_of_at_its_end() {
        let chain = [applier("crds", &json!({})), behind("infra", "crds"), behind("apps", "infra")];
        assert_eq!(ids(&chain[..1]), [""; 0]);
        let finding = one(&found(&chain), table::DEPENDS_ON_CHAIN);
        assert_eq!(finding.subject.unwrap().name, "apps");
        assert!(finding.problem.contains("2 levels of `dependsOn` (crds, infra)"));
        assert!(finding.problem.ends_with("which may cost 1m"), "{}", finding.problem);
        let quick = controller("kustomize-controller", &["--requeue-dependency=5s"]);
        let chain = [&chain[..], &[quick]].concat();
        assert_eq!(ids(&chain), [""; 0]);
    }

    #[test]
    fn who_waits_for_itself_is_found() {
        let circle = [behind("apps", "infra"), behind("infra", "apps")];
        assert_eq!(ids(&circle), ["depends_on_loop", "depends_on_loop"]);
        let finding = found(&circle).remove(0);
        assert!(finding.problem.contains("leads back to itself (by infra)"), "{}", finding.problem);
    }

    #[test]
    fn values_that_wake_nobody_are_found() {
        let taken = json!({"postBuild": {"substituteFrom": [
            {"kind": "ConfigMap", "name": "settings"}, {"kind": "Secret", "name": "keys"}]}});
        let apps = applier("apps", &taken);
        let finding = one(
            &found(&[apps.clone(), config_map("settings", &json!({}))]),
            table::VALUES_UNWATCHED,
        );
        let command =
            "`kubectl label configmap -n flux-system settings reconcile.fluxcd.io/watch=Enabled`";
        assert_eq!(finding.fix, command);
        assert!(finding.problem.ends_with("(10m)"), "{}", finding.problem);
        let watched = json!({"reconcile.fluxcd.io/watch": "Enabled"});
        assert_eq!(ids(&[apps.clone(), config_map("settings", &watched)]), [""; 0]);
        let all = "--watch-configs-label-selector=owner!=helm";
        let controller = controller("kustomize-controller", &[all]);
        assert_eq!(ids(&[apps, config_map("settings", &json!({})), controller]), [""; 0]);
    }

    #[test]
    fn who_waits_for_health_is_coarse() {
        assert_eq!(ids(&[applier("apps", &json!({"wait": true}))]), ["waits_for_health"]);
        assert_eq!(ids(&[applier("apps", &json!({"wait": false}))]), [""; 0]);
    }
}
