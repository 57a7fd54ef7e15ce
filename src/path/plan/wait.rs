//! How long a change waits at one place, as a distribution, and the sum of several.
//!
//! A change is made at any phase of a poller (rule O5), so what it waits for one is what is left of
//! an interval at a random moment. Sums are convolved on a grid: with one poller the answer is
//! exact, with more it is off by less than a thousandth of the longest wait.

use std::time::Duration;

/// A wait at one place. All waits of a path are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is woken, and begins at once.
    Zero,
    /// As long as that, always.
    Fixed(Duration),
    /// Anything up to that, equally likely.
    UpTo(Duration),
    /// For something that looks so often.
    Poll {
        /// Its interval.
        every: Duration,
        /// Whether each of its intervals is spread by a twentieth, either way.
        spread: bool,
    },
}

/// The sum of independent waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    fixed: f64,
    expected: f64,
    worst: Duration,
    /// Width of a cell, in seconds.
    cell: f64,
    /// How many waits are not fixed.
    parts: usize,
    /// How likely a sum is in this cell or in one before it.
    below: Vec<f64>,
}

/// Cells of the grid.
const CELLS: f64 = 2000.0;
/// How far Flux spreads its intervals, either way.
const SPREAD: f64 = 0.05;

// === impl Wait ===

impl Wait {
    /// How long it takes on average.
    #[must_use]
    pub fn expected(self) -> Duration {
        Duration::from_secs_f64(match self {
            Self::Zero => 0.0,
            Self::Fixed(it) => it.as_secs_f64(),
            Self::UpTo(it) => it.as_secs_f64() / 2.0,
            // Who comes at random is more likely to meet a long interval than a short one.
            Self::Poll { every, spread } => {
                let more = if spread { SPREAD * SPREAD / 3.0 } else { 0.0 };
                every.as_secs_f64() / 2.0 * (1.0 + more)
            }
        })
    }

    /// How long it takes at most.
    #[must_use]
    pub fn worst(self) -> Duration {
        match self {
            Self::Zero => Duration::ZERO,
            Self::Fixed(it) | Self::UpTo(it) => it,
            Self::Poll { every, spread: true } => every + every / 20,
            Self::Poll { every, spread: false } => every,
        }
    }

    fn is_spread_out(self) -> bool {
        matches!(self, Self::UpTo(_) | Self::Poll { .. }) && !self.worst().is_zero()
    }

    /// How likely it is over after so many seconds; of one that is not fixed.
    fn share(self, seconds: f64) -> f64 {
        let most = self.worst().as_secs_f64();
        let Self::Poll { every, spread: true } = self else {
            return (seconds / most).clamp(0.0, 1.0);
        };
        let mean = every.as_secs_f64();
        let least = mean * (1.0 - SPREAD);
        let seconds = seconds.clamp(0.0, most);
        if seconds <= least {
            return seconds / mean;
        }
        let left = ((most - least).powi(2) - (most - seconds).powi(2)) / (2.0 * (most - least));
        (least + left) / mean
    }
}

// === impl Sum ===

impl Sum {
    /// The sum of these.
    #[must_use]
    pub fn of(waits: &[Wait]) -> Self {
        let (spread, fixed): (Vec<Wait>, Vec<Wait>) =
            waits.iter().partition(|it| it.is_spread_out());
        let width: f64 = spread.iter().map(|it| it.worst().as_secs_f64()).sum();
        let cell = width / CELLS;
        let mut all = vec![1.0];
        for wait in &spread {
            all = convolved(&all, &masses(*wait, cell));
        }
        let mut sum = 0.0;
        let below = all.into_iter().map(|it| {
            sum += it;
            sum
        });
        Self {
            fixed: fixed.iter().map(|it| it.worst().as_secs_f64()).sum(),
            expected: waits.iter().map(|it| it.expected().as_secs_f64()).sum(),
            worst: waits.iter().map(|it| it.worst()).sum(),
            cell,
            parts: spread.len(),
            below: below.collect(),
        }
    }

    /// What it is on average.
    #[must_use]
    pub fn expected(&self) -> Duration {
        Duration::from_secs_f64(self.expected)
    }

    /// What it is at least.
    #[must_use]
    pub fn least(&self) -> Duration {
        Duration::from_secs_f64(self.fixed)
    }

    /// What it is at most.
    #[must_use]
    pub fn worst(&self) -> Duration {
        self.worst
    }

