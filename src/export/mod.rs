//! Ways out: records what happens and exposes it. Nothing here decides anything.

mod declared;
mod exposition;
mod finished;
mod health;
mod junit;
mod metrics;
mod notices;
mod protobuf;
mod reference;
mod saved;
mod series;
mod snapshot;
mod tally;
mod text;

#[cfg(test)]
mod tests;

pub use declared::{HopSeries, Objective, ScenarioSeries, Schedule};
pub use exposition::Format;
pub use health::{Reload, ScenarioCounts};
pub use junit::junit;
pub use metrics::{Metrics, RestartSource, WatchRestarts};
pub use notices::NoticeResult;
pub use reference::{Metric, MetricDoc, MetricKind, PUSH, TOTAL, reference};
pub use snapshot::Snapshot;
