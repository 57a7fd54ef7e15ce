//! Bodies of OTLP are decoded again: totals, and differences that add up to them.

#![allow(clippy::float_cmp, reason = "counts and these sums are exact")]

use super::message::{ExportRequest, ExportResponse, KeyValue, PartialSuccess, Points};
use super::{Buckets, Memory, Rejected, Writing, rejected};
use crate::engine::Totals as _;
use crate::export::Metrics;
use crate::export::tests::{declared, fleet_run, metrics, scenario, secs};
use crate::model::{CanaryId, Event, Observer as _, Outcome, RunRecord, Span, TraceId};
use jiff::Timestamp;
use prost::Message;
use std::collections::BTreeMap;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn nanos(second: u64) -> u64 {
    (1_700_000_000 + second) * 1_000_000_000
}

fn run_of(metrics: &Metrics, length: f64) {
    let took = Some(Span::exactly(secs(length)));
    metrics.observe(&Event::Finished(Box::new(fleet_run(Outcome::Ok, took))));
}

fn writing(second: i64, buckets: Buckets) -> Writing<'static> {
    Writing { at: at(second), buckets, resource: &[], version: "1.2.3" }
}

fn attribute(of: &[KeyValue], name: &str) -> String {
    let found = of.iter().find(|it| it.key == name);
    let value = found.and_then(|it| it.value.clone()?.text);
    value.unwrap_or_default()
}

fn points(body: &[u8]) -> BTreeMap<String, Points> {
    let mut request = ExportRequest::decode(body).unwrap();
    let scope = request.resource_metrics.remove(0).scope_metrics.remove(0);
    assert_eq!(scope.scope.unwrap().version, "1.2.3");
    scope.metrics.into_iter().map(|it| (it.name, it.points.unwrap())).collect()
}

/// Start and value of the runs that were delivered, and whether these are differences.
fn runs(all: &BTreeMap<String, Points>) -> Option<(u64, f64, i32)> {
    let Points::Sum(sum) = all.get("hopclock_runs_total")? else { panic!("no counter") };
    assert!(sum.is_monotonic);
    let point = sum.data_points.iter().find(|it| attribute(&it.attributes, "outcome") == "ok")?;
    Some((point.start_time_unix_nano, point.as_double?, sum.aggregation_temporality))
}

/// Start, counts that are not zero, and sum of the delivered runs' lengths.
fn lengths(all: &BTreeMap<String, Points>) -> (u64, Vec<u64>, f64) {
    let points = &all["hopclock_push_to_apply_seconds"];
    let (start, counts, sum, count) = match points {
        Points::Histogram(it) => {
            let point = it
                .data_points
                .iter()
                .find(|it| attribute(&it.attributes, "outcome") == "ok")
                .unwrap();
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
            let counts = point.bucket_counts.clone();
            (point.start_time_unix_nano, counts, point.sum, point.count)
        }
        Points::Exponential(it) => {
            let point = it
                .data_points
                .iter()
                .find(|it| attribute(&it.attributes, "outcome") == "ok")
                .unwrap();
            let counts = point.positive.clone().unwrap_or_default().bucket_counts;
            (point.start_time_unix_nano, counts, point.sum, point.count)
        }
        other => panic!("no histogram: {other:?}"),
    };
    assert_eq!(counts.iter().sum::<u64>(), count);
    (start, counts.into_iter().filter(|it| *it > 0).collect(), sum.unwrap())
}

#[test]
fn totals_are_said_with_their_start_and_units() {
    let metrics = declared();
    run_of(&metrics, 12.5);
    run_of(&metrics, 13.5);
    let resource = [("service.name".to_owned(), "hopclock".to_owned())];
    let writing = Writing { resource: &resource, ..writing(60, Buckets::Explicit) };
    let body = writing.totals(&metrics.snapshot()).unwrap();
    let request = ExportRequest::decode(body.as_slice()).unwrap();
    let of = request.resource_metrics[0].resource.clone().unwrap();
    assert_eq!(attribute(&of.attributes, "service.name"), "hopclock");
    let unit = |name: &str| {
        let all = &request.resource_metrics[0].scope_metrics[0].metrics;
        all.iter().find(|it| it.name == name).unwrap().unit.clone()
    };
    assert_eq!([unit("hopclock_push_to_apply_seconds"), unit("hopclock_runs_total")], ["s", ""]);
    let all = points(&body);
    assert_eq!(runs(&all), Some((nanos(0), 2.0, 2)));
    assert_eq!(lengths(&all), (nanos(0), vec![2], 26.0));
    let Points::Gauge(gauge) = &all["hopclock_build_info"] else { panic!("no gauge") };
    assert_eq!(gauge.data_points[0].as_double, Some(1.0));
}

