//! The native form of a histogram: buckets whose bounds grow exponentially.
//!
//! Bucket `i` of schema `s` holds what lies above `2^((i-1)/2^s)` and at most `2^(i/2^s)`;
//! lowering the schema by one merges bucket pairs, `i` going to `⌈i/2⌉` (Prometheus, "Native
//! Histograms" specification, sections "Schema" and "Zero bucket").

use std::collections::BTreeMap;

/// Schema of a new histogram: each bound is 2^(1/8), so 9 %, above the one before.
pub(super) const FINEST: i32 = 3;

/// Schema below which no length of time that can be held needs to go.
pub(super) const COARSEST: i32 = -4;

/// Most buckets beside the zero bucket; where more would be needed, the schema is lowered.
pub(super) const MOST_BUCKETS: usize = 160;

/// What is not above this is counted in the zero bucket: 2^-10 s, about a millisecond, since
/// hopclock does not measure better than that.
pub(super) const ZERO_THRESHOLD: f64 = 1.0 / 1024.0;

/// Where the buckets of the finest schema begin within an octave that is scaled to [0.5, 1):
/// 2^(k/8)/2.
const OCTAVE: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_4,
    0.917_004_043_204_671_1,
];

/// Counts in buckets whose bounds grow exponentially. Lengths of time are never negative, so
/// there are positive buckets only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    pub(super) schema: i32,
    pub(super) zero: u64,
    pub(super) buckets: BTreeMap<i32, u64>,
}

// === impl Native ===

impl Default for Native {
    fn default() -> Self {
        Self { schema: FINEST, zero: 0, buckets: BTreeMap::new() }
    }
}

impl Native {
    /// How fast the bounds grow: by 2^(2^-schema).
    #[must_use]
    pub fn schema(&self) -> i32 {
        self.schema
    }

    /// Upper bound of the zero bucket, in seconds.
    #[must_use]
    pub fn zero_threshold(&self) -> f64 {
        ZERO_THRESHOLD
    }

    /// Count of the zero bucket.
    #[must_use]
    pub fn zero_count(&self) -> u64 {
        self.zero
    }

    /// The buckets that hold something, sorted by index.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        self.buckets.iter().map(|(index, count)| (*index, *count))
    }

    /// The zero bucket and all that hold something, as `(lower, upper, count)` in seconds.
    pub fn ranges(&self) -> impl Iterator<Item = (f64, f64, u64)> {
        let zero = (0.0, ZERO_THRESHOLD, self.zero);
        let above = self.buckets().map(|(index, count)| {
            (bound(self.schema, index - 1).max(ZERO_THRESHOLD), bound(self.schema, index), count)
        });
        std::iter::once(zero).chain(above)
    }

    /// How many lengths were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.zero + self.buckets.values().sum::<u64>()
    }

    pub(super) fn observe(&mut self, seconds: f64) {
        if seconds <= ZERO_THRESHOLD {
            self.zero += 1;
        } else {
            let index = coarser(index(seconds), FINEST - self.schema);
            *self.buckets.entry(index).or_default() += 1;
            self.limit();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let schema = self.schema.min(other.schema);
        self.lower(schema);
        self.zero += other.zero;
        for (index, count) in other.buckets() {
            *self.buckets.entry(coarser(index, other.schema - schema)).or_default() += count;
        }
        self.limit();
    }

    /// Takes away what an earlier state had counted; its schema was this one or a finer one.
    pub(super) fn subtract(&mut self, before: &Self) {
        let mut before = before.clone();
        before.lower(self.schema);
        self.zero = self.zero.saturating_sub(before.zero);
        for (index, count) in before.buckets() {
            if let Some(ours) = self.buckets.get_mut(&index) {
                *ours = ours.saturating_sub(count);
            }
        }
        self.buckets.retain(|_, count| *count > 0);
    }

    /// Lowers the schema until there are few enough buckets.
    fn limit(&mut self) {
        while self.buckets.len() > MOST_BUCKETS && self.schema > COARSEST {
            self.lower(self.schema - 1);
        }
    }

    fn lower(&mut self, schema: i32) {
        let steps = self.schema - schema;
        if steps > 0 {
            let mut merged = BTreeMap::new();
            for (index, count) in self.buckets() {
                *merged.entry(coarser(index, steps)).or_default() += count;
            }
            (self.schema, self.buckets) = (schema, merged);
        }
    }
}

/// The bucket of the finest schema that holds a positive, normal number.
///
/// Taken from the parts of the floating-point number, because a logarithm would put numbers on a
/// bound into the wrong bucket now and then.
fn index(seconds: f64) -> i32 {
    const MANTISSA: u64 = (1 << 52) - 1;
    const HALF: u64 = 1022 << 52;
    let bits = seconds.to_bits();
    let fraction = f64::from_bits((bits & MANTISSA) | HALF);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1022;
    let place = OCTAVE.iter().take_while(|it| **it < fraction).count();
    i32::try_from(place).unwrap_or(0) + (exponent - 1) * 8
}

/// The bucket of a schema lower by `steps` that holds bucket `index`: divided by 2^steps, rounded
/// up.
fn coarser(index: i32, steps: i32) -> i32 {
    -((-index) >> steps)
}

/// Upper bound of a bucket, in seconds.
fn bound(schema: i32, index: i32) -> f64 {
    (f64::from(index) * f64::from(-schema).exp2()).exp2()
}
