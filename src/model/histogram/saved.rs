//! How a histogram is written down: small, with a version, and checked when it is read.

use crate::model::histogram::native::{COARSEST, FINEST, MOST_BUCKETS};
use crate::model::histogram::{BUCKETS, Exemplar, Histogram, Native};
use serde::{Deserialize, Serialize};

/// The form that is written. A change of [`BOUNDS`](super::BOUNDS) or of the fields needs a new
/// one.
const VERSION: u32 = 1;

/// A histogram as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    version: u32,
    /// In nanoseconds: a whole number reads back exactly.
    sum_ns: u64,
    /// Counts of the classic buckets, up to the last that holds something.
    classic: Vec<u64>,
    schema: i32,
    zero: u64,
    /// Index and count of the native buckets that hold something.
    native: Vec<(i32, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<(usize, Exemplar)>,
}

/// What was read is no histogram of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAHistogram {
    /// Another version wrote it.
    #[error(
        "saved histogram has version {0}, but this hopclock reads version {VERSION}: \
         upgrade it, or start from an empty state"
    )]
    Version(u32),
    /// It contradicts itself.
    #[error("saved histogram is damaged ({0}): start from an empty state")]
    Damaged(&'static str),
}

// === impl Saved ===

impl From<Histogram> for Saved {
    fn from(it: Histogram) -> Self {
        let used = it.classic.iter().rposition(|it| *it > 0).map_or(0, |it| it + 1);
        Self {
            version: VERSION,
            sum_ns: it.sum_nanos,
            classic: it.classic[..used].to_vec(),
            schema: it.native.schema,
            zero: it.native.zero,
            native: it.native.buckets().collect(),
            exemplars: it.exemplars,
        }
    }
}

impl TryFrom<Saved> for Histogram {
    type Error = NotAHistogram;

    fn try_from(it: Saved) -> Result<Self, NotAHistogram> {
        if it.version != VERSION {
            return Err(NotAHistogram::Version(it.version));
        }
        if it.classic.len() > BUCKETS {
            return Err(NotAHistogram::Damaged("too many classic buckets"));
        }
        if !(COARSEST..=FINEST).contains(&it.schema) || it.native.len() > MOST_BUCKETS {
            return Err(NotAHistogram::Damaged("native schema or size out of range"));
        }
        if !it.native.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(NotAHistogram::Damaged("native buckets are not in order"));
        }
        let ordered = it.exemplars.is_sorted_by(|one, next| one.0 < next.0);
        if !ordered || it.exemplars.last().is_some_and(|it| it.0 >= BUCKETS) {
            return Err(NotAHistogram::Damaged("exemplars are not in order"));
        }
        let classic_total = total(it.classic.iter().copied());
        let native_total = total(it.native.iter().map(|it| it.1).chain([it.zero]));
        if classic_total.is_none() || classic_total != native_total {
            return Err(NotAHistogram::Damaged("classic and native counts differ"));
        }
        let mut classic = [0; BUCKETS];
        classic[..it.classic.len()].copy_from_slice(&it.classic);
        let buckets = it.native.into_iter().collect();
        let native = Native { schema: it.schema, zero: it.zero, buckets };
        Ok(Self { sum_nanos: it.sum_ns, classic, native, exemplars: it.exemplars })
    }
}

/// The sum of counts, none if it cannot be held.
fn total(mut counts: impl Iterator<Item = u64>) -> Option<u64> {
    counts.try_fold(0, u64::checked_add)
}
