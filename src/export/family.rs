//! What all series said at one instant, as the metric families of Prometheus' data model, from
//! which every form of exposition is made.
//!
//! The families are built here and not by a `Collector` of the metrics library, whose encoders
//! cannot be given exemplars from outside. They are made one at a time, so that a scrape of many
//! scenarios never holds all of them.

use crate::export::exposition::Format;
use crate::export::finished::CANARY;
use crate::export::reference::{Metric, MetricKind};
use crate::export::series::{Labels, Series};
use crate::export::text;
use crate::model::{Histogram, Native};
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as data_model;
use prost::Message;
use std::time::SystemTime;

/// What all series said at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Of one scenario each, in the order of their names, and those of the process.
    parts: Vec<Series>,
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn new(parts: Vec<Series>) -> Self {
        Self { parts }
    }

    /// The families that have series, in the order of [`Metric::ALL`]. Histograms have both their
    /// forms and their exemplars.
    pub fn families(&self) -> impl Iterator<Item = data_model::MetricFamily> {
        let all = Metric::ALL.iter().map(|metric| self.family(*metric));
        all.filter(|it| !it.metric.is_empty())
    }

    /// The body of a scrape.
    #[must_use]
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Protobuf => {
                self.families().flat_map(|it| it.encode_length_delimited_to_vec()).collect()
            }
            Format::OpenMetrics => text::write(self.families(), text::Dialect::OpenMetrics),
            Format::Plain => text::write(self.families(), text::Dialect::Plain),
        }
    }

    fn family(&self, metric: Metric) -> data_model::MetricFamily {
        let doc = metric.doc();
        let (kind, metrics) = match doc.kind {
            MetricKind::Counter => (
                data_model::MetricType::Counter,
                self.numbers(metric, |value| data_model::Metric {
                    counter: Some(data_model::Counter { value, ..Default::default() }),
                    ..Default::default()
                }),
            ),
            MetricKind::Gauge => (
                data_model::MetricType::Gauge,
                self.numbers(metric, |value| data_model::Metric {
                    gauge: Some(data_model::Gauge { value }),
                    ..Default::default()
                }),
            ),
            MetricKind::Histogram => {
                let series = self.parts.iter().flat_map(|it| it.histograms(metric));
                let series = series.map(|(labels, it)| data_model::Metric {
                    label: pairs(metric, labels),
                    histogram: Some(histogram(it)),
                    ..Default::default()
                });
                (data_model::MetricType::Histogram, series.collect())
            }
        };
        data_model::MetricFamily {
            name: doc.name.to_owned(),
            help: doc.help.to_owned(),
            r#type: kind.into(),
            metric: metrics,
            unit: metric.unit().unwrap_or_default().to_owned(),
        }
    }

    fn numbers(
        &self,
        metric: Metric,
        value: impl Fn(f64) -> data_model::Metric,
    ) -> Vec<data_model::Metric> {
        let series = self.parts.iter().flat_map(|it| it.numbers(metric));
        let with_labels = |(labels, it): (&Labels, f64)| data_model::Metric {
            label: pairs(metric, labels),
            ..value(it)
        };
        series.map(with_labels).collect()
    }
}

fn pairs(metric: Metric, values: &Labels) -> Vec<data_model::LabelPair> {
    let names = metric.doc().labels.iter();
    names
        .zip(values.iter())
        .map(|(name, value)| data_model::LabelPair {
            name: (*name).to_owned(),
            value: value.clone(),
        })
        .collect()
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
    let (positive_span, positive_delta) = spans(it.native());
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

/// Runs of neighbouring buckets, and each count as its difference to the one before (Prometheus,
/// "Native Histograms" specification, section "Buckets").
fn spans(native: &Native) -> (Vec<data_model::BucketSpan>, Vec<i64>) {
    let mut spans: Vec<data_model::BucketSpan> = Vec::new();
    let mut deltas = Vec::new();
    let (mut next, mut before) = (0, 0);
    for (index, count) in native.buckets() {
        match spans.last_mut().filter(|_| index == next) {
            Some(span) => span.length += 1,
            None => spans.push(data_model::BucketSpan { offset: index - next, length: 1 }),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (next, before) = (index + 1, count);
    }
    (spans, deltas)
}
