//! Receivers: whether a call does anything, and whether every source has one.

use crate::model::{GroupKind, Subject, flux};
use crate::path::checkup::{Finding, Room, table};
use crate::path::graph::{Link, Request};
use crate::path::links::{Meant, Use, references};
use serde_json::Value;

/// What is wrong with Receivers, and which sources have none.
pub(super) fn findings(room: &Room<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let kind = GroupKind::receiver();
    for (receiver, object) in room.graph.snapshot().of_kind(&kind) {
        resources(room, receiver, object, &mut found);
        readiness(receiver, object, &mut found);
    }
    let sources = room.graph.nodes().filter(|it| is_wakeable(&it.subject.kind));
    for source in sources.filter(|it| !it.facts.is_static && !it.facts.suspended) {
        // Whether there is one, only those know who may see Receivers.
        if !room.sees(&kind) || room.graph.wakers(&source.subject).next().is_some() {
            continue;
        }
        let Some(interval) = source.facts.interval else { continue };
        let interval = crate::model::Duration(interval);
        found.push(Finding::of(
            table::SOURCE_UNWOKEN,
            &source.subject,
            format!("no Receiver asks it to look, so a change waits up to {interval} here"),
            "add a Receiver that names it, and have the host call its address".to_owned(),
        ));
    }
    found
}

fn resources(room: &Room<'_>, receiver: &Subject, object: &Value, found: &mut Vec<Finding>) {
    let entries = object["spec"]["resources"].as_array().into_iter().flatten();
    for entry in entries.filter(|it| it["name"] == "*" && it["matchLabels"].is_null()) {
        let kind = entry["kind"].as_str().unwrap_or_default();
        found.push(Finding::of(
            table::RECEIVER_BARE_WILDCARD,
            receiver,
            format!("it names all of kind `{kind}` by `*`, which Flux refuses without labels: every call is answered 500"),
            "add `matchLabels` to that entry of `spec.resources`, or name the objects".to_owned(),
        ));
    }
    for reference in references(receiver, object) {
        if reference.used != Use::Request {
            continue;
        }
        let (kind, namespace) = match &reference.meant {
            Meant::One(it) => (&it.kind, &it.namespace),
            Meant::Labelled { kind, namespace, .. } => (kind, namespace),
        };
        if *namespace != receiver.namespace {
            across(room, receiver, namespace, found);
        }
        let any = room.graph.snapshot().objects().any(|it| reference.meant.is(it.0, it.1));
        match &reference.meant {
            Meant::One(it) if !any && room.sees(kind) => found.push(Finding::of(
                table::RECEIVER_DEAD_END,
                receiver,
                format!("it names {it}, which is not there: every call is answered 500"),
                format!("create {it}, or take it out of `spec.resources`"),
            )),
            Meant::Labelled { .. } if !any && room.sees(kind) => found.push(Finding::of(
                table::RECEIVER_SELECTS_NOTHING,
                receiver,
                format!("no {kind} in namespace `{namespace}` has the labels that it asks for: calls are answered 200 and do nothing"),
                "label the objects that it should wake, or correct `matchLabels`".to_owned(),
            )),
            _ => {}
        }
    }
    for edge in room.graph.out_of(receiver) {
        let to = &edge.to;
        match edge.link {
            Link::Wakes(Request::Failing) => found.push(Finding::of(
                table::RECEIVER_API_VERSION,
                receiver,
                format!("it names {to} without `apiVersion`, which this kind needs: every call is answered 500"),
                format!("add `apiVersion: {}/{}` to that entry of `spec.resources`", to.kind.group, version(&to.kind)),
            )),
            Link::Wakes(Request::Vain) => found.push(Finding::of(
                table::RECEIVER_IN_VAIN,
                receiver,
                format!("it asks {to} to look, which is of type `oci` and never does"),
                "name the HelmCharts of that repository, or use an OCIRepository with `chartRef`".to_owned(),
            )),
            _ => {}
        }
    }
}

fn across(room: &Room<'_>, receiver: &Subject, namespace: &str, found: &mut Vec<Finding>) {
    let problem = |rest: &str| format!("it names objects of namespace `{namespace}`, {rest}");
    match room.controllers.cross_namespace() {
        Some(true) => {}
        Some(false) => found.push(Finding::of(
            table::RECEIVER_FORBIDDEN,
            receiver,
            problem("and notification-controller runs with `--no-cross-namespace-refs`: every call is answered 500"),
            format!("put a Receiver into namespace `{namespace}`, with an address of its own"),
        )),
        None => found.push(Finding::of(
            table::RECEIVER_CROSS_NAMESPACE,
            receiver,
            problem("which fails where notification-controller runs with `--no-cross-namespace-refs`"),
            format!("let hopclock list Deployments to know, or put a Receiver into namespace `{namespace}`"),
        )),
    }
}

fn readiness(receiver: &Subject, object: &Value, found: &mut Vec<Finding>) {
    if flux::is_suspended(object) {
        return;
    }
    let Some(ready) = flux::condition(object, "Ready").filter(|it| it.status != "True") else {
        return;
    };
    found.push(Finding::of(
        table::RECEIVER_NOT_READY,
        receiver,
        format!("it is not ready ({}): every call is answered 503", ready.reason),
        format!(
            "see `kubectl describe receiver -n {} {}`; often its Secret or the key `token` is missing",
            receiver.namespace, receiver.name
        ),
    ));
}

