//! A native histogram as both versions of the protocol write it: they have it in common.

use super::{STALE, Sample};
use crate::export::rows::{Value, spans};

/// A native histogram of whole counts.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) count: Option<u64>,
    #[prost(double, tag = "3")]
    pub(super) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(super) schema: i32,
    #[prost(double, tag = "5")]
    pub(super) zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    pub(super) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "11")]
    pub(super) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub(super) positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    pub(super) timestamp: i64,
    /// Since when it counts; version 2 only.
    #[prost(int64, tag = "17")]
    pub(super) start_timestamp: i64,
}

/// A run of neighbouring buckets.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(super) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(super) length: u32,
}

// === impl Histogram ===

impl Histogram {
    /// The histogram of a sample, if it is one.
    pub(super) fn of(sample: &Sample<'_>, timestamp: i64, start_timestamp: i64) -> Option<Self> {
        match sample {
            Sample::Value(Value::Native(it)) => {
                let (spans, positive_deltas) = spans(it.native());
                let span = |(offset, length)| BucketSpan { offset, length };
                Some(Self {
                    count: Some(it.count()),
                    sum: it.sum(),
                    schema: it.native().schema(),
                    zero_threshold: it.native().zero_threshold(),
                    zero_count: Some(it.native().zero_count()),
                    positive_spans: spans.into_iter().map(span).collect(),
                    positive_deltas,
                    timestamp,
                    start_timestamp,
                })
            }
            Sample::Stale(Value::Native(_)) => Some(Self {
                count: Some(0),
                sum: f64::from_bits(STALE),
                zero_count: Some(0),
                timestamp,
                ..Self::default()
            }),
            Sample::Value(Value::Number(_)) | Sample::Stale(Value::Number(_)) => None,
        }
    }
}
