//! Counts what becomes of exports, and says once when a way is cut, and once when it is open again.

use crate::export::{ExportResult, Metrics, WayOut};
use std::sync::Arc;

/// What became of the exports of one way.
pub(in crate::cli) struct Line {
    way: WayOut,
    /// Where it leads, as people are told.
    to: String,
    metrics: Arc<Metrics>,
    state: State,
}

/// Whether exports arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Since so many exports.
    Cut(u32),
}

// === impl Line ===

impl Line {
    /// A way of which nothing is known yet; its series exist from now on.
    pub(in crate::cli) fn new(way: WayOut, to: String, metrics: Arc<Metrics>) -> Self {
        metrics.declare_exports(way);
        Self { way, to, metrics, state: State::Open }
    }

    /// An export has arrived.
    pub(in crate::cli) fn sent(&mut self) {
        self.metrics.count_exports(self.way, ExportResult::Sent, 1);
        if let State::Cut(lost) = self.state {
            self.state = State::Open;
            tracing::info!("{}: {} takes exports again; {lost} were lost", self.name(), self.to);
        }
    }

    /// An export has not arrived.
    pub(in crate::cli) fn failed(&mut self, why: &str) {
        self.metrics.count_exports(self.way, ExportResult::Failed, 1);
        match &mut self.state {
            State::Open => {
                self.state = State::Cut(1);
                tracing::warn!(
                    "{}: {why}; runs go on, and what is lost is counted in \
                     hopclock_exports_total",
                    self.name()
                );
            }
            State::Cut(lost) => *lost = lost.saturating_add(1),
        }
    }

    /// Exports were never sent.
    pub(in crate::cli) fn dropped(&mut self, count: u32) {
        if count > 0 {
            self.metrics.count_exports(self.way, ExportResult::Dropped, count);
        }
        if let State::Cut(lost) = &mut self.state {
            *lost = lost.saturating_add(count);
        }
    }

    /// The last export has not arrived, and nothing makes up for it.
    pub(in crate::cli) fn failed_at_the_end(&mut self, why: &str) {
        self.metrics.count_exports(self.way, ExportResult::Failed, 1);
        tracing::warn!("{}: the last numbers were not sent: {why}", self.name());
    }

    fn name(&self) -> &'static str {
        self.way.as_str()
    }
}
