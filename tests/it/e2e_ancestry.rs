//! Other people's commits around ours: what brings it along, what takes it away, what is too early.

use crate::e2e_kit::{Bench, Course, Measured, foreign, quick};
use hopclock::cluster::Timing;
use hopclock::model::{Event, Outcome, Passage};
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::{CANARY_PATH, Hook};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Runs a lane that fetches only when asked, and has somebody else commit before it is asked.
async fn with_another(
    make: impl Fn(&Course, &str) -> NewCommit + Send + Sync + 'static,
) -> (Measured, String) {
    let bench = Bench::new().await;
    let course = bench.lane("lane", "10m", Hook::Silent).await;
    let (other, before) = (course.share(), course.tip());
    let theirs = Arc::new(Mutex::new(String::new()));
    let kept = theirs.clone();
    let measured = course.run_and(move || {
        *kept.lock().unwrap() = other.commit(&make(&other, &before));
        other.bench.request("lane");
    });
    let measured = measured.await;
    let theirs = theirs.lock().unwrap().clone();
    (measured, theirs)
}

/// The canary file at the tip.
fn canary_file(course: &Course) -> String {
    let git = course.bench.sandbox.git();
    let main = hopclock_sandbox::git::GitRef::Branch("main".to_owned());
    let fetched = git.fetch(&course.url, None, &main).unwrap();
    String::from_utf8(fetched.files[CANARY_PATH].clone()).unwrap()
}

fn carried_by<'a>(measured: &'a Measured, hop: &str) -> Option<&'a str> {
    match measured.passage(hop) {
        Passage::Reached { carried_by, .. } => carried_by.as_deref(),
        other => panic!("{hop}: {other:?}"),
    }
}

fn assert_superseded(measured: &Measured, by: &str) {
    assert_eq!(measured.record.outcome, Outcome::Superseded { by: by.to_owned() });
    assert_eq!(measured.passage("live"), &Passage::Unreached);
    assert!(measured.verdicts().is_empty(), "says nothing of the objective");
    assert_eq!(measured.record.push_to_apply, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_commit_on_top_of_ours_carries_it() {
    let (measured, other) = with_another(|_, _| foreign()).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    for hop in ["source_fetched", "applied"] {
        assert_eq!(carried_by(&measured, hop), Some(other.as_str()), "{hop}");
    }
    assert_eq!(carried_by(&measured, "live"), None, "the object holds our own canary");
    measured.assert_all_true();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_squash_that_keeps_our_file_carries_it() {
    let squash = |lane: &Course, before: &str| {
        let file = canary_file(lane);
        NewCommit::new("main", "Squashed").on(&[before]).file(CANARY_PATH, &file).file("x", "y")
    };
    let (measured, other) = with_another(squash).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    assert_eq!(carried_by(&measured, "source_fetched"), Some(other.as_str()));
    assert_eq!(carried_by(&measured, "applied"), Some(other.as_str()));
    measured.assert_all_true();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_history_rewritten_without_ours_supersedes_it() {
    let rewrite = |_: &Course, before: &str| foreign().on(&[before]);
    let (measured, other) = with_another(rewrite).await;
    assert_superseded(&measured, &other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_revert_of_ours_supersedes_it_though_it_descends_from_it() {
    let revert = |_: &Course, _: &str| {
        NewCommit::new("main", "Revert").file(CANARY_PATH, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: lane, namespace: hopclock}\ndata: {canary: none}\n")
    };
    let (measured, other) = with_another(revert).await;
    assert_superseded(&measured, &other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_commit_from_before_ours_that_is_fetched_late_is_not_yet_ours() {
    // Long enough between the clone and the artifact for a push.
    let speeds = Speeds { archive: Duration::from_secs(2), ..quick() };
    let bench = Bench::with(speeds, Timing::default()).await;
    let course = bench.lane("late", "10m", Hook::Silent).await;
    let earlier = Arc::new(Mutex::new(String::new()));
    let (other, kept) = (Arc::new(course.share()), earlier.clone());
    let before = move || {
        let (other, kept) = (other.clone(), kept.clone());
        let wait = async move {
            let commit = other.commit(&foreign());
            other.bench.request("late");
            let cloned = |it: &Value| it["status"]["conditions"].to_string().contains(&commit);
            other.bench.until("GitRepository", "late", cloned).await;
            *kept.lock().unwrap() = commit;
        };
        Box::pin(wait) as futures_util::future::BoxFuture<'static, ()>
    };
    let asked = bench.clone();
    let then = move |event: &Event| {
        if matches!(event, Event::Published { .. }) {
            asked.request("late");
        }
    };
    let measured = course.run_meddled(before, || (), then).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    assert_eq!(measured.record.push.as_ref().unwrap().attempts, 2);
    assert_eq!(carried_by(&measured, "source_fetched"), None);
    let earlier = earlier.lock().unwrap().clone();
    let of_earlier = measured.shown_at("GitRepository", |it| {
        it["status"]["artifact"]["revision"].as_str().is_some_and(|it| it.ends_with(&earlier))
    });
    assert!(of_earlier.unwrap() > measured.zero(), "the earlier commit was fetched after the push");
    assert!(of_earlier.unwrap() < measured.bounds("source_fetched").0);
    measured.assert_all_exact();
}
