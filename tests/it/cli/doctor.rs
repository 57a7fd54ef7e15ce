//! `hopclock doctor`: what it finds in a sandbox that is well, sick, or shows little of itself.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, Told, check, hopclock, lane, told};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hopclock_sandbox::pipeline::{Door, Hook};
use hopclock_sandbox::store::{Key, Part};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ACCOUNT: &str = "system:serviceaccount:hopclock:hopclock";

async fn stage() -> Stage {
    Stage::quick(&lane("canary", Hook::Right, Door::Locked)).await
}

/// What the doctor says as JSON; nothing that it says holds a secret, and nothing is pushed.
async fn asked(stage: &Stage, arguments: &[&str]) -> (Option<i32>, Value) {
    let pushes = stage.sandbox.git().ref_updates().len();
    let told = stage.tell(&[&["doctor", "--output", "json"], arguments].concat()).await;
    assert_eq!(stage.sandbox.git().ref_updates().len(), pushes, "something was pushed");
    keeps_secrets(stage, &told);
    let page = serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}"));
    (told.code, page)
}

fn keeps_secrets(stage: &Stage, told: &Told) {
    for name in ["canary-git", "canary-hook"] {
        let secret = stage.sandbox.store().get(&Key::new("Secret", "flux-system", name)).unwrap();
        for (key, value) in secret["data"].as_object().unwrap() {
            let text = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
            let text = String::from_utf8(text).unwrap();
            let shown =
                key != "username" && [&told.out, &told.err].iter().any(|it| it.contains(&text));
            assert!(!shown, "`{key}` of {name} is shown");
        }
    }
    let receiver = Key::new("Receiver", "flux-system", "canary");
    if let Some(receiver) = stage.sandbox.store().get(&receiver) {
        let path = receiver["status"]["webhookPath"].as_str().unwrap_or("no path");
        assert!(!told.out.contains(path), "the address of a Receiver is shown");
    }
}

fn ids(page: &Value) -> BTreeSet<&str> {
    let all = page["findings"].as_array().unwrap().iter();
    all.map(|it| it["id"].as_str().unwrap()).collect()
}

/// The findings of an id, by one of their fields.
fn of<'p>(page: &'p Value, id: &str, field: &str) -> Vec<&'p str> {
    let all = page["findings"].as_array().unwrap().iter().filter(|it| it["id"] == id);
    all.map(|it| it[field].as_str().unwrap()).collect()
}

