//! Runs as traces: what a collector gets of a real run, in whose trace, and where else that is named.

#![allow(clippy::cast_precision_loss, reason = "microseconds are enough")]

use crate::cli::kit::{HOPS, SOURCE, Stage, told};
use crate::cli::serve_kit::{QUIET, Scene, canary, record, silent, write};
use crate::exports::kit::{Came, Mood, OtherEnd};
use crate::prometheus_kit::{Setting, Version};
use hopclock::model::{Passage, RunRecord};
use hopclock_sandbox::store::Key;
use prost::Message;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

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
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
}

/// The spans of the traces that came.
fn spans(came: &[Came]) -> Vec<Vec<Span>> {
    let traces = came.iter().filter(|it| it.path.ends_with("/v1/traces"));
    let of = |it: &Came| {
        let request = Request::decode(it.body.clone()).unwrap();
        request.resources.into_iter().flat_map(|it| it.scopes).flat_map(|it| it.spans).collect()
    };
    traces.map(of).collect()
}

/// The beginning of a text's SHA-256, as another program computes it.
pub(crate) fn sha256(text: &str) -> String {
    let mut sum =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = sum.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..32].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, it| {
        write!(text, "{it:02x}").unwrap();
        text
    })
}

/// An Alert of the lane with a Provider of this type, and its uid.
pub(crate) fn alert(stage: &Stage, name: &str, provider: &str, sources: &Value) -> String {
    let object = |kind: &str, spec: Value| {
        json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": kind,
            "metadata": {"namespace": "flux-system", "name": name}, "spec": spec})
    };
    // Nobody listens there, and nobody has to.
    let address = "http://127.0.0.1:9/v1/traces";
    stage.create(object("Provider", json!({"type": provider, "address": address})));
    let spec = json!({"providerRef": {"name": name}, "eventSources": sources});
    stage.create(object("Alert", spec));
    text(stage, "Alert", name, "/metadata/uid")
}

fn text(stage: &Stage, kind: &str, name: &str, field: &str) -> String {
    let key = Key::new(kind, "flux-system", name);
    let object = stage.sandbox.store().get(&key).unwrap();
    object.pointer(field).and_then(Value::as_str).unwrap().to_owned()
}

/// The spans say what the record says, in instants.
fn assert_same(record: &RunRecord, spans: &[Span]) {
    let (run, push) = (&spans[0], &spans[1]);
    assert_eq!((run.name.as_str(), push.name.as_str()), ("canary", "push"));
    assert!(run.parent.is_empty());
    let seconds = |it: u64| it as f64 / 1e9;
    let near = |one: f64, other: f64| (one - other).abs() < 1e-5;
    let zero = push.end;
    let took = record.push.as_ref().unwrap().took.most.as_secs_f64();
    assert!(near(seconds(zero - push.start), took), "{push:?}");
    assert_eq!(push.start, run.start);
    let reached = record.hops.iter().filter_map(|it| match &it.passage {
        Passage::Reached { at, stage, .. } => Some((it, at.most, stage.unwrap().most)),
        _ => None,
    });
    let reached: Vec<_> = reached.collect();
    assert_eq!(spans.len(), reached.len() + 2, "{spans:?}");
    for (span, (hop, at, stage)) in spans[2..].iter().zip(reached) {
        assert_eq!((&span.name, &span.parent), (&hop.hop, &run.id));
        assert!(run.start <= span.start && span.start <= span.end && span.end <= run.end);
        assert!(near(seconds(span.end - zero), at.as_secs_f64()), "{span:?} {hop:?}");
        assert!(near(seconds(span.end - span.start), stage.as_secs_f64()), "{span:?} {hop:?}");
    }
}

