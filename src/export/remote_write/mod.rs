//! Bodies of Prometheus' remote write, in both versions of the protocol.
//!
//! A body holds one sample of each series at one instant, which the caller gives: it may lie in
//! the past. What a series is called is the same in both, and the same as in a scrape, so that a
//! change of the way makes no new series.

mod histogram;
mod one;
mod two;

#[cfg(test)]
mod tests;

use crate::export::reference::{Metric, MetricKind};
use crate::export::rows::{self, Content, Row, Value};
use crate::export::snapshot::Snapshot;
use crate::model::Exemplar;
use jiff::Timestamp;
use std::borrow::Cow;

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// 1.0, which everybody takes.
    One,
    /// 2.0: each text once, help and unit with each series, and since when it counts.
    Two,
}

/// What is written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// Version of the protocol.
    pub protocol: Protocol,
    /// Which series.
    pub contents: &'a [Content],
    /// The instant of the samples.
    pub at: Timestamp,
    /// Labels that every series gets, such as `job` and `instance`, as a scrape would give them.
    /// One that a series has itself is left as it is.
    pub labels: &'a [(String, String)],
    /// Only exemplars that are later than this; all, if none is given. A database complains of
    /// exemplars that it has.
    pub exemplars_after: Option<Timestamp>,
}

/// A body, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Compressed as the protocol wants it.
    pub bytes: Vec<u8>,
    /// Samples of numbers.
    pub samples: usize,
    /// Samples of native histograms.
    pub histograms: usize,
}

/// One series with its sample.
struct Line<'a> {
    metric: Metric,
    /// Sorted by name.
    labels: Vec<(&'a str, Cow<'a, str>)>,
    value: Sample<'a>,
    exemplars: Vec<&'a Exemplar>,
    /// Since when it counts, if it counts and anybody knows.
    since: Option<Timestamp>,
}

/// What a series is at an instant.
enum Sample<'a> {
    Value(Value<'a>),
    /// It is no more.
    Stale(Value<'a>),
}

/// The number that says that a series is no more (Prometheus, `model/value`, `StaleNaN`).
const STALE: u64 = 0x7ff0_0000_0000_0002;

// === impl Protocol ===

impl Protocol {
    /// Headers of a request, beside `Content-Encoding: snappy`: their names and values.
    #[must_use]
    pub fn headers(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::One => [
                ("Content-Type", "application/x-protobuf"),
                ("X-Prometheus-Remote-Write-Version", "0.1.0"),
            ],
            Self::Two => [
                ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
                ("X-Prometheus-Remote-Write-Version", "2.0.0"),
            ],
        }
    }
}

// === impl Writing ===

impl Writing<'_> {
    /// The values of a snapshot, or of a part of it; none if it has no such series.
    #[must_use]
    pub fn body(&self, snapshot: &Snapshot) -> Option<Body> {
        self.write(snapshot, Sample::Value)
    }

    /// Markers that say that series are no more, so that queries end with them at once and not
    /// after five minutes.
    #[must_use]
    pub fn end(&self, gone: &Snapshot) -> Option<Body> {
        self.write(gone, Sample::Stale)
    }

    fn write<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        sample: impl Fn(Value<'a>) -> Sample<'a>,
    ) -> Option<Body> {
        let mut lines = Vec::new();
        rows::each(snapshot, self.contents, |row| lines.push(self.line(row, &sample)));
        if lines.is_empty() {
            return None;
        }
        let is_number = |it: &&Line<'_>| {
            matches!(it.value, Sample::Value(Value::Number(_)) | Sample::Stale(Value::Number(_)))
        };
        let samples = lines.iter().filter(is_number).count();
        let histograms = lines.len() - samples;
        let at = self.at.as_millisecond();
        let message = match self.protocol {
            Protocol::One => one::encode(&lines, at),
            Protocol::Two => two::encode(&lines, at),
        };
        let mut snappy = snap::raw::Encoder::new();
        let bytes = snappy.compress_vec(&message).expect("a body is shorter than 4 GiB");
        Some(Body { bytes, samples, histograms })
    }

    fn line<'a>(&'a self, row: Row<'a>, sample: &impl Fn(Value<'a>) -> Sample<'a>) -> Line<'a> {
        let name = row.metric.doc().name;
        let name = match row.suffix {
            "" => Cow::Borrowed(name),
            suffix => Cow::Owned(format!("{name}{suffix}")),
        };
        let mut labels: Vec<(&'a str, Cow<'a, str>)> = vec![("__name__", name)];
        labels.extend(row.labels.pairs().map(|(name, value)| (name, value.into())));
        labels.extend(row.le.map(|it| ("le", it.into())));
        for (name, value) in self.labels {
            if !labels.iter().any(|it| it.0 == *name) {
                labels.push((name.as_str(), value.as_str().into()));
            }
        }
        labels.sort_unstable();
        let value = sample(row.value);
        let counts = row.metric.doc().kind != MetricKind::Gauge;
        let news = |it: &&Exemplar| self.exemplars_after.is_none_or(|after| it.at > after);
        let exemplars = match value {
            Sample::Value(_) => row.exemplars.into_iter().filter(news).collect(),
            Sample::Stale(_) => Vec::new(),
        };
        let since = row.labels.since().filter(|_| counts);
        Line { metric: row.metric, labels, value, exemplars, since }
    }
}

/// The number of a sample of a series, if it is one.
fn number(value: &Sample<'_>) -> Option<f64> {
    match value {
        Sample::Value(Value::Number(it)) => Some(*it),
        Sample::Stale(Value::Number(_)) => Some(f64::from_bits(STALE)),
        Sample::Value(Value::Native(_)) | Sample::Stale(Value::Native(_)) => None,
    }
}
