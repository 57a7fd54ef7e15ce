//! The values of series that belong together: a scenario's, or those of the process.
//!
//! They are many, and nearly all of them stay at zero, so they are kept small: a label's value is
//! held once and named by its place, and histograms that hold nothing are one and the same.
//! Copying them is cheap for the same reasons.

use crate::export::reference::Metric;
use crate::model::{BUCKETS, Exemplar, Histogram};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Values of series, in the order of their metrics and of the first use of their labels.
///
/// Invariant: a series has as many label values as its metric has labels, the scenario aside.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// When they were all at zero; none if nobody remembers.
    since: Option<Timestamp>,
    words: Vec<Arc<str>>,
    numbers: Vec<(Metric, Key, f64)>,
    histograms: Vec<(Metric, Key, Arc<Histogram>)>,
}

/// The labels of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a> {
    metric: Metric,
    scenario: Option<&'a str>,
    words: &'a [Arc<str>],
    key: Key,
    since: Option<Timestamp>,
}

/// Most labels that a metric has, the scenario aside.
const MOST_LABELS: usize = 3;

/// The labels of a series as places of their values in the list of words.
type Key = [u32; MOST_LABELS];

/// What every histogram shares in which nothing was counted.
static EMPTY: LazyLock<Arc<Histogram>> = LazyLock::new(Arc::default);

// === impl Series ===

impl Series {
    /// When they were all at zero; none if nobody remembers.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Says when they were all at zero.
    pub(super) fn set_since(&mut self, since: Option<Timestamp>) {
        self.since = since;
    }

    /// How many numbers they are; of a histogram, about as many as it has in its classic form.
    pub(super) fn weight(&self) -> usize {
        self.numbers.len() + self.histograms.len() * (BUCKETS + 2)
    }

    /// Those that another set of series has not.
    pub(super) fn without(&self, other: &Self) -> Self {
        fn words(of: &Series, it: (Metric, Key)) -> (Metric, Vec<&str>) {
            (it.0, of.labels(it.0, None, it.1).values().collect())
        }
        let numbers = other.numbers.iter().map(|it| (it.0, it.1));
        let histograms = other.histograms.iter().map(|it| (it.0, it.1));
        let theirs: HashSet<_> = numbers.chain(histograms).map(|it| words(other, it)).collect();
        let mut left = self.clone();
        left.numbers.retain(|it| !theirs.contains(&words(self, (it.0, it.1))));
        left.histograms.retain(|it| !theirs.contains(&words(self, (it.0, it.1))));
        left
    }

    /// Makes a counter or gauge exist, at zero if it is new.
    pub(super) fn declare(&mut self, metric: Metric, labels: &[&str]) {
        self.number(metric, labels);
    }

    /// Makes a histogram exist, empty if it is new.
    pub(super) fn declare_histogram(&mut self, metric: Metric, labels: &[&str]) {
        self.histogram(metric, labels);
    }

    /// Sets a gauge, or a counter that is counted elsewhere.
    pub(super) fn set(&mut self, metric: Metric, labels: &[&str], value: f64) {
        *self.number(metric, labels) = value;
    }

    /// Adds to a counter.
    pub(super) fn add(&mut self, metric: Metric, labels: &[&str], more: f64) {
        *self.number(metric, labels) += more;
    }

    /// Counts a length in a histogram.
    pub(super) fn observe(&mut self, metric: Metric, labels: &[&str], length: Duration) {
        Arc::make_mut(self.histogram(metric, labels)).observe(length);
    }

    /// Counts a run in a histogram.
    pub(super) fn observe_run(&mut self, metric: Metric, labels: &[&str], run: Exemplar) {
        Arc::make_mut(self.histogram(metric, labels)).observe_run(run);
    }

    /// Takes a histogram that was counted before.
    pub(super) fn put(&mut self, metric: Metric, labels: &[&str], it: Arc<Histogram>) {
        *self.histogram(metric, labels) = it;
    }

