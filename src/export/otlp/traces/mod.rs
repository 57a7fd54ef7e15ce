//! A finished run as a trace: a span for all of it, one for the push, one for each stage.
//!
//! A record holds lengths since zero, and spans need instants, so whoever was there at zero says when
//! it was. What is known only between bounds ends at its later one and says so, with both. Names of
//! attributes are those of OpenTelemetry's conventions for pipelines where they fit.

#[cfg(test)]
mod tests;

use crate::export::otlp::SCOPE;
use crate::export::otlp::message::{KeyValue, Resource, Scope};
use crate::export::otlp::points::nanos;
use crate::export::otlp::span::{ResourceSpans, ScopeSpans, Span, SpanEvent, Status, TraceRequest};
use crate::model::{self, HopRecord, Outcome, Passage, Push, Revision, RunRecord, TraceId};
use jiff::Timestamp;
use prost::Message;
use std::time::Duration;

/// How runs are written as traces.
#[derive(Clone, Copy, Debug)]
pub struct Tracing<'a> {
    /// Attributes of the resource, such as `service.name`.
    pub resource: &'a [(String, String)],
    /// Version of hopclock.
    pub version: &'a str,
}

/// A run that has ended, and what its record does not say of it.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'a> {
    /// What was measured.
    pub record: &'a RunRecord,
    /// The trace that it is told in.
    pub trace: TraceId,
    /// When zero was; none if nobody was there who is still here. It is taken for the start of the
    /// run then, and that is said.
    pub zero: Option<Timestamp>,
    /// When the run had ended.
    pub ended: Timestamp,
}

/// `SpanKind` and `StatusCode` of OTLP.
const INTERNAL: i32 = 1;
const UNSET: i32 = 0;
const ERROR: i32 = 2;

/// What is written of every run, and the instants that all its spans are measured from.
struct Page<'a> {
    run: Traced<'a>,
    zero: Timestamp,
    start: Timestamp,
    end: Timestamp,
}

// === impl Tracing ===

impl Tracing<'_> {
    /// The body that tells of a run.
    #[must_use]
    pub fn write(&self, run: Traced<'_>) -> Vec<u8> {
        let scope = Scope { name: SCOPE.to_owned(), version: self.version.to_owned() };
        let attributes = self.resource.iter().map(|it| KeyValue::text(&it.0, &it.1)).collect();
        let spans = ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans: Page::of(run).spans() }],
        };
        TraceRequest { resource_spans: vec![spans] }.encode_to_vec()
    }
}

// === impl Page ===

impl<'a> Page<'a> {
    fn of(run: Traced<'a>) -> Self {
        let record = run.record;
        let Some(push) = &record.push else {
            let (start, end) = (record.started, run.ended.max(record.started));
            return Self { run, zero: start, start, end };
        };
        let zero = run.zero.unwrap_or_else(|| after(record.started, push.took.most));
        let start = before(zero, push.took.most);
        let reached = record.hops.iter().filter_map(|it| it.passage.at());
        let known = reached.chain(record.push_to_apply);
        let known = known.chain(record.failing_since.as_ref().map(|it| it.at));
        let last = known.map(|it| it.most).max().unwrap_or_default();
        Self { run, zero, start, end: after(zero, last) }
    }

    fn spans(&self) -> Vec<Span> {
        let push = self.run.record.push.iter().map(|it| self.push(it));
        let hops = self.run.record.hops.iter().filter_map(|it| self.hop(it));
        std::iter::once(self.whole()).chain(push).chain(hops).collect()
    }

    fn whole(&self) -> Span {
        let record = self.run.record;
        let outcome = record.outcome.as_str();
        let mut attributes = vec![
            KeyValue::text("hopclock.scenario", &record.scenario),
            KeyValue::text("hopclock.canary", &record.canary.to_string()),
            KeyValue::text("hopclock.outcome", outcome),
            KeyValue::text("cicd.pipeline.name", &record.scenario),
            KeyValue::text("cicd.pipeline.run.id", &record.canary.to_string()),
            KeyValue::text("cicd.pipeline.result", result(&record.outcome)),
        ];
        if let Some(push) = &record.push {
            let commit = push.revisions.iter().find(|it| matches!(it, Revision::Commit(_)));
            attributes.extend(commit.map(|it| KeyValue::text("vcs.ref.head.revision", it.id())));
            let zero = if self.run.zero.is_some() { "acknowledgement" } else { "start" };
            attributes.push(KeyValue::text("hopclock.zero", zero));
        }
        if let Some(reason) = reason(&record.outcome) {
            attributes.push(KeyValue::text("error.type", reason));
        }
        if let Some(span) = record.push_to_apply {
            attributes.extend(length("hopclock.push_to_apply", span));
        }
        let failing = record.failing_since.iter().map(|it| SpanEvent {
            time_unix_nano: nanos(after(self.zero, it.at.most)),
            name: "hopclock.failing".to_owned(),
            attributes: vec![
                KeyValue::text("hopclock.reason", &it.reason),
                KeyValue::text("hopclock.subject", &it.subject),
            ],
        });
        let unseen = record.hops.iter().filter_map(|it| self.unseen(it));
        Span {
            parent: Vec::new(),
            start_time_unix_nano: nanos(self.start),
            end_time_unix_nano: nanos(self.end),
            attributes,
            events: failing.chain(unseen).collect(),
            status: Some(status(&record.outcome)),
            ..self.part("", &record.scenario)
        }
    }

