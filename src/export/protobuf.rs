//! The protobuf form of a scrape: the only one that has native histograms.
//!
//! Families and their series are put together by hand from the fields of Prometheus' data model
//! (`io/prometheus/client/metrics.proto`), because the generated types want a copy of every name
//! and value; what is inside of a series is encoded by them.

use crate::export::finished::CANARY;
use crate::export::reference::{Metric, MetricKind};
use crate::export::rows::spans;
use crate::export::series::Labels;
use crate::export::snapshot::Snapshot;
use crate::model::Histogram;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as data_model;
use prost::Message;
use std::time::SystemTime;

/// Number and wire type of fields that have a length: `MetricFamily.metric`, `Metric.label` and
/// its two, and the three sorts of values.
const METRIC: u8 = field(4);
const LABEL: u8 = field(1);
const LABEL_NAME: u8 = field(1);
const LABEL_VALUE: u8 = field(2);
const GAUGE: u8 = field(2);
const COUNTER: u8 = field(3);
const HISTOGRAM: u8 = field(7);

/// Writes every family that has series, each behind its length.
pub(super) fn write(snapshot: &Snapshot) -> Vec<u8> {
    let (mut body, mut family, mut series) = (Vec::new(), Vec::new(), Vec::new());
    for metric in Metric::ALL.iter().copied().filter(|it| snapshot.has(*it)) {
        family.clear();
        append(&mut family, &head(metric));
        for (labels, value) in snapshot.numbers(metric) {
            series.clear();
            write_labels(&mut series, labels);
            if metric.doc().kind == MetricKind::Gauge {
                put(&mut series, GAUGE, &data_model::Gauge { value });
            } else {
                let value = data_model::Counter { value, ..Default::default() };
                put(&mut series, COUNTER, &value);
            }
            put_bytes(&mut family, METRIC, &series);
        }
        for (labels, it) in snapshot.histograms(metric) {
            series.clear();
            write_labels(&mut series, labels);
            put(&mut series, HISTOGRAM, &histogram(it));
            put_bytes(&mut family, METRIC, &series);
        }
        put_length(&mut body, family.len());
        body.extend_from_slice(&family);
    }
    body
}

/// A family without its series.
fn head(metric: Metric) -> data_model::MetricFamily {
    let doc = metric.doc();
    let kind = match doc.kind {
        MetricKind::Counter => data_model::MetricType::Counter,
        MetricKind::Gauge => data_model::MetricType::Gauge,
        MetricKind::Histogram => data_model::MetricType::Histogram,
    };
    data_model::MetricFamily {
        name: doc.name.to_owned(),
        help: doc.help.to_owned(),
        r#type: kind.into(),
        metric: Vec::new(),
        unit: metric.unit().unwrap_or_default().to_owned(),
    }
}

fn write_labels(to: &mut Vec<u8>, labels: Labels<'_>) {
    for (name, value) in labels.pairs() {
        let fields = 2 + prost::length_delimiter_len(name.len()) + name.len();
        to.push(LABEL);
        put_length(to, fields + prost::length_delimiter_len(value.len()) + value.len());
        put_bytes(to, LABEL_NAME, name.as_bytes());
        put_bytes(to, LABEL_VALUE, value.as_bytes());
    }
}

fn histogram(it: &Histogram) -> data_model::Histogram {
    let mut below = 0;
    let bucket = it.classic().map(|(upper_bound, count, exemplar)| {
        below += count;
        let exemplar = exemplar.map(|it| data_model::Exemplar {
            label: vec![data_model::LabelPair {
                name: CANARY.to_owned(),
                value: it.canary.to_string(),
            }],
            value: it.value.as_secs_f64(),
            timestamp: Some(SystemTime::from(it.at).into()),
        });
        data_model::Bucket {
            cumulative_count: below,
            cumulative_count_float: 0.0,
            upper_bound,
            exemplar,
        }
    });
    let bucket = bucket.collect();
    let (spans, positive_delta) = spans(it.native());
    let span = |(offset, length)| data_model::BucketSpan { offset, length };
    let positive_span = spans.into_iter().map(span).collect();
    data_model::Histogram {
        sample_count: it.count(),
        sample_sum: it.sum(),
        bucket,
        schema: it.native().schema(),
        zero_threshold: it.native().zero_threshold(),
        zero_count: it.native().zero_count(),
        positive_span,
        positive_delta,
        ..Default::default()
    }
}

/// Number and wire type of a field that has a length.
const fn field(number: u8) -> u8 {
    (number << 3) | 2
}

fn put(to: &mut Vec<u8>, field: u8, message: &impl Message) {
    to.push(field);
    put_length(to, message.encoded_len());
    append(to, message);
}

fn put_bytes(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    to.push(field);
    put_length(to, bytes.len());
    to.extend_from_slice(bytes);
}

fn put_length(to: &mut Vec<u8>, length: usize) {
    prost::encode_length_delimiter(length, to).expect("a vector grows");
}

fn append(to: &mut Vec<u8>, message: &impl Message) {
    message.encode(to).expect("a vector grows");
}
