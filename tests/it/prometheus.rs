//! A real Prometheus reads our scrapes, in both forms, and comes to the known quantiles.
//!
//! Needs `prometheus` and `promtool` on the PATH; without them these tests say so and pass, unless
//! `HOPCLOCK_REQUIRE_TOOLS=1` makes that a failure.

#![allow(clippy::float_cmp, reason = "counts and these sums are exact")]

use crate::exports::kit::{QUANTILES, assert_in_classic_bucket, assert_in_native_bucket};
use crate::metrics::{DELIVERED, after_some_runs};
use crate::prometheus_kit::{Setting, Version, found};
use crate::web_kit::{Server, metrics_only};
use hopclock::export::Format;
use hopclock::web;
use std::io::Write;
use std::process::{Command, Stdio};

#[tokio::test]
async fn a_prometheus_without_native_histograms_computes_the_quantiles() {
    if !Version::Two.is_found() {
        return;
    }
    let server = Server::start(metrics_only(after_some_runs()), web::Limits::default()).await;
    let mut prometheus =
        Setting::of(Version::Two).scraping(server.address).exemplars().start().await;
    for q in QUANTILES {
        let bucket = r#"hopclock_push_to_apply_seconds_bucket{outcome="ok"}"#;
        let computed =
            prometheus.eventually_value(&format!("histogram_quantile({q}, {bucket})")).await;
        assert_in_classic_bucket(q, computed);
    }
    let sum =
        prometheus.eventually_value(r#"hopclock_push_to_apply_seconds_sum{outcome="ok"}"#).await;
    assert!((sum - DELIVERED.iter().sum::<f64>()).abs() < 1e-9);
    let run =
        prometheus.eventually_exemplar(r#"hopclock_push_to_apply_seconds_bucket{le="60.0"}"#).await;
    assert_eq!(run, "hopclock-1a1fbe67007");
    assert_eq!(prometheus.eventually_value("hopclock_runs_total{outcome='ok'}").await, 8.0);
    assert_eq!(prometheus.eventually_value("hopclock_runs_total{outcome='slow'}").await, 0.0);
}

#[tokio::test]
async fn a_prometheus_with_native_histograms_computes_the_quantiles() {
    natively(Version::Two).await;
}

#[tokio::test]
async fn so_does_a_prometheus_of_version_3() {
    natively(Version::Three).await;
}

async fn natively(version: Version) {
    if !version.is_found() {
        return;
    }
    let server = Server::start(metrics_only(after_some_runs()), web::Limits::default()).await;
    let mut prometheus =
        Setting::of(version).scraping(server.address).native().exemplars().start().await;
    for q in QUANTILES {
        let native = r#"hopclock_push_to_apply_seconds{outcome="ok"}"#;
        let computed =
            prometheus.eventually_value(&format!("histogram_quantile({q}, {native})")).await;
        assert_in_native_bucket(q, computed);
    }
    let native = r#"histogram_count(hopclock_push_to_apply_seconds{outcome="ok"})"#;
    assert_eq!(prometheus.eventually_value(native).await, 8.0);
    let empty = r#"histogram_count(hopclock_push_to_apply_seconds{outcome="timeout"})"#;
    assert_eq!(prometheus.eventually_value(empty).await, 0.0);
    let run = prometheus.eventually_exemplar("hopclock_push_to_apply_seconds").await;
    assert!(run.starts_with("hopclock-1a1fbe6700"), "{run}");
    let stage = r#"histogram_sum(hopclock_stage_duration_seconds{hop="live"})"#;
    let half = DELIVERED.iter().sum::<f64>() / 2.0;
    assert!((prometheus.eventually_value(stage).await - half).abs() < 1e-6);
}

#[test]
fn promtool_has_nothing_to_say_against_the_text() {
    if !found("promtool") {
        return;
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = after_some_runs().snapshot().encode(Format::Plain);
    promtool.stdin.take().unwrap().write_all(&text).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8(said).unwrap(), "");
    assert!(output.status.success());
}
