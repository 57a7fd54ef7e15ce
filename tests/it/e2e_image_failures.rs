//! Image tags that cannot be pushed, or that nobody chooses: one clear sentence, the right outcome.

use crate::e2e_image_kit::ImageCourse;
use hopclock::model::{CanaryId, Outcome, Passage, RunRecord, Usage};
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::{CANARY_PATH, ImageLane, ScanHook};
use hopclock_sandbox::registry::{Fault, FaultRule, Route, Rules};
use reqwest::Method;
use serde_json::json;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

async fn course() -> ImageCourse {
    ImageCourse::new(&ImageLane::new("app")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_leaves_no_room_for_a_tag_is_refused_with_an_explanation() {
    let policy = json!({"semver": {"range": "0.1.0"}});
    let course = ImageCourse::new(&ImageLane { policy, ..ImageLane::new("app") }).await;
    assert_eq!(
        course.refused("no room").await,
        "error: scenario `app`: ImagePolicy flux-system/app: no tag can follow `0.1.0`, which the \
         image policy chooses now: the range `0.1.0` admits no version above it; widen the range, \
         or give canaries a policy and repository of their own"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_refuses_is_told_apart() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    for (fault, says) in [
        (Fault::Status(401, None), "credentials"),
        (Fault::Status(403, None), "give the account of these credentials access"),
        (Fault::Status(404, None), "has no repository `"),
        (Fault::Status(500, None), "HTTP status 500"),
        (Fault::Status(429, Some(3600)), "again in 3600 s"),
    ] {
        registry.add_fault(FaultRule::always(Route::Tags, fault.clone()));
        let error = course.refused(&format!("{fault:?}")).await;
        assert!(error.contains(says), "{fault:?}: {error}");
        registry.clear_faults();
    }
    registry.go_down();
    let error = course.refused("down").await;
    assert!(error.contains("REGISTRY"), "{error}");
    registry.come_back().unwrap();
    assert_eq!(course.tell().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_registry_that_asks_for_a_little_patience_is_given_it() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    registry.add_fault(FaultRule::once(Route::Tags, Fault::Status(429, Some(1))));
    let before = registry.requests().len();
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record: RunRecord = serde_json::from_str(&told.out).unwrap();
    let mut ours = registry.requests().split_off(before);
    ours.retain(|it| it.user_agent.starts_with("hopclock/"));
    let asked = u32::try_from(ours.len()).unwrap();
    assert_eq!(record.usage, Usage { requests: asked, throttled: 1 }, "and that is counted");
    let lists: Vec<_> = ours.iter().filter(|it| it.route == Route::Tags).collect();
    assert_eq!(lists.iter().map(|it| it.status).collect::<Vec<_>>(), [Some(429), Some(200)]);
    assert!((lists[1].at - lists[0].at).as_millis() >= 1000, "it was asked to wait a second");
    let told = course.tell().await;
    let record: RunRecord = serde_json::from_str(&told.out).unwrap();
    assert_eq!(record.usage.throttled, 0, "the next run counts for itself");
    assert!(record.usage.requests < asked, "{record:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_somebody_else_pushes_first_is_never_moved() {
    let course = course().await;
    let (sandbox, repository) = (course.bench.sandbox.clone(), &course.places.repository);
    let trigger = course.job().await.unwrap().trigger;
    let canary = CanaryId::new("hopclock", 1);
    assert_eq!(trigger.latest().await.unwrap(), None);
    let digest = sandbox.registry().push_image(repository, "0.1.1", "theirs");
    trigger.prepare(&canary).await.unwrap();
    let error = trigger.publish(&|_| ()).await.unwrap_err();
    assert_eq!(error.reason, "tag_exists");
    assert!(error.message.starts_with("the tag `0.1.1`, which"), "{}", error.message);

    trigger.latest().await.unwrap();
    trigger.prepare(&canary).await.unwrap();
    let second = sandbox.registry().push_image(repository, "0.1.2", "theirs");
    let error = trigger.publish(&|_| ()).await.unwrap_err();
    assert_eq!(error.reason, "tag_exists", "behind the upload: {}", error.message);
    assert_eq!(sandbox.registry().digest(repository, "0.1.1"), Some(digest));
    assert_eq!(sandbox.registry().digest(repository, "0.1.2"), Some(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_a_tag_of_somebody_else_is_not_taken_for_ours_after_a_crash() {
    let course = course().await;
    let (sandbox, repository) = (course.bench.sandbox.clone(), &course.places.repository);
    let trigger = course.job().await.unwrap().trigger;
    let (first, second) = (CanaryId::new("hopclock", 1), CanaryId::new("hopclock", 2));
    trigger.latest().await.unwrap();
    let revisions = trigger.prepare(&first).await.unwrap();
    assert_eq!(trigger.recover(&first, &revisions).await.unwrap(), None);
    trigger.publish(&|_| ()).await.unwrap();
    let again = course.job().await.unwrap().trigger;
    assert_eq!(again.recover(&first, &revisions).await.unwrap(), Some(revisions));

    trigger.latest().await.unwrap();
    let revisions = trigger.prepare(&second).await.unwrap();
    let theirs = sandbox.registry().push_image(repository, revisions[0].id(), "theirs");
    assert_ne!(theirs, revisions[1].id());
    assert_eq!(again.recover(&second, &revisions).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_a_lost_image_under_the_same_tag_is_lost_and_somebodys_is_not_replaced() {
    let course = ImageCourse::same_tag().await;
    let (sandbox, repository) = (course.bench.sandbox.clone(), &course.places.repository);
    let trigger = course.job().await.unwrap().trigger;
    for (number, fault, reason) in [(1, Some(Fault::Cut), "push_lost"), (2, None, "second_writer")]
    {
        trigger.latest().await.unwrap();
        trigger.prepare(&CanaryId::new("hopclock", number)).await.unwrap();
        match fault {
            Some(fault) => sandbox
                .registry()
                .add_fault(FaultRule::once(Route::Manifest, fault).for_method(Method::PUT)),
            None => drop(sandbox.registry().push_image(repository, "latest", "theirs")),
        }
        let before = sandbox.registry().digest(repository, "latest");
        assert_eq!(trigger.publish(&|_| ()).await.unwrap_err().reason, reason);
        assert_eq!(sandbox.registry().digest(repository, "latest"), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_goes_out_in_the_older_type_where_the_newer_is_refused_and_else_not_at_all() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    let refuse = |types: &[&str]| Rules {
        refused_media_types: types.iter().map(|it| (*it).to_owned()).collect(),
        ..Rules::default()
    };
    registry.set_rules(&course.places.repository, refuse(&[OCI, DOCKER]));
    let error = course.refused("both types").await;
    assert!(error.contains(DOCKER), "{error}");
    registry.set_rules(&course.places.repository, refuse(&[OCI]));
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok");
    assert_eq!(measured.record.push.as_ref().unwrap().attempts, 2);
    let (kind, _) = registry.manifest(&course.places.repository, "0.1.1").unwrap();
    assert_eq!(kind, DOCKER);
    course.assert_true(&measured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_an_answer_that_is_lost_is_looked_for_once() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    let put = |fault| FaultRule::once(Route::Manifest, fault).for_method(Method::PUT);
    registry.add_fault(put(Fault::CutAfter));
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    assert!(!measured.record.push.as_ref().unwrap().took.is_exact());
    course.assert_true(&measured);
    registry.add_fault(put(Fault::Cut));
    let pushes = registry.tag_updates().len();
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.error().0, "push_lost");
    assert_eq!(registry.tag_updates().len(), pushes, "nothing is sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automation_that_finds_no_marker_is_the_failure() {
    let mut course = course().await;
    let lane = ImageLane::new("app");
    let manifest = lane.manifest(&course.places.image, "0.1.0", "");
    let bare: Vec<_> = manifest.lines().map(|it| it.split(" # ").next().unwrap()).collect();
    let commit = NewCommit::new("main", "No markers").file(CANARY_PATH, &bare.join("\n"));
    course.bench.sandbox.git().commit(&course.places.git, &commit).unwrap();
    course.deadline = "8s";
    let measured = course.measure(|| ()).await;
    let Outcome::Failed { reason, .. } = &measured.record.outcome else {
        panic!("{:#?}", measured.record)
    };
    assert_eq!(reason, "no_marker");
    assert!(matches!(measured.passage("policy_updated"), Passage::Reached { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_higher_tag_of_somebody_else_supersedes_ours() {
    let (scan_hook, scan_interval) = (ScanHook::Silent, "2s".to_owned());
    let lane = ImageLane { scan_hook, scan_interval, ..ImageLane::new("app") };
    let course = ImageCourse::new(&lane).await;
    let (sandbox, repository) = (course.bench.sandbox.clone(), course.places.repository.clone());
    let measured = course
        .measure(move || {
            let _ = sandbox.registry().push_image(&repository, "0.9.0", "theirs");
        })
        .await;
    let Outcome::Superseded { by } = &measured.record.outcome else {
        panic!("{:#?}", measured.record)
    };
    assert!(by.contains("0.9.0"), "{by}");
}
