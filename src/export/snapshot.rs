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

    /// Cuts it into parts of at most about so many samples, so that none becomes too long to be
    /// sent; a scenario stays whole. The series of the process are in the first one.
    #[must_use]
    pub fn parts(&self, most: usize) -> Vec<Self> {
        let (mut parts, mut weight) = (Vec::new(), 0);
        let mut part = Self { tallies: Vec::new(), ..self.clone() };
        for tally in &self.tallies {
            let more = tally.series().weight();
            if weight > 0 && weight + more > most {
                let next = Self { at: self.at, process: Series::default(), tallies: Vec::new() };
                parts.push(std::mem::replace(&mut part, next));
                weight = 0;
            }
            weight += more;
            part.tallies.push(tally.clone());
        }
        parts.push(part);
        parts
    }

    /// The series that are not in a later snapshot any more; none if all of them are.
    #[must_use]
    pub fn gone(&self, later: &Self) -> Option<Self> {
        let process = self.process.without(&later.process);
        let mut tallies = Vec::new();
        for tally in &self.tallies {
            let scenario = &tally.declared().scenario;
            let later = later.tallies.iter().find(|it| it.declared().scenario == *scenario);
            if later.is_none_or(|it| !Arc::ptr_eq(it, tally)) {
                let left = tally.without(later.map(|it| &**it));
                tallies.extend((left.series().weight() > 0).then(|| Arc::new(left)));
            }
        }
        let any = process.weight() > 0 || !tallies.is_empty();
        any.then_some(Self { at: self.at, process, tallies })
    }

    /// The series of the process.
    pub(super) fn process(&self) -> &Series {
        &self.process
    }

    /// The tallies of the scenarios.
    pub(super) fn tallies(&self) -> &[Arc<Tally>] {
        &self.tallies
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
