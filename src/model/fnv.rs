//! A hash that is the same in every version, on every machine: FNV-1a with 64 bits.

/// The hash of some bytes (Fowler, Noll and Vo; the constants are those of their 64-bit variant).
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
