//! The program sends what it has counted: while it serves, and at the end of a run.

use crate::cli::kit::{HOPS, SOURCE, Stage};
use crate::cli::serve_kit::{QUIET, Running, canary, silent, write};
use crate::exports::kit::same;
use crate::exports::pushgateway::Gateway;
use crate::prometheus_kit::{Setting, Version};
use crate::web_kit::ask;

#[tokio::test]
async fn a_run_leaves_its_numbers_with_everybody() {
    if !Version::Two.is_found() || !Version::Three.is_found() {
        return;
    }
    let Some(gateway) = Gateway::eventually_start().await else { return };
    let mut two = Setting::of(Version::Two).native().receiving().start().await;
    let mut three = Setting::of(Version::Three).receiving_otlp().start().await;
    let stage = Stage::new().await;
    let mut call = stage.call(&["run", stage.scenario(SOURCE, HOPS), "--textfile", "out.prom"]);
    call.env("HOPCLOCK_REMOTE_WRITE_URL", two.url("/api/v1/write"))
        .env("HOPCLOCK_REMOTE_WRITE_LABEL", "zone=z,instance=mine")
        .env("HOPCLOCK_PUSHGATEWAY_URL", gateway.url(""))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", three.url("/api/v1/otlp"))
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=mine");
    let told = crate::cli::kit::told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!told.err.contains("not sent"), "{}", told.err);
    let labels = r#"job="hopclock",instance="mine",scenario="canary",outcome="ok""#;
    two.eventually(&format!(r#"hopclock_runs_total{{{labels},zone="z"}}"#), |it| same(it, 1.0))
        .await;
    let runs = format!("hopclock_runs_total{{{labels}}}");
    let native = r#"histogram_count(hopclock_push_to_apply_seconds{outcome="ok"})"#;
    two.eventually(native, |it| same(it, 1.0)).await;
    three.eventually(&runs, |it| same(it, 1.0)).await;
    let text = std::fs::read_to_string(stage.folder.path().join("out.prom")).unwrap();
    let line = r#"hopclock_runs_total{scenario="canary",outcome="ok"} 1"#;
    assert!(text.lines().any(|it| it == line), "{text}");
    assert!(text.contains(r#"hopclock_exports_total{way="remote_write",result="failed"} 0"#));
    let left: Vec<_> = std::fs::read_dir(stage.folder.path())
        .unwrap()
        .filter_map(|it| it.unwrap().file_name().into_string().ok())
        .filter(|it| it.starts_with("out.prom"))
        .collect();
    assert_eq!(left, ["out.prom"]);
    let page = ask(gateway.address, "GET /metrics HTTP/1.0", "").await;
    let line = r#"hopclock_runs_total{instance="hopclock",job="hopclock",outcome="ok",scenario="canary"} 1"#;
    assert!(page.text().lines().any(|it| it == line), "{}", page.text());
}

/// A service that writes to this Prometheus every second, after one run.
async fn service(prometheus: &str, more: &[&str]) -> (Stage, Running) {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    stage.file("token", "secret");
    let ways = ["--export-interval", "1s", "--remote-write-url", prometheus];
    let arguments = [&["--token-file", "token"][..], &ways, more].concat();
    let service = Running::start(&stage, &arguments).await;
    service.eventually_ready().await;
    (stage, service)
}

#[tokio::test]
async fn a_service_writes_classic_histograms_where_native_ones_are_refused() {
    if !Version::Two.is_found() {
        return;
    }
    let mut prometheus = Setting::of(Version::Two).receiving().start().await;
    let (_stage, service) = service(&prometheus.url("/api/v1/write"), &[]).await;
    let count = r#"hopclock_push_to_apply_seconds_count{outcome="ok"}"#;
    prometheus.eventually(count, |it| same(it, 0.0)).await;
    let sent = r#"hopclock_exports_total{way="remote_write",result="sent"}"#;
    prometheus.eventually(sent, |it| it >= 3.0).await;
    let failed = r#"hopclock_exports_total{way="remote_write",result="failed"}"#;
    prometheus.eventually(failed, |it| same(it, 0.0)).await;
    let said = service.said();
    assert_eq!(said.matches("classic histograms go on").count(), 1, "{said}");
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn a_service_writes_2_0_and_says_when_a_scenario_is_gone() {
    if !Version::Three.is_found() {
        return;
    }
    let mut prometheus = Setting::of(Version::Three).receiving().start().await;
    let url = prometheus.url("/api/v1/write");
    let (stage, service) = service(&url, &["--remote-write-version", "2.0"]).await;
    let native = r#"histogram_count(hopclock_push_to_apply_seconds{outcome="ok"})"#;
    prometheus.eventually(native, |it| same(it, 0.0)).await;
    let file = stage.folder.path().join("scenarios/canary.yaml");
    let text = std::fs::read_to_string(&file).unwrap().replace("name: canary", "name: other");
    std::fs::write(stage.folder.path().join("scenarios/other.yaml"), text).unwrap();
    std::fs::remove_file(file).unwrap();
    let other = r#"hopclock_runs_total{scenario="other",outcome="ok"}"#;
    prometheus.eventually(other, |it| same(it, 0.0)).await;
    let failed = r#"hopclock_exports_total{way="remote_write",result="failed"}"#;
    prometheus.eventually(failed, |it| same(it, 0.0)).await;
    assert_eq!(service.stop().await, Some(0));
}
