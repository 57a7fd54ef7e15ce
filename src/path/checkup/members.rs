//! The members of paths: whether each has what it needs, is awake and ready, and has a controller.

use crate::model::{GroupKind, Subject, flux};
use crate::path::checkup::{Finding, Room, table};
use crate::path::delivery::{CONSENT, consent_command};
use crate::path::{Facts, role, upstream_of};
use serde_json::Value;

/// What is wrong with members of paths.
pub(super) fn findings(room: &Room<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in room.graph.nodes() {
        let (subject, object) = (&node.subject, room.graph.object(&node.subject));
        needs(room, subject, object, &mut found);
        awake(subject, object, &node.facts, &mut found);
        shard(room, subject, object, &node.facts, &mut found);
    }
    found.extend(old_api(room));
    found.extend(consent(room));
    let unseen = room.graph.snapshot().unseen();
    found.extend(unseen.map(|(kind, why)| {
        Finding::general(
            table::UNSEEN,
            format!("{kind}: {why}"),
            "let hopclock list them".to_owned(),
        )
    }));
    found
}

fn needs(room: &Room<'_>, subject: &Subject, object: &Value, found: &mut Vec<Finding>) {
    for needed in upstream_of(subject, object) {
        if room.graph.node(&needed).is_none() && room.sees(&needed.kind) {
            found.push(Finding::of(
                table::MISSING_UPSTREAM,
                subject,
                format!("it needs {needed}, which is not there, so nothing new arrives here"),
                format!("create {needed}, or correct the reference in `spec`"),
            ));
        }
    }
}

fn awake(subject: &Subject, object: &Value, facts: &Facts, found: &mut Vec<Finding>) {
    let Subject { namespace, name, .. } = subject;
    let kind = subject.kind.kind.to_lowercase();
    if facts.suspended {
        let effect = if subject.kind == GroupKind::receiver() {
            "every call is answered 503"
        } else {
            "a change stops here"
        };
        found.push(Finding::of(
            table::SUSPENDED,
            subject,
            format!("it is suspended: {effect}"),
            format!(
                "`kubectl patch {kind} -n {namespace} {name} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'`, \
                 unless it is meant to be"
            ),
        ));
        return;
    }
    let ready = flux::condition(object, "Ready").filter(|it| it.status == "False");
    if let Some(ready) = ready.filter(|_| role(&subject.kind).is_some()) {
        found.push(Finding::of(
            table::NOT_READY,
            subject,
            format!("it says that it is not ready ({})", ready.reason),
            format!("see `kubectl describe {kind} -n {namespace} {name}`"),
        ));
    }
}

fn shard(
    room: &Room<'_>,
    subject: &Subject,
    object: &Value,
    facts: &Facts,
    found: &mut Vec<Finding>,
) {
    match (room.controllers.serve(subject, object), &facts.shard) {
        (Some(false), shard) => {
            let which = shard.as_ref().map_or_else(
                || "it has no shard".to_owned(),
                |it| format!("it is left to the shard `{it}`"),
            );
            found.push(Finding::of(
                table::SHARD_UNSERVED,
                subject,
                format!("{which}, and no controller's `--watch-label-selector` takes it: nobody reconciles it"),
                "run a controller for it, or correct its label `sharding.fluxcd.io/key`".to_owned(),
            ));
        }
        (None, Some(shard)) if role(&subject.kind).is_some() => found.push(Finding::of(
            table::SHARD_UNKNOWN,
            subject,
            format!("it is left to the shard `{shard}`, and whether a controller serves that cannot be seen"),
            "let hopclock list Deployments, or see to it that one runs with \
             `--watch-label-selector=sharding.fluxcd.io/key=…`"
                .to_owned(),
        )),
        _ => {}
    }
}

fn old_api(room: &Room<'_>) -> Option<Finding> {
    let old = room.graph.nodes().find_map(|it| {
        let version = room.graph.object(&it.subject)["apiVersion"].as_str()?;
        let version = version.strip_prefix("image.toolkit.fluxcd.io/")?;
        (version != "v1").then(|| version.to_owned())
    })?;
    Some(Finding::general(
        table::OLD_API,
        format!(
            "the image kinds are of version `{old}`, in which a policy may show its choice where hopclock does not look"
        ),
        "upgrade Flux to 2.7 or later".to_owned(),
    ))
}

