//! One scenario's series, and what an event does to them.
//!
//! A tally is a value: what it will be after some events is found out on a copy, so that a service
//! can keep the result before anybody sees it.

use crate::export::declared::ScenarioSeries;
use crate::export::finished;
use crate::export::reference::Metric;
use crate::export::series::Series;
use crate::model::{CanaryId, Event, Exemplar, Histogram, Moment, SloVerdict};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// One scenario's series.
///
/// Invariant: it holds the series that were declared, and beside them only such as are about
/// something that was.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    declared: Arc<ScenarioSeries>,
    series: Series,
    /// Runs that this process has seen start, and when they did.
    running: Vec<(CanaryId, Moment)>,
    waiting: Waiting,
    /// When the last run ended, or since when the scenario is known.
    rested: Timestamp,
}

/// Whether hops are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    ForNothing,
    ForHops,
}

// === impl Tally ===

impl Tally {
    /// A scenario that is known since a wall time, and of which nothing was counted yet.
    pub(super) fn new(declared: ScenarioSeries, since: Timestamp) -> Self {
        let mut series = declared.series();
        series.set_since(Some(since));
        let declared = Arc::new(declared);
        let waiting = Waiting::ForNothing;
        let mut new = Self { declared, series, running: Vec::new(), waiting, rested: since };
        new.rest(since);
        new
    }

    /// The same scenario after a change of its file, at `now`: what it still has keeps its values. A
    /// schedule that has changed owes nothing from before.
    pub(super) fn redeclared(&self, declared: ScenarioSeries, now: Timestamp) -> Self {
        let is_same = declared.schedule == self.declared.schedule;
        let mut new = Self::new(declared, if is_same { self.rested } else { now });
        new.series.set_since(self.series.since());
        for metric in Metric::ALL.iter().filter(|it| !it.is_said() && **it != Metric::NextRun) {
            for (labels, value) in self.series.numbers(*metric, None) {
                let labels: Vec<_> = labels.values().collect();
                // A series at zero is there because it was declared, and may be so no more.
                if value != 0.0 {
                    new.set(*metric, &labels, value);
                }
            }
            for (labels, histogram) in self.series.histograms(*metric, None) {
                let labels: Vec<_> = labels.values().collect();
                if histogram.count() > 0 {
                    new.put(*metric, &labels, histogram.clone());
                }
            }
        }
        (new.running, new.waiting) = (self.running.clone(), self.waiting);
        new
    }

    /// The same scenario with nothing counted. What goes on now goes on.
    pub(super) fn emptied(&self) -> Self {
        let mut new = Self { series: self.declared.series(), ..self.clone() };
        new.series.set_since(self.series.since());
        for metric in [Metric::HopWaiting, Metric::NextRun] {
            for (labels, value) in self.series.numbers(metric, None) {
                new.series.set(metric, &labels.values().collect::<Vec<_>>(), value);
            }
        }
        new
    }

    /// What the scenario has series of.
    pub(super) fn declared(&self) -> &ScenarioSeries {
        &self.declared
    }

    /// The same scenario with only those of its series that another tally has not.
    pub(super) fn without(&self, other: Option<&Self>) -> Self {
        let series = match other {
            Some(other) => self.series.without(&other.series),
            None => self.series.clone(),
        };
        Self { series, ..self.clone() }
    }

    /// Says when nothing was counted yet.
    pub(super) fn set_since(&mut self, since: Option<Timestamp>) {
        self.series.set_since(since);
    }

    /// The values.
    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    /// Whether a run has started and not finished.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// How long the oldest run has been under way.
    pub(super) fn age(&self, now: Moment) -> Duration {
        let oldest = self.running.iter().map(|it| it.1).min();
        oldest.map_or(Duration::ZERO, |it| now.since(it))
    }

