//! The forms of a scrape: what each of them can say, and that all say the same.

use super::{declared, exactly, finish, hop, metrics, reached, run, scenario, scheduled};
use crate::export::reference::{Metric, MetricKind, reference};
use crate::export::{Format, HopSeries, ScenarioSeries, Snapshot};
use crate::model::{Observer, Outcome};
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    LabelPair, MetricFamily,
};
use prost::Message;
use std::time::Duration;

fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let body = snapshot.encode(Format::Protobuf);
    let (mut rest, mut families) = (body.as_slice(), Vec::new());
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

#[test]
fn a_label_is_escaped() {
    let metrics = metrics();
    let text = |format| String::from_utf8(metrics.snapshot().encode(format)).unwrap();
    metrics.declare(&scenario("a\"b\\c\nd"));
    metrics.observe(&scheduled("a\"b\\c\nd".to_owned()));
    let line = r#"hopclock_scheduled_runs_total{scenario="a\"b\\c\nd"} 1"#;
    assert!(text(Format::OpenMetrics).lines().any(|it| it == line));
    assert!(text(Format::Plain).lines().any(|it| it == line));
}

#[test]
fn protobuf_has_classic_and_native_buckets_and_exemplars_in_one_histogram() {
    let metrics = declared();
    for length in [3.0, 3.1, 50.0] {
        finish(
            &metrics,
            run(Outcome::Ok, Some(exactly(length)), vec![hop("live", reached(exactly(length)))]),
        );
    }
    let families = families(&metrics.snapshot());
    let family = families.iter().find(|it| it.name == "hopclock_push_to_apply_seconds").unwrap();
    let is_ok = |it: &str| family.metric.iter().position(|m| m.label[2].value == it).unwrap();
    let ok = family.metric[is_ok("ok")].histogram.as_ref().unwrap();
    assert_eq!((ok.schema, ok.sample_count, ok.sample_sum), (3, 3, 56.1));
    let spans: Vec<_> = ok.positive_span.iter().map(|it| (it.offset, it.length)).collect();
    assert_eq!(
        (spans, ok.positive_delta.as_slice()),
        (vec![(13, 2), (31, 1)], [1, 0, 0].as_slice())
    );
    let exemplars: Vec<_> = ok
        .bucket
        .iter()
        .filter_map(|it| Some((it.upper_bound, it.cumulative_count, it.exemplar.as_ref()?.value)))
        .collect();
    assert_eq!(exemplars, [(5.0, 2, 3.1), (60.0, 3, 50.0)]);
    let empty = family.metric[is_ok("timeout")].histogram.as_ref().unwrap();
    assert!(empty.zero_threshold > 0.0, "else Prometheus takes it for a classic one");
    assert_eq!((empty.sample_count, empty.bucket.len()), (0, 15));
}

#[test]
fn the_list_of_metrics_keeps_the_naming_rules() {
    let all = reference();
    for it in &all {
        assert!(it.name.starts_with("hopclock_"), "{}", it.name);
        assert_eq!(it.name.ends_with("_total"), it.kind == MetricKind::Counter, "{}", it.name);
        assert!(it.help.ends_with('.') && !it.help.starts_with(' '), "{}: {}", it.name, it.help);
        assert!(!it.labels.contains(&"cluster"), "{}: that is everybody's label", it.name);
    }
    let mut names: Vec<_> = all.iter().map(|it| it.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Metric::ALL.len());
}

#[test]
fn every_form_has_the_same_series() {
    let metrics = declared();
    metrics.declare_echo("prod");
    finish(
        &metrics,
        run(Outcome::Ok, Some(exactly(3.0)), vec![hop("live", reached(exactly(2.5)))]),
    );
    let snapshot = metrics.snapshot();
    let mut expected = Vec::new();
    for family in families(&snapshot) {
        for it in &family.metric {
            let pair = |it: &LabelPair| format!("{}=\"{}\"", it.name, it.value);
            let labels = it.label.iter().map(pair).collect::<Vec<_>>().join(",");
            let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let name = &family.name;
            if let Some(histogram) = &it.histogram {
                for bucket in &histogram.bucket {
                    let le = format!("{:?}", bucket.upper_bound).replace("inf", "+Inf");
                    let count = bucket.cumulative_count;
                    expected.push(format!("{name}_bucket{{{labels},le=\"{le}\"}} {count}"));
                }
                expected.push(format!("{name}_sum{braced} {}", histogram.sample_sum));
                expected.push(format!("{name}_count{braced} {}", histogram.sample_count));
            } else {
                let counter = it.counter.as_ref().map(|it| it.value);
                let value = counter.or(it.gauge.as_ref().map(|it| it.value)).unwrap();
                expected.push(format!("{name}{braced} {value}"));
            }
        }
    }
    let plain = String::from_utf8(snapshot.encode(Format::Plain)).unwrap();
    let lines: Vec<_> = plain.lines().filter(|it| !it.starts_with('#')).collect();
    assert_eq!(lines, expected);
    let open = String::from_utf8(snapshot.encode(Format::OpenMetrics)).unwrap();
    let samples = open.lines().filter(|it| !it.starts_with("# "));
    let bare: Vec<_> = samples.map(|it| it.split_once(" # ").map_or(it, |it| it.0)).collect();
    assert_eq!(bare, expected);
}

/// An empty label is none to Prometheus, and one cluster needs no name.
#[test]
fn an_empty_label_is_left_out() {
    let metrics = metrics();
    let hop = HopSeries {
        hop: "applied".to_owned(),
        target_cluster: String::new(),
        kind: "applied".to_owned(),
        optional: false,
    };
    metrics.declare(&ScenarioSeries {
        scenario: "fleet".to_owned(),
        hops: vec![hop],
        slos: vec![],
        clusters: vec![String::new()],
        open: false,
        deadline: Duration::from_secs(540),
        schedule: None,
    });
    metrics.declare_echo("");
    let text = String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap();
    assert!(text.contains("hopclock_hop_bypassed_total{scenario=\"fleet\",hop=\"applied\"} 0\n"));
    assert!(text.contains("hopclock_watch_echo_seconds_bucket{le=\"0.1\"} 0\n"));
    assert!(text.contains("hopclock_watch_echo_seconds_count 0\n"));
    let labelled = families(&metrics.snapshot());
    let mut labels = labelled.iter().flat_map(|it| &it.metric).flat_map(|it| &it.label);
    assert!(labels.all(|it| !it.value.is_empty()));
}
