//! Grafana dashboards over the metrics, made from code.
//!
//! Pure: they are values, rendered as the JSON that Grafana imports. So the name of a metric is the
//! one that is exported, every query is limited to what the variables choose, and a test can ask a
//! Prometheus each of them. A query works where histograms are stored in classic buckets, and where
//! they are stored as native ones (`promql`).

mod board;
mod clusters;
mod delivery;
mod fleet;
mod flight;
mod health;
mod hops;
mod kept;
mod objectives;
mod overview;
mod panel;
mod prober;
mod promql;
mod remotes;
mod runs;
mod scenario;
mod target;
mod variable;
mod view;
mod waits;
mod wakes;

pub use board::Dashboard;

/// Every dashboard, the overview first.
#[must_use]
pub fn dashboards() -> Vec<Dashboard> {
    vec![overview::board(), scenario::board(), fleet::board(), prober::board()]
}