fn flux(group: &str, kind: &str, name: &str, spec: &Value) -> Value {
    let version = match group {
        "notification" if kind != "Receiver" => "v1beta3",
        _ => "v1",
    };
    json!({"apiVersion": format!("{group}.toolkit.fluxcd.io/{version}"), "kind": kind,
        "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec})
}

#[tokio::test]
async fn a_lane_that_is_well_has_no_errors() {
    let stage = stage().await;
    let (code, page) = asked(&stage, &[]).await;
    assert_eq!((code, page["errors"].as_u64()), (Some(0), Some(0)), "{page}");
    assert_eq!(ids(&page), BTreeSet::from(["waits_for_health"]), "{page}");
    let file = stage.scenario(SOURCE, HOPS);
    let (code, page) = asked(&stage, &[file]).await;
    assert_eq!(code, Some(0), "{page}");
    let expected = BTreeSet::from(["waits_for_health", "objective_needs_webhook"]);
    assert_eq!(ids(&page), expected, "{page}");
    let told = stage.tell(&["doctor", file]).await;
    check(|| assert_snapshot!("doctor_well", told.out));
}

#[tokio::test]
async fn each_thing_that_is_broken_is_found() {
    let stage = stage().await;
    let canary = |kind: &str| Key::new(kind, "flux-system", "canary");
    let named = |resources: Value| json!({"spec": {"resources": resources}});
    for (id, kind, patch) in [
        (
            "receiver_dead_end",
            "Receiver",
            named(json!([{"kind": "GitRepository", "name": "absent"}])),
        ),
        (
            "receiver_api_version",
            "Receiver",
            named(json!([{"kind": "Kustomization", "name": "canary"}])),
        ),
        (
            "receiver_bare_wildcard",
            "Receiver",
            named(json!([{"kind": "GitRepository", "name": "*"}])),
        ),
        (
            "receiver_selects_nothing",
            "Receiver",
            named(json!([
            {"kind": "GitRepository", "name": "*", "matchLabels": {"team": "b"}}])),
        ),
        (
            "receiver_cross_namespace",
            "Receiver",
            named(json!([
            {"kind": "GitRepository", "name": "fleet", "namespace": "team-b"}])),
        ),
        ("suspended", "Receiver", json!({"spec": {"suspend": true}})),
        ("source_unwoken", "Receiver", json!({"spec": {"suspend": true}})),
        ("missing_upstream", "Kustomization", json!({"spec": {"sourceRef": {"name": "absent"}}})),
        (
            "shard_unknown",
            "Kustomization",
            json!({"metadata": {"labels": {"sharding.fluxcd.io/key": "two"}}}),
        ),
        (
            "no_consent",
            "GitRepository",
            json!({"metadata": {"annotations": {"hopclock.dev/canary": null}}}),
        ),
    ] {
        let whole = (*stage.sandbox.store().get(&canary(kind)).unwrap()).clone();
        stage.sandbox.store().merge(&canary(kind), &patch, Part::Whole, "test").unwrap();
        let (_, page) = asked(&stage, &[]).await;
        assert!(ids(&page).contains(id), "{id}: {page}");
        // A patch puts back what it took, and takes what it gave.
        let mut undo = json!({"spec": whole["spec"], "metadata": {
            "annotations": whole["metadata"]["annotations"],
            "labels": {"sharding.fluxcd.io/key": null}}});
        undo["spec"]["suspend"] = Value::Null;
        stage.sandbox.store().merge(&canary(kind), &undo, Part::Whole, "test").unwrap();
    }
}

#[tokio::test]
async fn each_object_that_cannot_do_its_part_is_found() {
    let stage = stage().await;
    for (id, object) in [
        (
            "alert_without_provider",
            flux(
                "notification",
                "Alert",
                "chat",
                &json!({
            "providerRef": {"name": "absent"}, "eventSources": []}),
            ),
        ),
        (
            "alert_dead_end",
            flux(
                "notification",
                "Alert",
                "other",
                &json!({
            "providerRef": {"name": "absent"},
            "eventSources": [{"kind": "Kustomization", "name": "absent"}]}),
            ),
        ),
        (
            "receiver_not_ready",
            flux(
                "notification",
                "Receiver",
                "broken",
                &json!({
            "type": "github", "secretRef": {"name": "absent"}, "resources": []}),
            ),
        ),
        (
            "depends_on_chain",
            flux(
                "kustomize",
                "Kustomization",
                "second",
                &json!({
            "interval": "10m", "path": "./canary", "prune": false,
            "dependsOn": [{"name": "canary"}],
            "sourceRef": {"kind": "GitRepository", "name": "canary"}}),
            ),
        ),
    ] {
        stage.create(object);
        let found = async || ids(&asked(&stage, &[]).await.1).contains(id);
        let mut is_found = found().await;
        // Whether a Receiver is ready, its controller says in its own time.
        for _ in 0..20 {
            if is_found {
                break;
            }
            is_found = found().await;
        }
        assert!(is_found, "{id}");
    }
}

#[tokio::test]
async fn controllers_tell_whom_they_serve() {
    let stage = stage().await;
    let deployment = |image: &str, arguments: &[&str]| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": image, "namespace": "flux-system"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [
                {"name": "manager", "image": format!("h/{image}:v1"), "args": arguments}]}}},
            "status": {"availableReplicas": 1}})
    };
    let shards = ["--watch-label-selector=!sharding.fluxcd.io/key"];
    stage.create(deployment("kustomize-controller", &shards));
    let (_, page) = asked(&stage, &[]).await;
    assert!(!ids(&page).contains("shard_unserved"), "{page}");
    let labels = json!({"metadata": {"labels": {"sharding.fluxcd.io/key": "two"}}});
    stage.change("Kustomization", "canary", &labels);
    let (code, page) = asked(&stage, &[]).await;
    assert_eq!(code, Some(1), "{page}");
    assert_eq!(of(&page, "shard_unserved", "subject"), ["Kustomization flux-system/canary"]);
}

#[tokio::test]
async fn a_token_that_was_exchanged_shows() {
    let stage = stage().await;
    let token = json!({"data": {"token": BASE64_STANDARD.encode("another-planted-token")}});
    let key = Key::new("Secret", "flux-system", "canary-hook");
    stage.sandbox.store().merge(&key, &token, Part::Whole, "test").unwrap();
    let (code, page) = asked(&stage, &[]).await;
    assert_eq!(code, Some(1), "{page}");
    assert_eq!(of(&page, "receiver_path", "subject"), ["Receiver flux-system/canary"]);
}

