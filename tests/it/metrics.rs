//! The private port over real sockets: what scrapers get, and what bad clients do not.

use crate::web_kit::{Server, metrics_only};
use hopclock::export::{HopSeries, Metrics, Objective, ScenarioSeries, WatchRestarts};
use hopclock::model::{
    CanaryId, Clock, Event, HopRecord, Moment, Observer, Origin, Outcome, Passage, Push, Revision,
    RunRecord, SloVerdict, Span, Usage, Via, Webhook,
};
use hopclock::web;
use std::sync::Arc;
use std::time::Duration;

/// A clock that nobody moves.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(100))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_700_000_000).unwrap()
    }
}

/// Lengths in seconds that every server here has counted as delivered.
pub(crate) const DELIVERED: [f64; 8] = [2.2, 3.4, 3.6, 4.8, 7.5, 8.0, 44.0, 95.0];

/// Metrics of one scenario after a few runs.
pub(crate) fn after_some_runs() -> Metrics {
    let metrics = before_any_run();
    make_runs(&metrics);
    metrics
}

/// Metrics of one scenario that has not run.
pub(crate) fn before_any_run() -> Metrics {
    let restarts = || {
        let (target_cluster, kind) = ("prod".to_owned(), "GitRepository".to_owned());
        vec![WatchRestarts { target_cluster, kind, reason: "expired".to_owned(), count: 1 }]
    };
    let metrics = Metrics::new(Arc::new(Still), "1.2.3", Box::new(restarts));
    let kinds = ["webhook_received", "source_fetched", "applied", "live"];
    let hop = |kind: &str| HopSeries {
        hop: kind.to_owned(),
        target_cluster: "prod".to_owned(),
        kind: kind.to_owned(),
        optional: false,
    };
    metrics.declare(&ScenarioSeries {
        scenario: "fleet".to_owned(),
        hops: kinds.map(hop).to_vec(),
        slos: vec![Objective {
            slo: "total".to_owned(),
            within: Duration::from_secs(120),
            share: Some(0.99),
        }],
        clusters: vec!["prod".to_owned()],
        open: false,
        deadline: Duration::from_secs(540),
        schedule: None,
    });
    metrics
}

/// Counts a few runs.
pub(crate) fn make_runs(metrics: &Metrics) {
    for (number, length) in (1..).zip(DELIVERED) {
        metrics.observe(&Event::Scheduled {
            scenario: "fleet".to_owned(),
            due: jiff::Timestamp::UNIX_EPOCH,
            origin: Origin::Schedule,
            fingerprint: String::new(),
        });
        let (scenario, slo, verdict) = ("fleet".to_owned(), "total".to_owned(), SloVerdict::Good);
        metrics.observe(&Event::Decided { scenario, slo, verdict });
        metrics.observe(&Event::Finished(Box::new(run(number, length))));
    }
}

pub(crate) fn run(number: u64, length: f64) -> RunRecord {
    let part = |it: f64| Span::exactly(Duration::from_secs_f64(length * it));
    let reached = |at: f64, stage: f64, via, webhook| Passage::Reached {
        at: part(at),
        stage: Some(part(stage)),
        wait: (via == Some(Via::Upstream)).then(|| part(0.125)),
        early: false,
        reordered: false,
        uncertain: false,
        via,
        webhook,
        carried_by: None,
    };
    let passages = [
        ("webhook_received", reached(0.125, 0.125, None, Some(Webhook::Ours))),
        ("source_fetched", reached(0.25, 0.125, Some(Via::Webhook), None)),
        ("applied", reached(0.5, 0.25, Some(Via::Upstream), None)),
        ("live", reached(1.0, 0.5, None, None)),
    ];
    let hops = passages.map(|(name, passage)| HopRecord {
        hop: name.to_owned(),
        subject: String::new(),
        target_cluster: "prod".to_owned(),
        passage,
        reverted: false,
        unready: false,
        sights: Vec::new(),
    });
    RunRecord {
        scenario: "fleet".to_owned(),
        canary: CanaryId::new("hopclock", 0x1a1_fbe6_7000 + number),
        started: jiff::Timestamp::UNIX_EPOCH,
        push: Some(Push {
            revisions: vec![Revision::Commit("c".repeat(40))],
            took: Span::exactly(Duration::from_millis(300)),
            attempts: 1,
        }),
        hops: hops.to_vec(),
        outcome: Outcome::Ok,
        push_to_apply: Some(part(1.0)),
        tolerance: Duration::from_secs(1),
        failing_since: None,
        slo: vec![],
        usage: Usage { requests: 9, throttled: 1 },
        trace_id: None,
    }
}

