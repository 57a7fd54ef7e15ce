//! Bodies of remote write are decoded again, and hold what a scrape would show.

#![allow(clippy::float_cmp, reason = "counts and these sums are exact")]

use super::{Protocol, STALE, Writing, one, two};
use crate::export::tests::{declared, failed, fleet_run, metrics, scenario, secs};
use crate::export::{Content, Metrics, Snapshot};
use crate::model::{Event, Observer as _, Outcome, Span};
use jiff::Timestamp;
use prost::Message;
use std::collections::BTreeMap;

const ALL: [Content; 3] = [Content::Numbers, Content::Classic, Content::Native];

/// Series by their labels, written as in a query, with their value.
type Shown = BTreeMap<String, f64>;

fn after_a_run() -> Metrics {
    let metrics = declared();
    metrics.observe(&Event::Finished(Box::new(fleet_run(
        Outcome::Ok,
        Some(Span::exactly(secs(12.5))),
    ))));
    metrics
}

fn at() -> Timestamp {
    Timestamp::from_second(1_600_000_000).unwrap()
}

fn labels() -> Vec<(String, String)> {
    [("job", "hopclock"), ("Zone", "z"), ("scenario", "not-mine")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn unpacked(writing: &Writing<'_>, snapshot: &Snapshot) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&writing.body(snapshot).unwrap().bytes).unwrap()
}

fn name(labels: &[(String, String)]) -> String {
    assert!(labels.is_sorted(), "{labels:?}");
    let (_, metric) = labels.iter().find(|it| it.0 == "__name__").unwrap();
    let rest = labels.iter().filter(|it| it.0 != "__name__");
    let rest: Vec<_> = rest.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{metric}{{{}}}", rest.join(","))
}

fn one(body: &[u8]) -> (one::WriteRequest, Shown) {
    let request = one::WriteRequest::decode(body).unwrap();
    let shown = request.timeseries.iter().map(|it| {
        let pairs: Vec<_> =
            it.labels.iter().map(|it| (it.name.clone(), it.value.clone())).collect();
        let at: Vec<i64> = it
            .samples
            .iter()
            .map(|it| it.timestamp)
            .chain(it.histograms.iter().map(|it| it.timestamp))
            .collect();
        assert_eq!(at, [1_600_000_000_000], "{pairs:?}");
        let value = it.samples.first().map_or_else(|| it.histograms[0].sum, |it| it.value);
        (name(&pairs), value)
    });
    let shown = shown.collect();
    (request, shown)
}

fn two(body: &[u8]) -> (two::Request, Shown) {
    let request = two::Request::decode(body).unwrap();
    assert_eq!(request.symbols[0], "");
    let text = |it: &u32| request.symbols[*it as usize].clone();
    let shown = request.timeseries.iter().map(|it| {
        let pairs: Vec<_> =
            it.labels_refs.chunks(2).map(|it| (text(&it[0]), text(&it[1]))).collect();
        let value = it.samples.first().map_or_else(|| it.histograms[0].sum, |it| it.value);
        (name(&pairs), value)
    });
    let shown = shown.collect();
    (request, shown)
}

#[test]
fn both_versions_say_the_same_as_a_scrape() {
    let (snapshot, labels) = (after_a_run().snapshot(), labels());
    let mut writing = Writing {
        protocol: Protocol::One,
        contents: &ALL,
        at: at(),
        labels: &labels,
        exemplars_after: None,
    };
    let (first, shown) = one(&unpacked(&writing, &snapshot));
    writing.protocol = Protocol::Two;
    let (second, same) = two(&unpacked(&writing, &snapshot));
    assert_eq!(shown, same);
    let of = "Zone=z,job=hopclock";
    assert_eq!(shown[&format!("hopclock_runs_total{{{of},outcome=ok,scenario=fleet}}")], 1.0);
    let told = |suffix: &str, le: &str| {
        let series = format!("hopclock_push_to_apply_seconds{suffix}");
        shown[&format!("{series}{{{of}{le},outcome=ok,scenario=fleet,target_cluster=prod}}")]
    };
    // Labels are sorted, so that of the bound lies between.
    let bucket = |le: &str| {
        let series = "hopclock_push_to_apply_seconds_bucket";
        shown[&format!("{series}{{{of},le={le},outcome=ok,scenario=fleet,target_cluster=prod}}")]
    };
    assert_eq!([bucket("10.0"), bucket("20.0"), bucket("+Inf")], [0.0, 1.0, 1.0]);
    assert_eq!([told("_count", ""), told("_sum", ""), told("", "")], [1.0, 12.5, 12.5]);
    // The scrape has as many lines, and the native series beside them.
    let scrape = String::from_utf8(snapshot.encode(crate::export::Format::Plain)).unwrap();
    let lines = scrape.lines().filter(|it| !it.starts_with('#')).count();
    let native = second.timeseries.iter().filter(|it| !it.histograms.is_empty()).count();
    assert_eq!(shown.len(), lines + native);
    let metadata = &first.metadata[0];
    assert_eq!((metadata.r#type, metadata.unit.as_str()), (3, "seconds"));
    assert!(metadata.help.starts_with("Time from the hops before a hop"));
}

#[test]
fn a_native_histogram_keeps_its_buckets_and_its_runs() {
    let snapshot = after_a_run().snapshot();
    let writing = Writing {
        protocol: Protocol::Two,
        contents: &[Content::Native],
        at: at(),
        labels: &[],
        exemplars_after: None,
    };
    let (request, _) = two(&unpacked(&writing, &snapshot));
    let told = request.timeseries.iter().find(|it| it.histograms[0].sum == 12.5).unwrap();
    let histogram = &told.histograms[0];
    // 12.5 s lie above 2^(29/8) and at most at 2^(30/8).
    assert_eq!((histogram.schema, histogram.positive_deltas.as_slice()), (3, &[1][..]));
    assert_eq!((histogram.positive_spans[0].offset, histogram.positive_spans[0].length), (30, 1));
    // It counts since it was declared, a clock that stands still before.
    assert_eq!(histogram.start_timestamp, 1_700_000_000_000);
    let exemplar = &told.exemplars[0];
    assert_eq!(exemplar.value, 12.5);
    let label = |it: usize| request.symbols[exemplar.labels_refs[it] as usize].as_str();
    assert_eq!((label(0), label(1)), ("canary", "hopclock-1a1fbe67da8"));
    let metadata = told.metadata.unwrap();
    assert_eq!(
        (metadata.r#type, request.symbols[metadata.unit_ref as usize].as_str()),
        (3, "seconds")
    );
    let known = Writing { exemplars_after: Timestamp::from_second(1_700_000_000).ok(), ..writing };
    let (request, _) = two(&unpacked(&known, &snapshot));
    assert!(request.timeseries.iter().all(|it| it.exemplars.is_empty()));
}

#[test]
fn what_was_counted_by_an_earlier_process_counts_since_then() {
    let old = after_a_run();
    let saved = crate::engine::Totals::after(&old, "fleet", &[]);
    let begins = |metrics: &Metrics| {
        let writing = Writing {
            protocol: Protocol::Two,
            contents: &[Content::Numbers],
            at: at(),
            labels: &[],
            exemplars_after: None,
        };
        let (request, _) = two(&unpacked(&writing, &metrics.snapshot()));
        let counters = request.timeseries.iter().filter(|it| it.metadata.unwrap().r#type == 1);
        let gauges = request.timeseries.iter().filter(|it| it.metadata.unwrap().r#type == 2);
        assert!(gauges.into_iter().all(|it| it.samples[0].start_timestamp == 0));
        let all: Vec<_> = counters.map(|it| it.samples[0].start_timestamp).collect();
        all[0]
    };
    let new = metrics();
    new.declare_with(&scenario("fleet"), &saved).unwrap();
    assert_eq!(begins(&new), 1_700_000_000_000);
    // Who wrote totals before did not say since when: nobody may take now for that.
    let mut older = saved.clone();
    assert!(older.as_object_mut().unwrap().remove("since").is_some());
    new.declare_with(&scenario("fleet"), &older).unwrap();
    assert_eq!(begins(&new), 0);
}

#[test]
fn series_that_are_gone_are_marked_stale_and_no_others() {
    let metrics = after_a_run();
    let before = metrics.snapshot();
    assert!(before.gone(&metrics.snapshot()).is_none());
    // One that changed, but still has all of its series.
    metrics.observe(&Event::Finished(Box::new(fleet_run(failed(), None))));
    let failures = metrics.snapshot();
    assert!(before.gone(&failures).is_none());
    let mut fewer = scenario("fleet");
    fewer.slos.pop();
    metrics.declare(&fewer);
    let gone = failures.gone(&metrics.snapshot()).unwrap();
    for protocol in [Protocol::One, Protocol::Two] {
        let writing =
            Writing { protocol, contents: &ALL, at: at(), labels: &[], exemplars_after: None };
        let end = writing.end(&gone).unwrap();
        let body = snap::raw::Decoder::new().decompress_vec(&end.bytes).unwrap();
        let shown = if protocol == Protocol::One { one(&body).1 } else { two(&body).1 };
        let names: Vec<_> = shown.keys().map(String::as_str).collect();
        let of = "scenario=fleet,slo=live";
        assert_eq!(
            names,
            [
                format!("hopclock_slo_bad_events_total{{{of}}}"),
                format!("hopclock_slo_events_total{{{of}}}"),
                format!("hopclock_slo_objective_ratio{{{of}}}"),
                format!("hopclock_slo_threshold_seconds{{{of}}}"),
                format!("hopclock_slo_unknown_total{{{of}}}"),
            ]
        );
        assert!(shown.values().all(|it| it.to_bits() == STALE));
    }
    crate::engine::Totals::forget(&metrics, "fleet");
    let gone = failures.gone(&metrics.snapshot()).unwrap();
    let writing = Writing {
        protocol: Protocol::One,
        contents: &[Content::Native],
        at: at(),
        labels: &[],
        exemplars_after: None,
    };
    let end = writing.end(&gone).unwrap();
    let body = snap::raw::Decoder::new().decompress_vec(&end.bytes).unwrap();
    let (request, shown) = one(&body);
    assert_eq!(shown.len(), end.histograms);
    assert!(shown.values().all(|it| it.to_bits() == STALE));
    assert!(request.timeseries.iter().all(|it| it.exemplars.is_empty()));
}

#[test]
fn parts_are_the_whole_and_a_scenario_stays_in_one() {
    let metrics = metrics();
    for number in 0..7 {
        metrics.declare(&scenario(&format!("fleet-{number}")));
    }
    let whole = metrics.snapshot();
    let writing = Writing {
        protocol: Protocol::One,
        contents: &ALL,
        at: at(),
        labels: &[],
        exemplars_after: None,
    };
    let (_, all) = one(&unpacked(&writing, &whole));
    let parts = whole.parts(300);
    assert!(parts.len() > 2, "{}", parts.len());
    let shown: Vec<_> = parts.iter().map(|it| one(&unpacked(&writing, it)).1).collect();
    assert_eq!(shown.iter().map(BTreeMap::len).sum::<usize>(), all.len());
    assert_eq!(shown.into_iter().flatten().collect::<Shown>(), all);
    assert_eq!(whole.parts(usize::MAX).len(), 1);
    assert_eq!(whole.parts(0).len(), 7);
}
