//! What the other end has, so that only what came since is sent.

use crate::export::reference::Metric;
use crate::export::series::{Labels, Series};
use crate::export::snapshot::Snapshot;
use crate::export::tally::Tally;
use crate::model::Histogram;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What the other end has of each scenario, and since when.
///
/// It shares the values with the snapshots that it was told.
#[derive(Clone, Debug)]
pub struct Memory {
    /// When this process began to count.
    began: Timestamp,
    scenarios: BTreeMap<String, (Timestamp, Arc<Tally>)>,
    process: Option<(Timestamp, Series)>,
}

/// What the other end has of the series of one metric.
pub(super) enum Before<'a> {
    /// Nothing, and it never was told of any: what they were before is not its matter.
    Nothing,
    /// Nothing, and all of it was counted in this process.
    Fresh(Timestamp),
    /// These values, since then; series that are not among them began later, at zero.
    Values(Timestamp, Known<'a>),
}

/// Values of series by their labels.
#[derive(Default)]
pub(super) struct Known<'a> {
    numbers: HashMap<Vec<&'a str>, f64>,
    histograms: HashMap<Vec<&'a str>, &'a Histogram>,
}

// === impl Memory ===

impl Memory {
    /// The other end has nothing. Of what was counted before `began`, when this process did, it is
    /// told nothing either: an earlier process has done that.
    #[must_use]
    pub fn new(began: Timestamp) -> Self {
        Self { began, scenarios: BTreeMap::new(), process: None }
    }

    /// Takes what an earlier process has counted for known, when it is first seen: whatever becomes of
    /// this snapshot, only what is counted from now on is a difference.
    pub fn see(&mut self, snapshot: &Snapshot, at: Timestamp) {
        for tally in snapshot.tallies() {
            let is_old = tally.series().since().is_none_or(|it| it < self.began);
            if is_old {
                let name = tally.declared().scenario.clone();
                self.scenarios.entry(name).or_insert_with(|| (at, tally.clone()));
            }
        }
    }

    /// The other end has this snapshot, or part of one, of an instant.
    pub fn acknowledge(&mut self, part: &Snapshot, at: Timestamp) {
        for tally in part.tallies() {
            self.scenarios.insert(tally.declared().scenario.clone(), (at, tally.clone()));
        }
        if part.process().weight() > 0 {
            self.process = Some((at, part.process().clone()));
        }
    }

    /// Forgets scenarios that a whole snapshot has not any more.
    pub fn forget_others(&mut self, whole: &Snapshot) {
        let names = whole.tallies().iter().map(|it| it.declared().scenario.as_str());
        let names: std::collections::BTreeSet<_> = names.collect();
        self.scenarios.retain(|name, _| names.contains(name.as_str()));
    }

    /// What the other end has of the series that a metric has in a scenario, or in the process.
    pub(super) fn before(
        &self,
        metric: Metric,
        scenario: Option<&str>,
        since: Option<Timestamp>,
    ) -> Before<'_> {
        let known = match scenario {
            Some(name) => self.scenarios.get(name).map(|it| (it.0, it.1.series())),
            None => self.process.as_ref().map(|it| (it.0, &it.1)),
        };
        match known.filter(|it| it.1.since() == since) {
            Some((at, series)) => Before::Values(at, Known::of(metric, series)),
            None => match since.filter(|it| *it >= self.began) {
                Some(since) => Before::Fresh(since),
                None => Before::Nothing,
            },
        }
    }
}

// === impl Known ===

impl<'a> Known<'a> {
    fn of(metric: Metric, series: &'a Series) -> Self {
        let key = |it: Labels<'a>| it.values().collect::<Vec<_>>();
        let numbers = series.numbers(metric, None).map(|it| (key(it.0), it.1)).collect();
        let histograms = series.histograms(metric, None).map(|it| (key(it.0), &**it.1)).collect();
        Self { numbers, histograms }
    }

    /// What was counted beyond what is known; all of it, if it was counted anew.
    pub(super) fn number(&self, labels: Labels<'_>, now: f64) -> f64 {
        let before = self.numbers.get(&labels.values().collect::<Vec<_>>()).copied();
        before.filter(|it| *it <= now).map_or(now, |it| now - it)
    }

    /// The same of a histogram.
    pub(super) fn histogram(&self, labels: Labels<'_>, now: &Histogram) -> Histogram {
        let before = self.histograms.get(&labels.values().collect::<Vec<_>>());
        let before = before.filter(|it| it.count() <= now.count());
        before.map_or_else(|| now.clone(), |it| now.since(it))
    }
}
