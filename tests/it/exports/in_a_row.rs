//! Processes that run once each, one after the other: to Prometheus they are one that only counts up.

use crate::cli::kit::{HOPS, SOURCE, Stage, lane, scenario, told};
use crate::cli::serve_kit::silent;
use crate::exports::kit::same;
use crate::prometheus_kit::{Prometheus, Setting, Version};
use hopclock_sandbox::pipeline::{Door, Hook};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

pub(super) const RUNS: &str = "sum(hopclock_runs_total)";

/// A run that keeps its totals in the cluster, and sends them to this Prometheus.
fn run(stage: &Stage, prometheus: &Prometheus) -> Command {
    let state = ["--state", "configmap:flux-system/totals"];
    let url = prometheus.url("/api/v1/write");
    stage.call(&[&["run", "canary.yaml", "--remote-write-url", &url][..], &state].concat())
}

/// By how much a sum of counters has grown, at the instant of its last sample: there Prometheus has
/// nothing to extrapolate.
pub(super) async fn grown(prometheus: &Prometheus, metric: &str) -> f64 {
    let last = prometheus.value(&format!("max(timestamp({metric}))")).await.unwrap();
    let query = format!("sum(increase({metric}[30m]))");
    prometheus.query(&query, Some(last)).await.unwrap()[0].values[0].1
}

#[tokio::test]
async fn ten_processes_in_a_row_are_an_increase_of_ten() {
    if !Version::Two.is_found() {
        return;
    }
    let mut prometheus = Setting::of(Version::Two).native().receiving().start().await;
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.scenario(SOURCE, HOPS);
    for number in 1..=10 {
        let told = told(run(&stage, &prometheus)).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        prometheus.eventually(RUNS, |it| same(it, f64::from(number))).await;
    }
    for metric in
        ["hopclock_runs_total", "hopclock_scheduled_runs_total", "hopclock_slo_events_total"]
    {
        let grown = grown(&prometheus, metric).await;
        assert!((grown - 10.0).abs() < 1e-6, "{metric}: {grown}");
    }
    let native = r#"sum(histogram_count(hopclock_push_to_apply_seconds{outcome="ok"}))"#;
    prometheus.eventually(native, |it| same(it, 10.0)).await;
    let resets = prometheus.value("sum(resets(hopclock_runs_total[30m]))").await;
    assert_eq!(resets, Some(0.0));
}

#[tokio::test]
async fn a_process_that_is_killed_under_way_is_counted_once() {
    if !Version::Two.is_found() {
        return;
    }
    let mut prometheus = Setting::of(Version::Two).native().receiving().start().await;
    let stage = Stage::quick(&silent()).await;
    let text = scenario("canary", SOURCE, HOPS).replace("deadline: 20s", "deadline: 60s");
    stage.file("canary.yaml", &text);
    let limit = Duration::from_secs(60);
    for number in 1..=3_u32 {
        let mut updates = stage.sandbox.git().watch_updates();
        let mut killed = run(&stage, &prometheus).spawn().unwrap();
        timeout(limit, updates.recv()).await.unwrap().unwrap();
        killed.kill().await.unwrap();
        let next = tokio::spawn(told(run(&stage, &prometheus)));
        stage.fetch();
        timeout(limit, updates.recv()).await.unwrap().unwrap();
        stage.fetch();
        let told = next.await.unwrap();
        assert_eq!(told.code, Some(0), "{told:?}");
        prometheus.eventually(RUNS, |it| same(it, f64::from(2 * number))).await;
    }
    for metric in ["hopclock_runs_total", "hopclock_scheduled_runs_total"] {
        let grown = grown(&prometheus, metric).await;
        assert!((grown - 6.0).abs() < 1e-6, "{metric}: {grown}");
    }
    prometheus.eventually("sum(hopclock_runs_in_flight)", |it| same(it, 0.0)).await;
}