#[tokio::test]
async fn a_run_is_told_in_the_trace_in_which_flux_tells_of_it() {
    let other = OtherEnd::start(Mood::Takes).await;
    let stage = Stage::new().await;
    let sources = json!([{"kind": "GitRepository", "name": "canary"}]);
    // A chat, and an Alert that hears of something else, tell of no traces of this path.
    alert(&stage, "a-chat", "generic", &sources);
    alert(&stage, "b-other", "otel", &json!([{"kind": "GitRepository", "name": "elsewhere"}]));
    let uid = alert(&stage, "c-traces", "otel", &sources);
    alert(&stage, "d-late", "otel", &json!([{"kind": "Kustomization", "name": "*"}]));
    let endpoint = other.url("/v1/traces");
    let file = stage.scenario(SOURCE, HOPS);
    let arguments = ["run", file, "--output", "json", "--otlp-traces-endpoint", &endpoint];
    let told = stage.tell(&arguments).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = record(&told);
    let revision = text(&stage, "GitRepository", "canary", "/status/artifact/revision");
    assert!(revision.starts_with("main@sha1:"), "{revision}");
    let expected = sha256(&format!("{uid}:{revision}"));
    assert_eq!(record.trace_id.unwrap().to_string(), expected);
    let twice = "Alert flux-system/c-traces and Alert flux-system/d-late both tell";
    assert_eq!(told.err.matches(twice).count(), 1, "{}", told.err);
    let came = other.came();
    assert!(came.iter().all(|it| it.path == "/v1/traces"), "metrics have no address");
    let [spans] = spans(&came).try_into().unwrap();
    assert!(spans.iter().all(|it| hex(&it.trace) == expected));
    assert_same(&record, &spans);
}

#[tokio::test]
async fn an_alert_that_passes_on_nothing_of_a_canary_does_not_tell_of_it() {
    let other = OtherEnd::start(Mood::Takes).await;
    let stage = Stage::new().await;
    let sources = |kind: &str| json!([{"kind": kind, "name": "canary"}]);
    let spec = |spec: Value| json!({ "spec": spec });
    for (name, kind, lists) in [
        ("a", "GitRepository", json!({"exclusionList": ["'canary [a-z]+-"]})),
        ("b", "GitRepository", json!({"inclusionList": ["^GitHub"], "exclusionList": []})),
        ("c", "Kustomization", json!({"exclusionList": ["^Nothing", "finished in .*, next run"]})),
    ] {
        alert(&stage, name, "otel", &sources(kind));
        stage.change("Alert", name, &spec(lists));
    }
    let uid = alert(&stage, "d", "otel", &sources("GitRepository"));
    let lists = json!({"inclusionList": ["[", "^stored artifact"], "exclusionList": ["(", "^x"]});
    stage.change("Alert", "d", &spec(lists));
    let (file, endpoint) = (stage.scenario(SOURCE, HOPS), other.url(""));
    let told = stage.tell(&["run", file, "--output", "json", "--otlp-endpoint", &endpoint]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!told.err.contains("both tell"), "{}", told.err);
    let revision = text(&stage, "GitRepository", "canary", "/status/artifact/revision");
    let trace = record(&told).trace_id.unwrap().to_string();
    assert_eq!(trace, sha256(&format!("{uid}:{revision}")));
}

