//! Alerts: whether they hear anything, and tell anybody.

use crate::model::{GroupKind, Subject};
use crate::path::checkup::{Finding, Room, table};
use crate::path::links::{Meant, Use, flux_kind, references};

/// What is wrong with Alerts.
pub(super) fn findings(room: &Room<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (alert, object) in room.graph.snapshot().of_kind(&flux_kind("Alert")) {
        for reference in references(alert, object) {
            let any = room.graph.snapshot().objects().any(|it| reference.meant.is(it.0, it.1));
            let (kind, which) = match &reference.meant {
                Meant::One(it) => (&it.kind, it.to_string()),
                Meant::Labelled { kind, namespace, .. } => {
                    (kind, format!("any {kind} of namespace `{namespace}` by these labels"))
                }
            };
            if !any && room.sees(kind) && is_known(room, kind) {
                found.push(judged(alert, reference.used, &which));
            }
        }
    }
    found
}

fn judged(alert: &Subject, used: Use, which: &str) -> Finding {
    if used == Use::Provider {
        return Finding::of(
            table::ALERT_WITHOUT_PROVIDER,
            alert,
            format!("it tells by {which}, which is not there: nobody hears anything"),
            format!("create {which}, or correct `spec.providerRef`"),
        );
    }
    Finding::of(
        table::ALERT_DEAD_END,
        alert,
        format!("it is to tell of {which}, and there is none"),
        "correct that entry of `spec.eventSources`, or take it out".to_owned(),
    )
}

/// Whether objects of the kind are looked at at all.
fn is_known(room: &Room<'_>, kind: &GroupKind) -> bool {
    let listed = crate::path::KINDS.contains(&(kind.group.as_str(), kind.kind.as_str()));
    listed || room.graph.nodes().any(|it| it.subject.kind == *kind)
}

#[cfg(test)]
mod tests {
    use crate::path::checkup::{kit::*, table};
    use serde_json::{Value, json};

    fn alert(sources: &Value) -> Value {
        object("Alert", "chat", json!({"providerRef": {"name": "slack"}, "eventSources": sources}))
    }

    #[test]
    fn an_alert_that_hears_and_tells_has_nothing_wrong_with_it() {
        let objects = [
            alert(&json!([{"kind": "ImageRepository", "name": "*"}])),
            object("Provider", "slack", json!({"type": "slack"})),
            object("ImageRepository", "web", json!({})),
        ];
        assert_eq!(ids(&objects), [""; 0]);
    }

    #[test]
    fn an_alert_without_a_provider_tells_nobody() {
        let found = found(&[alert(&json!([]))]);
        let finding = one(&found, table::ALERT_WITHOUT_PROVIDER);
        assert!(finding.problem.contains("Provider flux-system/slack"), "{finding:?}");
    }

    #[test]
    fn an_alert_for_what_is_absent_hears_nothing() {
        let slack = object("Provider", "slack", json!({"type": "slack"}));
        for source in [
            json!({"kind": "Kustomization", "name": "absent"}),
            json!({"kind": "Kustomization", "name": "*", "matchLabels": {"team": "b"}}),
        ] {
            assert_eq!(ids(&[alert(&json!([source])), slack.clone()]), ["alert_dead_end"]);
        }
    }
}
