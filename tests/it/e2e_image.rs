//! An image tag on its way from the registry through git into the cluster, over real sockets.

use crate::e2e_image_kit::{HOPS, ImageCourse};
use hopclock::model::{Passage, Via};
use hopclock_sandbox::git::{NewCommit, UpdatedBy};
use hopclock_sandbox::pipeline::{
    CANARY_PATH, Door, FLUX_NAMESPACE, Hook, ImageLane, PushTo, ScanHook,
};
use hopclock_sandbox::registry::{Deletion, Rules};
use hopclock_sandbox::store::Key;
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
    course.annotate(None);
    let error = course.refused_for("no_consent").await;
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
    assert_eq!(
        course.refused_for("policy_used_elsewhere").await,
        "error: scenario `app`: line 7 of `canary/shop.yaml` writes the choice of ImagePolicy \
         flux-system/app to Deployment prod/shop, which is not what the scenario waits to become \
         live: give canaries a policy and an image repository of their own"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_an_image_with_nothing_in_it_is_given_to_no_workload() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    let hops = course.hops.clone();
    for kind in ["deployment", "stateful_set", "daemon_set"] {
        course.hops = hops.replace("config_map:", &format!("{kind}:"));
        let error = course.refused_for("replaces_content").await;
        assert!(error.contains("hopclock/app would be given a new image"), "{error}");
        assert!(error.contains("`retag: TAG`"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_without_webhooks_a_tag_waits_for_the_intervals() {
    let lane = ImageLane {
        scan_hook: ScanHook::Silent,
        scan_interval: "2s".to_owned(),
        git_hook: Hook::Silent,
        git_interval: "2s".to_owned(),
        ..ImageLane::new("app")
    };
    let course = ImageCourse::new(&lane).await;
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    for hop in ["registry_told", "git_told"] {
        assert_eq!(measured.passage(hop), &Passage::Bypassed, "{hop}");
    }
    let &Passage::Reached { via, .. } = measured.passage("image_scanned") else { panic!() };
    assert_eq!(via, Some(Via::Interval));
    course.assert_true(&measured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_a_commit_on_another_branch_is_followed_through_its_merge() {
    let push = PushTo::Branch("image-updates".to_owned());
    let lane = ImageLane { push, ..ImageLane::new("app") };
    let mut course = ImageCourse::new(&lane).await;
    let merged = "\n- merged: { git_repository: flux-system/app }\n- { name: git_told";
    course.hops = HOPS.replace("\n- { name: git_told", merged);
    let (sandbox, places) = (course.bench.sandbox.clone(), course.places.clone());
    let merge = tokio::spawn(async move {
        let mut pushes = sandbox.git().watch_updates();
        let pushed = loop {
            let update = pushes.recv().await.unwrap();
            if update.by == UpdatedBy::Push {
                break update.new;
            }
        };
        let base = sandbox.git().tip(&places.git, "main").unwrap();
        let manifest = lane.manifest(&places.image, "0.1.1", "");
        let merge = NewCommit::new("main", "Merge").on(&[&base, &pushed]);
        sandbox.git().commit(&places.git, &merge.file(CANARY_PATH, &manifest)).unwrap()
    });
    let measured = course.measure(|| ()).await;
    let merge = merge.await.unwrap();
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    let updates = course.bench.sandbox.git().ref_updates();
    let truth = updates.iter().find(|it| it.new == merge).unwrap().at;
    let (least, most) = measured.bounds("merged");
    assert!(truth <= most && (least <= truth || least == most), "the merge lies between");
    let Passage::Reached { carried_by, .. } = measured.passage("source_fetched") else { panic!() };
    assert_eq!(carried_by.as_deref(), Some(merge.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_few_canaries_stay_and_a_run_costs_few_requests() {
    let lane = ImageLane { door: Door::Locked, ..ImageLane::new("app") };
    let mut course = ImageCourse::new(&lane).await;
    course.trigger = ", keep: 2".to_owned();
    let sandbox = course.bench.sandbox.clone();
    let tags = || sandbox.registry().tags(&course.places.repository);
    let ours = |agent: &str| agent.starts_with("hopclock/") || agent.starts_with("git/hopclock ");
    let asked = || {
        let git = sandbox.git().requests();
        let registry = sandbox.registry().requests();
        (
            registry.iter().filter(|it| ours(&it.user_agent)).count(),
            git.iter().filter(|it| ours(&it.user_agent)).count(),
        )
    };
    let mut left = Vec::new();
    for _ in 0..4 {
        let before = asked();
        let told = course.tell().await;
        assert_eq!(told.code, Some(0), "{told:?}");
        let after = asked();
        let cost = (after.0 - before.0, after.1 - before.1);
        assert!(cost.0 <= 12 && cost.1 <= 6, "registry and git: {cost:?}");
        left.push(tags());
    }
    assert_eq!(left[1], ["0.1.0", "0.1.1", "0.1.2"]);
    assert_eq!(left[2], ["0.1.0", "0.1.2", "0.1.3"], "the people's own tag stays");
    assert_eq!(left[3], ["0.1.0", "0.1.3", "0.1.4"]);

    let rules = |deletion| Rules { deletion, ..Rules::default() };
    sandbox.registry().set_rules(&course.places.repository, rules(Deletion::ByDigest));
    let before = asked();
    assert_eq!(course.tell().await.code, Some(0));
    // The tags once more, and what the one of people stands for.
    assert!(asked().0 - before.0 <= 14, "{}", asked().0 - before.0);
    assert_eq!(tags(), ["0.1.0", "0.1.4", "0.1.5"]);

    sandbox.registry().set_rules(&course.places.repository, rules(Deletion::Refused));
    let told = course.tell().await;
    assert_eq!(told.code, Some(0));
    assert_eq!(tags(), ["0.1.0", "0.1.4", "0.1.5", "0.1.6"]);
    let said = told.err.lines().find(|it| it.contains("tags of canaries stay behind"));
    assert!(said.is_some_and(|it| it.contains("behind (1): ")), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_of_people_is_given_another_name_and_its_image_stays() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", retag: 0.1.0, keep: 1".to_owned();
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let (registry, repository) = (course.bench.sandbox.registry(), &course.places.repository);
    assert_eq!(registry.digest(repository, "0.1.1"), registry.digest(repository, "0.1.0"));
    assert_eq!(read(&told.out)["push"]["revisions"], json!([{"tag": "0.1.1"}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_image_under_the_same_tag_is_followed_by_its_digest() {
    let course = ImageCourse::same_tag().await;
    let registry = course.bench.sandbox.registry();
    let digest = || registry.digest(&course.places.repository, "latest").unwrap();
    let mut before = digest();
    let mut digests = vec![before.clone()];
    for _ in 0..4 {
        let told = course.tell().await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert_ne!(digest(), before);
        before = digest();
        digests.push(before.clone());
        assert_eq!(read(&told.out)["push"]["revisions"], json!([{"digest": before}]));
    }
    assert_eq!(registry.tags(&course.places.repository), ["latest"]);
    let is_there = |digest: &str| registry.manifest(&course.places.repository, digest).is_some();
    // What people pushed stays, and the one that the policy remembers; canaries before that go.
    let there: Vec<_> = digests.iter().map(|it| is_there(it)).collect();
    assert_eq!(there, [true, false, false, true, true]);
    course.change("ImagePolicy", &json!({"spec": {"digestReflectionPolicy": "IfNotPresent"}}));
    let error = course.refused("never looked at again").await;
    assert!(error.contains("set its `spec.digestReflectionPolicy` to `Always`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_nobody_commits_is_the_end_of_its_scenario() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    let store = course.bench.sandbox.store();
    store.delete(&Key::new("ImageUpdateAutomation", FLUX_NAMESPACE, "app"), "test").unwrap();
    let seen = |it: &&str| it.contains("image_scanned") || it.contains("policy_updated");
    let hops: Vec<_> = HOPS.lines().filter(seen).collect();
    course.hops = format!("\n{}\nslo: {{ within: 20s, until: policy_updated }}\n", hops.join("\n"));
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = read(&told.out);
    let hops: Vec<_> = record["hops"].as_array().unwrap().iter().map(|it| &it["passage"]).collect();
    assert_eq!(hops, ["reached", "reached"]);
    assert_eq!(record["slo"][0]["verdict"], "good", "{record}");
}
