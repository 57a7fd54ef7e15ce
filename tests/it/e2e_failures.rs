//! Changes that do not arrive, or not in time: what Flux said of them, and since when.

use crate::e2e_kit::{Bench, Course, Measured, quick};
use hopclock::cluster::Timing;
use hopclock::model::{Event, GroupKind, Outcome, Passage, SloVerdict, Subject};
use hopclock::trigger::Content;
use hopclock_sandbox::flux::{Controller, Speeds};
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::Hook;
use hopclock_sandbox::store::Part;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn failed(measured: &Measured) -> (&str, &str) {
    match &measured.record.outcome {
        Outcome::Failed { reason, subject } => (reason, subject),
        other => panic!("{other}"),
    }
}

fn ready_reason(reason: &str) -> impl Fn(&Value) -> bool {
    move |it| {
        let conditions = it["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|it| it["type"] == "Ready" && it["reason"] == reason)
    }
}

/// Says that the first failure was timed by the state that first shows it.
fn assert_since(measured: &Measured, kind: &str, reason: &str) {
    let since = measured.record.failing_since.as_ref().unwrap();
    assert_eq!(since.reason, reason);
    let truth = measured.shown_at(kind, ready_reason(reason)).unwrap();
    let (least, most) = (measured.zero() + since.at.least, measured.zero() + since.at.most);
    assert!(truth <= most, "{:?} too early", truth - most);
    assert!(since.at.is_exact() || least <= truth, "{:?} too late", least - truth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_manifests_that_do_not_build_are_a_failure_at_the_deadline() {
    let bench = Bench::new().await;
    let mut course = bench.lane("broken", "10m", Hook::Right).await;
    course.edit.content = Content::Template("data: { canary: ${canary}\n".to_owned());
    course.plan.deadline = 3 * SECOND;
    course.plan.within = Some(2 * SECOND);
    let measured = course.run(|_| ()).await;
    assert_eq!(failed(&measured), ("BuildFailed", "Kustomization flux-system/broken"));
    assert_since(&measured, "Kustomization", "BuildFailed");
    measured.assert_exact("source_fetched");
    assert_eq!(measured.passage("applied"), &Passage::Unreached);
    assert_eq!(measured.verdicts(), [("total", SloVerdict::Bad)]);
    assert_eq!(measured.record.push_to_apply.unwrap().most, 3 * SECOND);
    let said = |it: &&Event| matches!(it, Event::Failing { hop, reason: Some(it), .. } if hop == "applied" && it == "BuildFailed");
    assert_eq!(measured.events.iter().filter(said).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_a_failure_that_stands_before_the_push_counts_from_zero_while_it_is_shown() {
    let bench = Bench::new().await;
    let mut course = bench.lane("pathless", "10m", Hook::Right).await;
    bench.change("Kustomization", "pathless", &json!({"spec": {"path": "./gone"}}));
    bench.until("Kustomization", "pathless", ready_reason("ArtifactFailed")).await;
    course.plan.deadline = 2 * SECOND;
    let measured = course.run(|_| ()).await;
    assert_eq!(failed(&measured), ("ArtifactFailed", "Kustomization flux-system/pathless"));
    let since = measured.record.failing_since.as_ref().unwrap();
    assert_eq!((since.reason.as_str(), since.at.most), ("ArtifactFailed", Duration::ZERO));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_a_source_that_stalls_ends_the_run_at_once() {
    let bench = Bench::new().await;
    let mut course = bench.lane("stalled", "10m", Hook::Silent).await;
    course.plan.deadline = 600 * SECOND;
    course.plan.within = Some(500 * SECOND);
    let other = bench.clone();
    let spec = json!({"spec": {"url": "ftp://nowhere"}});
    let measured = course.run_and(move || other.change("GitRepository", "stalled", &spec)).await;
    assert_eq!(failed(&measured), ("URLInvalid", "GitRepository flux-system/stalled"));
    assert_since(&measured, "GitRepository", "URLInvalid");
    assert_eq!(measured.verdicts(), [("total", SloVerdict::Bad)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_server_that_is_down_makes_the_fetch_slow_and_not_the_object() {
    let speeds = Speeds { event_retries: vec![SECOND, SECOND], ..quick() };
    let bench = Bench::with(speeds, Timing::default()).await;
    let mut course = bench.lane("eventless", "10m", Hook::Silent).await;
    bench.sandbox.flux().stop_controller(Controller::Notification).await;
    course.hop("source_fetched").within = Some(SECOND);
    let asked = bench.clone();
    let measured = course.run_and(move || asked.request("eventless")).await;
    assert_eq!(measured.outcome(), "slow", "{}", measured.record.outcome);
    assert_eq!(measured.verdicts(), [("source_fetched", SloVerdict::Bad)]);
    measured.assert_all_exact();
    let stage = |hop: &str| match measured.passage(hop) {
        Passage::Reached { stage, .. } => stage.unwrap().most,
        other => panic!("{hop}: {other:?}"),
    };
    assert!(stage("source_fetched") >= 2 * SECOND, "the event is posted before the artifact");
    assert!(stage("applied") >= 2 * SECOND, "the event is posted before the report");
    assert!(stage("live") < stage("applied"), "the object is written before the event");
}

/// A lane whose canary is applied by a Kustomization that depends on the lane's own.
async fn dependent(bench: &Bench) -> Course {
    let mut course = bench.lane("base", "10m", Hook::Right).await;
    let file = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base-app, namespace: hopclock}\n";
    course.commit(&NewCommit::new("main", "App").file("app/configmap.yaml", file));
    let at = course.tip();
    let applied = move |it: &Value| {
        it["status"]["lastAppliedRevision"].as_str().is_some_and(|it| it.ends_with(&at))
    };
    bench.until("Kustomization", "base", applied.clone()).await;
    let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "base-app", "namespace": "flux-system"},
        "spec": {"interval": "10m", "path": "./app", "prune": true, "dependsOn": [{"name": "base"}],
            "sourceRef": {"kind": "GitRepository", "name": "base"}}});
    bench.sandbox.store().create(object, "somebody").unwrap();
    bench.until("Kustomization", "base-app", applied).await;
    "app/configmap.yaml".clone_into(&mut course.edit.path);
    let name = hopclock::model::ObjectName::new("hopclock", "base-app");
    course.edit.content = Content::ConfigMap(name);
    let other = Subject::local(GroupKind::kustomization(), "flux-system", "base-app");
    course.hop("applied").subject = Arc::new(other);
    let live = Subject::local(GroupKind::new("", "ConfigMap"), "hopclock", "base-app");
    course.hop("live").subject = Arc::new(live);
    course
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_a_dependency_that_is_not_ready_is_a_failure_below_its_half_minute() {
    let speeds = Speeds { dependency_requeue: SECOND / 2, build: SECOND / 4, ..quick() };
    let bench = Bench::with(speeds.clone(), Timing::default()).await;
    let mut course = dependent(&bench).await;
    bench.sandbox.flux().set_speeds(Speeds { dependency_requeue: 30 * SECOND, ..speeds.clone() });
    course.plan.deadline = 3 * SECOND;
    let measured = course.run(|_| ()).await;
    assert_eq!(failed(&measured), ("DependencyNotReady", "Kustomization flux-system/base-app"));
    assert_eq!(measured.record.failing_since.as_ref().unwrap().reason, "DependencyNotReady");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_a_dependency_that_becomes_ready_is_no_failure_but_is_remembered() {
    let speeds = Speeds { dependency_requeue: SECOND / 2, build: SECOND / 4, ..quick() };
    let bench = Bench::with(speeds, Timing::default()).await;
    let course = dependent(&bench).await;
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    assert_eq!(measured.record.failing_since.as_ref().unwrap().reason, "DependencyNotReady");
    let applied = measured.passage("applied").at().unwrap();
    assert!(applied.least > measured.record.failing_since.as_ref().unwrap().at.most);
    let told = measured.events.iter().filter_map(|it| match it {
        Event::Failing { hop, reason, .. } if hop == "applied" => Some(reason.as_deref()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [Some("DependencyNotReady"), None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_an_objective_is_counted_when_it_is_crossed_once_and_for_good() {
    let bench = Bench::new().await;
    let mut course = bench.lane("crossed", "10m", Hook::Silent).await;
    course.plan.within = Some(SECOND);
    course.hop("source_fetched").within = Some(20 * SECOND);
    let asked = bench.clone();
    let measured = course.run(move |event: &Event| {
        if matches!(event, Event::Decided { slo, .. } if slo == "total") {
            asked.request("crossed");
        }
    });
    let measured = measured.await;
    assert_eq!(measured.outcome(), "slow");
    let expected = [("total", SloVerdict::Bad), ("source_fetched", SloVerdict::Good)];
    assert_eq!(measured.verdicts(), expected);
    measured.assert_all_exact();
    assert!(measured.record.push_to_apply.unwrap().least > SECOND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_an_object_that_loses_the_change_again_is_said_to() {
    let bench = Bench::new().await;
    let mut course = bench.lane("reverted", "10m", Hook::Right).await;
    course.plan.deadline = 3 * SECOND;
    // Nothing else is waited for once the object was live; the deadline looks at the last state.
    course.hop("applied").need = hopclock::model::Requirement::Waited;
    bench.sandbox.flux().set_speeds(Speeds { patch: SECOND / 5, ..quick() });
    let other = bench.clone();
    let measured = course.run(move |event: &Event| {
        if matches!(event, Event::Reached { hop, .. } if hop == "live") {
            let key = hopclock_sandbox::store::Key::new("ConfigMap", "hopclock", "reverted");
            let patch = json!({"data": {"canary": "none"}, "metadata": {"annotations": {"hopclock.dev/canary": null}}});
            other.sandbox.store().merge(&key, &patch, Part::Whole, "bot").unwrap();
        }
    });
    let measured = measured.await;
    let live = measured.record.hops.iter().find(|it| it.hop == "live").unwrap();
    assert!(live.reverted && live.passage.at().is_some(), "{live:?}");
    assert_eq!(measured.outcome(), "timeout", "{}", measured.record.outcome);
}