/// Whether a host or registry could call a Receiver for this kind.
fn is_wakeable(kind: &GroupKind) -> bool {
    let sources = ["GitRepository", "OCIRepository", "Bucket", "HelmRepository"];
    sources.into_iter().any(|it| *kind == GroupKind::source(it))
        || *kind == GroupKind::image("ImageRepository")
}

fn version(kind: &GroupKind) -> &'static str {
    if *kind == GroupKind::helm_release() { "v2" } else { "v1" }
}

#[cfg(test)]
mod tests {
    use crate::path::checkup::{kit::*, table};
    use serde_json::{Value, json};

    fn receiver(resources: &Value) -> Value {
        object("Receiver", "push", json!({"type": "github", "resources": resources}))
    }

    fn fleet() -> Value {
        object("GitRepository", "fleet", json!({"interval": "10m"}))
    }

    #[test]
    fn one_that_names_what_is_there_has_nothing_wrong_with_it() {
        let named = receiver(&json!([{"kind": "GitRepository", "name": "fleet"}]));
        assert_eq!(ids(&[named, fleet()]), ["no_consent"]);
    }

    #[test]
    fn one_that_names_what_is_absent_fails_every_call() {
        let found = found(&[receiver(&json!([{"kind": "GitRepository", "name": "flet"}]))]);
        let finding = one(&found, table::RECEIVER_DEAD_END);
        assert!(finding.problem.contains("GitRepository flux-system/flet"), "{finding:?}");
    }

    #[test]
    fn what_cannot_be_seen_is_not_said_to_be_absent() {
        let push = receiver(&json!([{"kind": "GitRepository", "name": "fleet"}]));
        let mut snapshot = snapshot(&[push]);
        snapshot.miss(crate::model::GroupKind::git_repository(), "not allowed".to_owned());
        assert_eq!(ids_of(&installation(snapshot)), ["unseen"]);
    }

    #[test]
    fn wildcards_need_labels_that_somebody_has() {
        let labelled = |label: &str| {
            receiver(&json!([
                {"kind": "GitRepository", "name": "*", "matchLabels": {"team": label}}]))
        };
        let mut source = fleet();
        source["metadata"]["labels"] = json!({"team": "a"});
        assert_eq!(ids(&[labelled("a"), source.clone()]), ["no_consent"]);
        let found = ids(&[labelled("b"), source.clone()]);
        assert_eq!(found, ["receiver_selects_nothing", "source_unwoken", "no_consent"]);
        let bare = receiver(&json!([{"kind": "GitRepository", "name": "*"}]));
        let found = ids(&[bare, source]);
        assert_eq!(found, ["receiver_bare_wildcard", "source_unwoken", "no_consent"]);
    }

    #[test]
    fn kinds_beside_sources_need_an_api_version() {
        let policy = object("ImagePolicy", "web", json!({}));
        let entry = json!({"kind": "ImagePolicy", "name": "web"});
        let found = found(&[receiver(&json!([entry])), policy.clone()]);
        let finding = one(&found, table::RECEIVER_API_VERSION);
        assert!(finding.fix.contains("`apiVersion: image.toolkit.fluxcd.io/v1`"), "{finding:?}");
        let mut entry = entry;
        entry["apiVersion"] = json!("image.toolkit.fluxcd.io/v1");
        assert!(!ids(&[receiver(&json!([entry])), policy]).contains(&"receiver_api_version"));
    }

    #[test]
    fn a_static_repository_never_looks() {
        let charts = |kind: &str| {
            object("HelmRepository", "charts", json!({"type": kind, "interval": "10m"}))
        };
        let push = receiver(&json!([{"kind": "HelmRepository", "name": "charts"}]));
        assert_eq!(ids(&[push.clone(), charts("oci")]), ["receiver_in_vain"]);
        assert_eq!(ids(&[push, charts("default")]), [""; 0]);
    }

    #[test]
    fn another_namespace_is_fine_where_it_is_allowed() {
        let mut there = fleet();
        there["metadata"]["namespace"] = json!("team-a");
        let push =
            receiver(&json!([{"kind": "GitRepository", "name": "fleet", "namespace": "team-a"}]));
        let with = |arguments: &[&str]| {
            ids(&[push.clone(), there.clone(), controller("notification-controller", arguments)])
        };
        assert_eq!(with(&[]), ["no_consent"]);
        assert_eq!(with(&["--no-cross-namespace-refs=false"]), ["no_consent"]);
        assert_eq!(with(&["--no-cross-namespace-refs=true"]), ["receiver_forbidden", "no_consent"]);
        assert_eq!(ids(&[push, there]), ["receiver_cross_namespace", "no_consent"]);
    }

    #[test]
    fn one_that_is_not_ready_answers_nobody() {
        let mut push = receiver(&json!([{"kind": "GitRepository", "name": "fleet"}]));
        push["status"] = json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "TokenNotFound", "message": "no"}]});
        assert_eq!(ids(&[push.clone(), fleet()]), ["receiver_not_ready", "no_consent"]);
        push["status"]["conditions"][0]["status"] = json!("True");
        assert_eq!(ids(&[push, fleet()]), ["no_consent"]);
    }

    #[test]
    fn a_source_without_one_waits_for_its_interval() {
        let found = found(&[fleet()]);
        let finding = one(&found, table::SOURCE_UNWOKEN);
        assert!(finding.problem.contains("up to 10m"), "{finding:?}");
    }
}
