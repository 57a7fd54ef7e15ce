//! A pipeline that does not deliver: how a service counts each way, and that the next run is right.

use crate::cli::kit::{HOPS, lane};
use crate::cli::serve_kit::{QUIET, Scene, canary, patient, silent};
use hopclock::model::{Outcome, Passage, RunRecord, Via};
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::git::{
    Fault, FaultRule, NewCommit, Refusal, RefusedBy, RequestKind, WebhookFault,
};
use hopclock_sandbox::pipeline::{Door, Hook, Lane};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A manifest that is no YAML.
const BROKEN: &str = "data: { canary: ${canary}\n";

/// An object that becomes healthy only when somebody says so.
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: slow\n  \
                          namespace: hopclock\nspec:\n  replicas: 1\n";

fn reason(record: &RunRecord) -> &str {
    match &record.outcome {
        Outcome::ProbeError(error) => &error.reason,
        other => panic!("{other}"),
    }
}

fn passage<'a>(record: &'a RunRecord, hop: &str) -> &'a Passage {
    &record.hops.iter().find(|it| it.hop == hop).unwrap().passage
}

/// A commit of somebody else's beside the canary.
fn beside(file: &str, content: &str) -> NewCommit {
    NewCommit::new("main", "Somebody's").file(file, content)
}

