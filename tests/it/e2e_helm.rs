//! New values of a release on their way from git through Helm into the cluster, over real sockets.

use crate::e2e_helm_kit::{HelmCourse, of_two, says};
use hopclock::model::{Outcome, Passage, Span};
use hopclock_sandbox::charts::Chart;
use hopclock_sandbox::pipeline::{ChartFrom, Door, HelmLane, Values};
use serde_json::{Value, json};

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|it| panic!("{it}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_values_are_followed_from_git_through_the_release_until_they_are_live() {
    let lane = HelmLane { chart: ChartFrom::Registry, door: Door::Locked, ..HelmLane::new("shop") };
    let course = HelmCourse::new(lane).await;
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = read(&told.out);
    assert_eq!(record["outcome"], "ok", "{record:#}");
    let canary = record["canary"].as_str().unwrap();
    assert_eq!(course.object("ConfigMap")["data"]["run"], canary);
    assert_eq!(course.object("HelmRelease")["status"]["history"][0]["version"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hop_of_new_values_is_timed_by_its_own_event() {
    let course = HelmCourse::new(HelmLane::new("shop")).await;
    let measured = course.measure().await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    let canary = measured.record.canary.to_string();
    let commit = measured.pushed().to_owned();
    let ends = |it: &Value| it.as_str().is_some_and(|it| it.ends_with(&commit));
    let is_live = |it: &Value| it["data"]["run"] == canary.as_str();
    for hop in &measured.record.hops {
        assert!(matches!(hop.passage, Passage::Reached { uncertain: false, .. }), "{hop:?}");
        assert!(hop.passage.at().is_some_and(Span::is_exact), "{hop:?}");
        let truth =
            match hop.hop.as_str() {
                "source_fetched" => measured
                    .shown_at("GitRepository", |it| ends(&it["status"]["artifact"]["revision"])),
                "applied" => measured
                    .shown_at("Kustomization", |it| ends(&it["status"]["lastAppliedRevision"])),
                "written" => measured
                    .shown_at("HelmRelease", |it| it["spec"]["values"]["run"] == canary.as_str()),
                "released" => measured.shown_at("HelmRelease", |it| {
                    it["status"]["history"][0]["version"] == 2
                        && it["status"]["observedGeneration"] == 2
                }),
                "live" => measured.shown_at("ConfigMap", is_live),
                _ => continue,
            };
        let truth = truth.unwrap_or_else(|| panic!("{} did not happen", hop.hop));
        let (_, most) = measured.bounds(&hop.hop);
        assert!(truth <= most, "{}: {:?} early", hop.hop, truth - most);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_another_object_are_followed_into_the_release_that_they_wake() {
    let course =
        HelmCourse::new(HelmLane { values: Values::Watched, ..HelmLane::new("shop") }).await;
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = read(&told.out);
    assert_eq!(record["outcome"], "ok", "{record:#}");
    assert_eq!(course.object("ConfigMap")["data"]["run"], record["canary"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_an_object_without_the_label_wake_nobody() {
    let lane = HelmLane { values: Values::Unwatched, ..HelmLane::new("shop") };
    let mut course = HelmCourse::new(lane).await;
    course.deadline = "4s";
    let measured = course.measure().await;
    assert_eq!(measured.outcome(), "timeout", "{:#?}", measured.record);
    assert!(measured.passage("written").at().is_some());
    assert_eq!(measured.passage("released"), &Passage::Unreached);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_a_release_that_fails_and_is_rolled_back_is_failed_and_its_object_reverted() {
    let upgrade = json!({"remediation": {"retries": 0, "remediateLastFailure": true}});
    let course = HelmCourse::new(HelmLane { upgrade, ..HelmLane::new("shop") }).await;
    let is_new = |it: &Value| it["status"]["history"][0]["chartVersion"] == "0.1.1";
    course.publish(&of_two("0.1.1"), is_new).await;
    // A number is no text, so the API refuses the second object once the first was changed.
    let mut release = read(&course.lane.release("${canary}"));
    release["spec"]["values"]["more"] = "{a: 1}".into();
    let measured = course.measure_with(release.to_string()).await;
    let Outcome::Failed { reason, subject } = &measured.record.outcome else {
        panic!("{:#?}", measured.record)
    };
    assert_eq!((reason.as_str(), subject.as_str()), ("UpgradeFailed", "HelmRelease hopclock/shop"));
    let live = measured.record.hops.iter().find(|it| it.hop == "live").unwrap();
    assert!(live.reverted && live.passage.at().is_some(), "{live:?}");
    assert_eq!(measured.passage("released"), &Passage::Unreached);
    assert_eq!(course.object("ConfigMap")["data"]["run"], "none");
    assert!(says(&course.object("HelmRelease"), "Remediated", "RollbackSucceeded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_a_release_in_remediation_fails_new_values_too_and_the_first_reason_is_kept() {
    let upgrade = json!({"remediation": {"retries": -1}});
    let mut course = HelmCourse::new(HelmLane { upgrade, ..HelmLane::new("shop") }).await;
    course.deadline = "5s";
    let broken = Chart::new("shop", "0.1.1", &[("templates/a.yaml", "{{ fail \"on purpose\" }}")]);
    course.publish(&broken, |it| says(it, "Released", "UpgradeFailed")).await;
    let measured = course.measure().await;
    let Outcome::Failed { reason, subject } = &measured.record.outcome else {
        panic!("{:#?}", measured.record)
    };
    assert_eq!((reason.as_str(), subject.as_str()), ("UpgradeFailed", "HelmRelease hopclock/shop"));
    assert_eq!(measured.record.failing_since.as_ref().unwrap().reason, "UpgradeFailed");
    assert!(measured.passage("written").at().is_some());
}