#[tokio::test]
async fn what_a_kustomization_has_made_is_told_in_the_trace_of_that_ones_revision() {
    let other = OtherEnd::start(Mood::Takes).await;
    let stage = Stage::new().await;
    let sources = json!([{"kind": "GitRepository", "name": "*"}]);
    let uid = alert(&stage, "traces", "otel", &sources);
    let labels = json!({"metadata": {"labels": {
        "kustomize.toolkit.fluxcd.io/name": "canary",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }}});
    stage.change("GitRepository", "canary", &labels);
    // Kustomizations that are made by themselves are usual.
    stage.change("Kustomization", "canary", &labels);
    let endpoint = other.url("");
    let file = stage.scenario(SOURCE, HOPS);
    let told = stage.tell(&["run", file, "--output", "json", "--otlp-endpoint", &endpoint]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = record(&told);
    let revision = text(&stage, "Kustomization", "canary", "/status/lastAppliedRevision");
    let expected = sha256(&format!("{uid}:{revision}"));
    assert_eq!(record.trace_id.unwrap().to_string(), expected);
    assert_eq!(spans(&other.came()).len(), 1);
}

#[tokio::test]
async fn without_an_alert_history_exemplars_and_spans_name_one_trace_of_our_own() {
    let other = OtherEnd::start(Mood::Takes).await;
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let endpoint = other.url("/v1/traces");
    let flags = ["--state", "file:state.sqlite", "--otlp-traces-endpoint", &endpoint];
    let scene = Scene::on(stage, &flags).await;
    let run = scene.ask_and(async || scene.fetch()).await;
    let id = run.trace_id.unwrap().to_string();
    assert_eq!(id, sha256(&format!("hopclock:canary:{}", run.canary)));
    let page = scene.service.get("/metrics").await;
    let line = page.lines().find(|it| it.contains(&format!("trace_id=\"{id}\"")));
    let line = line.unwrap_or_else(|| panic!("{page}"));
    assert!(line.starts_with("hopclock_push_to_apply_seconds_bucket{"), "{line}");
    let sent = "hopclock_exports_total{way=\"otlp_traces\",result=\"sent\"} 1";
    scene.service.eventually("/metrics", sent).await;
    let [spans] = spans(&other.came()).try_into().unwrap();
    assert!(spans.iter().all(|it| hex(&it.trace) == id));
    assert!(line.contains(&format!("span_id=\"{}\"", hex(&spans[0].id))), "{line}");
    assert_same(&run, &spans);
    if Version::Two.is_found() {
        let address = scene.service.address.parse().unwrap();
        let scraping = Setting::of(Version::Two).scraping(address).exemplars();
        let mut prometheus = scraping.start().await;
        let series = "hopclock_push_to_apply_seconds_bucket";
        assert_eq!(prometheus.eventually_exemplar_label(series, "trace_id").await, id);
    }
    let name = run.canary.to_string();
    assert_eq!(scene.service.stop().await, Some(0));
    let history = async |more: &[&str]| {
        let call = [&["history", &name, "--db", "state.sqlite"], more].concat();
        scene.stage.tell(&call).await.out
    };
    let json: Value = serde_json::from_str(&history(&["--output", "json"]).await).unwrap();
    assert!(json.to_string().contains(&format!("\"trace_id\":\"{id}\"")), "{json:#}");
    let text = history(&[]).await;
    assert!(text.contains(&format!("told as trace {id}")), "{text}");
}

#[tokio::test]
async fn runs_are_not_told_as_traces_where_that_is_switched_off() {
    let other = OtherEnd::start(Mood::Takes).await;
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    let mut call = stage.call(&["run", file, "--output", "json"]);
    call.env("OTEL_EXPORTER_OTLP_ENDPOINT", other.url(""))
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_METRICS_EXPORTER", "");
    let run = record(&told(call).await);
    assert_eq!(run.trace_id, None);
    let mut call = stage.call(&["run", file, "--output", "json"]);
    call.env("OTEL_EXPORTER_OTLP_ENDPOINT", other.url("/other"))
        .env("OTEL_METRICS_EXPORTER", "none");
    assert!(record(&told(call).await).trace_id.is_some());
    let paths: std::collections::BTreeSet<_> = other.came().into_iter().map(|it| it.path).collect();
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["/other/v1/traces", "/v1/metrics"]);
    let mut call = stage.call(&["run", file]);
    call.env("OTEL_TRACES_EXPORTER", "console");
    let told = told(call).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.err.contains("use `otlp` or `none`"), "{}", told.err);
}

#[tokio::test]
async fn runs_go_on_whatever_becomes_of_their_traces() {
    for (mood, said) in [
        (Mood::Hangs, "otlp_traces: 1 run was not sent"),
        (Mood::Says(404), "or give `--otlp-traces none`"),
        (Mood::Says(503), "otlp_traces: "),
    ] {
        let other = OtherEnd::start(mood).await;
        let stage = Stage::new().await;
        let endpoint = other.url("/v1/traces");
        let file = stage.scenario(SOURCE, HOPS);
        let told = stage
            .tell(&["run", file, "--otlp-traces-endpoint", &endpoint, "--export-flush", "1s"])
            .await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.err.contains(said), "{mood:?}: {}", told.err);
        assert!(told.out.starts_with("canary  ok  "), "{}", told.out);
    }
}
