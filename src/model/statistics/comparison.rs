//! Whether two samples differ, and how surely.
//!
//! The answer is the difference of a percentile with a confidence interval, because that says
//! both how much and how surely, in seconds. A test (Mann and Whitney's, say) would add a number
//! that says neither, and might contradict it: it compares ranks of all times, not a percentile.

use crate::model::statistics::{Sample, Share, Time};
use serde::Serialize;

/// How often both samples are drawn again.
const DRAWS: usize = 2_000;

/// How many draws lie outside of the interval at each end, for 95 %.
const OUTSIDE: usize = DRAWS / 40;

/// Fewest times in each period for a comparison of medians: with fewer, the interval is too often
/// too narrow.
const LEAST_FOR_MEDIANS: usize = 8;

/// Fewest times in each period for percentiles further out, so that some lie above.
const LEAST_FOR_TAILS: usize = 50;

/// Where the draws begin: the same samples always get the same answer.
const SEED: u64 = 0x1996_0412_1a1f_be67;

/// What can be said of two samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "comparison")]
pub enum Comparison {
    /// Nothing.
    TooFew {
        /// Times before.
        before: usize,
        /// Times after.
        after: usize,
        /// How many each would need.
        least: usize,
    },
    /// How much longer it takes.
    Found(Difference),
}

/// How much longer it takes after than before, in seconds; less than zero if it is faster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// At least so much longer; endless (null in JSON) if that before is beyond what was measured.
    pub least: f64,
    /// At most so much longer: the same, unless one of the percentiles is beyond what was measured.
    pub most: f64,
    /// Lower end of the 95 % confidence interval; may be endless (null).
    pub low: f64,
    /// Upper end of the 95 % confidence interval; may be endless (null).
    pub high: f64,
    /// What that comes to.
    pub verdict: Verdict,
}

/// What a difference comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of the interval lies above zero.
    Slower,
    /// All of the interval lies below zero.
    Faster,
    /// Zero lies in it.
    NoDifference,
    /// Both percentiles are beyond what was measured.
    Unknown,
}

/// Steele, Lea and Flood's `SplitMix64` (*Fast Splittable Pseudorandom Number Generators*, OOPSLA
/// 2014): small, and the same for ever, so that a report never changes by an update.
pub(super) struct Dice(pub(super) u64);

/// Compares a percentile of two samples.
///
/// The interval is the percentile bootstrap (Efron and Tibshirani, *An Introduction to the
/// Bootstrap*, 1993, chapter 13): both samples are drawn anew with replacement, each 2,000 times,
/// and the middle 95 % of the differences are the interval. It takes runs as independent of each
/// other. A percentile that is only known to be beyond a time makes the interval wider on that
/// side, never narrower.
#[must_use]
pub fn compare(before: &Sample, after: &Sample, share: Share) -> Comparison {
    let least = if share <= Share::MEDIAN { LEAST_FOR_MEDIANS } else { LEAST_FOR_TAILS };
    let (many, more) = (before.count(), after.count());
    let (Some(was), Some(is)) = (before.percentile(share), after.percentile(share)) else {
        return Comparison::TooFew { before: many, after: more, least };
    };
    if many.min(more) < least {
        return Comparison::TooFew { before: many, after: more, least };
    }
    let mut dice = Dice(SEED);
    let (mut lows, mut highs) = (Vec::with_capacity(DRAWS), Vec::with_capacity(DRAWS));
    let mut places = Vec::with_capacity(many.max(more));
    for _ in 0..DRAWS {
        let drawn = (
            draw(before, share, &mut dice, &mut places),
            draw(after, share, &mut dice, &mut places),
        );
        let (low, high) = bounds(drawn.0, drawn.1);
        lows.push(low);
        highs.push(high);
    }
    lows.sort_by(f64::total_cmp);
    highs.sort_by(f64::total_cmp);
    let (low, high) = (lows[OUTSIDE - 1], highs[DRAWS - OUTSIDE]);
    let (least, most) = bounds(was, is);
    let verdict = match () {
        () if low > 0.0 => Verdict::Slower,
        () if high < 0.0 => Verdict::Faster,
        () if least.is_infinite() && most.is_infinite() => Verdict::Unknown,
        () => Verdict::NoDifference,
    };
    Comparison::Found(Difference { least, most, low, high, verdict })
}

/// The percentile of a sample that is drawn from a sample.
fn draw(sample: &Sample, share: Share, dice: &mut Dice, places: &mut Vec<usize>) -> Time {
    let count = sample.count();
    places.clear();
    places.extend((0..count).map(|_| dice.below(count)));
    let (_, place, _) = places.select_nth_unstable(share.rank(count) - 1);
    sample.at(*place)
}

/// Between what the difference of two times lies.
fn bounds(before: Time, after: Time) -> (f64, f64) {
    let most = |it: Time| match it {
        Time::Measured(it) => it,
        Time::Beyond(_) => f64::INFINITY,
    };
    (after.seconds() - most(before), most(after) - before.seconds())
}

// === impl Dice ===

impl Dice {
    /// A number below `limit`, which is not zero.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let scaled = (u128::from(self.next()) * limit as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
