//! How often which length of time was seen: our own histogram, in both forms that Prometheus has.
//!
//! It is a type of the model because it has to be saved, restored, merged, read and sent in
//! several formats; a metrics library can only expose what it counted itself.
//!
//! Invariant: every length is counted once in the classic and once in the native form, so that
//! their totals are equal. Counts and the sum are whole numbers, so that merging is exact and its
//! order does not matter.

mod native;
mod saved;

#[cfg(test)]
mod tests;

use crate::model::CanaryId;
use saved::Saved;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use native::Native;
pub use saved::NotAHistogram;

/// Upper bounds of the classic buckets in seconds, for all histograms of a process, so that sums
/// over scenarios are right and a reload never changes a live series. Above the last one there is
/// one bucket more, without a bound.
pub const BOUNDS: [f64; 14] =
    [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0];

/// Number of classic buckets: one for each bound, and the one above the last.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// How often which length of time was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Histogram {
    sum_nanos: u64,
    classic: [u64; BUCKETS],
    native: Native,
    /// Sorted by bucket; few buckets ever get one.
    exemplars: Vec<(usize, Exemplar)>,
}

/// One run that a bucket holds, to jump from a chart to the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemplar {
    /// The run.
    pub canary: CanaryId,
    /// What it contributed.
    pub value: Duration,
    /// Wall time of the observation.
    pub at: jiff::Timestamp,
}

// === impl Histogram ===

impl Histogram {
    /// Counts a length of time.
    pub fn observe(&mut self, length: Duration) {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos = self.sum_nanos.saturating_add(nanos);
        self.classic[bucket_of(length)] += 1;
        self.native.observe(length.as_secs_f64());
    }

    /// Counts a length of time and keeps the run as the exemplar of its bucket, unless that has a
    /// later one.
    pub fn observe_run(&mut self, exemplar: Exemplar) {
        self.observe(exemplar.value);
        self.keep(bucket_of(exemplar.value), exemplar);
    }

    /// Adds everything that another histogram has counted.
    pub fn merge(&mut self, other: &Self) {
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
        for (ours, theirs) in self.classic.iter_mut().zip(other.classic) {
            *ours += theirs;
        }
        self.native.merge(&other.native);
        for (bucket, exemplar) in &other.exemplars {
            self.keep(*bucket, exemplar.clone());
        }
    }

    /// What was counted since `before`, an earlier state of the same histogram. Of the exemplars,
    /// those that it had not.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut new = self.clone();
        new.sum_nanos = self.sum_nanos.saturating_sub(before.sum_nanos);
        for (ours, theirs) in new.classic.iter_mut().zip(before.classic) {
            *ours = ours.saturating_sub(theirs);
        }
        new.native.subtract(&before.native);
        new.exemplars.retain(|it| !before.exemplars.contains(it));
        new
    }

    /// How many lengths were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classic.iter().sum()
    }

    /// The sum of all lengths, in seconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        Duration::from_nanos(self.sum_nanos).as_secs_f64()
    }

    /// The classic buckets, each with its upper bound (the last one's is infinite), its own count
    /// and its exemplar.
    pub fn classic(&self) -> impl Iterator<Item = (f64, u64, Option<&Exemplar>)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(self.classic).enumerate().map(|(bucket, (bound, count))| {
            let at = self.exemplars.binary_search_by_key(&bucket, |it| it.0);
            (bound, count, at.ok().map(|it| &self.exemplars[it].1))
        })
    }

    /// The native form.
    #[must_use]
    pub fn native(&self) -> &Native {
        &self.native
    }

    /// Estimate of quantile `q` in seconds from the classic form, none if nothing was counted.
    ///
    /// Linear within the bucket; above the last bound it is that bound (Prometheus, documentation
    /// of `histogram_quantile`).
    #[must_use]
    pub fn classic_quantile(&self, q: f64) -> Option<f64> {
        let mut lower = 0.0;
        let mut buckets = Vec::with_capacity(BUCKETS);
        for (upper, count, _) in self.classic() {
            let top = if upper.is_finite() { upper } else { lower };
            buckets.push((lower, top, count));
            lower = upper;
        }
        quantile(q, &buckets)
    }

    /// Estimate of quantile `q` in seconds from the native form, none if nothing was counted.
    ///
    /// Linear within the bucket, as Prometheus did before version 3; since then it interpolates
    /// exponentially. Both stay within the bucket, which is less than a tenth wide.
    #[must_use]
    pub fn native_quantile(&self, q: f64) -> Option<f64> {
        quantile(q, &self.native.ranges().collect::<Vec<_>>())
    }

    /// Keeps the later exemplar of a bucket; value and run decide between two of one instant, so
    /// that the order of merging does not matter.
    fn keep(&mut self, bucket: usize, exemplar: Exemplar) {
        let rank = |it: &Exemplar| (it.at, it.value, it.canary.to_string());
        match self.exemplars.binary_search_by_key(&bucket, |it| it.0) {
            Ok(at) if rank(&self.exemplars[at].1) < rank(&exemplar) => {
                self.exemplars[at].1 = exemplar;
            }
            Ok(_) => (),
            Err(at) => self.exemplars.insert(at, (bucket, exemplar)),
        }
    }
}

/// The classic bucket of a length; a bound belongs to the bucket below it.
fn bucket_of(length: Duration) -> usize {
    let seconds = length.as_secs_f64();
    BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len())
}

/// Quantile `q` of sorted buckets `(lower, upper, count)`, linear within the bucket.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn quantile(q: f64, buckets: &[(f64, f64, u64)]) -> Option<f64> {
    let total: u64 = buckets.iter().map(|it| it.2).sum();
    let rank = q.clamp(0.0, 1.0) * total as f64;
    let mut below = 0.0;
    for (lower, upper, count) in buckets.iter().filter(|it| it.2 > 0) {
        let count = *count as f64;
        if below + count >= rank {
            return Some(lower + (upper - lower) * (rank - below) / count);
        }
        below += count;
    }
    None
}
