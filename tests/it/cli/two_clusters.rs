//! One change, followed through two clusters: each hop looks into the cluster that it names.

use crate::cli::kit::{Page, Stage, Told, lane, quick};
use crate::cli::serve_kit::Running;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hopclock_sandbox::pipeline::{Door, Hook, Sandbox};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// The lane at home, and what the same repository becomes in the cluster `east`.
const HOPS: &str = "
  - source_fetched: { git_repository: flux-system/canary }
  - live: { config_map: hopclock/canary }
  - { name: fetched_in_east, source_fetched: { git_repository: flux-system/copy }, cluster: east }
  - { name: applied_in_east, applied: { kustomization: flux-system/copy }, cluster: east }
  - { name: live_in_east, live: { config_map: hopclock/canary }, cluster: east }
";

const SOURCE: &str = "source: flux-system/canary";

/// A second cluster that fetches the same repository, every second.
async fn east(stage: &Stage) -> Sandbox {
    let east = stage.sandbox.beside(quick()).await.unwrap();
    let metadata = json!({"name": "copy", "namespace": "flux-system"});
    let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": metadata, "spec": {"interval": "1s", "url": stage.url,
        "ref": {"branch": "main"}, "timeout": "60s"}});
    east.store().create(source, "test").unwrap();
    east.store().create(applier("copy"), "test").unwrap();
    east
}

fn applier(name: &str) -> Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"}, "spec": {"interval": "10m",
        "path": "./canary", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "copy"}}})
}

async fn stage() -> (Stage, Sandbox) {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let east = east(&stage).await;
    stage.scenario(SOURCE, HOPS);
    (stage, east)
}

fn reached(told: &Told) -> Vec<(String, String)> {
    assert_eq!(told.code, Some(0), "{told:?}");
    let record: Value = serde_json::from_str(&told.out).unwrap();
    let hops = record["hops"].as_array().unwrap().iter();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    let was = |it: &&Value| it["passage"] == "reached";
    hops.filter(was).map(|it| (text(it, "hop"), text(it, "target_cluster"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_is_followed_through_two_clusters() {
    let (stage, east) = stage().await;
    let way = format!("east={}", east.kubeconfig().display());
    let told = stage.tell(&["run", "canary.yaml", "--cluster", &way, "--output", "json"]).await;
    let expected = [
        ("source_fetched", ""),
        ("live", ""),
        ("fetched_in_east", "east"),
        ("applied_in_east", "east"),
        ("live_in_east", "east"),
    ];
    let all = reached(&told);
    assert_eq!(all, expected.map(|(hop, cluster)| (hop.to_owned(), cluster.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_reached_by_a_secret_as_flux_does() {
    let (stage, east) = stage().await;
    let kubeconfig = std::fs::read(east.kubeconfig()).unwrap();
    stage.create(secret("east", "value", &kubeconfig));
    let way = "east=secret:flux-system/east";
    let told = stage.tell(&["run", "canary.yaml", "--cluster", way, "--output", "json"]).await;
    assert_eq!(reached(&told).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_an_applier_of_the_other_cluster_makes_a_source_shared_too() {
    let (stage, east) = stage().await;
    east.store().create(applier("other"), "test").unwrap();
    let way = format!("east={}", east.kubeconfig().display());
    let mut page = Page::default();
    let call = stage.call(&["run", "canary.yaml", "--cluster", &way]);
    stage.refuse(&mut page, "another applier", 3, call).await;
    assert!(
        page.text().contains("Kustomization flux-system/other of cluster east"),
        "{}",
        page.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_us_from_another_cluster_is_one_sentence() {
    let (stage, east) = stage().await;
    let mut page = Page::default();
    let runs_a_program = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n\
        - { name: a, context: { cluster: a, user: a } }\nclusters:\n\
        - { name: a, cluster: { server: \"https://127.0.0.1:1\" } }\nusers:\n\
        - { name: a, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: planted } } }\n";
    stage.create(secret("program", "value", runs_a_program.as_bytes()));
    stage.create(secret("keys", "token", b"planted"));
    stage.create(secret("broken", "value.yaml", b"planted: ["));
    for (title, way) in [
        ("no context of that name", None),
        ("no such file", Some("east=absent")),
        ("no such Secret", Some("east=secret:flux-system/absent")),
        ("a Secret without a kubeconfig", Some("east=secret:flux-system/keys")),
        ("a Secret with another key than said", Some("east=secret:flux-system/keys/own")),
        ("a kubeconfig that runs a program", Some("east=secret:flux-system/program")),
        ("a kubeconfig that is none", Some("east=secret:flux-system/broken")),
    ] {
        let arguments: Vec<&str> = way.into_iter().flat_map(|it| ["--cluster", it]).collect();
        let call = stage.call(&[&["run", "canary.yaml"], &arguments[..]].concat());
        stage.refuse(&mut page, title, 3, call).await;
    }
    drop(east);
    assert!(!page.text().contains("planted"), "{}", page.text());
    assert_snapshot!(page.text());
}

fn secret(name: &str, key: &str, value: &[u8]) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "data": {key: STANDARD.encode(value)},
        "metadata": {"name": name, "namespace": "flux-system"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cluster_that_is_looked_into_has_its_echo() {
    let (stage, east) = stage().await;
    std::fs::create_dir(stage.folder.path().join("scenarios")).unwrap();
    let from = stage.folder.path().join("canary.yaml");
    std::fs::rename(from, stage.folder.path().join("scenarios/canary.yaml")).unwrap();
    let way = format!("east={}", east.kubeconfig().display());
    let more = ["--state", "none", "--namespace", "flux-system", "--cluster", &way];
    let service = Running::start(&stage, &more).await;
    service.eventually("/readyz", "echo             a watch event takes").await;
    service.eventually("/readyz", "echo east        a watch event takes").await;
    let page = service.eventually("/metrics", "hopclock_watch_echo_seconds_count").await;
    for series in ["_count 1\n", "_count{target_cluster=\"east\"} 1\n"] {
        assert!(page.contains(&format!("hopclock_watch_echo_seconds{series}")), "{page}");
    }
    assert_eq!(service.stop().await, Some(0));
}
