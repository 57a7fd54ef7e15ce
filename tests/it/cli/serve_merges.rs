//! A service that is killed while it merges: the next one merges what was not merged, and nothing
//! twice.

use crate::cli::kit::Stage;
use crate::cli::serve_kit::{Running, silent, trigger, write};
use crate::eventually::eventually;
use hopclock_sandbox::git::{Fault, FaultRule, RefUpdate, RequestKind, UpdatedBy};
use hopclock_sandbox::pipeline::{ImageLane, PushTo};
use std::time::Duration;

const SCENARIO: &str = "name: app
deadline: 60s
trigger: { image_tag: { policy: flux-system/app } }
hops:
  - policy_updated: { image_policy: flux-system/app }
  - automation_committed: { image_update_automation: flux-system/app }
  - merged: { git_repository: flux-system/app, merge: squash }
  - source_fetched: { git_repository: flux-system/app }
  - applied: { kustomization: flux-system/app }
  - live: { config_map: hopclock/app }
";

const STATE: [&str; 4] = ["--state", "file:state.sqlite", "--token-file", "token"];

/// What came to `main` by a push.
fn merges(stage: &Stage) -> usize {
    let updates = stage.sandbox.git().ref_updates();
    let ours = |it: &&RefUpdate| it.by == UpdatedBy::Push && it.reference == "refs/heads/main";
    updates.iter().filter(ours).count()
}

/// Kills a service when the git host has the push of its merge, with which it deals in its own way.
async fn killed_in_merge(fault: Fault, merged: usize) {
    let stage = Stage::quick(&silent()).await;
    let push = PushTo::Branch("image-updates".to_owned());
    let lane = ImageLane { push, ..ImageLane::new("app") };
    stage.sandbox.add_image_lane(&lane).await.unwrap();
    write(&stage, "app.yaml", SCENARIO);
    stage.file("token", "secret");
    let service = Running::start(&stage, &STATE).await;
    service.eventually_ready().await;
    let git = stage.sandbox.git();
    let before = git.count(RequestKind::Push);
    // The automation pushes first.
    git.add_fault(FaultRule::once(RequestKind::Push, Fault::Slow(Duration::ZERO)));
    git.add_fault(FaultRule::always(RequestKind::Push, fault));
    assert_eq!(trigger(&stage, &service, "app", &[]).await.code, Some(0));
    let is_pushed = || git.count(RequestKind::Push) == before + 2 && merges(&stage) == merged;
    eventually("the push of the merge", is_pushed).await;
    service.kill().await;
    git.clear_faults();
    let service = Running::start(&stage, &STATE).await;
    let ok = "hopclock_runs_total{scenario=\"app\",outcome=\"ok\"} 1";
    service.eventually("/metrics", ok).await;
    assert_eq!(merges(&stage), 1);
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn t2_a_merge_that_was_killed_before_its_answer_is_not_made_again() {
    killed_in_merge(Fault::AnswerLate(Duration::from_secs(120)), 1).await;
}

#[tokio::test]
async fn a_merge_that_was_killed_before_it_reached_the_remote_is_made_by_the_next_process() {
    killed_in_merge(Fault::Silence, 0).await;
}
