//! A commit that a generator composes into another artifact, on its way into the cluster.

use crate::cli::kit::{hopclock, told};
use crate::e2e_image_kit::job;
use crate::e2e_kit::{Bench, Measured};
use hopclock::model::{Event, Passage, Via};
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::{CANARY_PATH, Door, FLUX_NAMESPACE, Hook, Lane};
use hopclock_sandbox::store::Key;
use serde_json::{Value, json};
use std::cell::RefCell;

/// The instance that the sandbox's objects consent to.
const GUEST: &str = "hopclock";

const HOPS: &str = "
- source_fetched: { git_repository: flux-system/app }
- { name: composed, source_fetched: { external_artifact: flux-system/app } }
- applied: { kustomization: flux-system/app }
- live: { config_map: hopclock/app }
";

/// A lane named `app`, whose Kustomization applies what is composed of its source.
struct Course {
    bench: Bench,
}

// === impl Course ===

impl Course {
    /// With the fields of `more` in the artifact.
    async fn new(more: Value) -> Self {
        let bench = Bench::new().await;
        lane(&bench, "app", Hook::Right).await;
        Self::of(bench, &[], &[], more).await
    }

    /// With these further sources and copies.
    async fn of(bench: Bench, sources: &[Value], copies: &[Value], more: Value) -> Self {
        let own = json!({"alias": "own", "kind": "GitRepository", "name": "app"});
        let sources = [&[own], sources].concat();
        let copy = json!({"from": "@own/canary/**", "to": "@artifact/canary/"});
        let mut artifact = more;
        artifact["name"] = "app".into();
        artifact["copy"] = [&[copy], copies].concat().into();
        let generator = json!({
            "apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator",
            "metadata": {"namespace": FLUX_NAMESPACE, "name": "app"},
            "spec": {"sources": sources, "artifacts": [artifact]}});
        bench.sandbox.store().create(generator, "somebody").unwrap();
        let composed = |it: &Value| it["status"]["artifact"]["revision"].is_string();
        bench.until("ExternalArtifact", "app", composed).await;
        let reference = json!({"kind": "ExternalArtifact", "name": "app"});
        bench.change("Kustomization", "app", &json!({"spec": {"sourceRef": reference}}));
        let course = Self { bench };
        let revision = course.revision();
        let applied = |it: &Value| it["status"]["lastAppliedRevision"] == *revision;
        course.bench.until("Kustomization", "app", applied).await;
        course
    }

    /// The revision of the artifact as it is now.
    fn revision(&self) -> String {
        let key = Key::new("ExternalArtifact", FLUX_NAMESPACE, "app");
        let object = self.bench.sandbox.store().get(&key).unwrap();
        object["status"]["artifact"]["revision"].as_str().unwrap().to_owned()
    }

    fn text() -> String {
        let trigger = format!("source: flux-system/app, path: {CANARY_PATH}");
        format!("name: app\ndeadline: 30s\ntrigger: {{ git_commit: {{ {trigger} }} }}\nhops:{HOPS}")
    }

    /// Runs it in this process, and does `then` as soon as the push is acknowledged.
    async fn measure(&self, then: impl Fn() + Send + Sync + 'static) -> Measured {
        let job = job(&self.bench, GUEST, &Self::text()).await.unwrap();
        let published = move |event: &Event| {
            if matches!(event, Event::Published { .. }) {
                then();
            }
        };
        self.bench.drive("app", &job, published).await
    }
}

/// Adds a lane that polls rarely; gives the URL of its repository.
async fn lane(bench: &Bench, name: &str, hook: Hook) -> String {
    let (name, interval) = (name.to_owned(), "1h".to_owned());
    bench.sandbox.add_lane(&Lane { name, interval, hook, door: Door::Open }).await.unwrap()
}