#[test]
fn an_exponential_bucket_begins_where_the_native_one_before_it_ends() {
    let metrics = declared();
    // 12.5 lies above 2^(29/8) and at most at 2^(30/8), 16 ends the bucket 32.
    run_of(&metrics, 12.5);
    run_of(&metrics, 16.0);
    let body = writing(60, Buckets::Exponential).totals(&metrics.snapshot()).unwrap();
    let Points::Exponential(it) = &points(&body)["hopclock_push_to_apply_seconds"] else {
        panic!("not exponential")
    };
    let point = it.data_points.iter().find(|it| it.count == 2).unwrap();
    let buckets = point.positive.clone().unwrap();
    assert_eq!((point.scale, buckets.offset), (3, 29));
    assert_eq!(buckets.bucket_counts, [1, 0, 1]);
    assert_eq!(point.exemplars[0].as_double, Some(16.0));
    assert_eq!(point.exemplars[0].trace_id, None);
    let trace = TraceId::of_hash([7; 32]);
    let run = fleet_run(Outcome::Ok, Some(Span::exactly(secs(16.0))));
    let run = RunRecord { canary: CanaryId::new("traced", 1), trace_id: Some(trace), ..run };
    let span = trace.span(&run.canary, "").bytes().to_vec();
    metrics.observe(&Event::Finished(Box::new(run)));
    let body = writing(60, Buckets::Explicit).totals(&metrics.snapshot()).unwrap();
    let Points::Histogram(it) = &points(&body)["hopclock_push_to_apply_seconds"] else {
        panic!("not explicit")
    };
    let all = it.data_points.iter().flat_map(|it| &it.exemplars);
    let traced: Vec<_> =
        all.filter_map(|it| Some((it.trace_id.clone()?, it.span_id.clone()?))).collect();
    assert_eq!(traced, [(vec![7; 16], span)]);
    assert_eq!(
        attribute(&point.exemplars[0].filtered_attributes, "canary"),
        "hopclock-1a1fbe67da8"
    );
}

#[test]
fn differences_are_what_was_counted_since_the_other_end_took_something() {
    for buckets in [Buckets::Explicit, Buckets::Exponential] {
        let metrics = declared();
        let mut memory = Memory::new(metrics.began());
        let told = |second, memory: &Memory| {
            points(&writing(second, buckets).deltas(&metrics.snapshot(), memory).unwrap())
        };
        run_of(&metrics, 12.5);
        assert_eq!(runs(&told(10, &memory)), Some((nanos(0), 1.0, 1)));
        memory.acknowledge(&metrics.snapshot(), at(10));
        run_of(&metrics, 3.25);
        run_of(&metrics, 12.5);
        assert_eq!(runs(&told(20, &memory)), Some((nanos(10), 2.0, 1)));
        assert_eq!(lengths(&told(20, &memory)), (nanos(10), vec![1, 1], 15.75));
        // That was lost: the next one makes up for it.
        run_of(&metrics, 12.5);
        assert_eq!(runs(&told(30, &memory)), Some((nanos(10), 3.0, 1)));
        assert_eq!(lengths(&told(30, &memory)), (nanos(10), vec![1, 2], 28.25));
        memory.acknowledge(&metrics.snapshot(), at(30));
        assert_eq!(runs(&told(40, &memory)), Some((nanos(30), 0.0, 1)));
    }
}

#[test]
fn what_an_earlier_process_has_counted_is_no_difference() {
    let old = declared();
    run_of(&old, 12.5);
    let saved = old.after("fleet", &[]);
    let new = metrics();
    let mut memory = Memory::new(at(5));
    new.declare_with(&scenario("fleet"), &saved).unwrap();
    let told = |second, memory: &Memory| {
        points(&writing(second, Buckets::Explicit).deltas(&new.snapshot(), memory).unwrap())
    };
    assert_eq!(runs(&told(10, &memory)), None);
    memory.acknowledge(&new.snapshot(), at(10));
    run_of(&new, 12.5);
    assert_eq!(runs(&told(20, &memory)), Some((nanos(10), 1.0, 1)));
    // A scenario that goes is forgotten, and is new when it comes again.
    memory.acknowledge(&new.snapshot(), at(20));
    new.forget("fleet");
    memory.forget_others(&new.snapshot());
    new.declare(&scenario("fleet"));
    assert_eq!(runs(&told(30, &memory)), None, "this clock says that it is as old as the process");
}

/// A collector that comes up late gets all that was counted since the process began.
#[test]
fn what_is_counted_while_nobody_takes_anything_is_told_by_the_first_that_is_taken() {
    let old = declared();
    run_of(&old, 12.5);
    let new = metrics();
    let mut memory = Memory::new(at(5));
    new.declare_with(&scenario("fleet"), &old.after("fleet", &[])).unwrap();
    memory.see(&new.snapshot(), at(10));
    // That was not taken.
    run_of(&new, 12.5);
    memory.see(&new.snapshot(), at(20));
    let body = writing(30, Buckets::Explicit).deltas(&new.snapshot(), &memory).unwrap();
    assert_eq!(runs(&points(&body)), Some((nanos(10), 1.0, 1)));
}

#[test]
fn an_answer_says_what_was_not_taken() {
    let partial = |rejected_data_points, why: &str| {
        let error_message = why.to_owned();
        let partial_success = Some(PartialSuccess { rejected_data_points, error_message });
        ExportResponse { partial_success }.encode_to_vec()
    };
    let some = Some(Rejected { points: 3, why: "too old".to_owned() });
    assert_eq!(rejected(&partial(3, "too old")), some);
    assert_eq!(rejected(&partial(0, "only a warning")), None);
    assert_eq!(rejected(b""), None);
    assert_eq!(rejected(b"{}"), None);
}