async fn server() -> Server {
    Server::start(metrics_only(after_some_runs()), web::Limits::default()).await
}

#[tokio::test]
async fn a_whole_scrape_in_openmetrics() {
    let answer = server().await.ask("GET /metrics HTTP/1.1", "").await;
    assert!(answer.head.starts_with("HTTP/1.1 200 OK"), "{}", answer.head);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    insta::assert_snapshot!("openmetrics", answer.text());
}

#[tokio::test]
async fn a_browser_gets_plain_text_without_exemplars() {
    let answer =
        server().await.ask("GET /metrics HTTP/1.1", "Accept: text/html,*/*;q=0.8\r\n").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(!answer.text().contains("# EOF") && !answer.text().contains("canary="));
    assert!(answer.text().contains("# TYPE hopclock_runs_total counter\n"));
}

#[tokio::test]
async fn protobuf_is_sent_to_those_who_ask_even_in_two_headers() {
    let headers = "Accept: text/plain;q=0.5\r\nAccept: application/vnd.google.protobuf;\
                   proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    let answer = server().await.ask("GET /metrics HTTP/1.1", headers).await;
    assert!(answer.head.contains("proto=io.prometheus.client.MetricFamily; encoding=delimited"));
    let family = b"hopclock_push_to_apply_seconds";
    assert!(answer.body.windows(family.len()).any(|it| it == family));
}

#[tokio::test]
async fn head_has_the_same_headers_and_no_body() {
    let server = server().await;
    let get = server.ask("GET /metrics HTTP/1.1", "").await;
    let head = server.ask("HEAD /metrics HTTP/1.1", "").await;
    assert!(head.head.starts_with("HTTP/1.1 200 OK"), "{}", head.head);
    assert!(head.head.contains(&format!("content-length: {}", get.body.len())), "{}", head.head);
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn the_process_says_that_it_lives() {
    let answer = server().await.ask("GET /healthz HTTP/1.1", "").await;
    assert!(answer.head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(answer.text(), "ok\n");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_a_sentence() {
    let server = server().await;
    let missing = server.ask("GET /metric?token=x HTTP/1.1", "").await;
    assert!(missing.head.starts_with("HTTP/1.1 404"), "{}", missing.head);
    assert_eq!(
        missing.text(),
        "There is no page /metric here. There are /metrics, /healthz and /readyz.\n"
    );
    let posted = server.ask("POST /metrics HTTP/1.1", "Content-Length: 0\r\n").await;
    assert!(posted.head.starts_with("HTTP/1.1 405"), "{}", posted.head);
    assert!(posted.head.contains("allow: GET,HEAD"), "{}", posted.head);
    let sentence = "The page /metrics can only be read: POST is not allowed, GET is.\n";
    assert_eq!(posted.text(), sentence);
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_sentence() {
    let server = server().await;
    let error = web::listen(server.address).await.unwrap_err().to_string();
    let port = server.address.port();
    assert_eq!(
        error,
        format!(
            "cannot listen on `127.0.0.1:{port}`: the port is in use by another program; \
             stop that one or choose another port"
        )
    );
    let error = web::listen("192.0.2.1:0".parse().unwrap()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot listen on `192.0.2.1:0`: choose an address of this machine, such as `0.0.0.0`"
    );
}