/// Says that the hops behind the source were timed by this revision of the artifact.
fn assert_true(measured: &Measured, revision: &str) {
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    let canary = measured.record.canary.to_string();
    let composed = |it: &Value| it["status"]["artifact"]["revision"] == revision;
    let applied = |it: &Value| it["status"]["lastAppliedRevision"] == revision;
    let truths = [
        ("composed", measured.shown_at("ExternalArtifact", composed)),
        ("applied", measured.shown_at("Kustomization", applied)),
        ("live", measured.shown_at("ConfigMap", |it| it["data"]["canary"] == canary.as_str())),
    ];
    for (hop, truth) in truths {
        let passage = measured.passage(hop);
        assert!(matches!(passage, Passage::Reached { uncertain: false, .. }), "{hop}: {passage:?}");
        let (least, most) = measured.bounds(hop);
        assert!(least == most && truth.unwrap() <= most, "{hop}: {passage:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_a_commit_is_followed_through_a_composed_artifact_until_it_is_live() {
    let course = Course::new(json!({})).await;
    let measured = course.measure(|| ()).await;
    let revision = course.revision();
    assert_true(&measured, &revision);
    assert!(revision.starts_with("latest@sha256:"), "nobody could know {revision} beforehand");
    let Passage::Reached { via, .. } = measured.passage("composed") else { panic!() };
    assert_eq!(*via, Some(Via::Upstream), "its source woke it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_repeats_the_revision_of_its_source_needs_no_candidate() {
    let course = Course::new(json!({"revision": "@own"})).await;
    let measured = course.measure(|| ()).await;
    let revision = course.revision();
    assert_true(&measured, &revision);
    assert!(revision.ends_with(measured.pushed()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_an_artifact_that_another_source_has_renewed_is_not_taken_for_ours() {
    let bench = Bench::new().await;
    lane(&bench, "app", Hook::Silent).await;
    let url = lane(&bench, "other", Hook::Silent).await;
    let others = [json!({"alias": "other", "kind": "GitRepository", "name": "other"})];
    let copies = [json!({"from": "@other/notes/**", "to": "@artifact/notes/"})];
    let write = |text: &str| NewCommit::new("main", "Another's").file("notes/a.md", text);
    bench.sandbox.git().commit(&url, &write("old\n")).unwrap();
    bench.request("other");
    let course = Course::of(bench, &others, &copies, json!({})).await;
    let (bench, before) = (course.bench.clone(), course.revision());
    let measured = course.measure(move || {
        let (bench, before, url) = (bench.clone(), before.clone(), url.clone());
        tokio::spawn(async move {
            bench.sandbox.git().commit(&url, &write("new\n")).unwrap();
            bench.request("other");
            // Ours is fetched once theirs is applied.
            let renewed = |it: &Value| {
                let applied = &it["status"]["lastAppliedRevision"];
                applied.is_string() && *applied != before.as_str()
            };
            bench.until("Kustomization", "app", renewed).await;
            bench.request("app");
        });
    });
    let measured = measured.await;
    let revision = course.revision();
    assert_true(&measured, &revision);
    let first = RefCell::new(None);
    let note = |it: &Value| {
        let shown = it["status"]["artifact"]["revision"].clone();
        first.borrow_mut().get_or_insert(shown);
        false
    };
    measured.shown_at("ExternalArtifact", note);
    assert_ne!(first.take(), Some(revision.into()), "theirs came first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_runs_a_scenario_through_a_composed_artifact() {
    let course = Course::new(json!({})).await;
    let folder = course.bench.caches.path();
    std::fs::write(folder.join("app.yaml"), Course::text()).unwrap();
    let arguments = ["run", "app.yaml", "--output", "json", "--instance", GUEST];
    let mut call = hopclock(folder, &arguments);
    call.env("KUBECONFIG", course.bench.sandbox.kubeconfig());
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record: Value = serde_json::from_str(&told.out).unwrap();
    let hops = record["hops"].as_array().unwrap();
    let names: Vec<_> = hops.iter().map(|it| it["hop"].as_str().unwrap()).collect();
    assert_eq!(names, ["source_fetched", "composed", "applied", "live"]);
    assert!(hops.iter().all(|it| it["passage"] == "reached"), "{record:#}");
}