#[tokio::test]
async fn receivers_are_called_from_outside_without_effect() {
    let stage = stage().await;
    let requested = || {
        let source = Key::new("GitRepository", "flux-system", "canary");
        let source = stage.sandbox.store().get(&source).unwrap();
        source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].clone()
    };
    let before = requested();
    let (code, page) = asked(&stage, &["--webhooks", &stage.sandbox.flux().receiver_url()]).await;
    assert_eq!(code, Some(0), "{page}");
    assert_eq!(requested(), before, "the source was asked to look");
    // The event server takes everything, and answers as no Receiver does.
    for address in [stage.sandbox.flux().event_url(), "http://127.0.0.1:1".to_owned()] {
        let (code, page) = asked(&stage, &["--webhooks", &address]).await;
        assert_eq!(code, Some(1), "{page}");
        assert_eq!(of(&page, "receiver_unreachable", "subject"), ["Receiver flux-system/canary"]);
    }
}

#[tokio::test]
async fn a_run_that_would_be_refused_is_said_with_the_runs_own_sentence() {
    let stage = stage().await;
    let file = stage.scenario(SOURCE, HOPS);
    stage.sandbox.consent("canary", None).unwrap();
    let (code, page) = asked(&stage, &[file]).await;
    assert_eq!(code, Some(1), "{page}");
    let run = stage.tell(&["run", file]).await;
    let (_, sentence) = run.sentence("no consent").split_once("`canary`: ").unwrap();
    assert!(of(&page, "would_not_run", "problem")[0].ends_with(sentence), "{page}\n{run:?}");
    // Credentials are tried, too.
    stage.sandbox.consent("canary", Some("hopclock")).unwrap();
    let password = json!({"data": {"password": BASE64_STANDARD.encode("wrong")}});
    let key = Key::new("Secret", "flux-system", "canary-git");
    stage.sandbox.store().merge(&key, &password, Part::Whole, "test").unwrap();
    let (code, page) = asked(&stage, &[file]).await;
    assert_eq!((code, of(&page, "would_not_run", "scenario")), (Some(1), vec!["canary"]), "{page}");
}

/// Allows a rule that the doctor asked for, in a Role of that namespace.
fn grant(stage: &Stage, account: &str, number: usize, fix: &str) {
    let (_, rest) = fix.split_once("grant `").unwrap();
    let (rule, rest) = rest.split_once('`').unwrap();
    let rule: Value = serde_saphyr::from_str(&format!("{{{rule}}}")).unwrap();
    let (_, namespace) = rest.split_once("of namespace `").unwrap();
    let (namespace, _) = namespace.split_once('`').unwrap();
    let (home, account) = account.split_once('/').unwrap();
    let metadata = json!({"name": format!("{account}-{number}"), "namespace": namespace});
    let api = "rbac.authorization.k8s.io";
    stage.create(json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": metadata,
        "rules": [rule]}));
    stage.create(json!({"apiVersion": format!("{api}/v1"), "kind": "RoleBinding",
        "metadata": metadata,
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
        "roleRef": {"kind": "Role", "name": metadata["name"], "apiGroup": api}}));
}

#[tokio::test]
async fn who_grants_what_is_missing_gets_a_run() {
    let stage = stage().await;
    let file = stage.scenario(SOURCE, HOPS);
    let call = [file, "--service-account", "hopclock/hopclock", "--namespace", "hopclock"];
    let (code, page) = asked(&stage, &call).await;
    assert_eq!(code, Some(1), "{page}");
    let fixes: Vec<_> = of(&page, "right_missing", "fix").into_iter().map(str::to_owned).collect();
    let advised = of(&page, "right_advised", "problem");
    check(|| {
        assert_snapshot!(
            "doctor_rights",
            format!("{}\n\n{}", fixes.join("\n"), advised.join("\n"))
        );
    });
    let (_, noting) = asked(&stage, &[&call[..], &["--events"]].concat()).await;
    let noted = of(&noting, "right_advised", "fix").into_iter();
    let rule = "resources: [\"events\"], verbs: [\"create\", \"patch\"]";
    assert_eq!(noted.filter(|it| it.contains(rule)).count(), 2, "{noting}");
    for (number, fix) in fixes.iter().enumerate() {
        grant(&stage, "hopclock/hopclock", number, fix);
    }
    let (code, page) = asked(&stage, &call).await;
    assert_eq!((code, of(&page, "right_missing", "fix")), (Some(0), vec![]), "{page}");
    // It is enough, indeed; and who asks for himself hears the same.
    stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((ACCOUNT, &[]))));
    let restricted = ["--kubeconfig", "restricted", "--namespace", "hopclock"];
    let run = stage.tell(&[&["run", file], &restricted[..]].concat()).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    let (code, page) = asked(&stage, &[&[file], &restricted[..]].concat()).await;
    assert_eq!((code, of(&page, "right_missing", "fix")), (Some(0), vec![]), "{page}");
    let secrets =
        Key::new("Role", "flux-system", &format!("hopclock-{}", place(&fixes, "secrets")));
    stage.sandbox.store().delete(&secrets, "test").unwrap();
    let (code, page) = asked(&stage, &[&[file], &restricted[..]].concat()).await;
    assert_eq!((code, of(&page, "right_missing", "fix").len()), (Some(1), 1), "{page}");
    assert!(of(&page, "right_missing", "problem")[0].contains("`get` of `secrets`"), "{page}");
    assert!(!ids(&page).contains("would_not_run"), "it is said once: {page}");
}

