//! An OCI artifact on its way from a registry into the cluster, over real sockets.

use crate::e2e_oci_kit::OciCourse;
use crate::registry_kit::RealRegistry;
use hopclock::model::{Passage, Via};
use hopclock_sandbox::git::{GitRef, UpdatedBy};
use hopclock_sandbox::pipeline::{Door, Hook, Lane, OciLane, ScanHook};
use hopclock_sandbox::registry::{Artifact, Deletion, Rules};
use serde_json::{Value, json};

const ORIGIN: &str = "lastAppliedOriginRevision";

async fn course() -> OciCourse {
    OciCourse::new(&OciLane::new("app")).await
}

fn object(course: &OciCourse, kind: &str) -> Value {
    let key = hopclock_sandbox::store::Key::new(kind, "flux-system", "app");
    (*course.bench.sandbox.store().get(&key).unwrap()).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_is_followed_from_the_registry_until_it_is_live() {
    let course = OciCourse::new(&OciLane { door: Door::Locked, ..OciLane::new("app") }).await;
    let registry = course.bench.sandbox.registry();
    let ours =
        || registry.requests().iter().filter(|it| it.user_agent.starts_with("hopclock/")).count();
    let first = registry.digest(&course.places.repository, "latest").unwrap();
    for run in 0..2 {
        let before = ours();
        let record = course.delivered().await;
        assert_eq!(record["outcome"], "ok", "{record:#}");
        let digest = registry.digest(&course.places.repository, "latest").unwrap();
        assert_eq!(record["push"]["revisions"], json!([{"digest": digest}]));
        assert!(ours() - before <= 14, "run {run}: {} requests", ours() - before);

        let (kind, manifest) = registry.manifest(&course.places.repository, "latest").unwrap();
        assert_eq!(kind, "application/vnd.oci.image.manifest.v1+json");
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.cncf.flux.config.v1+json");
        let layer = &manifest["layers"][0]["mediaType"];
        assert_eq!(layer, "application/vnd.cncf.flux.content.v1.tar+gzip");
        let annotations = &manifest["annotations"];
        let source = "org.opencontainers.image.source";
        assert_eq!(annotations[source], json!(course.places.url));
        assert!(annotations["org.opencontainers.image.created"].is_string());
        // P10: what the artifact was made of is told along the whole path.
        let applied = object(&course, "Kustomization");
        assert_eq!(applied["status"][ORIGIN], record["canary"]);
        assert_eq!(annotations["org.opencontainers.image.revision"], record["canary"]);
    }
    assert!(registry.manifest(&course.places.repository, &first).is_none(), "it was a canary too");
    let manifests = registry.requests();
    let deleted: Vec<_> = manifests.iter().filter(|it| it.method == "DELETE").collect();
    assert_eq!(deleted.len(), 2, "the canary that was replaced, each time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hop_of_an_artifact_is_timed_by_its_own_event() {
    let course = course().await;
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    for hop in &measured.record.hops {
        assert!(matches!(hop.passage, Passage::Reached { .. }), "{hop:?}");
    }
    course.assert_true(&measured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_without_a_webhook_an_artifact_waits_for_the_interval() {
    let (hook, interval) = (ScanHook::Silent, "2s".to_owned());
    let course = OciCourse::new(&OciLane { hook, interval, ..OciLane::new("app") }).await;
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    assert_eq!(measured.passage("webhook_received"), &Passage::Bypassed);
    let &Passage::Reached { via, .. } = measured.passage("source_fetched") else { panic!() };
    assert_eq!(via, Some(Via::Interval));
    course.assert_true(&measured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_a_source_that_follows_versions_gets_the_next_one_and_few_stay() {
    let lane = OciLane {
        reference: json!({"semver": "0.1.x", "semverFilter": "^0\\.1\\.[0-9]+$"}),
        first_tag: "0.1.0".to_owned(),
        ..OciLane::new("app")
    };
    let mut course = OciCourse::new(&lane).await;
    course.trigger = "source: flux-system/app, keep: 2".to_owned();
    let sandbox = course.bench.sandbox.clone();
    let tags = || sandbox.registry().tags(&course.places.repository);
    let theirs = Artifact::flux(&[("a.yaml", "{}")], &[]);
    let _ = sandbox.registry().push_artifact(&course.places.repository, "0.0.9", &theirs);
    let mut left = Vec::new();
    for _ in 0..4 {
        assert_eq!(course.delivered().await["outcome"], "ok");
        left.push(tags());
    }
    assert_eq!(left[0], ["0.0.9", "0.1.0", "0.1.1"]);
    assert_eq!(left[1], ["0.0.9", "0.1.1", "0.1.2"]);
    assert_eq!(left[2], ["0.0.9", "0.1.2", "0.1.3"], "the people's own version stays");
    assert_eq!(left[3], ["0.0.9", "0.1.3", "0.1.4"]);
    let rules = |deletion| Rules { deletion, ..Rules::default() };
    sandbox.registry().set_rules(&course.places.repository, rules(Deletion::ByDigest));
    course.delivered().await;
    assert_eq!(tags(), ["0.0.9", "0.1.4", "0.1.5"]);
    sandbox.registry().set_rules(&course.places.repository, rules(Deletion::Refused));
    let told = course.tell().await;
    assert_eq!(told.code, Some(0));
    let said = told.err.lines().find(|it| it.contains("tags of canaries stay behind"));
    assert!(said.is_some_and(|it| it.contains("behind (1): ")), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_by_hand_is_pushed_to_with_its_own_credentials() {
    let mut course = OciCourse::new(&OciLane { door: Door::Locked, ..OciLane::new("app") }).await;
    let url = course.places.url.clone();
    course.trigger = format!("url: '{url}', insecure: true");
    let error = course.refused("no credentials").await;
    assert!(error.contains("asks for credentials"), "{error}");
    course.trigger =
        format!("url: '{url}', insecure: true, auth: {{ secret: flux-system/app-registry }}");
    assert_eq!(course.delivered().await["outcome"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_registry_takes_and_gives_artifacts_too() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let interval = "1s".to_owned();
    let course = OciCourse::new(&OciLane { interval, ..OciLane::new("app") }).await;
    let url = format!("oci://{}/manifests/new", real.host);
    course.spec("OCIRepository", &json!({ "url": url }));
    for _ in 0..2 {
        let record = course.delivered().await;
        assert_eq!(record["outcome"], "ok", "{record:#}");
        let digest = record["push"]["revisions"][0]["digest"].as_str().unwrap();
        let source = object(&course, "OCIRepository");
        assert_eq!(source["status"]["artifact"]["revision"], format!("latest@{digest}"));
    }
    // A repository that holds nothing but canaries needs no consent.
    course.annotate(None);
    assert_eq!(course.delivered().await["outcome"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_a_commit_is_known_by_the_artifact_that_a_build_makes_of_it() {
    let mut course = course().await;
    let sandbox = course.bench.sandbox.clone();
    let (name, interval) = ("fleet".to_owned(), "10m".to_owned());
    let lane = Lane { name, interval, hook: Hook::Silent, door: Door::Open };
    let url = sandbox.add_lane(&lane).await.unwrap();
    let path = "deploy/app.yaml";
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: hopclock}\n\
        data: {canary: '${canary}'}";
    let template = json!(template);
    course.trigger =
        format!("source: flux-system/fleet, path: {path}, shared: true, template: {template}");
    let build = tokio::spawn(async move {
        let mut pushes = sandbox.git().watch_updates();
        let commit = loop {
            let update = pushes.recv().await.unwrap();
            if update.by == UpdatedBy::Push {
                break update.new;
            }
        };
        let fetched = sandbox.git().fetch(&url, None, &GitRef::Commit(commit.clone())).unwrap();
        let text = String::from_utf8(fetched.files[path].clone()).unwrap();
        let revision = format!("main@sha1:{commit}");
        let annotations = [("org.opencontainers.image.revision", revision.as_str())];
        let artifact = Artifact::flux(&[("app.yaml", &text)], &annotations);
        let _ = sandbox.registry().push_artifact("manifests/app", "latest", &artifact);
        revision
    });
    let text = course.text().replace("oci_artifact", "git_commit");
    let record = course.delivered_as(&text).await;
    let revision = build.await.unwrap();
    assert_eq!(record["outcome"], "ok", "{record:#}");
    assert_eq!(object(&course, "Kustomization")["status"][ORIGIN], revision);
}
