//! Bodies of traces are decoded again: whose spans they are, when, and what they say.

#![allow(clippy::float_cmp, reason = "these seconds are exact")]

use super::{ERROR, Traced, Tracing, UNSET};
use crate::export::otlp::message::{AnyValue, KeyValue};
use crate::export::otlp::span::{Span, TraceRequest};
use crate::export::tests::secs;
use crate::model::{
    self, CanaryId, HopRecord, Outcome, Passage, ProbeError, Push, Revision, RunRecord, TraceId,
    Usage, Via, Webhook,
};
use jiff::Timestamp;
use prost::Message;

const ZERO: i64 = 1_700_000_000;

fn exactly(it: f64) -> model::Span {
    model::Span::exactly(secs(it))
}

fn reached(at: model::Span, stage: Option<model::Span>, wait: Option<f64>) -> Passage {
    Passage::Reached {
        at,
        stage,
        wait: wait.map(exactly),
        early: false,
        reordered: stage.is_none(),
        uncertain: !at.is_exact(),
        via: Some(Via::Interval),
        webhook: wait.is_none().then_some(Webhook::Ours),
        carried_by: None,
    }
}

fn hop(name: &str, cluster: &str, passage: Passage) -> HopRecord {
    HopRecord {
        hop: name.to_owned(),
        subject: format!("Thing lab/{name}"),
        target_cluster: cluster.to_owned(),
        passage,
        reverted: false,
        unready: false,
        sights: Vec::new(),
    }
}

fn record(outcome: Outcome) -> RunRecord {
    let between = model::Span { least: secs(4.0), most: secs(5.0) };
    let stage = model::Span { least: secs(2.0), most: secs(3.0) };
    RunRecord {
        scenario: "fleet".to_owned(),
        canary: CanaryId::new("hopclock", 0x1a1_fbe6_7da8),
        started: Timestamp::from_second(ZERO - 3).unwrap(),
        push: Some(Push {
            revisions: vec![Revision::Tag("v1".to_owned()), Revision::Commit("c".repeat(40))],
            took: exactly(0.5),
            attempts: 2,
        }),
        hops: vec![
            hop("webhook", "", Passage::Bypassed),
            hop("fetched", "", reached(exactly(2.0), Some(exactly(2.0)), Some(1.5))),
            hop("applied", "prod", reached(between, Some(stage), None)),
            hop("late", "", reached(exactly(1.0), None, None)),
            hop("live", "", Passage::Unreached),
        ],
        outcome,
        push_to_apply: Some(exactly(9.0)),
        tolerance: secs(1.0),
        failing_since: None,
        slo: Vec::new(),
        usage: Usage::default(),
        trace_id: None,
    }
}

/// The spans of a run whose zero is known.
fn spans(record: &RunRecord, zero: Option<i64>) -> Vec<Span> {
    let at = |it| Timestamp::from_second(it).unwrap();
    let trace = TraceId::of_hash([7; 32]);
    let run = Traced { record, trace, zero: zero.map(at), ended: at(ZERO + 20) };
    let resource = [("service.name".to_owned(), "hopclock".to_owned())];
    let body = Tracing { resource: &resource, version: "1.2.3" }.write(run);
    let mut request = TraceRequest::decode(body.as_slice()).unwrap();
    let mut of = request.resource_spans.remove(0);
    assert_eq!(text(&of.resource.unwrap().attributes, "service.name"), "hopclock");
    let scope = of.scope_spans.remove(0);
    assert_eq!(scope.scope.unwrap().version, "1.2.3");
    assert!(scope.spans.iter().all(|it| it.trace == [7; 16]));
    scope.spans
}

fn value(of: &[KeyValue], name: &str) -> Option<AnyValue> {
    of.iter().find(|it| it.key == name)?.value.clone()
}

fn text(of: &[KeyValue], name: &str) -> String {
    value(of, name).and_then(|it| it.text).unwrap_or_default()
}

fn number(of: &[KeyValue], name: &str) -> Option<f64> {
    value(of, name)?.number
}

/// Start and end in seconds since zero.
fn times(span: &Span) -> (f64, f64) {
    let since = |it: u64| {
        let nanos = i128::from(it) - i128::from(ZERO) * 1_000_000_000;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let seconds = nanos as f64 / 1e9;
        seconds
    };
    (since(span.start_time_unix_nano), since(span.end_time_unix_nano))
}

