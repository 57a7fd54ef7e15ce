//! The values of all series, by metric and labels.
//!
//! Copying it is cheap, since labels and histograms are shared: a scrape copies it and formats
//! the copy, so that nobody who has something to count waits for a scrape.

use crate::export::reference::Metric;
use crate::model::{Exemplar, Histogram};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Values of a metric's labels, in the order of its documentation.
pub(super) type Labels = Arc<[String]>;

/// The values of all series.
///
/// Invariant: a series has as many label values as its metric has labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    numbers: BTreeMap<Metric, BTreeMap<Labels, f64>>,
    histograms: BTreeMap<Metric, BTreeMap<Labels, Arc<Histogram>>>,
}

// === impl Series ===

impl Series {
    /// Makes a counter or gauge exist, at zero if it is new.
    pub(super) fn declare(&mut self, metric: Metric, labels: &[&str]) {
        self.add(metric, labels, 0.0);
    }

    /// Makes a histogram exist, empty if it is new.
    pub(super) fn declare_histogram(&mut self, metric: Metric, labels: &[&str]) {
        self.histogram(metric, labels);
    }

    /// Adds to a counter.
    pub(super) fn add(&mut self, metric: Metric, labels: &[&str], more: f64) {
        *self.number(metric, labels) += more;
    }

    /// Adds one to a counter.
    pub(super) fn count(&mut self, metric: Metric, labels: &[&str]) {
        self.add(metric, labels, 1.0);
    }

    /// Sets a gauge, or a counter that is counted elsewhere.
    pub(super) fn set(&mut self, metric: Metric, labels: &[&str], value: f64) {
        *self.number(metric, labels) = value;
    }

    /// Counts a length in a histogram.
    pub(super) fn observe(&mut self, metric: Metric, labels: &[&str], length: Duration) {
        self.histogram(metric, labels).observe(length);
    }

    /// Counts a run in a histogram.
    pub(super) fn observe_run(&mut self, metric: Metric, labels: &[&str], run: Exemplar) {
        self.histogram(metric, labels).observe_run(run);
    }

    /// Removes every series of a scenario.
    pub(super) fn forget(&mut self, scenario: &str) {
        let is_other = |labels: &Labels| labels.first().is_none_or(|it| it != scenario);
        for (_, series) in self.numbers.iter_mut().filter(|it| it.0.is_of_a_scenario()) {
            series.retain(|labels, _| is_other(labels));
        }
        for (_, series) in self.histograms.iter_mut().filter(|it| it.0.is_of_a_scenario()) {
            series.retain(|labels, _| is_other(labels));
        }
    }

    /// The series of a counter or gauge, sorted by labels.
    pub(super) fn numbers(&self, metric: Metric) -> impl Iterator<Item = (&Labels, f64)> {
        self.numbers.get(&metric).into_iter().flatten().map(|it| (it.0, *it.1))
    }

    /// The series of a histogram, sorted by labels.
    pub(super) fn histograms(&self, metric: Metric) -> impl Iterator<Item = (&Labels, &Histogram)> {
        self.histograms.get(&metric).into_iter().flatten().map(|it| (it.0, &**it.1))
    }

    fn number(&mut self, metric: Metric, labels: &[&str]) -> &mut f64 {
        self.numbers.entry(metric).or_default().entry(key(metric, labels)).or_default()
    }

    fn histogram(&mut self, metric: Metric, labels: &[&str]) -> &mut Histogram {
        let series = self.histograms.entry(metric).or_default();
        Arc::make_mut(series.entry(key(metric, labels)).or_default())
    }
}

fn key(metric: Metric, labels: &[&str]) -> Labels {
    debug_assert_eq!(labels.len(), metric.doc().labels.len(), "{metric:?}");
    labels.iter().map(|it| (*it).to_owned()).collect()
}
