//! Bodies of OTLP metrics in protobuf: cumulative, or what was counted since the last time.
//!
//! Metrics have their Prometheus names, which Prometheus' own translation leaves as they are, so
//! that dashboards and rules hold whatever way the numbers came. Only lengths and instants have a
//! unit: the translation would write others into the names.

mod memory;
mod message;
mod points;

#[cfg(test)]
mod tests;

use crate::export::otlp::message::{
    ExportRequest, ExportResponse, KeyValue, Resource, ResourceMetrics, Scope, ScopeMetrics,
};
use crate::export::reference::Metric;
use crate::export::snapshot::Snapshot;
use jiff::Timestamp;
use prost::Message;

pub use memory::Memory;

/// The form of histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// The bounds of the classic form.
    Explicit,
    /// The native form: bounds that grow exponentially.
    Exponential,
}

/// What is written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// The instant of the points.
    pub at: Timestamp,
    /// The form of histograms.
    pub buckets: Buckets,
    /// Attributes of the resource, such as `service.name`.
    pub resource: &'a [(String, String)],
    /// Version of hopclock.
    pub version: &'a str,
}

/// Whose differences are written, if not all since the begin.
#[derive(Clone, Copy, Debug)]
enum Base<'a> {
    Begin,
    Last(&'a Memory),
}

/// What a collector has not taken of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// How many points.
    pub points: i64,
    /// Its reason.
    pub why: String,
}

/// Name of the program part that measures.
const SCOPE: &str = "hopclock";

// === impl Writing ===

impl Writing<'_> {
    /// The totals of a snapshot, or of a part of it; none if it has no series.
    #[must_use]
    pub fn totals(&self, snapshot: &Snapshot) -> Option<Vec<u8>> {
        self.write(snapshot, Base::Begin)
    }

    /// What was counted since what `memory` holds, and gauges as they are; none if there is
    /// nothing to be said.
    #[must_use]
    pub fn deltas(&self, snapshot: &Snapshot, memory: &Memory) -> Option<Vec<u8>> {
        self.write(snapshot, Base::Last(memory))
    }

    fn write(&self, snapshot: &Snapshot, base: Base<'_>) -> Option<Vec<u8>> {
        let metrics = Metric::ALL.iter().copied();
        let metrics = metrics.filter_map(|it| points::metric(self, snapshot, it, base));
        let metrics: Vec<_> = metrics.collect();
        if metrics.is_empty() {
            return None;
        }
        let scope = Scope { name: SCOPE.to_owned(), version: self.version.to_owned() };
        let attributes = self.resource.iter().map(|it| KeyValue::text(&it.0, &it.1)).collect();
        let resource = ResourceMetrics {
            resource: Some(Resource { attributes }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics }],
        };
        Some(ExportRequest { resource_metrics: vec![resource] }.encode_to_vec())
    }
}

/// What a collector's answer says that it has not taken; none if it took all, or says nothing that
/// can be understood.
#[must_use]
pub fn rejected(answer: &[u8]) -> Option<Rejected> {
    let answer = ExportResponse::decode(answer).ok()?.partial_success?;
    let (points, why) = (answer.rejected_data_points, answer.error_message);
    (points > 0).then_some(Rejected { points, why })
}
