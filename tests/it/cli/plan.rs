//! `hopclock plan`: how it tells what a change will wait for, and what it refuses.

use crate::cli::kit::{HOPS, Page, Stage, Told, check, hopclock, lane, scenario, told};
use hopclock_sandbox::api::{Answer, Scope};
use hopclock_sandbox::pipeline::{Door, Hook, ImageLane};
use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A fleet as its cluster shows it: appliers that depend on each other, an image that is scanned
/// and committed, and a release whose chart lies in an OCI registry.
const DUMP: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: GitRepository
  metadata: { name: fleet, namespace: flux-system }
  spec: { interval: 10m0s, url: "https://git.example.com/fleet", ref: { branch: main } }
- apiVersion: kustomize.toolkit.fluxcd.io/v1
  kind: Kustomization
  metadata: { name: infra, namespace: flux-system }
  spec:
    { interval: 1h0m0s, path: ./infra, wait: true, sourceRef: { kind: GitRepository, name: fleet } }
- apiVersion: kustomize.toolkit.fluxcd.io/v1
  kind: Kustomization
  metadata: { name: apps, namespace: flux-system }
  spec:
    interval: 1h0m0s
    retryInterval: 2m0s
    path: ./apps
    wait: true
    dependsOn: [{ name: infra }]
    sourceRef: { kind: GitRepository, name: fleet }
    postBuild: { substituteFrom: [{ kind: ConfigMap, name: cluster }] }
  status: { inventory: { entries: [{ id: web_web_apps_Deployment, v: v1 }] } }
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: cluster, namespace: flux-system }
  data: { region: eu }
- apiVersion: notification.toolkit.fluxcd.io/v1
  kind: Receiver
  metadata: { name: push, namespace: flux-system }
  spec:
    type: github
    resources:
    - { kind: GitRepository, name: fleet }
    - { kind: HelmRepository, name: charts, apiVersion: source.toolkit.fluxcd.io/v1 }
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImageRepository
  metadata: { name: web, namespace: flux-system }
  spec: { image: registry.example.com/web, interval: 5m0s }
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImagePolicy
  metadata: { name: web, namespace: flux-system }
  spec: { imageRepositoryRef: { name: web }, policy: { semver: { range: 1.x } } }
  status: { latestRef: { name: registry.example.com/web, tag: 1.2.3 } }
- apiVersion: image.toolkit.fluxcd.io/v1
  kind: ImageUpdateAutomation
  metadata: { name: fleet, namespace: flux-system }
  spec:
    interval: 30m0s
    sourceRef: { kind: GitRepository, name: fleet }
    git: { checkout: { ref: { branch: main } }, push: { branch: main } }
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: HelmRepository
  metadata: { name: charts, namespace: flux-system }
  spec: { type: oci, url: "oci://registry.example.com/charts", interval: 5m0s }
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: HelmChart
  metadata: { name: web-shop, namespace: flux-system }
  spec: { chart: shop, version: 1.x, interval: 10m0s, sourceRef: { kind: HelmRepository, name: charts } }
- apiVersion: helm.toolkit.fluxcd.io/v2
  kind: HelmRelease
  metadata: { name: shop, namespace: web }
  spec:
    interval: 10m0s
    chart:
      spec:
        chart: shop
        version: 1.x
        sourceRef: { kind: HelmRepository, name: charts, namespace: flux-system }
"#;

