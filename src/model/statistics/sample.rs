//! Samples and their percentiles, some of them censored.

use serde::{Serialize, Serializer};

/// A time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Time {
    /// It took so long.
    Measured(f64),
    /// It took longer: it had not happened when nobody looked any more.
    Beyond(f64),
}

/// A part of a sample, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

/// Times, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds, ascending; of equal ones those that are censored last.
    times: Vec<f64>,
    /// How many there are before the first that is censored.
    certain: usize,
    censored: usize,
}

// === impl Share ===

impl Share {
    /// Half of them.
    pub const MEDIAN: Self = Self(500);
    /// Nine of ten.
    pub const P90: Self = Self(900);
    /// Ninety-nine of a hundred.
    pub const P99: Self = Self(990);

    /// The rank of the percentile among `count` times, from 1.
    pub(super) fn rank(self, count: usize) -> usize {
        (count * usize::from(self.0)).div_ceil(1000).clamp(1, count.max(1))
    }
}

// === impl Time ===

impl Time {
    /// The seconds, or those that it took at least.
    #[must_use]
    pub fn seconds(self) -> f64 {
        match self {
            Self::Measured(it) | Self::Beyond(it) => it,
        }
    }
}

impl Serialize for Time {
    /// A number, or an object `beyond`.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Measured(it) => to.serialize_f64(*it),
            Self::Beyond(it) => to.collect_map([("beyond", it)]),
        }
    }
}

// === impl Sample ===

impl FromIterator<Time> for Sample {
    fn from_iter<I: IntoIterator<Item = Time>>(times: I) -> Self {
        let mut times: Vec<Time> = times.into_iter().collect();
        let censored = |it: &Time| matches!(it, Time::Beyond(_));
        times.sort_by(|a, b| {
            a.seconds().total_cmp(&b.seconds()).then(censored(a).cmp(&censored(b)))
        });
        Self {
            certain: times.iter().position(censored).unwrap_or(times.len()),
            censored: times.iter().filter(|it| censored(it)).count(),
            times: times.into_iter().map(Time::seconds).collect(),
        }
    }
}

impl Sample {
    /// How many times there are, with those that are censored.
    #[must_use]
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// How many are known only to be longer than something.
    #[must_use]
    pub fn censored(&self) -> usize {
        self.censored
    }

    /// The smallest time that is not below this share of all: the time of rank ⌈n·p⌉, always one
    /// that occurred (type 1 of Hyndman and Fan, *Sample Quantiles in Statistical Packages*, The
    /// American Statistician 50, 1996). None without times.
    ///
    /// A censored time counts as longer than its bound. So where one has this rank or a lower
    /// one, the percentile is known only to be not below the time of that rank: each of the
    /// smallest times is at least the bound that stands in its place.
    #[must_use]
    pub fn percentile(&self, share: Share) -> Option<Time> {
        let rank = share.rank(self.count());
        (rank <= self.count()).then(|| self.at(rank - 1))
    }

    /// Whether there are enough times for one to be expected above the percentile: 10 for p90, 100
    /// for p99. With fewer it would just be the longest.
    #[must_use]
    pub fn supports(&self, share: Share) -> bool {
        self.count() * usize::from(1000 - share.0) >= 1000
    }

    /// The longest. None without times.
    #[must_use]
    pub fn longest(&self) -> Option<Time> {
        self.count().checked_sub(1).map(|it| self.at(it))
    }

    /// The time at a place, from 0.
    pub(super) fn at(&self, place: usize) -> Time {
        let seconds = self.times[place];
        if place < self.certain { Time::Measured(seconds) } else { Time::Beyond(seconds) }
    }
}