    /// Changes every number of a metric.
    pub(super) fn set_all(&mut self, metric: Metric, value: f64) {
        let range = range(&self.numbers, metric, |it| it.0);
        self.numbers[range].iter_mut().for_each(|it| it.2 = value);
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&mut self) {
        self.words.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.histograms.shrink_to_fit();
    }

    /// The series of a counter or gauge.
    pub(super) fn numbers<'a>(
        &'a self,
        metric: Metric,
        scenario: Option<&'a str>,
    ) -> impl Iterator<Item = (Labels<'a>, f64)> {
        let range = range(&self.numbers, metric, |it| it.0);
        self.numbers[range].iter().map(move |it| (self.labels(metric, scenario, it.1), it.2))
    }

    /// The series of a histogram.
    pub(super) fn histograms<'a>(
        &'a self,
        metric: Metric,
        scenario: Option<&'a str>,
    ) -> impl Iterator<Item = (Labels<'a>, &'a Arc<Histogram>)> {
        let range = range(&self.histograms, metric, |it| it.0);
        self.histograms[range].iter().map(move |it| (self.labels(metric, scenario, it.1), &it.2))
    }

    fn labels<'a>(&'a self, metric: Metric, scenario: Option<&'a str>, key: Key) -> Labels<'a> {
        Labels { metric, scenario, words: &self.words, key, since: self.since }
    }

    fn number(&mut self, metric: Metric, labels: &[&str]) -> &mut f64 {
        let key = self.key(metric, labels);
        let place = self.numbers.binary_search_by_key(&(metric, key), |it| (it.0, it.1));
        let at = place.unwrap_or_else(|at| {
            self.numbers.insert(at, (metric, key, 0.0));
            at
        });
        &mut self.numbers[at].2
    }

    fn histogram(&mut self, metric: Metric, labels: &[&str]) -> &mut Arc<Histogram> {
        let key = self.key(metric, labels);
        let place = self.histograms.binary_search_by_key(&(metric, key), |it| (it.0, it.1));
        let at = place.unwrap_or_else(|at| {
            self.histograms.insert(at, (metric, key, EMPTY.clone()));
            at
        });
        &mut self.histograms[at].2
    }

    fn key(&mut self, metric: Metric, labels: &[&str]) -> Key {
        debug_assert_eq!(labels.len(), metric.own_labels().len(), "{metric:?}");
        let mut key = Key::default();
        for (place, label) in key.iter_mut().zip(labels) {
            let known = self.words.iter().position(|it| **it == **label);
            let at = known.unwrap_or_else(|| {
                self.words.push(Arc::from(*label));
                self.words.len() - 1
            });
            *place = u32::try_from(at).expect("labels are bounded");
        }
        key
    }
}

// === impl Labels ===

impl<'a> Labels<'a> {
    /// Names and values of those that are not empty: to Prometheus, an empty label is none.
    pub(super) fn pairs(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let scenario = self.scenario.map(|it| ("scenario", it));
        let own = self.metric.own_labels().iter().copied().zip(self.values());
        scenario.into_iter().chain(own).filter(|it| !it.1.is_empty())
    }

    /// The scenario, if it is one's series.
    pub(super) fn scenario(self) -> Option<&'a str> {
        self.scenario
    }

    /// When their series was at zero; none if nobody remembers.
    pub(super) fn since(self) -> Option<Timestamp> {
        self.since
    }

    /// All values, in the order of the metric's documentation, the scenario aside.
    pub(super) fn values(self) -> impl Iterator<Item = &'a str> {
        let count = self.metric.own_labels().len();
        self.key.into_iter().take(count).map(move |it| &*self.words[it as usize])
    }
}

/// Where the series of a metric are in a sorted list.
fn range<T>(all: &[T], metric: Metric, of: impl Fn(&T) -> Metric) -> std::ops::Range<usize> {
    let begin = all.partition_point(|it| of(it) < metric);
    begin..begin + all[begin..].partition_point(|it| of(it) == metric)
}