const GIT: &str = "
name: git
schedule: { every: 30m, jitter: 1m }
deadline: 9m
trigger:
  git_commit: { source: flux-system/fleet, path: apps/canary.yaml, template: \"${canary}\", shared: true }
hops:
  - webhook_received: { receiver: flux-system/push }
  - source_fetched: { git_repository: flux-system/fleet }
    within: 30s
  - applied: { kustomization: flux-system/apps }
  - rolled_out: { deployment: web/web }
slo: { within: 2m, objective: 99% }
";

const IMAGE: &str = "
name: image
deadline: 20m
trigger: { image_tag: { policy: flux-system/web } }
hops:
  - image_scanned: { image_repository: flux-system/web }
  - policy_updated: { image_policy: flux-system/web }
  - automation_committed: { image_update_automation: flux-system/fleet }
  - source_fetched: { git_repository: flux-system/fleet }
  - applied: { kustomization: flux-system/apps }
  - live: { deployment: web/web }
slo: { within: 5m, objective: 90% }
";

const HELM: &str = "
name: helm
deadline: 15m
trigger:
  git_commit: { url: \"https://git.example.com/charts\", path: shop/canary.yaml, template: \"${canary}\" }
hops:
  - source_fetched: { helm_chart: flux-system/web-shop }
  - applied: { helm_release: web/shop }
slo: { within: 12m, objective: 95%, until: applied }
";

const NO_POLLER: &str = "
name: target
deadline: 9m
trigger: { git_commit: { source: flux-system/fleet, path: infra/canary.yaml, shared: true } }
target: { kustomization: flux-system/infra }
slo: { within: 1m }
";

/// What a call says of a scenario and a dump, without a cluster.
async fn plan(text: &str, dump: &str, more: &[&str]) -> Told {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("scenario.yaml"), text).unwrap();
    std::fs::write(folder.path().join("dump.yaml"), dump).unwrap();
    let call = [&["plan", "scenario.yaml", "--from", "dump.yaml"], more].concat();
    told(hopclock(folder.path(), &call)).await
}

#[tokio::test]
async fn a_plan_says_who_wakes_whom_how_long_that_takes_and_what_it_means() {
    let mut page = Page::default();
    for (title, code, text) in [
        ("a commit", 0, GIT),
        ("an image", 1, IMAGE),
        ("a chart in an OCI registry", 0, HELM),
        ("a target", 0, NO_POLLER),
    ] {
        let told = plan(text, DUMP, &[]).await;
        assert_eq!((told.code, told.err.as_str()), (Some(code), ""), "{title}: {told:?}");
        page.add(title, told.out.trim_end());
    }
    check(|| assert_snapshot!("plan_text", page.text()));
}

#[tokio::test]
async fn a_plan_for_programs_has_the_same_numbers() {
    let told = plan(GIT, DUMP, &["--output", "json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let plan: Value = serde_json::from_str(&told.out).unwrap();
    let case = |at: usize| plan["total"][at]["waits"]["worst_seconds"].clone();
    assert_eq!((case(0), case(1)), (json!(30.0), json!(660.0)));
    let text = serde_json::to_string_pretty(&plan).unwrap();
    check(|| assert_snapshot!("plan_json", text));
}

#[tokio::test]
async fn what_cannot_be_planned_gets_one_sentence() {
    let mut page = Page::default();
    let without = |kind: &str| {
        let items = DUMP.split("\n- ").filter(|it| !it.contains(&format!("kind: {kind}\n")));
        items.collect::<Vec<_>>().join("\n- ")
    };
    for (title, code, text, dump) in [
        ("a broken scenario", 2, "name: a\n", DUMP),
        ("no dump", 2, GIT, "a: ["),
        ("an applier that is not there", 3, GIT, &without("Kustomization")),
        ("a target that is not there", 3, NO_POLLER, &without("Kustomization")),
    ] {
        let told = plan(text, dump, &[]).await;
        assert_eq!(told.code, Some(code), "{title}: {told:?}");
        page.add(title, told.err.trim_end());
    }
    check(|| assert_snapshot!("plan_refused", page.text()));
}

#[tokio::test]
async fn a_cluster_is_planned_as_it_is_and_nothing_is_pushed() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.sandbox.add_image_lane(&ImageLane::new("app")).await.unwrap();
    let before = stage.sandbox.git().ref_updates().len();
    let file = stage.file("canary.yaml", &scenario("canary", "source: flux-system/canary", HOPS));
    let told = stage.tell(&["plan", file, "--output", "json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let plan: Value = serde_json::from_str(&told.out).unwrap();
    let worst = |at: usize| plan["total"][at]["waits"]["worst_seconds"].as_f64();
    assert_eq!((worst(0), worst(1)), (Some(0.0), Some(630.0)), "{plan}");
    // Without its Receiver the objective of 15 s is hopeless.
    stage.change("Receiver", "canary", &json!({"spec": {"suspend": true}}));
    let told = stage.tell(&["plan", file]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.out.contains("is suspended: no webhook arrives"), "{}", told.out);
    stage
        .sandbox
        .api()
        .faults()
        .answer(Answer::Forbidden, Scope::all().kind("Receiver").verb("list"));
    let told = stage.tell(&["plan", file]).await;
    assert!(told.err.starts_with("not seen: "), "{told:?}");
    let told = stage.tell(&["plan", file, "--kubeconfig", "missing"]).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert_eq!(stage.sandbox.git().ref_updates().len(), before);
}
