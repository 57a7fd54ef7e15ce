//! The points of one metric.

use crate::export::finished::CANARY;
use crate::export::otlp::memory::Before;
use crate::export::otlp::message::{
    self, ExponentialPoint, Gauge, HistogramPoint, KeyValue, NumberPoint, Points, Sum,
};
use crate::export::otlp::{Base, Buckets, Writing};
use crate::export::reference::{Metric, MetricKind};
use crate::export::series::Labels;
use crate::export::snapshot::Snapshot;
use crate::model::{BOUNDS, Exemplar, Histogram, Native};
use jiff::Timestamp;

/// `AggregationTemporality` of OTLP.
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// When a value of a metric begins to count, and what of it is said.
struct Differences<'a> {
    base: Base<'a>,
    metric: Metric,
    /// What is known of the scenario that was asked for last; its series follow each other.
    known: Option<(Option<String>, Before<'a>)>,
}

/// A metric with all its points; none if it has none.
pub(super) fn metric(
    writing: &Writing<'_>,
    snapshot: &Snapshot,
    metric: Metric,
    base: Base<'_>,
) -> Option<message::Metric> {
    let mut differences = Differences { base, metric, known: None };
    let doc = metric.doc();
    let time = nanos(writing.at);
    let temporality = match base {
        Base::Begin => CUMULATIVE,
        Base::Last(_) => DELTA,
    };
    let points = match doc.kind {
        MetricKind::Gauge => {
            let points = snapshot.numbers(metric).map(|it| number(it.0, 0, time, it.1));
            Points::Gauge(Gauge { data_points: points.collect() })
        }
        MetricKind::Counter => {
            let points = snapshot.numbers(metric).filter_map(|(labels, value)| {
                let (start, value) = differences.number(labels, value)?;
                Some(number(labels, start, time, value))
            });
            Points::Sum(Sum {
                data_points: points.collect(),
                aggregation_temporality: temporality,
                is_monotonic: true,
            })
        }
        MetricKind::Histogram => {
            let all = snapshot.histograms(metric);
            let told: Vec<_> = all
                .filter_map(|(labels, it)| {
                    let (start, it) = differences.histogram(labels, it)?;
                    Some((labels, start, it))
                })
                .collect();
            let told = told.iter();
            match writing.buckets {
                Buckets::Explicit => Points::Histogram(message::Histogram {
                    data_points: told.map(|it| explicit(it.0, it.1, time, &it.2)).collect(),
                    aggregation_temporality: temporality,
                }),
                Buckets::Exponential => Points::Exponential(message::Exponential {
                    data_points: told.map(|it| exponential(it.0, it.1, time, &it.2)).collect(),
                    aggregation_temporality: temporality,
                }),
            }
        }
    };
    let some = match &points {
        Points::Gauge(it) => !it.data_points.is_empty(),
        Points::Sum(it) => !it.data_points.is_empty(),
        Points::Histogram(it) => !it.data_points.is_empty(),
        Points::Exponential(it) => !it.data_points.is_empty(),
    };
    some.then(|| message::Metric {
        name: doc.name.to_owned(),
        description: doc.help.to_owned(),
        unit: metric.unit().map_or("", |_| "s").to_owned(),
        points: Some(points),
    })
}

// === impl Differences ===

impl<'a> Differences<'a> {
    /// Since when a counter counted what; none if nothing is to be said of it.
    fn number(&mut self, labels: Labels<'_>, now: f64) -> Option<(u64, f64)> {
        match self.before(labels) {
            None => Some((start(labels), now)),
            Some(Before::Nothing) => None,
            Some(Before::Fresh(since)) => Some((nanos(*since), now)),
            Some(Before::Values(at, known)) => Some((nanos(*at), known.number(labels, now))),
        }
    }

    /// The same of a histogram.
    fn histogram(&mut self, labels: Labels<'_>, now: &Histogram) -> Option<(u64, Histogram)> {
        match self.before(labels) {
            None => Some((start(labels), now.clone())),
            Some(Before::Nothing) => None,
            Some(Before::Fresh(since)) => Some((nanos(*since), now.clone())),
            Some(Before::Values(at, known)) => Some((nanos(*at), known.histogram(labels, now))),
        }
    }

    /// What the other end has of the scenario's series; none if totals are told.
    fn before(&mut self, labels: Labels<'_>) -> Option<&Before<'a>> {
        let Base::Last(memory) = self.base else { return None };
        let scenario = labels.scenario();
        if self.known.as_ref().is_none_or(|it| it.0.as_deref() != scenario) {
            let before = memory.before(self.metric, scenario, labels.since());
            self.known = Some((scenario.map(str::to_owned), before));
        }
        self.known.as_ref().map(|it| &it.1)
    }
}

fn number(labels: Labels<'_>, start: u64, time: u64, value: f64) -> NumberPoint {
    NumberPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start,
        time_unix_nano: time,
        as_double: Some(value),
    }
}

fn explicit(labels: Labels<'_>, start: u64, time: u64, it: &Histogram) -> HistogramPoint {
    HistogramPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: it.count(),
        sum: Some(it.sum()),
        bucket_counts: it.classic().map(|it| it.1).collect(),
        explicit_bounds: BOUNDS.to_vec(),
        exemplars: exemplars(it),
    }
}

fn exponential(labels: Labels<'_>, start: u64, time: u64, it: &Histogram) -> ExponentialPoint {
    ExponentialPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: it.count(),
        sum: Some(it.sum()),
        scale: it.native().schema(),
        zero_count: it.native().zero_count(),
        positive: buckets(it.native()),
        exemplars: exemplars(it),
        zero_threshold: it.native().zero_threshold(),
    }
}

/// Without gaps, as OTLP has them. Its bucket `i` begins where ours of that number ends.
fn buckets(native: &Native) -> Option<message::Buckets> {
    let (first, _) = native.buckets().next()?;
    let mut counts = Vec::new();
    for (index, count) in native.buckets() {
        let place = usize::try_from(index - first).expect("they are sorted");
        counts.resize(place, 0);
        counts.push(count);
    }
    Some(message::Buckets { offset: first - 1, bucket_counts: counts })
}

fn exemplars(it: &Histogram) -> Vec<message::Exemplar> {
    let exemplar = |it: &Exemplar| message::Exemplar {
        filtered_attributes: vec![KeyValue::text(CANARY, &it.canary.to_string())],
        time_unix_nano: nanos(it.at),
        as_double: Some(it.value.as_secs_f64()),
    };
    it.classic().filter_map(|it| it.2).map(exemplar).collect()
}

fn attributes(labels: Labels<'_>) -> Vec<KeyValue> {
    labels.pairs().map(|(name, value)| KeyValue::text(name, value)).collect()
}

/// Since when a total counts; 0, which is to say unknown, if nobody remembers.
fn start(labels: Labels<'_>) -> u64 {
    labels.since().map_or(0, nanos)
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
