//! An image tag on its way from the registry through git into the cluster, over real sockets.

use crate::e2e_image_kit::ImageCourse;
use hopclock::model::Passage;
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::ImageLane;
use serde_json::{Value, json};

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|it| panic!("{it}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_the_policy_chooses_is_followed_through_git_until_it_is_live() {
    let course = ImageCourse::new(&ImageLane::new("app")).await;
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = read(&told.out);
    assert_eq!(record["outcome"], "ok", "{record:#}");
    let tags = course.bench.sandbox.registry().tags(&course.places.repository);
    assert_eq!(tags, ["0.1.0", "0.1.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hop_of_an_image_is_timed_by_its_own_event() {
    let course = ImageCourse::new(&ImageLane::new("app")).await;
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    for hop in &measured.record.hops {
        assert!(matches!(hop.passage, Passage::Reached { .. }), "{hop:?}");
    }
    course.assert_true(&measured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_policy_has_to_consent_unless_there_are_only_canaries() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    // "no_consent"
    course.annotate(None);
    let error = course.refused("no consent").await;
    assert_eq!(
        error,
        "error: scenario `app`: the image repository `REGISTRY/team/app` holds `0.1.0`, which is no \
         canary, and ImagePolicy flux-system/app does not consent: if canaries may be pushed there, \
         say so with `kubectl annotate imagepolicy -n flux-system app hopclock.dev/canary=hopclock`"
    );
    course.annotate(Some("team-b"));
    let error = course.refused("foreign consent").await;
    assert!(error.contains("consents to the canaries of instance `team-b`"), "{error}");
    course.annotate(Some("hopclock"));
    assert_eq!(course.tell().await.code, Some(0));
    course.annotate(Some("team-b"));
    course.instance = "team-b";
    let error = course.refused("foreign canary").await;
    assert!(error.contains("`0.1.1` of `REGISTRY/team/app` is a canary of instance `hopclock`"));
    course.instance = "hopclock";
    course.annotate(None);
    course.bench.sandbox.registry().delete_tag(&course.places.repository, "0.1.0").unwrap();
    assert_eq!(course.tell().await.code, Some(0), "nothing but canaries is there");
    let tags = course.bench.sandbox.registry().tags(&course.places.repository);
    assert_eq!(tags, ["0.1.1", "0.1.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_policy_that_workloads_use_is_refused() {
    let course = ImageCourse::new(&ImageLane::new("app")).await;
    let marker = json!({"$imagepolicy": "flux-system:app"});
    let shop = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n  namespace: prod\n\
         spec:\n  image: {}:0.1.0 # {marker}\n",
        course.places.image
    );
    let commit = NewCommit::new("main", "A shop").file("canary/shop.yaml", &shop);
    course.bench.sandbox.git().commit(&course.places.git, &commit).unwrap();
    // "policy_used_elsewhere"
    assert_eq!(
        course.refused("used elsewhere").await,
        "error: scenario `app`: line 7 of `canary/shop.yaml` writes the choice of ImagePolicy \
         flux-system/app to Deployment prod/shop, which is not what the scenario waits to become \
         live: give canaries a policy and an image repository of their own"
    );
}
