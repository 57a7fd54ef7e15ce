//! Image repositories that others use too: their tags, policies and workloads are left alone.

use crate::e2e_gc::gc;
use crate::e2e_image_kit::ImageCourse;
use crate::eventually::eventually;
use hopclock::model::CanaryId;
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::{FLUX_NAMESPACE, ImageLane};
use hopclock_sandbox::registry::{Deletion, Rules};
use hopclock_sandbox::store::Key;
use serde_json::{Value, json};

/// Another policy of the lane's image.
fn policy(name: &str, range: &str, consent: Option<&str>) -> Value {
    json!({"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
        "metadata": {"name": name, "namespace": FLUX_NAMESPACE,
            "annotations": {"hopclock.dev/canary": consent.unwrap_or_default()}},
        "spec": {"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": range}},
            "digestReflectionPolicy": "Never"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_tag_that_another_policy_of_the_image_would_choose_is_refused() {
    let course = ImageCourse::new(&ImageLane::new("app")).await;
    let store = course.bench.sandbox.store().clone();
    let key = |name: &str| Key::new("ImagePolicy", FLUX_NAMESPACE, name);
    store.create(policy("prod2", "0.x", None), "somebody").unwrap();
    // "policy_used_elsewhere"
    assert_eq!(
        course.refused("another policy").await,
        "error: scenario `app`: ImagePolicy flux-system/prod2 would choose the tag `0.1.1` of \
         `REGISTRY/team/app` too, and what its choice is written to is not what the scenario waits \
         for: give canaries an image repository of their own, or say that it may choose them with \
         `kubectl annotate imagepolicy -n flux-system prod2 hopclock.dev/canary=hopclock`"
    );
    store.delete(&key("prod2"), "somebody").unwrap();
    store.create(policy("prod3", ">=1", None), "somebody").unwrap();
    store.create(policy("prod4", "0.x", Some("hopclock")), "somebody").unwrap();
    assert_eq!(course.tell().await.code, Some(0), "one chooses others, and one consents");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_an_image_of_people_keeps_its_tag() {
    let mut course = ImageCourse::same_tag().await;
    let hops = course.hops.clone();
    for kind in ["deployment", "stateful_set", "daemon_set"] {
        course.hops = hops.replace("config_map:", &format!("{kind}:"));
        let error = course.refused(kind).await;
        assert!(error.contains("hopclock/app would be given a new image"), "{error}");
        assert!(!error.contains("retag"), "it has no such field: {error}");
    }
    course.hops = hops;
    let registry = course.bench.sandbox.registry();
    let _ = registry.push_image(&course.places.repository, "a-release", "theirs");
    // "replaces_content"
    let error = course.refused("a repository of people").await;
    assert!(error.contains("`latest` of `REGISTRY/team/app` stands for an image"), "{error}");
    registry.delete_tag(&course.places.repository, "a-release").unwrap();
    assert_eq!(course.tell().await.code, Some(0));
    let _ = registry.push_image(&course.places.repository, "a-release", "theirs");
    assert_eq!(course.tell().await.code, Some(0), "by now a canary is replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_what_another_policy_names_or_could_choose_stays() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", keep: 1".to_owned();
    let (sandbox, repository) = (course.bench.sandbox.clone(), &course.places.repository);
    assert_eq!(course.tell().await.code, Some(0));
    let other = format!("b-{}", CanaryId::new("hopclock", 1));
    let _ = sandbox.registry().push_image(repository, &other, "a canary of another lane");
    let key = Key::new("ImagePolicy", FLUX_NAMESPACE, "pinned");
    sandbox.store().create(policy("pinned", "0.1.1", None), "somebody").unwrap();
    eventually("the other policy has chosen", || {
        let policy = sandbox.store().get(&key);
        policy.is_some_and(|it| it["status"]["latestRef"]["tag"] == "0.1.1")
    })
    .await;
    for _ in 0..2 {
        assert_eq!(course.tell().await.code, Some(0));
    }
    assert_eq!(sandbox.registry().tags(repository), ["0.1.0", "0.1.1", "0.1.2", "0.1.3", &other]);
    let folder = course.bench.caches.path();
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!(["0.1.2"])), "{swept}");
    let used: Vec<_> = swept["used"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(used, ["0.1.1", "0.1.3"], "one is chosen, and one is live: {swept}");
    assert_eq!(sandbox.registry().tags(repository), ["0.1.0", "0.1.1", "0.1.3", &other]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_second_manifest_without_a_namespace_may_be_of_people() {
    let course = ImageCourse::new(&ImageLane::new("app")).await;
    let marker = json!({"$imagepolicy": "flux-system:app"});
    let web = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\ndata:\n  image: {}:0.1.0 # {marker}\n",
        course.places.image
    );
    let overlay = "targetNamespace: prod\n";
    let commit = NewCommit::new("main", "An overlay").file("canary/prod/web.yaml", &web);
    let commit = commit.file("canary/prod/note.txt", overlay);
    course.bench.sandbox.git().commit(&course.places.git, &commit).unwrap();
    let error = course.refused("no namespace").await;
    assert!(error.contains("line 6 of `canary/prod/web.yaml` writes the choice"), "{error}");
    assert!(error.ends_with("write its `metadata.namespace`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_tag_that_somebody_gave_a_canary_does_not_go_with_it() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", keep: 1".to_owned();
    let (registry, repository) = (course.bench.sandbox.registry(), &course.places.repository);
    let rules = Rules { deletion: Deletion::ByDigest, ..Rules::default() };
    registry.set_rules(repository, rules);
    assert_eq!(course.tell().await.code, Some(0));
    registry.retag(repository, "0.1.1", "stable").unwrap();
    for _ in 0..2 {
        assert_eq!(course.tell().await.code, Some(0));
    }
    assert_eq!(registry.tags(repository), ["0.1.0", "0.1.1", "0.1.2", "0.1.3", "stable"]);
    let folder = course.bench.caches.path();
    let (_, swept) = gc(folder, course.bench.sandbox.kubeconfig(), &[]).await;
    let why = swept["used"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("the tag `stable` of somebody else stands for its image"), "{swept}");
    for number in 0..21 {
        let _ = registry.push_image(repository, &format!("theirs-{number}"), "theirs");
    }
    let (code, swept) = gc(folder, course.bench.sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!((code, &swept["left"][0]["name"]), (Some(3), &json!("0.1.1")), "{swept}");
    let why = swept["left"][0]["why"].as_str().unwrap();
    assert!(why.contains("among 23 tags of others"), "{why}");
    assert!(registry.digest(repository, "stable").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_canaries_of_the_older_type_are_told_by_their_configuration() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", keep: 1".to_owned();
    let (registry, repository) = (course.bench.sandbox.registry(), &course.places.repository);
    let refused_media_types = vec!["application/vnd.oci.image.manifest.v1+json".to_owned()];
    registry.set_rules(repository, Rules { refused_media_types, ..Rules::default() });
    for _ in 0..3 {
        assert_eq!(course.tell().await.code, Some(0));
    }
    assert_eq!(registry.tags(repository), ["0.1.0", "0.1.2", "0.1.3"]);
    course.annotate(Some("team-b"));
    course.instance = "team-b";
    let error = course.refused("foreign canary").await;
    assert!(error.contains("is a canary of instance `hopclock`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_new_names_of_an_image_that_tell_no_canary_are_counted() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", retag: 0.1.0, keep: 1".to_owned();
    let (registry, repository) = (course.bench.sandbox.registry(), &course.places.repository);
    let _ = registry.push_image(repository, "0.1.1", "theirs");
    let mut told = None;
    for _ in 0..3 {
        let this = course.tell().await;
        assert_eq!(this.code, Some(0), "{this:?}");
        told = Some(this);
    }
    assert_eq!(registry.tags(repository), ["0.1.0", "0.1.1", "0.1.2", "0.1.3", "0.1.4"]);
    let said = told.unwrap().err;
    assert!(said.contains("tags of canaries stay behind (1): it is another name"), "{said}");
    let folder = course.bench.caches.path();
    let (code, swept) = gc(folder, course.bench.sandbox.kubeconfig(), &[]).await;
    let left: Vec<_> = swept["left"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!((code, left), (Some(3), vec![&json!("0.1.2"), &json!("0.1.3")]), "{swept}");
}
