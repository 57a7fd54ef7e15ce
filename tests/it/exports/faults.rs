//! Other ends that are cut, slow or refuse everything: runs go on, what is lost is counted, and
//! nobody waits longer than is said.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, told};
use crate::cli::serve_kit::{QUIET, Running, canary, silent, write};
use crate::exports::kit::{Mood, OtherEnd};
use insta::assert_snapshot;
use std::net::TcpListener;
use std::time::Duration;

/// An address at which nobody listens.
fn nobody() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{free}")
}

/// A service that sends every second.
pub(super) async fn service(more: &[&str]) -> (Stage, Running) {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    stage.file("token", "secret");
    let ways = ["--export-interval", "1s", "--export-timeout", "1s", "--export-flush", "1s"];
    let arguments = [&["--token-file", "token"][..], &ways, more].concat();
    let service = Running::start(&stage, &arguments).await;
    service.eventually_ready().await;
    (stage, service)
}

/// Waits until what became of exports is as it should be.
pub(super) async fn eventually_counted(
    service: &Running,
    way: &str,
    result: &str,
    at_least: f64,
) -> f64 {
    let series = format!("hopclock_exports_total {way} {result}");
    for _ in 0..600 {
        let value = service.value(&series).await;
        if value >= at_least {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{series}` never reaches {at_least}");
}

#[tokio::test]
async fn a_run_is_measured_and_ends_whatever_the_other_ends_do() {
    let (hanging, refusing) =
        (OtherEnd::start(Mood::Hangs).await, OtherEnd::start(Mood::Says(400)).await);
    let stage = Stage::new().await;
    let (write, gateway, otlp) = (hanging.url("/write"), refusing.url(""), nobody());
    let told = stage
        .tell(&[
            "run",
            stage.scenario(SOURCE, HOPS),
            "--remote-write-url",
            &write,
            "--pushgateway-url",
            &gateway,
            "--otlp-endpoint",
            &otlp,
            "--textfile",
            "/nowhere/out.prom",
            "--export-flush",
            "2s",
        ])
        .await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.starts_with("canary  ok  "), "{}", told.out);
    for said in [
        "remote_write: the last numbers were not sent: ",
        "answered 400 (`nothing of that sort`): see its log; runs go on",
        "otlp_metrics: ",
        "cannot be connected to",
        "the file `/nowhere/out.prom` cannot be written",
    ] {
        assert!(told.err.contains(said), "{said}: {}", told.err);
    }
    assert_eq!(
        refusing.came()[0].path,
        "/metrics/job@base64/aG9wY2xvY2s=/instance@base64/aG9wY2xvY2s="
    );
}

#[tokio::test]
async fn a_way_that_is_cut_is_said_once_and_so_is_that_it_is_open_again() {
    let other = OtherEnd::start(Mood::Says(503)).await;
    let (_stage, service) = service(&["--pushgateway-url", &other.url("")]).await;
    let failed = eventually_counted(&service, "pushgateway", "failed", 2.0).await;
    assert!(failed >= 2.0);
    let text = service.get("/metrics").await;
    let last = "hopclock_export_last_success_timestamp_seconds{way=\"pushgateway\"}";
    assert!(!text.contains(last), "{text}");
    other.set(Mood::Takes);
    eventually_counted(&service, "pushgateway", "sent", 1.0).await;
    service.eventually_says("takes exports again").await;
    assert!(service.get("/metrics").await.contains(last));
    let said = service.said();
    assert_eq!(said.matches("answered 503").count(), 1, "{said}");
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn an_answer_that_does_not_say_how_much_of_2_0_was_written_is_none() {
    let other = OtherEnd::start(Mood::Says(204)).await;
    let url = other.url("/write");
    let two = ["--remote-write-url", &url, "--remote-write-version", "2.0"];
    let (stage, service) = service(&two).await;
    eventually_counted(&service, "remote_write", "failed", 2.0).await;
    assert!(service.value("hopclock_exports_total remote_write sent").await < 1.0);
    let text = service.get("/metrics").await;
    let last = "hopclock_export_last_success_timestamp_seconds{way=\"remote_write\"}";
    assert!(!text.contains(last), "{text}");
    let said = service.said();
    let sentence = "does not speak remote write 2.0: use `--remote-write-version 1.0`; runs go on";
    assert_eq!(said.matches(sentence).count(), 1, "{said}");
    assert_eq!(service.stop().await, Some(0));
    drop(stage);
    // The same answer to 1.0 is that all was taken.
    let (_stage, service) = self::service(&two[..2]).await;
    eventually_counted(&service, "remote_write", "sent", 2.0).await;
    assert!(service.value("hopclock_exports_total remote_write failed").await < 1.0);
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn who_asks_for_patience_gets_it_and_what_is_not_sent_is_counted() {
    let other = OtherEnd::start(Mood::Busy(3600)).await;
    let (_stage, service) = service(&["--otlp-endpoint", &other.url("/base")]).await;
    eventually_counted(&service, "otlp_metrics", "dropped", 3.0).await;
    let came = other.came();
    assert_eq!(came.len(), 1, "it was asked to wait for an hour");
    assert_eq!(came[0].path, "/base/v1/metrics");
    // The last numbers are tried all the same.
    other.set(Mood::Takes);
    assert_eq!(service.stop().await, Some(0));
    assert!(other.came().len() > 1);
}

#[tokio::test]
async fn a_hanging_end_is_asked_one_thing_at_a_time_and_delays_no_end() {
    let other = OtherEnd::start(Mood::Hangs).await;
    let (_stage, service) = service(&["--remote-write-url", &other.url("/")]).await;
    let failed = eventually_counted(&service, "remote_write", "failed", 2.0).await;
    let tries = u32::try_from(other.came().len()).unwrap();
    assert!(f64::from(tries) <= 3.0 * (failed + 1.0), "{tries} requests, {failed} failures");
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn credentials_and_headers_are_sent_and_never_said() {
    let other = OtherEnd::start(Mood::Says(401)).await;
    let stage = Stage::new().await;
    stage.file("password", "me:pl4nted-S3cret\n");
    let mut call = stage.call(&["run", stage.scenario(SOURCE, HOPS)]);
    call.env("HOPCLOCK_REMOTE_WRITE_URL", other.url("/write?key=pl4nted-S3cret"))
        .env("HOPCLOCK_REMOTE_WRITE_AUTH", "basic:file:password")
        .env("HOPCLOCK_REMOTE_WRITE_HEADER", "X-Scope-OrgID=team,X-Key=env:KEY")
        .env("KEY", "pl4nted-S3cret")
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", other.url("/own"))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20pl4nted-S3cret");
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("answered 401"), "{}", told.err);
    assert!(!told.err.contains("pl4nted") && !told.out.contains("pl4nted"), "{told:?}");
    let came = other.came();
    let of = |path: &str| came.iter().find(|it| it.path == path).unwrap().headers.clone();
    let (write, own) = (of("/write"), of("/own"));
    assert_eq!(write["authorization"], "Basic bWU6cGw0bnRlZC1TM2NyZXQ=");
    assert_eq!(write["x-scope-orgid"], "team");
    assert_eq!(write["x-key"], "pl4nted-S3cret");
    assert_eq!(write["content-encoding"], "snappy");
    assert_eq!(own["authorization"], "Bearer pl4nted-S3cret");
    assert!(came.iter().all(|it| !it.body.is_empty()));
}

#[tokio::test]
async fn ways_that_cannot_be_used_are_bad_usage() {
    let stage = Stage::new().await;
    let scenario = stage.scenario(SOURCE, HOPS);
    stage.file("no.pem", "no certificate");
    let mut page = Page::default();
    for (title, more) in [
        ("no address", &["--remote-write-url", "prometheus:9090"][..]),
        ("a password in an address", &["--pushgateway-url", "http://me:pl4nted@h"]),
        ("no authority", &["--otlp-endpoint", "http://h", "--otlp-ca-file", "no.pem"]),
        ("no such authority", &["--otlp-endpoint", "http://h", "--otlp-ca-file", "none.pem"]),
        (
            "no such secret",
            &["--remote-write-url", "http://h", "--remote-write-auth", "bearer:env:NO_SUCH"],
        ),
        (
            "a label that nobody takes",
            &["--remote-write-url", "http://h", "--remote-write-label", "zone-a=b"],
        ),
        (
            "a header that is none",
            &["--otlp-endpoint", "http://h", "--otlp-header", "api-key pl4nted"],
        ),
        (
            "a header as HTTP writes it",
            &["--remote-write-url", "http://h", "--remote-write-header", "X-Key: Basic pl4nted=="],
        ),
        (
            "a header with a comma",
            &["--remote-write-url", "http://h", "--remote-write-header", "X-Key=abc,pl4nted"],
        ),
        (
            "a secret in the place of its place",
            &["--pushgateway-url", "http://h", "--pushgateway-auth", "bearer:pl4nted"],
        ),
        ("a name that is not read", &["--textfile", "out.txt"]),
    ] {
        let call = stage.call(&[&["run", scenario][..], more].concat());
        stage.refuse(&mut page, title, 2, call).await;
    }
    assert!(!page.text().contains("pl4nted"), "{}", page.text());
    check(|| assert_snapshot!("ways_that_cannot_be_used", page.text()));
}

#[tokio::test]
async fn credentials_that_an_other_end_tells_back_are_not_shown() {
    let other = OtherEnd::start(Mood::Echoes).await;
    let stage = Stage::new().await;
    let url = other.url("/write");
    let (gateway, otlp) = (other.url(""), other.url(""));
    let mut call = stage.call(&[
        "run",
        stage.scenario(SOURCE, HOPS),
        "--remote-write-url",
        &url,
        "--remote-write-auth",
        "bearer:env:TOKEN",
        "--pushgateway-url",
        &gateway,
        "--pushgateway-auth",
        "basic:env:PAIR",
        "--otlp-endpoint",
        &otlp,
        "--otlp-header",
        "x-key=pl4nted-key",
    ]);
    call.env("TOKEN", "pl4nted-token").env("PAIR", "somebody:pl4nted-word");
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for way in ["remote_write", "pushgateway", "otlp_metrics", "otlp_traces"] {
        let refused = told.err.lines().any(|it| it.contains(way) && it.contains("400 (`what is "));
        assert!(refused, "{way}: {}", told.err);
    }
    // The second is `somebody:pl4nted-word` as it is sent.
    for secret in ["pl4nted", "c29tZWJvZHk6"] {
        assert!(!told.err.contains(secret), "{}", told.err);
    }
}

#[tokio::test]
async fn a_variable_that_is_empty_says_nothing() {
    let other = OtherEnd::start(Mood::Takes).await;
    let stage = Stage::new().await;
    let mut call = stage.call(&["run", stage.scenario(SOURCE, HOPS)]);
    call.env("OTEL_EXPORTER_OTLP_ENDPOINT", other.url(""))
        .env("OTEL_RESOURCE_ATTRIBUTES", "team=a,");
    for name in [
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "HOPCLOCK_OTLP_AUTH",
        "HOPCLOCK_REMOTE_WRITE_URL",
        "HOPCLOCK_REMOTE_WRITE_HEADER",
        "HOPCLOCK_REMOTE_WRITE_LABEL",
    ] {
        call.env(name, "");
    }
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(other.came().iter().any(|it| it.path == "/v1/metrics"));
}

#[tokio::test]
async fn what_is_refused_holds_up_nothing_that_is_not() {
    let other = OtherEnd::start(Mood::Says(400)).await;
    let (_stage, service) = service(&["--remote-write-url", &other.url("/")]).await;
    let failed = eventually_counted(&service, "remote_write", "failed", 2.0).await;
    // Numbers and native histograms are requests of their own, once there are any.
    let tries = u32::try_from(other.came().len()).unwrap();
    assert!(f64::from(tries) > failed, "{tries} requests, {failed} failures");
    assert_eq!(service.stop().await, Some(0));
}
