//! What one period says of a hop.
//!
//! The same rules as for the metrics: what is known too vaguely, or was seen out of order, is
//! counted and not observed (rules T6 and P2), and skipped runs and broken probers say nothing.

use crate::history::{HopRow, RunSummary};
use crate::model::Span;
use crate::model::statistics::{Sample, Share, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What one period says of a hop, of the push, or of the whole. Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Times that the percentiles are of: those that were measured, and those that were not
    /// reached while the run waited for them.
    pub count: usize,
    /// Those of them that were not reached: known only to be longer.
    pub beyond: usize,
    /// Times that are left out because their bounds are too far apart.
    pub vague: usize,
    /// Hops whose times lie between bounds, far apart or not.
    pub uncertain: usize,
    /// Hops that were not seen, though one behind them was.
    pub bypassed: usize,
    /// Hops that were not reached.
    pub unreached: usize,
    /// Hops that were seen before one that should come before them; left out.
    pub reordered: usize,
    /// Hops that lost the change again.
    pub reverted: usize,
    /// Half of the times are at most this.
    pub p50: Option<Time>,
    /// Nine of ten times are at most this; none with fewer than ten.
    pub p90: Option<Time>,
    /// Ninety-nine of a hundred times are at most this; none with fewer than a hundred.
    pub p99: Option<Time>,
    /// The longest time.
    pub max: Option<Time>,
    /// Mean part of the stage in which nobody had started, where that is known.
    pub mean_wait: Option<f64>,
    /// Mean rest of those stages.
    pub mean_work: Option<f64>,
    /// How often it was woken by whom.
    pub via: BTreeMap<String, usize>,
    /// The times themselves, for comparisons.
    #[serde(skip)]
    pub(super) sample: Sample,
}

/// What is gathered of a hop, run by run.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    times: Vec<Time>,
    /// Seconds until it was certain that the change would not come.
    lost: Vec<f64>,
    waits: Vec<(f64, f64)>,
    measured: Measured,
}

// === impl Gathered ===

impl Gathered {
    /// Adds what a run says of its push.
    pub(super) fn add_push(&mut self, run: &RunSummary) {
        if let Some(span) = run.push {
            self.observe(span, run.tolerance);
        }
    }

    /// Adds what a run says of the whole delivery; one that was not delivered took longer than it
    /// was waited for.
    pub(super) fn add_total(&mut self, run: &RunSummary) {
        match (run.outcome.as_str(), run.push_to_apply) {
            ("ok" | "slow", Some(span)) => self.observe(span, run.tolerance),
            ("failed" | "timeout", Some(span)) => {
                self.measured.unreached += 1;
                self.give_up(&run.outcome, span.most);
            }
            _ => {}
        }
    }

    /// Adds what a run says of one of its hops. `stuck` is how long the run had waited since it
    /// reached a hop for the last time, if this is the hop at which it stood.
    pub(super) fn add_hop(&mut self, hop: &HopRow, stuck: Option<Duration>) {
        self.measured.uncertain += usize::from(hop.uncertain);
        self.measured.reordered += usize::from(hop.reordered);
        self.measured.reverted += usize::from(hop.reverted);
        if let Some(via) = &hop.via {
            *self.measured.via.entry(via.clone()).or_default() += 1;
        }
        match (hop.passage.as_str(), hop.stage) {
            ("bypassed", _) => self.measured.bypassed += 1,
            ("unreached", _) => {
                self.measured.unreached += usize::from(hop.outcome != "superseded");
                if let Some(waited) = stuck {
                    self.give_up(&hop.outcome, waited);
                }
            }
            (_, Some(span)) if !hop.reordered => {
                self.observe(span, hop.tolerance);
                if let Some(wait) = hop.wait
                    && wait.width() <= hop.tolerance
                    && span.width() <= hop.tolerance
                {
                    let rest = span.most.saturating_sub(wait.most);
                    self.waits.push((wait.most.as_secs_f64(), rest.as_secs_f64()));
                }
            }
            _ => {}
        }
    }

    /// What that comes to.
    pub(super) fn finish(mut self) -> Measured {
        // Waiting longer would not have helped: what failed stands behind all that was measured.
        let longest = self.times.iter().map(|it| it.seconds()).fold(0.0, f64::max);
        self.times.extend(self.lost.iter().map(|it| Time::Beyond(it.max(longest))));
        let sample: Sample = self.times.into_iter().collect();
        let supported = |share| sample.percentile(share).filter(|_| sample.supports(share));
        Measured {
            count: sample.count(),
            beyond: sample.censored(),
            p50: sample.percentile(Share::MEDIAN),
            p90: supported(Share::P90),
            p99: supported(Share::P99),
            max: sample.longest(),
            mean_wait: mean(self.waits.iter().map(|it| it.0)),
            mean_work: mean(self.waits.iter().map(|it| it.1)),
            sample,
            ..self.measured
        }
    }

    /// A run that was given up after this time.
    fn give_up(&mut self, outcome: &str, waited: Duration) {
        let seconds = waited.as_secs_f64();
        match outcome {
            "failed" => self.lost.push(seconds),
            _ => self.times.push(Time::Beyond(seconds)),
        }
    }

    /// A time counts with its upper bound, unless its bounds are too far apart (rule T6).
    fn observe(&mut self, span: Span, tolerance: Duration) {
        if span.width() <= tolerance {
            self.times.push(Time::Measured(span.most.as_secs_f64()));
        } else {
            self.measured.vague += 1;
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = u32::try_from(values.len()).ok().filter(|it| *it > 0)?;
    Some(values.sum::<f64>() / f64::from(count))
}