fn place(fixes: &[String], word: &str) -> usize {
    fixes.iter().position(|it| it.contains(word)).unwrap()
}

#[tokio::test]
async fn an_applier_acts_as_its_service_account() {
    let stage = stage().await;
    let file = stage.scenario(SOURCE, HOPS);
    stage.change("Kustomization", "canary", &json!({"spec": {"serviceAccountName": "team"}}));
    let (code, page) = asked(&stage, &[file]).await;
    assert_eq!(code, Some(1), "{page}");
    let fixes = of(&page, "applier_right_missing", "fix");
    assert_eq!(fixes.len(), 2, "{page}");
    for (number, fix) in fixes.iter().enumerate() {
        grant(&stage, "flux-system/team", number, fix);
    }
    let (code, page) = asked(&stage, &[file]).await;
    assert_eq!(code, Some(0), "{page}");
    // Who may not ask for others says so.
    stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((ACCOUNT, &[]))));
    let objects = "apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"get\", \"list\"]";
    grant(&stage, "hopclock/hopclock", 9, &format!("grant `{objects}` of namespace `flux-system`"));
    let (_, page) = asked(&stage, &[file, "--kubeconfig", "restricted"]).await;
    assert_eq!(of(&page, "applier_right_unknown", "scenario"), ["canary"], "{page}");
}

#[tokio::test]
async fn a_sick_installation_reads_like_a_page() {
    let stage = stage().await;
    stage.change("Receiver", "canary", &json!({"spec": {"suspend": true, "resources": [
        {"kind": "GitRepository", "name": "absent"}, {"kind": "Kustomization", "name": "canary"}]}}));
    stage.create(flux("notification", "Alert", "chat", &json!({
        "providerRef": {"name": "absent"}, "eventSources": [{"kind": "GitRepository", "name": "*"}]})));
    stage.sandbox.consent("canary", None).unwrap();
    let told = stage.tell(&["doctor"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    check(|| assert_snapshot!("doctor_sick", told.out));
    let file = stage.scenario(SOURCE, HOPS);
    let told = stage.tell(&["doctor", file]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    check(|| assert_snapshot!("doctor_sick_scenario", told.out));
}

#[tokio::test]
async fn a_dump_is_looked_at_without_a_cluster() {
    let stage = stage().await;
    let get = |kind: &str| {
        (*stage.sandbox.store().get(&Key::new(kind, "flux-system", "canary")).unwrap()).clone()
    };
    let items = [get("GitRepository"), get("Kustomization"), get("Receiver")];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    stage.file("dump.json", &list.to_string());
    let file = stage.scenario(SOURCE, HOPS);
    let call = ["doctor", file, "--from", "dump.json", "--output", "json"];
    let told = told(hopclock(stage.folder.path(), &call)).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let page: Value = serde_json::from_str(&told.out).unwrap();
    let expected = BTreeSet::from(["waits_for_health", "objective_needs_webhook", "unseen"]);
    assert_eq!(ids(&page), expected, "{page}");
}

#[tokio::test]
async fn who_cannot_look_says_why() {
    let stage = stage().await;
    let mut page = Page::default();
    stage.file("broken.yaml", "name: [");
    for (title, code, arguments) in [
        ("no such file", 2, ["missing.yaml"].as_slice()),
        ("no such dump", 2, &["--from", "missing.yaml"]),
        ("no such kubeconfig", 3, &["--kubeconfig", "missing"]),
    ] {
        let call = stage.call(&[&["doctor"], arguments].concat());
        stage.refuse(&mut page, title, code, call).await;
    }
    let told = stage.tell(&["doctor", "broken.yaml"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    check(|| assert_snapshot!("doctor_refused", page.text()));
}
