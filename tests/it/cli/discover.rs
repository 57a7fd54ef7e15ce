//! `hopclock discover`: what it finds in a sandbox, that `check` accepts what it writes and `run`
//! passes it, and what it says of clusters that show it little.

use crate::cli::kit::{Page, Stage, Told, check, hopclock, lane};
use crate::cli::serve_kit::{self, Running};
use hopclock_sandbox::api::{Answer, Scope};
use hopclock_sandbox::pipeline::{Door, Hook, ImageLane};
use hopclock_sandbox::store::Key;
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A pipeline with a git lane, an image lane, and a second stage behind the first lane.
async fn stage() -> Stage {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.sandbox.add_image_lane(&ImageLane::new("app")).await.unwrap();
    let include = json!([{"repository": {"name": "app"}, "toPath": "included"}]);
    stage.change("GitRepository", "canary", &json!({"spec": {"include": include}}));
    stage.create(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "second", "namespace": "flux-system"},
        "spec": {"interval": "10m", "path": "./second", "prune": true, "retryInterval": "1s",
            "targetNamespace": "hopclock", "dependsOn": [{"name": "canary"}],
            "sourceRef": {"kind": "GitRepository", "name": "canary"}},
    }));
    stage
}

#[tokio::test]
async fn what_discover_writes_is_accepted_and_passes() {
    let stage = stage().await;
    let told = stage.tell(&["discover", "--all", "--output", "found"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let mut page = Page::default();
    let mut files: Vec<_> = stage.folder.path().join("found").read_dir().unwrap().collect();
    files.sort_by_key(|it| it.as_ref().unwrap().path());
    assert_eq!(files.len(), 4, "{told:?}");
    for file in files {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        page.add(file.file_name().unwrap().to_str().unwrap(), &text);
    }
    check(|| assert_snapshot!("discovered", page.text()));
    let told = stage.tell(&["check", "found"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let told = stage.tell(&["run", "found", "--output", "json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let outcomes = told.out.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let outcomes: Vec<_> = outcomes.map(|it| it["outcome"].clone()).collect();
    assert_eq!(outcomes.len(), 4, "{told:?}");
}

/// A scenario that names what it is for, and not the way there.
const TARGET: &str = "name: canary\ndeadline: 30s\n\
    trigger: { git_commit: { source: flux-system/canary, path: canary/configmap.yaml } }\n\
    target: { kustomization: flux-system/canary }\nslo: { within: 20s }\n";

/// The hops of the one run that was told of, each by its name.
fn hops(told: &Told) -> Vec<String> {
    assert_eq!(told.code, Some(0), "{told:?}");
    let record: Value = serde_json::from_str(told.out.trim()).unwrap();
    let hops = record["hops"].as_array().unwrap().iter();
    hops.map(|it| it["hop"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_target_is_found_anew_for_each_run() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let file = stage.file("target.yaml", TARGET);
    let told = hopclock(stage.folder.path(), &["check", file]);
    let told = crate::cli::told(told).await;
    assert_eq!(told.code, Some(0), "no cluster is needed: {told:?}");
    assert!(told.out.contains("its path to Kustomization flux-system/canary"), "{}", told.out);
    let run = ["run", file, "--output", "json"];
    let told = stage.tell(&run).await;
    let expected = ["webhook_received", "source_fetched", "applied", "live"];
    assert_eq!(hops(&told), expected);
    let live = "ConfigMap hopclock/hopclock-canary";
    assert!(told.out.contains(live), "a ConfigMap without a canary stays somebody's own");

    // Another stage is put before it.
    stage.create(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "first", "namespace": "flux-system"},
        "spec": {"interval": "10m", "path": "./canary", "prune": false,
            "sourceRef": {"kind": "GitRepository", "name": "canary"}},
    }));
    let depends = json!({"spec": {"dependsOn": [{"name": "first"}]}});
    stage.change("Kustomization", "canary", &depends);
    let expected =
        ["webhook_received", "source_fetched", "applied_first", "applied_canary", "live"];
    let file = stage.file("target.yaml", &TARGET.replace("30s", "60s").replace("20s", "50s"));
    let told = stage.tell(&["run", file, "--output", "json"]).await;
    assert_eq!(hops(&told), expected);
}

#[tokio::test]
async fn without_a_target_it_shows_what_there_is() {
    let stage = stage().await;
    let faults = stage.sandbox.api().faults();
    let mut page = Page::default();
    let told = stage.tell(&["discover"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    page.add("all", &format!("{}{}", told.out, told.err));
    let told = stage.tell(&["discover", "--namespace", "hopclock"]).await;
    page.add("a namespace without any", &format!("{}{}", told.out, told.err));
    faults.answer(Answer::Forbidden, Scope::all().kind("Receiver").verb("list"));
    faults.answer(Answer::Forbidden, Scope::all().kind("ImagePolicy").verb("list"));
    let told = stage.tell(&["discover"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    page.add(
        "two kinds that may not be listed",
        &stage.neutral(&format!("{}{}", told.out, told.err)),
    );
    check(|| assert_snapshot!("discover_overview", page.text()));
}

#[tokio::test]
async fn what_cannot_be_discovered_gets_one_sentence() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let mut page = Page::default();
    let absent = "flux-system/absent";
    for (title, code, arguments) in [
        ("no such Kustomization", 2, ["--kustomization", absent]),
        ("no such release, and no such kind", 2, ["--helm-release", absent]),
        ("no such policy", 2, ["--image-policy", absent]),
        ("no such kubeconfig", 3, ["--kubeconfig", "missing"]),
        ("no such file", 2, ["--from", "missing.yaml"]),
    ] {
        let call = stage.call(&["discover", arguments[0], arguments[1]]);
        stage.refuse(&mut page, title, code, call).await;
    }
    stage.file("a.yaml", "a: [");
    stage.file("b.yaml", "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\n");
    for file in ["a.yaml", "b.yaml"] {
        let call = stage.call(&["discover", "--from", file]);
        stage.refuse(&mut page, &format!("a dump that is none: {file}"), 2, call).await;
    }
    stage.change(
        "GitRepository",
        "canary",
        &json!({"spec": {"ref": {"branch": null, "tag": "v1"}}}),
    );
    let canary = ["discover", "--kustomization", "flux-system/canary"];
    stage.refuse(&mut page, "a source that follows a tag", 2, stage.call(&canary)).await;
    stage.file("canary.yaml", TARGET);
    stage.refuse(&mut page, "the same as a target", 3, stage.call(&["run", "canary.yaml"])).await;
    check(|| assert_snapshot!("discover_refused", page.text()));
}

#[tokio::test]
async fn a_dump_of_a_cluster_does_as_well() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let items: Vec<Value> = ["GitRepository", "Kustomization", "Receiver"]
        .into_iter()
        .map(|it| {
            (*stage.sandbox.store().get(&Key::new(it, "flux-system", "canary")).unwrap()).clone()
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    stage.file("dump.json", &list.to_string());
    let target = ["--kustomization", "flux-system/canary"];
    let live = stage
        .tell(&[["discover", "--namespace"].as_slice(), &["flux-system"], &target].concat())
        .await;
    let call = [["discover", "--from", "dump.json"].as_slice(), &target].concat();
    let dumped = crate::cli::told(hopclock(stage.folder.path(), &call)).await;
    assert_eq!((dumped.code, dumped.out), (Some(0), live.out));
}

#[tokio::test]
async fn a_file_of_something_else_is_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    for (number, text) in
        ["hello\n", "- 1\n", "kind: List\nitems: [5, [6]]\n", ""].iter().enumerate()
    {
        let file = format!("{number}.yaml");
        std::fs::write(folder.path().join(&file), text).unwrap();
        for command in ["discover", "doctor"] {
            let told = crate::cli::told(hopclock(folder.path(), &[command, "--from", &file])).await;
            assert!(matches!(told.code, Some(0 | 2)), "{text}: {told:?}");
            assert!(!told.err.contains("panicked"), "{text}: {told:?}");
        }
    }
}

/// Lanes that are polled slowly, charts among them.
const SLOW: &str = "kind: List
items:
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: GitRepository
  metadata: { name: lib, namespace: flux-system }
  spec: { url: 'https://example.com/lib.git', interval: 10m, ref: { branch: main } }
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: HelmRepository
  metadata: { name: http, namespace: flux-system }
  spec: { url: 'https://example.com/charts', interval: 10m }
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: HelmChart
  metadata: { name: web-web, namespace: flux-system }
  spec: { chart: ./charts/web, interval: 1m, sourceRef: { kind: GitRepository, name: lib } }
- apiVersion: helm.toolkit.fluxcd.io/v2
  kind: HelmRelease
  metadata: { name: web, namespace: web }
  spec: { interval: 30m, chart: { spec: { chart: ./charts/web, interval: 1m, sourceRef: { kind: GitRepository, name: lib, namespace: flux-system } } } }
  status: { helmChart: flux-system/web-web }
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: HelmChart
  metadata: { name: web-other, namespace: flux-system }
  spec: { chart: web, version: '*', interval: 1m, sourceRef: { kind: HelmRepository, name: http } }
- apiVersion: helm.toolkit.fluxcd.io/v2
  kind: HelmRelease
  metadata: { name: other, namespace: web }
  spec: { interval: 30m, chart: { spec: { chart: web, version: '*', interval: 1m, sourceRef: { kind: HelmRepository, name: http, namespace: flux-system } } } }
  status: { helmChart: flux-system/web-other }
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImageRepository
  metadata: { name: app, namespace: flux-system }
  spec: { image: registry.example.com/app, interval: 5m }
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImagePolicy
  metadata: { name: app, namespace: flux-system }
  spec: { imageRepositoryRef: { name: app }, policy: { semver: { range: 1.x } } }
  status: { latestRef: { name: registry.example.com/app, tag: 1.0.0 } }
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImageUpdateAutomation
  metadata: { name: app, namespace: flux-system }
  spec: { interval: 30m, sourceRef: { kind: GitRepository, name: lib }, git: { push: { branch: main } }, update: { path: ./apps, strategy: Setters } }
- apiVersion: kustomize.toolkit.fluxcd.io/v1
  kind: Kustomization
  metadata: { name: apps, namespace: flux-system }
  spec: { interval: 10m, path: ./apps, prune: true, sourceRef: { kind: GitRepository, name: lib } }
";

#[tokio::test]
async fn what_discover_writes_can_be_met_by_its_plan() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dump.yaml"), SLOW).unwrap();
    let call = ["discover", "--all", "--from", "dump.yaml", "--output", "found"];
    let told = crate::cli::told(hopclock(folder.path(), &call)).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let found = folder.path().join("found").read_dir().unwrap().count();
    assert_eq!(found, 4, "{told:?}");
    let call = ["plan", "found", "--from", "dump.yaml"];
    let told = crate::cli::told(hopclock(folder.path(), &call)).await;
    assert_eq!(told.code, Some(0), "{told:?}");
}

#[tokio::test]
async fn a_file_that_is_there_is_overwritten_only_by_force() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let call = ["discover", "--all", "--output", "."];
    let file = stage.file("flux-system-canary.yaml", "mine");
    let told = stage.tell(&call).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.err.contains("`./flux-system-canary.yaml` is there already"), "{}", told.err);
    let text = || std::fs::read_to_string(stage.folder.path().join(file)).unwrap();
    assert_eq!(text(), "mine");
    stage.sandbox.consent("canary", None).unwrap();
    let told = stage.tell(&[&call[..], &["--force"]].concat()).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let command =
        "kubectl annotate gitrepository -n flux-system canary hopclock.dev/canary=hopclock";
    assert!(told.err.contains(&format!("consent is missing: {command}\n")), "{}", told.err);
    assert!(text().contains(&format!("#   {command}\n")), "{}", text());
    assert!(text().starts_with("# The path to Kustomization flux-system/canary"), "{}", text());
}

#[tokio::test]
async fn a_service_knows_the_series_of_a_target_once_it_has_found_the_path() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    std::fs::create_dir(stage.folder.path().join("scenarios")).unwrap();
    stage.file("scenarios/target.yaml", TARGET);
    stage.file("token", "secret");
    let more = ["--state", "none", "--token-file", "token"];
    let service = Running::start(&stage, &more).await;
    service.eventually_ready().await;
    let told = serve_kit::trigger(&stage, &service, "canary", &["--wait"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let live = "hopclock_stage_duration_seconds_count{scenario=\"canary\",hop=\"live\"} 1";
    service.eventually("/metrics", live).await;
    // A reload takes nothing away.
    let other = TARGET.replace("20s", "25s");
    stage.file("scenarios/target.yaml", &other);
    stage.file("scenarios/other.yaml", &other.replace("name: canary", "name: other"));
    service.eventually("/metrics", "hopclock_runs_in_flight{scenario=\"other\"} 0").await;
    service.eventually("/metrics", live).await;
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn what_was_counted_of_hops_that_are_discovered_outlives_a_restart() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    std::fs::create_dir(stage.folder.path().join("scenarios")).unwrap();
    stage.file("scenarios/target.yaml", TARGET);
    stage.file("token", "secret");
    let more = ["--state", "file:state.sqlite", "--token-file", "token"];
    let counted = |runs: u32| {
        format!("hopclock_stage_duration_seconds_count{{scenario=\"canary\",hop=\"live\"}} {runs}")
    };
    for run in 1..=3 {
        let service = Running::start(&stage, &more).await;
        if run > 1 {
            // It is there before anything was discovered.
            let page = service.eventually("/metrics", "hopclock_scheduled_runs_total").await;
            assert!(page.contains(&counted(run - 1)), "{page}");
        }
        service.eventually_ready().await;
        let told = serve_kit::trigger(&stage, &service, "canary", &["--wait"]).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        service.eventually("/metrics", &counted(run)).await;
        assert_eq!(service.stop().await, Some(0));
    }
}
