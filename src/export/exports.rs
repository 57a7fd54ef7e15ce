//! What becomes of what is sent out, way by way.

use crate::export::metrics::Metrics;
use crate::export::reference::Metric;

/// A way out: where what was measured is sent. Its text is the label `way`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WayOut {
    /// Metrics by Prometheus' remote write.
    RemoteWrite,
    /// Metrics to a Pushgateway.
    Pushgateway,
    /// Metrics by OTLP.
    OtlpMetrics,
    /// Runs as traces by OTLP.
    OtlpTraces,
    /// Metrics in a file for the collector of `node_exporter`.
    Textfile,
    /// Runs as lines of JSON.
    JsonLines,
    /// Runs as Kubernetes Events.
    Events,
}

/// What became of an export. Its text is the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportResult {
    /// The other end has it.
    Sent,
    /// The other end did not take it.
    Failed,
    /// It was never sent, because the other end was busy or asked for patience.
    Dropped,
}

// === impl WayOut ===

impl WayOut {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote_write",
            Self::Pushgateway => "pushgateway",
            Self::OtlpMetrics => "otlp_metrics",
            Self::OtlpTraces => "otlp_traces",
            Self::Textfile => "textfile",
            Self::JsonLines => "json_lines",
            Self::Events => "events",
        }
    }
}

// === impl ExportResult ===

impl ExportResult {
    /// Every value of the label.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Dropped];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl Metrics {
    /// Says that there is a way out, so that its series exist.
    pub fn declare_exports(&self, way: WayOut) {
        self.with_process(|series| {
            for it in ExportResult::ALL {
                series.declare(Metric::Exports, &[way.as_str(), it.as_str()]);
            }
        });
    }

    /// Counts what became of exports.
    pub fn count_exports(&self, way: WayOut, result: ExportResult, count: u32) {
        let now = self.clock.wall().as_duration().as_secs_f64();
        self.with_process(|series| {
            series.add(Metric::Exports, &[way.as_str(), result.as_str()], f64::from(count));
            if result == ExportResult::Sent && count > 0 {
                series.set(Metric::ExportSuccess, &[way.as_str()], now);
            }
        });
    }
}
