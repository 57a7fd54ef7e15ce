//! Ways out: records what happens and exposes it. Nothing here decides anything.

mod exposition;
mod family;
mod finished;
mod metrics;
mod reference;
mod series;
mod tally;
mod text;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod totals;

pub use exposition::Format;
pub use family::Snapshot;
pub use metrics::{HopSeries, Metrics, Reload, RestartSource, ScenarioSeries, WatchRestarts};
pub use reference::{Metric, MetricDoc, MetricKind, PUSH, TOTAL, reference};
