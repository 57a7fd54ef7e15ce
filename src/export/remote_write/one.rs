//! Version 1.0 of remote write (`prompb/remote.proto` and `types.proto` of Prometheus).

use super::histogram::Histogram;
use super::{Line, number};
use crate::export::finished::CANARY;
use crate::export::reference::{Metric, MetricKind};
use crate::model;
use prost::Message;

/// A request.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<Metadata>,
}

/// A series.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(super) exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub(super) histograms: Vec<Histogram>,
}

/// A label.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// A number at an instant.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// A run that a bucket holds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(int64, tag = "3")]
    pub(super) timestamp: i64,
}

/// What a metric is.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(int32, tag = "1")]
    pub(super) r#type: i32,
    #[prost(string, tag = "2")]
    pub(super) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(super) help: String,
    #[prost(string, tag = "5")]
    pub(super) unit: String,
}

/// The message of a request.
pub(super) fn encode(lines: &[Line<'_>], at: i64) -> Vec<u8> {
    let mut metrics: Vec<_> = lines.iter().map(|it| it.metric).collect();
    metrics.dedup();
    let timeseries = lines.iter().map(|it| series(it, at)).collect();
    let metadata = metrics.into_iter().map(metadata).collect();
    WriteRequest { timeseries, metadata }.encode_to_vec()
}

/// The number of a metric's kind, in both versions.
pub(super) fn kind(metric: Metric) -> i32 {
    match metric.doc().kind {
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
    }
}

fn series(line: &Line<'_>, at: i64) -> TimeSeries {
    let labels = line.labels.iter();
    let labels = labels.map(|it| Label { name: it.0.to_owned(), value: it.1.to_string() });
    let number = number(&line.value).map(|value| Sample { value, timestamp: at });
    TimeSeries {
        labels: labels.collect(),
        samples: number.into_iter().collect(),
        exemplars: line.exemplars.iter().map(|it| exemplar(it)).collect(),
        histograms: Histogram::of(&line.value, at, 0).into_iter().collect(),
    }
}

fn exemplar(it: &model::Exemplar) -> Exemplar {
    let label = Label { name: CANARY.to_owned(), value: it.canary.to_string() };
    let (value, timestamp) = (it.value.as_secs_f64(), it.at.as_millisecond());
    Exemplar { labels: vec![label], value, timestamp }
}

fn metadata(metric: Metric) -> Metadata {
    let doc = metric.doc();
    Metadata {
        r#type: kind(metric),
        metric_family_name: doc.name.to_owned(),
        help: doc.help.to_owned(),
        unit: metric.unit().unwrap_or_default().to_owned(),
    }
}