    /// How likely it is no longer than that.
    #[must_use]
    pub fn share(&self, within: Duration) -> f64 {
        if within >= self.worst {
            return 1.0;
        }
        let seconds = within.as_secs_f64() - self.fixed;
        if self.parts == 0 || seconds <= 0.0 {
            return 0.0;
        }
        // Each wait lies somewhere in its cell; the middle of the sum is the middle of all.
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let offset = (self.parts as f64 - 1.0) / 2.0;
        let place = (seconds / self.cell - offset).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "no cell is far"
        )]
        let whole = place as usize;
        let at = |it: usize| self.below[it.min(self.below.len() - 1)];
        let before = if whole == 0 { 0.0 } else { at(whole - 1) };
        (before + (at(whole) - before) * place.fract()).clamp(0.0, 1.0)
    }

    /// What it is at most in this share of all cases.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let (mut low, mut high) = (self.fixed, self.worst.as_secs_f64());
        if self.parts == 0 {
            return self.worst;
        }
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.share(Duration::from_secs_f64(middle)) < share {
                low = middle;
            } else {
                high = middle;
            }
        }
        Duration::from_secs_f64(high).min(self.worst)
    }
}

/// How likely a wait ends in each cell.
fn masses(wait: Wait, cell: f64) -> Vec<f64> {
    let most = wait.worst().as_secs_f64();
    let mut masses = Vec::new();
    let mut end = 0.0;
    while end < most {
        let start = end;
        end += cell;
        masses.push(wait.share(end) - wait.share(start));
    }
    masses
}

fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0; one.len() + other.len() - 1];
    for (at, mass) in one.iter().enumerate() {
        for (by, it) in other.iter().enumerate() {
            all[at + by] += mass * it;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn near(one: Duration, seconds: f64) {
        assert!(
            (one.as_secs_f64() - seconds).abs() < 0.002 * seconds.max(1.0),
            "{one:?} {seconds}"
        );
    }

    #[test]
    fn one_poller_is_waited_for_half_its_interval_and_at_most_the_longest_one() {
        let poll = Wait::Poll { every: s(600), spread: true };
        let sum = Sum::of(&[poll]);
        near(sum.expected(), 300.25);
        assert_eq!((sum.worst(), sum.least()), (s(630), s(0)));
        assert!((sum.share(s(120)) - 0.2).abs() < 1e-3);
        near(sum.quantile(0.5), 300.0);
        near(sum.quantile(0.95), 570.0);
        assert!(sum.quantile(0.999) > s(600));
        let plain = Sum::of(&[Wait::Poll { every: s(600), spread: false }]);
        assert_eq!((plain.expected(), plain.worst()), (s(300), s(600)));
        near(plain.quantile(0.99), 594.0);
    }

    #[test]
    fn two_equal_pollers_make_a_triangle() {
        let poll = Wait::Poll { every: s(60), spread: false };
        let sum = Sum::of(&[poll, Wait::Fixed(s(30)), poll]);
        assert_eq!((sum.expected(), sum.worst(), sum.least()), (s(90), s(150), s(30)));
        // Of a triangle over 0 to 2, the share below x is x²/2 and 1 - (2 - x)²/2.
        for (at, share) in [(60, 0.125), (90, 0.5), (120, 0.875), (144, 0.995)] {
            assert!((sum.share(s(at)) - share).abs() < 1e-3, "{at}: {}", sum.share(s(at)));
        }
        near(sum.quantile(0.875), 120.0);
    }

    #[test]
    fn three_different_pollers_are_as_exact_as_the_formula() {
        // For uniform waits the share is a sum of cubes: Σ ±(x - Σa)³ / (3! Πa).
        let ends = [30.0_f64, 60.0, 300.0];
        let waits = ends.map(|it| Wait::UpTo(Duration::from_secs_f64(it)));
        let sum = Sum::of(&waits);
        for x in [20.0_f64, 80.0, 200.0, 310.0, 380.0] {
            let terms = (0_u32..8).map(|set| {
                let taken = (0..3).filter(|it| set & (1 << it) != 0);
                let off: f64 = taken.map(|it| ends[it]).sum();
                let sign = if set.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                sign * (x - off).max(0.0).powi(3)
            });
            let exact = terms.sum::<f64>() / (6.0 * ends.iter().product::<f64>());
            let found = sum.share(Duration::from_secs_f64(x));
            assert!((found - exact).abs() < 1e-3, "{x}: {found} {exact}");
        }
    }

    #[test]
    fn what_is_woken_waits_for_nothing() {
        let sum = Sum::of(&[Wait::Zero, Wait::Zero]);
        assert_eq!((sum.expected(), sum.worst(), sum.quantile(0.99)), (s(0), s(0), s(0)));
        assert!((sum.share(s(0)) - 1.0).abs() < f64::EPSILON);
        let fixed = Sum::of(&[Wait::Fixed(s(30))]);
        assert!(fixed.share(s(29)) < f64::EPSILON && fixed.share(s(30)) > 0.9);
        assert_eq!(fixed.quantile(0.5), s(30));
    }
}
