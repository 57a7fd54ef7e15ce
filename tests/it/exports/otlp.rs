//! A real Prometheus takes our OTLP: totals in both forms of histograms, and differences, which it
//! adds up.

use crate::exports::faults::{eventually_counted, service};
use crate::exports::kit::{Mood, OtherEnd, assert_classic, assert_native, same, send};
use crate::metrics::{after_some_runs, before_any_run, make_runs};
use crate::prometheus_kit::{Prometheus, Setting, Version};
use axum::body::Bytes;
use hopclock::export::otlp::{Buckets, Memory, Writing, rejected};
use hopclock::remote::post::Verb;
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use std::collections::BTreeMap;

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
        // The second is what comes where an answer was lost: its window tells that it is known.
        for _ in 0..2 {
            post(&prometheus, writing.deltas(&snapshot, &memory).unwrap()).await;
        }
        memory.acknowledge(&snapshot, at);
    }
    let runs = r#"hopclock_runs_total{outcome="ok"}"#;
    prometheus.eventually(runs, |it| same(it, 24.0)).await;
    let count = r#"hopclock_push_to_apply_seconds_count{outcome="ok"}"#;
    prometheus.eventually(count, |it| same(it, 24.0)).await;
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<OfResource>,
}

#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<OfScope>,
}

#[derive(Clone, PartialEq, Message)]
struct OfScope {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "7")]
    sum: Option<Sum>,
}

#[derive(Clone, PartialEq, Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    end: u64,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The window of each series that grows.
fn windows(body: &Bytes) -> BTreeMap<(String, Vec<Attribute>), (u64, u64)> {
    let request = Request::decode(body.clone()).unwrap();
    let scopes = request.resources.into_iter().flat_map(|it| it.scopes);
    let of = |it: Metric| {
        let (name, points) = (it.name, it.sum.unwrap_or_default().points);
        points.into_iter().map(move |it| ((name.clone(), it.attributes), (it.start, it.end)))
    };
    scopes.flat_map(|it| it.metrics).flat_map(of).collect()
}

/// The bodies of differences that a service sends while the other end is in this mood, until it has
/// failed twice, and then when it takes everything.
async fn differences(mood: Mood) -> Vec<Bytes> {
    let other = OtherEnd::start(mood).await;
    let endpoint = other.url("/v1/metrics");
    let delta = ["--otlp-metrics-endpoint", &endpoint, "--otlp-temporality", "delta"];
    let (_stage, service) = service(&delta).await;
    eventually_counted(&service, "otlp_metrics", "failed", 2.0).await;
    other.set(Mood::Takes);
    eventually_counted(&service, "otlp_metrics", "sent", 3.0).await;
    assert_eq!(service.stop().await, Some(0));
    other.came().into_iter().map(|it| it.body).collect()
}

/// Each series goes on where it ended, and is told nothing twice.
fn assert_seamless(bodies: &[Bytes]) {
    let mut told = windows(&bodies[0]);
    let exports = told.iter().filter(|it| it.0.0 == "hopclock_exports_total").count();
    assert!(exports > 2, "{told:?}");
    for body in &bodies[1..] {
        for (series, (start, end)) in windows(body) {
            assert!(start < end, "{series:?}");
            if let Some((_, before)) = told.insert(series.clone(), (start, end)) {
                assert_eq!(start, before, "{series:?}");
            }
        }
    }
}

#[tokio::test]
async fn differences_whose_answer_was_lost_are_sent_again_over_the_same_window() {
    for mood in [Mood::Hangs, Mood::Breaks, Mood::Says(401)] {
        let bodies = differences(mood).await;
        let lost = bodies.iter().take_while(|it| **it == bodies[0]).count();
        assert!(lost > 2, "{mood:?}: only {lost} of {} are the same", bodies.len());
        assert_seamless(&bodies[lost - 1..]);
    }
}

#[tokio::test]
async fn differences_that_are_refused_for_good_are_not_sent_again() {
    let bodies = differences(Mood::Says(400)).await;
    assert_seamless(&bodies);
}
