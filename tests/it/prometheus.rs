//! A real Prometheus reads our scrapes, in both forms, and comes to the known quantiles.
//!
//! Needs `prometheus` and `promtool` on the PATH; without them these tests say so and pass, unless
//! `HOPCLOCK_REQUIRE_TOOLS=1` makes that a failure.

#![allow(clippy::float_cmp, reason = "counts and these sums are exact")]

use crate::metrics::{DELIVERED, after_some_runs};
use crate::web_kit::{Server, ask, metrics_only};
use hopclock::export::Format;
use hopclock::model::{BOUNDS, Histogram};
use hopclock::web;
use serde_json::Value;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Pause between two looks at something that will come.
const PAUSE: Duration = Duration::from_millis(200);

/// Most looks: a minute.
const LOOKS: u32 = 300;

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one that scrapes `target` every second.
    fn start(target: SocketAddr, features: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let job = format!("{{job_name: hopclock, static_configs: [{{targets: ['{target}']}}]}}");
        let text = format!("global: {{scrape_interval: 1s}}\nscrape_configs: [{job}]\n");
        std::fs::write(&config, text).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .arg(format!("--enable-feature={features}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address: free, _folder: folder }
    }

    /// The value of the one series that a query yields, as soon as it yields one.
    async fn eventually_value(&mut self, query: &str) -> f64 {
        for _ in 0..LOOKS {
            assert_eq!(self.child.try_wait().unwrap(), None, "prometheus has ended");
            if let Some(value) = self.look(query).await {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("`{query}` yields nothing");
    }

    /// The run that an exemplar of a series names, as soon as there is one.
    async fn eventually_exemplar(&self, series: &str) -> String {
        for _ in 0..LOOKS {
            let answer = self.get("query_exemplars?start=0&end=2000000000&", series).await;
            let answer = answer.unwrap_or_default();
            if let Some(run) = answer["data"][0]["exemplars"][0]["labels"]["canary"].as_str() {
                return run.to_owned();
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("`{series}` has no exemplar");
    }

    async fn look(&self, query: &str) -> Option<f64> {
        let answer = self.get("query?", query).await?;
        let result = answer["data"]["result"].as_array()?;
        assert!(result.len() <= 1, "{answer}");
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    async fn get(&self, page: &str, query: &str) -> Option<Value> {
        tokio::net::TcpStream::connect(self.address).await.ok()?;
        let query = query.bytes().fold(String::new(), |all, it| format!("{all}%{it:02x}"));
        let line = format!("GET /api/v1/{page}query={query} HTTP/1.0");
        serde_json::from_slice(&ask(self.address, &line, "").await.body).ok()
    }
}

/// Whether the tool can be used; says so if not.
fn found(tool: &str) -> bool {
    let output = Command::new(tool).arg("--version").output();
    let found = output.is_ok_and(|it| it.status.success());
    let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(found || !required, "`{tool}` is not on the PATH, but required");
    if !found {
        println!("skipped: `{tool}` is not on the PATH");
    }
    found
}

/// The true quantile of the lengths that were delivered: the smallest that `q` of them reach.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a small rank"
)]
fn truth(q: f64) -> f64 {
    DELIVERED[(q * DELIVERED.len() as f64).ceil() as usize - 1]
}

const QUANTILES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

#[tokio::test]
async fn a_prometheus_without_native_histograms_computes_the_quantiles() {
    if !found("prometheus") {
        return;
    }
    let server = Server::start(metrics_only(after_some_runs()), web::Limits::default()).await;
    let mut prometheus = Prometheus::start(server.address, "exemplar-storage");
    for q in QUANTILES {
        let bucket = r#"hopclock_push_to_apply_seconds_bucket{outcome="ok"}"#;
        let computed =
            prometheus.eventually_value(&format!("histogram_quantile({q}, {bucket})")).await;
        let upper = BOUNDS.into_iter().find(|it| truth(q) <= *it).unwrap();
        let lower = BOUNDS.into_iter().rev().find(|it| *it < truth(q)).unwrap();
        assert!(lower < computed && computed <= upper, "{q}: {computed} is not {}", truth(q));
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
    if !found("prometheus") {
        return;
    }
    let server = Server::start(metrics_only(after_some_runs()), web::Limits::default()).await;
    let mut prometheus = Prometheus::start(server.address, "native-histograms,exemplar-storage");
    let mut ours = Histogram::default();
    for length in DELIVERED {
        ours.observe(Duration::from_secs_f64(length));
    }
    for q in QUANTILES {
        let native = r#"hopclock_push_to_apply_seconds{outcome="ok"}"#;
        let computed =
            prometheus.eventually_value(&format!("histogram_quantile({q}, {native})")).await;
        let range = ours.native().ranges().find(|it| truth(q) <= it.1).unwrap();
        let rounding = 1.0 + 1e-9;
        assert!(
            range.0 < computed * rounding && computed <= range.1 * rounding,
            "{q}: {computed} is not {}",
            truth(q)
        );
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
