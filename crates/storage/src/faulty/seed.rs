//! Numbers that follow from a seed: splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Seed(u64);

impl Seed {
    /// The stream of a seed, for one purpose of several.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(purpose.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        Self(hash.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// The next number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