fn ready_reason(reason: &str) -> impl Fn(&Value) -> bool {
    move |it| {
        let conditions = it["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|it| it["type"] == "Ready" && it["reason"] == reason)
    }
}

#[tokio::test]
async fn a_push_that_is_rejected_is_a_probe_error_and_no_bad_event() {
    let scene = Scene::new().await;
    let (git, url) = (scene.stage.sandbox.git(), &scene.stage.url);
    let before = scene.counts().await;
    let by = RefusedBy::ProtectedBranch;
    let (reference, message) = ("refs/heads/main".to_owned(), "GH006\n".to_owned());
    git.set_refusal(url, Some(Refusal { by, reference, message })).unwrap();
    assert_eq!(reason(&scene.ask().await), "git_rejected");
    let counted = scene.counted_since(&before).await;
    assert_eq!(counted, ["probe_errors_total git_rejected", "runs_total probe_error"]);
    scene.service.eventually("/readyz", "GH006").await;
    git.set_refusal(url, None).unwrap();
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn a_git_host_that_is_down_or_busy_is_a_probe_error_and_no_bad_event() {
    let scene = Scene::new().await;
    let git = scene.stage.sandbox.git();
    let before = scene.counts().await;
    git.go_down();
    assert_eq!(reason(&scene.ask().await), "git_unreachable");
    git.come_back().unwrap();
    git.add_fault(FaultRule::once(RequestKind::Push, Fault::Status(429, Some(60))));
    let record = scene.ask().await;
    assert_eq!(reason(&record), "git_rate_limited");
    assert_eq!(record.usage.throttled, 1, "{record:?}");
    let after = scene.counts().await;
    let more = |series: &str| after[series] - before.get(series).copied().unwrap_or(0.0);
    assert!((more("hopclock_probe_errors_total canary git_unreachable") - 1.0).abs() < 0.1);
    assert!((more("hopclock_probe_errors_total canary git_rate_limited") - 1.0).abs() < 0.1);
    assert!((more("hopclock_runs_total canary probe_error") - 2.0).abs() < 0.1);
    assert!(more("hopclock_slo_events_total canary total") < 0.1);
    scene.goes_on().await;
    scene.end(3).await;
}

#[tokio::test]
async fn a_branch_that_is_rewritten_during_a_run_supersedes_it() {
    let scene = Scene::new().await;
    let git = scene.stage.sandbox.git();
    let (before, base) = (scene.counts().await, scene.tip());
    let record = scene.ask_and(async || {
        git.commit(&scene.stage.url, &beside("other", "").on(&[&base])).unwrap();
        scene.fetch();
    });
    let record = record.await;
    assert_eq!(record.outcome, Outcome::Superseded { by: scene.tip() });
    assert_eq!(scene.counted_since(&before).await, ["runs_total superseded"]);
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn p5_a_suspended_object_skips_runs_and_nothing_is_pushed() {
    let scene = Scene::new().await;
    let suspend = |on: bool| {
        scene.stage.change("Kustomization", "canary", &json!({"spec": {"suspend": on}}));
    };
    let (before, tip) = (scene.counts().await, scene.tip());
    suspend(true);
    assert_eq!(scene.ask().await.outcome.as_str(), "skipped");
    assert_eq!(scene.counted_since(&before).await, ["runs_total skipped"]);
    assert_eq!(scene.tip(), tip);
    suspend(false);
    let before = scene.counts().await;
    let record = scene.ask_and(async || suspend(true)).await;
    assert_eq!(record.outcome.as_str(), "skipped", "also while it waits: {record:?}");
    assert_eq!(scene.counted_since(&before).await, ["runs_total skipped"]);
    suspend(false);
    scene.goes_on().await;
    scene.end(3).await;
}

#[tokio::test]
async fn o1_a_build_that_fails_is_a_failed_run_and_history_has_the_evidence() {
    let scene = Scene::new().await;
    let git = scene.stage.sandbox.git();
    let before = scene.counts().await;
    git.commit(&scene.stage.url, &beside("canary/broken.yaml", BROKEN)).unwrap();
    let record = scene.ask_and(async || scene.fetch()).await;
    assert_eq!(
        record.outcome.to_string(),
        "failed: BuildFailed at Kustomization flux-system/canary"
    );
    assert_eq!(
        scene.counted_since(&before).await,
        ["runs_total failed", "slo_bad_events_total total", "slo_events_total total"]
    );
    let canary = record.canary.to_string();
    let arguments = ["history", &canary, "--db", "state.sqlite", "--output", "json"];
    let kept: Value = serde_json::from_str(&scene.stage.tell(&arguments).await.out).unwrap();
    assert!(kept["evidence"].to_string().contains("BuildFailed"), "{kept}");
    assert!(kept["log"].to_string().contains("applied"), "{kept}");
    git.commit(&scene.stage.url, &NewCommit::new("main", "Mended").without("canary/broken.yaml"))
        .unwrap();
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn a_health_check_that_hangs_is_a_timeout_although_the_canary_is_live() {
    let scene = Scene::new().await;
    let (git, flux) = (scene.stage.sandbox.git(), scene.stage.sandbox.flux());
    flux.set_speeds(Speeds { health_poll: SECOND / 10, ..flux.speeds() });
    let before = scene.counts().await;
    git.commit(&scene.stage.url, &beside("canary/slow.yaml", DEPLOYMENT)).unwrap();
    let record = scene.ask_and(async || scene.fetch()).await;
    assert_eq!(record.outcome, Outcome::Timeout, "{record:?}");
    assert!(matches!(passage(&record, "live"), Passage::Reached { .. }), "{record:?}");
    assert_eq!(passage(&record, "applied"), &Passage::Unreached);
    assert_eq!(
        scene.counted_since(&before).await,
        ["runs_total timeout", "slo_bad_events_total total", "slo_events_total total"]
    );
    let healthy = json!({"status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
        "readyReplicas": 1, "availableReplicas": 1}});
    let key = Key::new("Deployment", "hopclock", "slow");
    scene.stage.sandbox.store().merge(&key, &healthy, Part::Status, "kubelet").unwrap();
    scene.until("Kustomization", ready_reason("ReconciliationSucceeded")).await;
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn a_clone_that_takes_too_long_is_a_slow_run_and_a_bad_event() {
    let scene = Scene::with(&silent(), &patient(QUIET)).await;
    let flux = scene.stage.sandbox.flux();
    let usual = flux.speeds();
    let before = scene.counts().await;
    flux.set_speeds(Speeds { clone: 3 * SECOND, ..usual.clone() });
    let record = scene.ask_and(async || scene.fetch()).await;
    assert_eq!(record.outcome, Outcome::Slow, "{record:?}");
    assert_eq!(
        scene.counted_since(&before).await,
        ["runs_total slow", "slo_bad_events_total total", "slo_events_total total"]
    );
    flux.set_speeds(usual);
    scene.goes_on().await;
    scene.end(2).await;
}

#[tokio::test]
async fn p3_a_webhook_that_does_not_arrive_is_bypassed_and_the_interval_delivers() {
    let polled = Lane { interval: "1s".to_owned(), ..lane("canary", Hook::Right, Door::Open) };
    let scene = Scene::with(&polled, &canary(HOPS)).await;
    let (git, url) = (scene.stage.sandbox.git(), &scene.stage.url);
    let hook = "hopclock_hop_bypassed_total canary webhook_received";
    let polls = "hopclock_hop_wakes_total canary source_fetched interval";
    for (number, fault) in
        [WebhookFault::Lost, WebhookFault::WrongSecret, WebhookFault::Late(600 * SECOND)]
            .into_iter()
            .enumerate()
    {
        git.set_webhook_fault(url, Some(fault)).unwrap();
        let before = scene.counts().await;
        let record = scene.ask().await;
        assert_eq!(record.outcome, Outcome::Ok, "{fault:?}: {record:?}");
        assert_eq!(passage(&record, "webhook_received"), &Passage::Bypassed, "{fault:?}");
        let fetched = passage(&record, "source_fetched");
        let by_interval =
            |it: &Passage| matches!(it, Passage::Reached { via: Some(Via::Interval), .. });
        assert!(by_interval(fetched), "{fault:?}: {fetched:?}");
        assert_eq!(scene.counted_since(&before).await, ["runs_total ok", "slo_events_total total"]);
        #[expect(clippy::cast_precision_loss, reason = "three at most")]
        let times = (number + 1) as f64;
        for series in [hook, polls] {
            assert!((scene.service.value(series).await - times).abs() < 0.1, "{fault:?} {series}");
        }
    }
}
