//! Runs that must not begin: something is missing, suspended, or true already; nothing is pushed.

use crate::e2e_command::{hopclock, scenario_of_source};
use crate::e2e_kit::{Bench, Course};
use hopclock::model::{CanaryId, Outcome, Skip};
use hopclock_sandbox::git::{NewCommit, UpdatedBy};
use hopclock_sandbox::pipeline::{CANARY_NAMESPACE, CANARY_PATH, Hook};
use hopclock_sandbox::store::{Key, Part};
use serde_json::json;

const SUSPENDED: bool = true;

fn suspend(bench: &Bench, kind: &str, name: &str, how: bool) {
    bench.change(kind, name, &json!({"spec": {"suspend": how}}));
}

/// Says that nobody pushed anything.
fn assert_untouched(course: &Course, tip: &str) {
    assert_eq!(course.tip(), tip);
    let updates = course.bench.sandbox.git().ref_updates();
    assert!(updates.iter().all(|it| it.by == UpdatedBy::Host));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_path_that_is_suspended_anywhere_is_skipped_and_nothing_is_pushed() {
    let bench = Bench::new().await;
    let course = bench.lane("idle", "10m", Hook::Right).await;
    bench.lane("needed", "10m", Hook::Silent).await;
    bench.change("Kustomization", "idle", &json!({"spec": {"dependsOn": [{"name": "needed"}]}}));
    let tip = course.tip();
    for (kind, name) in [
        ("GitRepository", "idle"),
        ("Kustomization", "idle"),
        ("Kustomization", "needed"),
        ("GitRepository", "needed"),
    ] {
        suspend(&bench, kind, name, SUSPENDED);
        let said = hopclock(&bench, &scenario_of_source("idle")).await;
        let subject = format!("{kind} flux-system/{name}");
        let record = said.record();
        assert_eq!(record.outcome, Outcome::Skipped(Skip::Suspended { subject }));
        assert_eq!((said.code, record.push), (1, None));
        assert_untouched(&course, &tip);
        suspend(&bench, kind, name, !SUSPENDED);
    }
    let said = hopclock(&bench, &scenario_of_source("idle")).await;
    assert_eq!((said.code, said.record().outcome), (0, Outcome::Ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_path_that_is_suspended_while_the_run_waits_is_skipped() {
    let bench = Bench::new().await;
    for (name, kind) in [("source", "GitRepository"), ("applier", "Kustomization")] {
        let course = bench.lane(name, "10m", Hook::Silent).await;
        let other = bench.clone();
        let measured = course.run_and(move || suspend(&other, kind, name, SUSPENDED)).await;
        let subject = format!("{kind} flux-system/{name}");
        let expected = Outcome::Skipped(Skip::SuspendedDuring { subject });
        assert_eq!(measured.record.outcome, expected);
        assert!(measured.verdicts().is_empty());
        assert_eq!(measured.record.push_to_apply, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_what_does_not_exist_is_named_and_nothing_is_pushed() {
    let bench = Bench::new().await;
    let course = bench.lane("partial", "10m", Hook::Right).await;
    let tip = course.tip();
    for (there, kind, group) in [
        ("applied: { kustomization: flux-system/partial }", "Kustomization", "kustomize"),
        ("receiver: flux-system/partial,", "Receiver", "notification"),
        ("source_fetched: { git_repository: flux-system/partial }", "GitRepository", "source"),
        ("source: flux-system/partial\n", "GitRepository", "source"),
    ] {
        let text = scenario_of_source("partial");
        assert!(text.contains(there), "{text}");
        let text = text.replace(there, &there.replace("flux-system/partial", "flux-system/nope"));
        let (reason, message) = hopclock(&bench, &text).await.error();
        assert_eq!(reason, "missing_object", "{group}: {message}");
        assert!(message.contains(&format!("{kind} flux-system/nope")), "{message}");
        assert_untouched(&course, &tip);
    }
    bench.sandbox.store().delete(&Key::new("Receiver", "flux-system", "partial"), "x").unwrap();
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.error().0, "subject_missing");
    assert!(measured.error().1.contains("Receiver flux-system/partial"), "{}", measured.error().1);
    assert_untouched(&course, &tip);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_a_canary_that_is_live_before_the_push_is_an_error_and_nothing_is_pushed() {
    let bench = Bench::new().await;
    let course = bench.lane("ready", "10m", Hook::Silent).await;
    // A canary beyond every clock, so that the next one is known.
    let (last, next) = (0x7ff_ffff_ffff, 0x800_0000_0000);
    let file = format!("canary: {}\n", CanaryId::new("test", last));
    let tip = course.commit(&NewCommit::new("main", "A canary").file(CANARY_PATH, &file));
    let key = Key::new("ConfigMap", CANARY_NAMESPACE, "ready");
    let live = json!({"data": {"canary": CanaryId::new("test", next).to_string()}});
    bench.sandbox.store().merge(&key, &live, Part::Whole, "somebody").unwrap();
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.record.canary, CanaryId::new("test", next));
    assert_eq!(measured.error().0, "already_true");
    assert!(measured.error().1.contains("ConfigMap hopclock/ready"), "{}", measured.error().1);
    assert_untouched(&course, &tip);
}
