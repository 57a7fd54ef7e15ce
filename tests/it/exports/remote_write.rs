//! A real Prometheus takes our remote write, in both versions, and is asked for it by `PromQL`.

use crate::cli::kit::{HOPS, SOURCE, Stage};
use crate::exports::kit::{assert_classic, assert_native, same, send};
use crate::metrics::{after_some_runs, before_any_run, make_runs};
use crate::prometheus_kit::{Prometheus, Setting, Version};
use hopclock::engine::Totals;
use hopclock::export::remote_write::{Protocol, Writing};
use hopclock::export::{Content, Metrics, Snapshot};
use hopclock::remote::post::{NotTaken, Receipt, Verb};
use jiff::{SignedDuration, Timestamp};

const CLASSIC: &[Content] = &[Content::Numbers, Content::Classic];
const NATIVE: &[Content] = &[Content::Native];

/// What is written, at an instant.
fn writing<'a>(
    protocol: Protocol,
    contents: &'a [Content],
    at: Timestamp,
    labels: &'a [(String, String)],
) -> Writing<'a> {
    Writing { protocol, contents, at, labels, exemplars_after: None }
}

fn labels() -> Vec<(String, String)> {
    [("job", "hopclock"), ("instance", "here")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

async fn post(
    prometheus: &Prometheus,
    protocol: Protocol,
    body: Vec<u8>,
) -> Result<Receipt, NotTaken> {
    let [kind, version] = protocol.headers();
    let headers = [kind, version, ("Content-Encoding", "snappy")];
    send(&prometheus.url("/api/v1/write"), Verb::Post, &headers, body).await
}

/// Writes what a snapshot says as if it were now some seconds ago.
async fn write(
    prometheus: &Prometheus,
    protocol: Protocol,
    contents: &[Content],
    snapshot: &Snapshot,
    seconds_ago: i64,
) {
    let at = Timestamp::now() - SignedDuration::from_secs(seconds_ago);
    let labels = labels();
    // 2.0 refuses exemplars that it has; these are long past.
    let exemplars_after = (seconds_ago < 20).then_some(at);
    let writing = Writing { exemplars_after, ..writing(protocol, contents, at, &labels) };
    let body = writing.body(snapshot).unwrap();
    let receipt = post(prometheus, protocol, body.bytes).await.unwrap();
    if protocol == Protocol::Two {
        let written =
            |sort: &str| receipt.number(&format!("x-prometheus-remote-write-{sort}-written"));
        assert_eq!(written("samples"), Some(body.samples));
        assert_eq!(written("histograms"), Some(body.histograms));
    }
}

async fn quantiles(version: Version, protocol: Protocol) {
    if !version.is_found() {
        return;
    }
    let mut prometheus = Setting::of(version).native().exemplars().receiving().start().await;
    let metrics = before_any_run();
    for contents in [CLASSIC, NATIVE] {
        write(&prometheus, protocol, contents, &metrics.snapshot(), 50).await;
    }
    make_runs(&metrics);
    for seconds_ago in [30, 10] {
        for contents in [CLASSIC, NATIVE] {
            write(&prometheus, protocol, contents, &metrics.snapshot(), seconds_ago).await;
        }
    }
    assert_classic(&mut prometheus).await;
    assert_native(&mut prometheus).await;
    let runs = r#"hopclock_runs_total{job="hopclock",instance="here",outcome="ok"}"#;
    // The counter began at zero, so nothing is added before; a little is, up to now.
    prometheus.eventually(&format!("increase({runs}[5m])"), |it| (8.0..13.0).contains(&it)).await;
    let native = r#"histogram_count(increase(hopclock_push_to_apply_seconds{outcome="ok"}[5m]))"#;
    prometheus.eventually(native, |it| (8.0..13.0).contains(&it)).await;
    // In remote write a bound is as it is in a scrape.
    let bound = r#"hopclock_push_to_apply_seconds_bucket{outcome="ok",le="60.0"}"#;
    prometheus.eventually(bound, |it| same(it, 7.0)).await;
    let run =
        prometheus.eventually_exemplar(r#"hopclock_push_to_apply_seconds_bucket{le="60.0"}"#).await;
    assert_eq!(run, "hopclock-1a1fbe67007");
}

#[tokio::test]
async fn prometheus_2_computes_from_remote_write_1_0() {
    quantiles(Version::Two, Protocol::One).await;
}

#[tokio::test]
async fn prometheus_3_computes_from_remote_write_1_0() {
    quantiles(Version::Three, Protocol::One).await;
}

#[tokio::test]
async fn prometheus_3_computes_from_remote_write_2_0() {
    quantiles(Version::Three, Protocol::Two).await;
}

#[tokio::test]
async fn a_prometheus_without_native_histograms_refuses_them_and_takes_the_rest() {
    if !Version::Two.is_found() {
        return;
    }
    let mut prometheus = Setting::of(Version::Two).receiving().start().await;
    let snapshot = after_some_runs().snapshot();
    write(&prometheus, Protocol::One, CLASSIC, &snapshot, 5).await;
    assert_classic(&mut prometheus).await;
    let body = writing(Protocol::One, NATIVE, Timestamp::now(), &[]).body(&snapshot).unwrap();
    let refused = post(&prometheus, Protocol::One, body.bytes).await.unwrap_err();
    assert!(refused.to_string().contains("native histogram"), "{refused}");
}

/// What a run says that sends in this version.
async fn said(prometheus: &Prometheus, version: &str) -> String {
    let stage = Stage::new().await;
    let (file, url) = (stage.scenario(SOURCE, HOPS), prometheus.url("/api/v1/write"));
    let ways = ["--remote-write-url", &url, "--remote-write-version", version];
    let told = stage.tell(&[&["run", file][..], &ways].concat()).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    told.err
}

#[tokio::test]
async fn what_knows_only_1_0_does_not_seem_to_take_2_0() {
    if !Version::Two.is_found() {
        return;
    }
    let mut prometheus = Setting::of(Version::Two).native().receiving().start().await;
    // It takes a message of 2.0 for an empty one of 1.0, and answers that all is well.
    let snapshot = after_some_runs().snapshot();
    let body = writing(Protocol::Two, CLASSIC, Timestamp::now(), &[]).body(&snapshot).unwrap();
    assert!(post(&prometheus, Protocol::Two, body.bytes).await.is_ok());
    let sentence = format!(
        "the last numbers were not sent: {} does not speak remote write 2.0: use \
         `--remote-write-version 1.0`",
        prometheus.url("")
    );
    let two = said(&prometheus, "2.0").await;
    assert!(two.contains(&sentence), "{two}");
    prometheus.eventually_nothing("hopclock_runs_total").await;
    let one = said(&prometheus, "1.0").await;
    assert!(!one.contains("remote_write"), "{one}");
    prometheus.eventually(r#"hopclock_runs_total{outcome="ok"}"#, |it| same(it, 1.0)).await;
}

/// A Prometheus of this version, when a scenario is forgotten.
async fn staleness(version: Version, protocol: Protocol) {
    if !version.is_found() {
        return;
    }
    let mut prometheus = Setting::of(version).native().receiving().start().await;
    let metrics = after_some_runs();
    for contents in [CLASSIC, NATIVE] {
        write(&prometheus, protocol, contents, &metrics.snapshot(), 20).await;
    }
    let queries = [
        r#"hopclock_runs_total{outcome="ok"}"#,
        r#"hopclock_push_to_apply_seconds_count{outcome="ok"}"#,
        r#"histogram_count(hopclock_push_to_apply_seconds{outcome="ok"})"#,
    ];
    for query in queries {
        prometheus.eventually(query, |it| same(it, 8.0)).await;
    }
    let before = metrics.snapshot();
    metrics.forget("fleet");
    let gone = before.gone(&metrics.snapshot()).unwrap();
    let labels = labels();
    let at = Timestamp::now() - SignedDuration::from_secs(5);
    for contents in [CLASSIC, NATIVE] {
        let body = writing(protocol, contents, at, &labels).end(&gone).unwrap();
        post(&prometheus, protocol, body.bytes).await.unwrap();
    }
    for query in queries {
        prometheus.eventually_nothing(query).await;
    }
    // What is of the process stays.
    prometheus.eventually("hopclock_build_info", |it| same(it, 1.0)).await;
}

#[tokio::test]
async fn series_of_a_scenario_that_is_gone_end_at_once() {
    staleness(Version::Two, Protocol::One).await;
    staleness(Version::Three, Protocol::Two).await;
}

/// A day of one run in an hour, written afterwards.
async fn day(version: Version) {
    if !version.is_found() {
        return;
    }
    let prometheus = Setting::of(version).native().receiving_old("2d").start().await;
    let metrics: Metrics = before_any_run();
    for hours_ago in (0..24).rev() {
        for contents in [CLASSIC, NATIVE] {
            write(&prometheus, Protocol::One, contents, &metrics.snapshot(), hours_ago * 3600 + 60)
                .await;
        }
        make_runs(&metrics);
    }
    let now = Timestamp::now().as_duration().as_secs_f64();
    let runs = r#"hopclock_runs_total{outcome="ok"}"#;
    let found = prometheus.range(runs, (now - 23.0 * 3600.0, now), 3600.0).await.unwrap();
    let counts: Vec<_> = found[0].values.iter().map(|it| it.1).collect();
    assert_eq!(counts.len(), 24, "{counts:?}");
    for (before, hours) in counts.iter().zip(0..) {
        assert!(same(*before, 8.0 * f64::from(hours)), "{counts:?}");
    }
    let early = prometheus.query(runs, Some(now - 20.0 * 3600.0)).await.unwrap();
    assert_eq!(early[0].labels["outcome"], "ok");
    assert!(same(early[0].values[0].1, 24.0), "{early:?}");
}

#[tokio::test]
async fn a_day_can_be_written_afterwards() {
    day(Version::Two).await;
    day(Version::Three).await;
}
