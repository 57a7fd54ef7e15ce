//! Flux objects and Secrets that are missing or of no use, and the sentence that each gets.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, told};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn git_repository(name: &str, url: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", "url": url, "suspend": true},
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "flux-system"}, "data": data})
}

#[tokio::test]
async fn a_missing_object_is_named_and_nothing_is_pushed() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    for (title, git, from, to) in [
        ("the source of the trigger", "source: flux-system/cannery", "", ""),
        (
            "a GitRepository",
            SOURCE,
            "git_repository: flux-system/canary",
            "git_repository: flux-system/cannery",
        ),
        (
            "a Kustomization",
            SOURCE,
            "kustomization: flux-system/canary",
            "kustomization: apps/canary",
        ),
        ("a Receiver", SOURCE, "receiver: flux-system/canary", "receiver: flux-system/cannery"),
        (
            "the Secret of push_auth",
            "source: flux-system/canary, push_auth: { secret: hopclock/push }",
            "",
            "",
        ),
    ] {
        let hops = if from.is_empty() { HOPS.to_owned() } else { HOPS.replace(from, to) };
        stage.refuse_scenario(&mut page, title, git, &hops).await;
    }
    stage.sandbox.api().faults().change_version("Receiver", "v2").unwrap();
    check(|| assert_snapshot!("bad_source_missing", page.text()));
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_named() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let hops = HOPS.replace(
        "{ config_map: hopclock/canary }",
        "{ object: { group: example.com, kind: Widget, namespace: hopclock, name: canary }, field: spec.canary }",
    );
    let git = format!("{SOURCE}, template: 'canary: ${{canary}}'");
    stage.refuse_scenario(&mut page, "no CustomResourceDefinition", &git, &hops).await;
    check(|| assert_snapshot!("bad_source_kind", page.text()));
}

#[tokio::test]
async fn a_source_that_no_push_reaches_says_why() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let main = json!({"branch": "main"});
    let https = "https://git.example.com/fleet/canary.git";
    for (name, title, url, spec) in [
        (
            "ssh",
            "an ssh address without a Secret",
            "ssh://git@git.example.com/fleet/canary.git",
            json!({"ref": main}),
        ),
        (
            "half-key",
            "an ssh address and a Secret without known_hosts",
            "ssh://git@git.example.com/fleet/canary.git",
            json!({"ref": main, "secretRef": {"name": "half-key"}}),
        ),
        (
            "no-key",
            "an ssh address and a Secret whose key is none",
            "ssh://git@git.example.com/fleet/canary.git",
            json!({"ref": main, "secretRef": {"name": "no-key"}}),
        ),
        ("ftp", "another way", "ftp://git@git.example.com/canary.git", json!({"ref": main})),
        ("tag", "a tag alone", https, json!({"ref": {"tag": "v1"}})),
        ("semver", "versions alone", https, json!({"ref": {"semver": ">=1"}})),
        (
            "commit",
            "a commit alone",
            https,
            json!({"ref": {"commit": "0123456789012345678901234567890123456789"}}),
        ),
        ("github", "GitHub's provider", https, json!({"ref": main, "provider": "github"})),
        ("azure", "Azure's provider", https, json!({"ref": main, "provider": "azure"})),
        ("aws", "another provider", https, json!({"ref": main, "provider": "aws"})),
        ("app", "a GitHub App", https, json!({"ref": main, "secretRef": {"name": "app"}})),
        ("lost", "a missing Secret", https, json!({"ref": main, "secretRef": {"name": "lost"}})),
        (
            "half",
            "a Secret without password",
            https,
            json!({"ref": main, "secretRef": {"name": "half"}}),
        ),
        (
            "empty",
            "a Secret without keys",
            https,
            json!({"ref": main, "secretRef": {"name": "empty"}}),
        ),
        (
            "key",
            "a Secret of an ssh key",
            https,
            json!({"ref": main, "secretRef": {"name": "key"}}),
        ),
        (
            "bytes",
            "a password that is no text",
            https,
            json!({"ref": main, "secretRef": {"name": "bytes"}}),
        ),
    ] {
        stage.create(git_repository(name, url, &spec));
        let data = match name {
            "app" => json!({"githubAppID": "MQ==", "githubAppPrivateKey": "MQ=="}),
            "half-key" => json!({"identity": "MQ=="}),
            "no-key" => json!({"identity": "MQ==", "known_hosts": "MQ=="}),
            "half" => json!({"username": "aG9wY2xvY2s="}),
            "empty" => json!({}),
            "key" => json!({"identity": "MQ==", "identity.pub": "MQ==", "known_hosts": "MQ=="}),
            "bytes" => json!({"username": "aG9wY2xvY2s=", "password": "/w=="}),
            _ => Value::Null,
        };
        if !data.is_null() {
            stage.create(secret(name, &data));
        }
        let git = format!("source: flux-system/{name}");
        let hops = HOPS.replace("  - webhook_received: { receiver: flux-system/canary }\n", "");
        stage.refuse_scenario(&mut page, title, &git, &hops).await;
    }
    check(|| assert_snapshot!("bad_source_unreachable", page.text()));
}

#[tokio::test]
async fn a_receiver_that_does_not_annotate_the_source_is_said() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let resources = json!([{"kind": "GitRepository", "name": "another"}]);
    stage.change("Receiver", "canary", &json!({"spec": {"resources": resources}}));
    stage.refuse_scenario(&mut page, "a Receiver of another source", SOURCE, HOPS).await;
    check(|| assert_snapshot!("bad_source_receiver", page.text()));
}

#[tokio::test]
async fn a_source_of_a_provider_is_pushed_to_with_keys_of_its_own() {
    let stage = Stage::new().await;
    stage.change("GitRepository", "canary", &json!({"spec": {"provider": "github"}}));
    let git = format!(
        "{SOURCE}, push_auth: {{ basic: {{ username: hopclock, password: {{ env: KEY }} }} }}"
    );
    let mut call = stage.call(&["run", stage.scenario(&git, HOPS)]);
    call.env("KEY", "k");
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
}
