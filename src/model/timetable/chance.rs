//! Chance that can be repeated: numbers that depend on nothing but the texts they are made of.
//!
//! A delay has to be the same after a restart, on another replica and in the next version, so this
//! is neither the standard library's hasher, which promises nothing, nor a generator with a state:
//! FNV-1a with 64 bits over the parts, each behind its length, then `SplitMix64`'s finalizer, which
//! makes all 64 bits depend on each of them.

use crate::model::fnv1a;
use std::time::Duration;

/// A number that the parts decide, and that says nothing of them.
pub(super) fn number(parts: &[&[u8]]) -> u64 {
    let length = |part: &[u8]| u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes();
    let framed = |part: &&[u8]| length(part).into_iter().chain(part.to_vec());
    let mut hash = fnv1a(parts.iter().flat_map(framed));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// `number` spread evenly over the whole milliseconds from none to `longest`, both included.
pub(super) fn spread(number: u64, longest: Duration) -> Duration {
    let choices = longest.as_millis().saturating_add(1).min(u128::from(u64::MAX));
    let chosen = (u128::from(number) * choices) >> 64;
    Duration::from_millis(u64::try_from(chosen).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o5_the_numbers_are_those_of_every_other_version_and_machine() {
        assert_eq!(number(&[]), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(number(&[b"seed", b"fleet"]), 0xe534_defd_e261_49e9);
        assert_eq!(number(&[b"see", b"dfleet"]), 0x6f33_e49c_29cc_0344);
    }

    #[test]
    fn o5_the_whole_length_is_used_and_nothing_beyond_it() {
        let longest = Duration::from_millis(3);
        assert_eq!(spread(0, longest), Duration::ZERO);
        assert_eq!(spread(u64::MAX, longest), longest);
        assert_eq!(spread(u64::MAX, Duration::ZERO), Duration::ZERO);
        assert_eq!(spread(1 << 63, longest), Duration::from_millis(2));
    }

    #[test]
    fn o5_neighbours_are_spread_evenly() {
        let mut shares = [0_u32; 10];
        for tick in 0..10_000_u32 {
            let it = number(&[b"seed", b"fleet", &tick.to_le_bytes()]);
            shares[usize::try_from(spread(it, Duration::from_millis(9)).as_millis()).unwrap()] += 1;
        }
        // Six standard deviations of 30 around 1,000.
        assert!(shares.iter().all(|it| (820..1_180).contains(it)), "{shares:?}");
    }
}
