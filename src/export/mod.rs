//! Ways out: records what happens and exposes it. Nothing here decides anything.

mod exposition;
mod family;
mod finished;
mod metrics;
mod reference;
mod series;
mod text;

#[cfg(test)]
mod tests;

pub use exposition::Format;
pub use family::Snapshot;
pub use metrics::{HopSeries, Metrics, RestartSource, ScenarioSeries, WatchRestarts};
pub use reference::{Metric, MetricDoc, MetricKind, PUSH, TOTAL, reference};
