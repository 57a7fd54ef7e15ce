//! What all series said at one instant, from which every form of exposition is written.
//!
//! It shares its tallies with the registry, which copies one only if something is counted in it
//! meanwhile: a scrape of many scenarios holds nobody up.

use crate::export::exposition::Format;
use crate::export::reference::Metric;
use crate::export::series::{Labels, Series};
use crate::export::tally::Tally;
use crate::export::{protobuf, text};
use crate::model::{Histogram, Moment};
use std::sync::Arc;

/// What all series said at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    at: Moment,
    process: Series,
    tallies: Vec<Arc<Tally>>,
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn new(at: Moment, process: Series, tallies: Vec<Arc<Tally>>) -> Self {
        Self { at, process, tallies }
    }

    /// The body of a scrape.
    #[must_use]
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Protobuf => protobuf::write(self),
            Format::OpenMetrics => text::write(self, text::Dialect::OpenMetrics),
            Format::Plain => text::write(self, text::Dialect::Plain),
        }
    }

    /// The series of a counter or gauge, scenario by scenario.
    pub(super) fn numbers(&self, metric: Metric) -> impl Iterator<Item = (Labels<'_>, f64)> {
        let of_scenarios = self.tallies.iter().flat_map(move |tally| {
            let scenario = Some(tally.declared().scenario.as_str());
            let age = (metric == Metric::RunInFlight).then(|| tally.age(self.at).as_secs_f64());
            let series = tally.series().numbers(metric, scenario);
            series.map(move |(labels, value)| (labels, age.unwrap_or(value)))
        });
        of_scenarios.chain(self.process.numbers(metric, None))
    }

    /// The series of a histogram, scenario by scenario.
    pub(super) fn histograms(
        &self,
        metric: Metric,
    ) -> impl Iterator<Item = (Labels<'_>, &Histogram)> {
        let of_scenarios = self.tallies.iter().flat_map(move |tally| {
            tally.series().histograms(metric, Some(tally.declared().scenario.as_str()))
        });
        of_scenarios.chain(self.process.histograms(metric, None)).map(|it| (it.0, &**it.1))
    }

    /// Whether a metric has a series.
    pub(super) fn has(&self, metric: Metric) -> bool {
        self.numbers(metric).next().is_some() || self.histograms(metric).next().is_some()
    }
}