/// That nothing consents: how a canary is let in is said once, not for each source.
fn consent(room: &Room<'_>) -> Option<Finding> {
    let takes = |kind: &GroupKind| {
        let sources = ["GitRepository", "OCIRepository", "Bucket"];
        sources.into_iter().any(|it| *kind == GroupKind::source(it))
            || *kind == GroupKind::image("ImagePolicy")
    };
    let mut all = room.graph.nodes().filter(|it| takes(&it.subject.kind)).peekable();
    let first = all.peek()?.subject.clone();
    let instance = room.instance;
    if all.any(|it| it.facts.consents.as_deref() == Some(instance)) {
        return None;
    }
    Some(Finding::general(
        table::NO_CONSENT,
        format!(
            "nothing bears the annotation `{CONSENT}: {instance}`: hopclock pushes only where nothing but canaries is"
        ),
        format!(
            "`{}`, or the same for another one that canaries may be pushed to",
            consent_command(&first, instance)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use crate::path::checkup::{kit::*, table};
    use serde_json::json;

    fn apps() -> serde_json::Value {
        let source = json!({"kind": "GitRepository", "name": "fleet"});
        object("Kustomization", "apps", json!({"interval": "10m", "sourceRef": source}))
    }

    fn fleet() -> serde_json::Value {
        let mut fleet = object("GitRepository", "fleet", json!({}));
        fleet["metadata"]["annotations"] = json!({"hopclock.dev/canary": "hopclock"});
        fleet
    }

    #[test]
    fn an_applier_without_its_source_is_found() {
        let found = found(&[apps()]);
        let finding = one(&found, table::MISSING_UPSTREAM);
        assert!(finding.problem.contains("GitRepository flux-system/fleet"), "{finding:?}");
        assert_eq!(ids(&[apps(), fleet()]), [""; 0]);
        let mut unseen = snapshot(&[apps()]);
        unseen.miss(crate::model::GroupKind::git_repository(), "not allowed".to_owned());
        assert_eq!(ids_of(&installation(unseen)), ["unseen"]);
    }

    #[test]
    fn a_policy_whose_images_nobody_scans_is_found() {
        let reference = json!({"imageRepositoryRef": {"name": "web"}});
        let policy = object("ImagePolicy", "web", reference);
        assert!(ids(&[policy]).contains(&"missing_upstream"));
    }

    #[test]
    fn what_is_suspended_is_not_also_said_to_be_not_ready() {
        let mut sick = apps();
        sick["status"] = json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no"}]});
        let found = found(&[sick.clone(), fleet()]);
        assert!(one(&found, table::NOT_READY).problem.contains("(BuildFailed)"));
        sick["spec"]["suspend"] = json!(true);
        assert_eq!(ids(&[sick, fleet()]), ["suspended"]);
        let push = object("Receiver", "push", json!({"suspend": true}));
        let found = found_one(&[push]);
        assert!(found.problem.contains("503"), "{found:?}");
    }

    fn found_one(objects: &[serde_json::Value]) -> super::Finding {
        one(&found(objects), table::SUSPENDED)
    }

    #[test]
    fn a_shard_that_nobody_serves_is_found() {
        let mut shard = apps();
        shard["metadata"]["labels"] = json!({"sharding.fluxcd.io/key": "two"});
        let with = |selector: &str| {
            let option = format!("--watch-label-selector={selector}");
            let main = controller("kustomize-controller", &[&option]);
            ids(&[shard.clone(), fleet(), main])
        };
        assert_eq!(with("!sharding.fluxcd.io/key"), ["shard_unserved"]);
        assert_eq!(with("sharding.fluxcd.io/key=two"), [""; 0]);
        assert_eq!(ids(&[shard, fleet()]), ["shard_unknown"]);
        let only = controller(
            "kustomize-controller",
            &["--watch-label-selector=sharding.fluxcd.io/key=two"],
        );
        assert_eq!(ids(&[apps(), fleet(), only]), ["shard_unserved"], "without a shard");
    }

    #[test]
    fn image_kinds_of_old_are_found() {
        let mut scan = object("ImageRepository", "web", json!({}));
        assert_eq!(ids(&[scan.clone()]), [""; 0]);
        scan["apiVersion"] = json!("image.toolkit.fluxcd.io/v1beta2");
        assert_eq!(ids(&[scan]), ["old_api"]);
    }

    #[test]
    fn that_nothing_consents_is_said_once() {
        let bare = |name: &str| object("GitRepository", name, json!({}));
        let found = found(&[bare("a"), bare("b")]);
        let finding = one(&found, table::NO_CONSENT);
        let command =
            "kubectl annotate gitrepository -n flux-system a hopclock.dev/canary=hopclock";
        assert!(finding.fix.contains(command), "{finding:?}");
        assert_eq!(ids(&[bare("a"), fleet()]), [""; 0]);
        let mut other = bare("b");
        other["metadata"]["annotations"] = json!({"hopclock.dev/canary": "team-b"});
        assert_eq!(ids(&[other]), ["no_consent"]);
    }

    #[test]
    fn what_could_not_be_seen_is_said() {
        let mut snapshot = snapshot(&[]);
        snapshot.miss(crate::model::GroupKind::receiver(), "grant it".to_owned());
        let found = installation(snapshot);
        assert_eq!(one(&found, table::UNSEEN).problem, "Receiver: grant it");
    }
}