#[test]
fn a_run_is_a_span_with_one_for_its_push_and_one_for_each_stage() {
    let all = spans(&record(Outcome::Slow), Some(ZERO));
    let names: Vec<_> = all.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["fleet", "push", "fetched", "applied", "late"]);
    let run = &all[0];
    assert_eq!(run.parent, [0_u8; 0]);
    assert!(all[1..].iter().all(|it| it.parent == run.id));
    let ids: std::collections::BTreeSet<_> = all.iter().map(|it| it.id.clone()).collect();
    assert_eq!(ids.len(), all.len());
    let when: Vec<_> = all.iter().map(times).collect();
    assert_eq!(when, [(-0.5, 9.0), (-0.5, 0.0), (0.0, 2.0), (2.0, 5.0), (1.0, 1.0)]);
    let own = &run.attributes;
    assert_eq!(text(own, "cicd.pipeline.name"), "fleet");
    assert_eq!(text(own, "cicd.pipeline.run.id"), "hopclock-1a1fbe67da8");
    assert_eq!(text(own, "cicd.pipeline.result"), "success");
    assert_eq!(text(own, "hopclock.outcome"), "slow");
    assert_eq!(text(own, "vcs.ref.head.revision"), "c".repeat(40));
    assert_eq!(text(own, "hopclock.zero"), "acknowledgement");
    let status = run.status.clone().unwrap();
    assert_eq!(
        (status.code, status.message.as_str()),
        (ERROR, "delivered, but an objective was missed")
    );
    let unseen: Vec<_> = run
        .events
        .iter()
        .map(|it| (it.name.as_str(), text(&it.attributes, "hopclock.hop")))
        .collect();
    let expected =
        [("hopclock.bypassed", "webhook".to_owned()), ("hopclock.unreached", "live".to_owned())];
    assert_eq!(unseen, expected);
    assert_eq!(value(&all[1].attributes, "hopclock.attempts").unwrap().whole, Some(2));
}

#[test]
fn a_stage_says_its_wait_who_woke_it_and_how_certain_it_is() {
    let all = spans(&record(Outcome::Ok), Some(ZERO));
    let (fetched, applied, late) = (&all[2], &all[3], &all[4]);
    assert_eq!(number(&fetched.attributes, "hopclock.wait"), Some(1.5));
    assert_eq!(text(&fetched.attributes, "hopclock.via"), "interval");
    assert_eq!(text(&fetched.attributes, "hopclock.subject"), "Thing lab/fetched");
    let begun = &fetched.events[0];
    assert_eq!(begun.name, "hopclock.work_begins");
    assert_eq!(begun.time_unix_nano - fetched.start_time_unix_nano, 1_500_000_000);
    assert_eq!(value(&fetched.attributes, "hopclock.uncertain"), None);
    assert_eq!(value(&applied.attributes, "hopclock.uncertain").unwrap().flag, Some(true));
    assert_eq!(number(&applied.attributes, "hopclock.at.least"), Some(4.0));
    assert_eq!(number(&applied.attributes, "hopclock.took.least"), Some(2.0));
    assert_eq!(number(&applied.attributes, "hopclock.took.most"), Some(3.0));
    assert_eq!(text(&applied.attributes, "hopclock.target_cluster"), "prod");
    assert_eq!(text(&applied.attributes, "hopclock.webhook"), "ours");
    assert_eq!(value(&late.attributes, "hopclock.reordered").unwrap().flag, Some(true));
    assert_eq!(all[0].status.clone().unwrap().code, UNSET);
}

#[test]
fn a_zero_that_nobody_knows_is_said_and_a_run_without_a_push_has_one_span() {
    let all = spans(&record(Outcome::Timeout), None);
    assert_eq!(text(&all[0].attributes, "hopclock.zero"), "start");
    // It started three seconds before the zero of the others, and pushed for half of one.
    assert_eq!((times(&all[0]), times(&all[2])), ((-3.0, 6.5), (-2.5, -0.5)));
    assert_eq!(text(&all[0].attributes, "error.type"), "timeout");
    let error = ProbeError { reason: "forbidden".to_owned(), message: "not ours".to_owned() };
    let hops = vec![hop("live", "", Passage::Unreached)];
    let failed = Outcome::ProbeError(error);
    let refused = RunRecord { push: None, hops, push_to_apply: None, ..record(failed) };
    let all = spans(&refused, None);
    assert_eq!((all.len(), times(&all[0])), (1, (-3.0, 20.0)));
    let status = all[0].status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (ERROR, "could not measure: not ours"));
    assert_eq!(text(&all[0].attributes, "cicd.pipeline.result"), "error");
}