    fn push(&self, push: &Push) -> Span {
        let mut attributes = vec![
            KeyValue::text("hopclock.scenario", &self.run.record.scenario),
            KeyValue::text("cicd.pipeline.task.name", "push"),
            KeyValue::count("hopclock.attempts", push.attempts),
        ];
        attributes.extend(bounds(push.took));
        Span {
            start_time_unix_nano: nanos(self.start),
            end_time_unix_nano: nanos(self.zero),
            attributes,
            ..self.part("push", "push")
        }
    }

    /// The stage that ends with a hop; none if it was not reached.
    fn hop(&self, hop: &HopRecord) -> Option<Span> {
        let Passage::Reached { at, stage, wait, early, reordered, uncertain, via, webhook, .. } =
            &hop.passage
        else {
            return None;
        };
        let end = after(self.zero, at.most);
        let took = stage.unwrap_or(model::Span::ZERO);
        // It may have begun before its bounds, but not before the push.
        let start = before(end, took.most).max(self.start);
        let mut attributes = of_hop(hop);
        let scenario = &self.run.record.scenario;
        attributes.push(KeyValue::text("hopclock.scenario", scenario));
        attributes.push(KeyValue::text("cicd.pipeline.task.name", &hop.hop));
        attributes.extend(via.map(|it| KeyValue::text("hopclock.via", it.as_str())));
        attributes.extend(webhook.map(|it| KeyValue::text("hopclock.webhook", it.as_str())));
        attributes.extend(wait.iter().flat_map(|it| length("hopclock.wait", *it)));
        let flags = [
            ("hopclock.early", *early),
            ("hopclock.reordered", *reordered),
            ("hopclock.reverted", hop.reverted),
        ];
        attributes.extend(flags.iter().filter(|it| it.1).map(|it| KeyValue::flag(it.0, true)));
        if *uncertain {
            attributes.push(KeyValue::flag("hopclock.uncertain", true));
            attributes.extend(length("hopclock.at", *at));
            attributes.extend(bounds(took));
        }
        let begun = wait.map(|it| SpanEvent {
            time_unix_nano: nanos(after(start, it.most).min(end)),
            name: "hopclock.work_begins".to_owned(),
            attributes: Vec::new(),
        });
        let name = format!("hop/{}/{}", hop.target_cluster, hop.hop);
        Some(Span {
            start_time_unix_nano: nanos(start),
            end_time_unix_nano: nanos(end),
            attributes,
            events: begun.into_iter().collect(),
            ..self.part(&name, &hop.hop)
        })
    }

    /// A hop that was not seen, as it is said at the end.
    fn unseen(&self, hop: &HopRecord) -> Option<SpanEvent> {
        let name = match hop.passage {
            Passage::Reached { .. } => return None,
            Passage::Bypassed => "hopclock.bypassed",
            Passage::Unreached => "hopclock.unreached",
        };
        let attributes = of_hop(hop);
        Some(SpanEvent { time_unix_nano: nanos(self.end), name: name.to_owned(), attributes })
    }

    /// A span with its ids; a part of the whole.
    fn part(&self, part: &str, name: &str) -> Span {
        let (trace, canary) = (self.run.trace, &self.run.record.canary);
        Span {
            trace: trace.bytes().to_vec(),
            id: trace.span(canary, part).bytes().to_vec(),
            parent: trace.span(canary, "").bytes().to_vec(),
            name: name.to_owned(),
            kind: INTERNAL,
            ..Span::default()
        }
    }
}

/// Which hop it is, and what was looked at.
fn of_hop(hop: &HopRecord) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::text("hopclock.hop", &hop.hop),
        KeyValue::text("hopclock.subject", &hop.subject),
    ];
    if !hop.target_cluster.is_empty() {
        all.push(KeyValue::text("hopclock.target_cluster", &hop.target_cluster));
    }
    all
}

/// `cicd.pipeline.result` of OpenTelemetry's conventions.
fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ok | Outcome::Slow => "success",
        Outcome::Failed { .. } => "failure",
        Outcome::Timeout => "timeout",
        Outcome::Superseded { .. } => "cancellation",
        Outcome::Skipped(_) => "skip",
        Outcome::ProbeError(_) => "error",
    }
}

/// What was not delivered in time, or could not be measured, is an error.
fn status(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Ok | Outcome::Superseded { .. } | Outcome::Skipped(_) => {
            Status { message: String::new(), code: UNSET }
        }
        Outcome::Slow => {
            Status { message: "delivered, but an objective was missed".to_owned(), code: ERROR }
        }
        Outcome::Failed { .. } | Outcome::Timeout | Outcome::ProbeError(_) => {
            Status { message: outcome.to_string(), code: ERROR }
        }
    }
}

/// A bounded name for what went wrong.
fn reason(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Failed { reason, .. } => Some(reason),
        Outcome::ProbeError(error) => Some(&error.reason),
        Outcome::Timeout | Outcome::Slow => Some(outcome.as_str()),
        Outcome::Ok | Outcome::Superseded { .. } | Outcome::Skipped(_) => None,
    }
}

/// A length in seconds; with both bounds where it is not exact.
fn length(name: &str, span: model::Span) -> Vec<KeyValue> {
    let seconds = |it: Duration| it.as_secs_f64();
    if span.is_exact() {
        return vec![KeyValue::number(name, seconds(span.most))];
    }
    vec![
        KeyValue::number(&format!("{name}.least"), seconds(span.least)),
        KeyValue::number(&format!("{name}.most"), seconds(span.most)),
    ]
}

/// Both bounds of what a span shows as its length; none if that is exact.
fn bounds(span: model::Span) -> Vec<KeyValue> {
    if span.is_exact() { Vec::new() } else { length("hopclock.took", span) }
}

fn after(at: Timestamp, length: Duration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn before(at: Timestamp, length: Duration) -> Timestamp {
    at.checked_sub(length).unwrap_or(Timestamp::MIN)
}
