//! A real Prometheus takes our OTLP: totals in both forms of histograms, and differences, which it
//! adds up.

use crate::exports::kit::{assert_classic, assert_native, same, send};
use crate::metrics::{after_some_runs, before_any_run, make_runs};
use crate::prometheus_kit::{Prometheus, Setting, Version};
use hopclock::export::otlp::{Buckets, Memory, Writing, rejected};
use hopclock::remote::post::Verb;
use jiff::{SignedDuration, Timestamp};

fn resource() -> Vec<(String, String)> {
    [("service.name", "hopclock"), ("service.instance.id", "here")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

async fn post(prometheus: &Prometheus, body: Vec<u8>) {
    let url = prometheus.url("/api/v1/otlp/v1/metrics");
    let headers = [("Content-Type", "application/x-protobuf")];
    let receipt = send(&url, Verb::Post, &headers, body).await.unwrap();
    assert_eq!(rejected(&receipt.body), None);
}

#[tokio::test]
async fn prometheus_computes_from_totals_in_both_forms() {
    if !Version::Three.is_found() {
        return;
    }
    let (resource, version) = (resource(), "1.2.3");
    for buckets in [Buckets::Explicit, Buckets::Exponential] {
        let mut prometheus = Setting::of(Version::Three).receiving_otlp().start().await;
        let at = Timestamp::now();
        let writing = Writing { at, buckets, resource: &resource, version };
        post(&prometheus, writing.totals(&after_some_runs().snapshot()).unwrap()).await;
        match buckets {
            Buckets::Explicit => assert_classic(&mut prometheus).await,
            Buckets::Exponential => assert_native(&mut prometheus).await,
        }
        // Names are as in a scrape.
        let runs = r#"hopclock_runs_total{job="hopclock",instance="here",outcome="ok"}"#;
        prometheus.eventually(runs, |it| same(it, 8.0)).await;
        prometheus.eventually("hopclock_build_info", |it| same(it, 1.0)).await;
        let age = "hopclock_last_run_timestamp_seconds";
        prometheus.eventually(age, |it| same(it, 1_700_000_000.0)).await;
    }
}

#[tokio::test]
async fn prometheus_adds_differences_up() {
    if !Version::Three.is_found() {
        return;
    }
    let (resource, version) = (resource(), "1.2.3");
    let adding = Setting::of(Version::Three).feature("otlp-deltatocumulative").receiving_otlp();
    let mut prometheus = adding.start().await;
    let metrics = before_any_run();
    let mut memory = Memory::new(metrics.began());
    for seconds_ago in [30, 20, 10] {
        make_runs(&metrics);
        let at = Timestamp::now() - SignedDuration::from_secs(seconds_ago);
        let buckets = Buckets::Explicit;
        let writing = Writing { at, buckets, resource: &resource, version };
        let snapshot = metrics.snapshot();
        post(&prometheus, writing.deltas(&snapshot, &memory).unwrap()).await;
        memory.acknowledge(&snapshot, at);
    }
    let runs = r#"hopclock_runs_total{outcome="ok"}"#;
    prometheus.eventually(runs, |it| same(it, 24.0)).await;
    let count = r#"hopclock_push_to_apply_seconds_count{outcome="ok"}"#;
    prometheus.eventually(count, |it| same(it, 24.0)).await;
}