    /// Counts an event that was heard at a wall time.
    pub(super) fn observe(&mut self, event: &Event, wall: Timestamp) {
        match event {
            Event::Scheduled { .. } => {
                self.count(Metric::ScheduledRuns, &[]);
                self.count(Metric::RunsInFlight, &[]);
            }
            Event::Missed { reason, count, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "nobody misses 2^52 runs")]
                let count = *count as f64;
                self.add(Metric::ScheduledRuns, &[], count);
                self.add(Metric::MissedRuns, &[reason.as_str()], count);
            }
            Event::Started { canary, at, .. } => {
                self.running.retain(|it| it.0 != *canary);
                self.running.push((canary.clone(), *at));
            }
            Event::Publishing { .. } => self.wait(Waiting::ForHops),
            // A run that is resumed behind its push says no more that it is about to.
            Event::Published { .. } if self.waiting == Waiting::ForNothing => {
                self.wait(Waiting::ForHops);
            }
            Event::Published { .. }
            | Event::Failing { .. }
            | Event::Positioned { .. }
            | Event::Witnessed { .. } => (),
            Event::Tidied { leftovers, usage, .. } => {
                if let Some(leftovers) = leftovers {
                    #[expect(clippy::cast_precision_loss, reason = "nobody leaves 2^52 of them")]
                    self.set(Metric::Leftovers, &[], *leftovers as f64);
                }
                finished::add_usage(self, *usage);
            }
            Event::Reached { hop, .. } => self.set(Metric::HopWaiting, &[hop], 0.0),
            Event::Decided { slo, verdict, .. } => self.decide(slo, *verdict),
            Event::Ended { .. } => self.wait(Waiting::ForNothing),
            Event::Finished(record) => {
                self.wait(Waiting::ForNothing);
                self.running.retain(|it| it.0 != record.canary);
                self.finish();
                self.rest(wall);
                finished::add(self, record, wall);
            }
        }
    }

    /// Adds to a counter.
    pub(super) fn add(&mut self, metric: Metric, labels: &[&str], more: f64) {
        if self.declared.admits(metric, labels) {
            self.series.add(metric, labels, more);
        }
    }

    /// Adds one to a counter.
    pub(super) fn count(&mut self, metric: Metric, labels: &[&str]) {
        self.add(metric, labels, 1.0);
    }

    /// Sets a gauge, or goes on with a counter.
    pub(super) fn set(&mut self, metric: Metric, labels: &[&str], value: f64) {
        if self.declared.admits(metric, labels) {
            self.series.set(metric, labels, value);
        }
    }

    /// Counts a length in a histogram.
    pub(super) fn measure(&mut self, metric: Metric, labels: &[&str], length: Duration) {
        if self.declared.admits(metric, labels) {
            self.series.observe(metric, labels, length);
        }
    }

    /// Counts a run in a histogram.
    pub(super) fn measure_run(&mut self, metric: Metric, labels: &[&str], run: Exemplar) {
        if self.declared.admits(metric, labels) {
            self.series.observe_run(metric, labels, run);
        }
    }

    /// Goes on with a histogram.
    pub(super) fn put(&mut self, metric: Metric, labels: &[&str], it: Arc<Histogram>) {
        if self.declared.admits(metric, labels) {
            self.series.put(metric, labels, it);
        }
    }

    /// A run that was never due, because its account was lost, was not in flight either.
    fn finish(&mut self) {
        let in_flight = self.series.numbers(Metric::RunsInFlight, None).map(|it| it.1).sum::<f64>();
        self.set(Metric::RunsInFlight, &[], (in_flight - 1.0).max(0.0));
    }

    /// From now on the next run is waited for.
    fn rest(&mut self, now: Timestamp) {
        self.rested = now;
        let next = self.declared.schedule.as_ref().and_then(|it| it.next_after(now));
        if let Some(next) = next {
            self.series.set(Metric::NextRun, &[], next.as_duration().as_secs_f64());
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        let value = if waiting == Waiting::ForHops { 1.0 } else { 0.0 };
        self.series.set_all(Metric::HopWaiting, value);
    }

    fn decide(&mut self, slo: &str, verdict: SloVerdict) {
        match verdict {
            SloVerdict::Good => self.count(Metric::SloEvents, &[slo]),
            SloVerdict::Bad => {
                self.count(Metric::SloEvents, &[slo]);
                self.count(Metric::SloBadEvents, &[slo]);
            }
            SloVerdict::Unknown => self.count(Metric::SloUnknown, &[slo]),
        }
    }
}
