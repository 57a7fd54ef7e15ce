//! Ways out: records what happens and exposes it. Nothing here decides anything.

mod clusters;
mod declared;
mod exports;
mod exposition;
mod finished;
mod health;
mod junit;
mod metrics;
mod notices;
pub mod otlp;
mod protobuf;
mod reference;
pub mod remote_write;
mod rows;
mod saved;
mod series;
mod snapshot;
mod tally;
mod text;

#[cfg(test)]
mod tests;

pub use declared::{HopSeries, Objective, ScenarioSeries, Schedule};
pub use exports::{ExportResult, WayOut};
pub use exposition::Format;
pub use health::{Reload, ScenarioCounts};
pub use junit::junit;
pub use metrics::{Metrics, RestartSource, WatchRestarts};
pub use notices::NoticeResult;
pub use reference::{Metric, MetricDoc, MetricKind, PUSH, TOTAL, reference};
pub use rows::Content;
pub use snapshot::Snapshot;
