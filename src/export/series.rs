//! The values of all series, by metric and labels.
//!
//! Copying it is cheap, since labels and histograms are shared: a scrape copies it and formats
//! the copy, so that nobody who has something to count waits for a scrape.

use crate::export::reference::Metric;
use crate::model::{Exemplar, Histogram};
use serde::{Deserialize, Serialize};
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

/// What was counted, as it is written down: by metric, the labels behind the scenario and the
/// value.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    #[serde(default)]
    numbers: BTreeMap<String, Vec<(Vec<String>, f64)>>,
    #[serde(default)]
    histograms: BTreeMap<String, Vec<(Vec<String>, Histogram)>>,
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

    /// Sets a gauge that exists; one that does not is nobody's.
    pub(super) fn set_known(&mut self, metric: Metric, labels: &[&str], value: f64) {
        if let Some(series) = self.numbers.get_mut(&metric)
            && let Some(number) = series.get_mut(&key(metric, labels))
        {
            *number = value;
        }
    }

    /// Keeps only some series.
    pub(super) fn retain(&mut self, keep: impl Fn(Metric, &[String]) -> bool) {
        for (metric, series) in &mut self.numbers {
            series.retain(|labels, _| keep(*metric, labels));
        }
        for (metric, series) in &mut self.histograms {
            series.retain(|labels, _| keep(*metric, labels));
        }
    }

    /// What has been counted, as it is written down: the first label, the scenario, is left out,
    /// and so is what is zero.
    pub(super) fn save(&self, keep: impl Fn(Metric) -> bool) -> Saved {
        let mut saved = Saved::default();
        for (metric, series) in self.numbers.iter().filter(|it| keep(*it.0)) {
            let counted = series.iter().filter(|it| *it.1 != 0.0);
            let rows: Vec<_> =
                counted.map(|(labels, value)| (labels[1..].to_vec(), *value)).collect();
            if !rows.is_empty() {
                saved.numbers.insert(metric.doc().name.to_owned(), rows);
            }
        }
        for (metric, series) in self.histograms.iter().filter(|it| keep(*it.0)) {
            let counted = series.iter().filter(|it| it.1.count() > 0);
            let rows: Vec<_> =
                counted.map(|(labels, it)| (labels[1..].to_vec(), (**it).clone())).collect();
            if !rows.is_empty() {
                saved.histograms.insert(metric.doc().name.to_owned(), rows);
            }
        }
        saved
    }

    /// Goes on from what was written down, as far as it fits; what nobody knows any more is left
    /// out.
    pub(super) fn restore(
        &mut self,
        scenario: &str,
        saved: Saved,
        fits: impl Fn(Metric, &[String]) -> bool,
    ) {
        let metric = |name: &str| Metric::ALL.iter().copied().find(|it| it.doc().name == name);
        let whole = |metric: Metric, labels: Vec<String>| -> Option<Labels> {
            let all: Vec<String> = std::iter::once(scenario.to_owned()).chain(labels).collect();
            (all.len() == metric.doc().labels.len() && fits(metric, &all)).then(|| all.into())
        };
        for (name, rows) in saved.numbers {
            let Some(metric) = metric(&name) else { continue };
            let series = self.numbers.entry(metric).or_default();
            series.extend(rows.into_iter().filter_map(|it| Some((whole(metric, it.0)?, it.1))));
        }
        for (name, rows) in saved.histograms {
            let Some(metric) = metric(&name) else { continue };
            let series = self.histograms.entry(metric).or_default();
            let rows = rows.into_iter();
            series.extend(rows.filter_map(|it| Some((whole(metric, it.0)?, Arc::new(it.1)))));
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
