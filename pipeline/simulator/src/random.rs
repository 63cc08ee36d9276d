//! Randomness that is a function of its arguments: hashing, and permutations that need no memory.
//!
//! What must be the same whatever the order it is asked in (the wrapping of a file, row 57,000,000 of the bulk
//! workload) is drawn from these; the life of the persons uses one seeded generator in a fixed order.

/// Mixes 64 bits so that every input bit moves every output bit (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A hash of three numbers.
pub(crate) fn hash(seed: u64, a: u64, b: u64) -> u64 {
    mix(mix(seed ^ mix(a)) ^ b)
}

/// A number in `0..n` from a hash.
pub(crate) fn below(hash: u64, n: u64) -> u64 {
    ((u128::from(hash) * u128::from(n)) >> 64) as u64
}

/// A permutation of `0..n`: a four-round Feistel network over the next even number of bits, walked until it
/// is back below `n` (at most four steps on average).
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Permutation {
    pub(crate) fn new(n: u64, seed: u64) -> Self {
        let bits = 64 - n.max(2).saturating_sub(1).leading_zeros();
        let keys = [1, 2, 3, 4].map(|round| hash(seed, round, n));
        Self { n, half_bits: bits.div_ceil(2), keys }
    }

    /// Where `index` goes; `index` must be below `n`.
    pub(crate) fn at(&self, index: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let mut value = index;
        loop {
            let (mut left, mut right) = (value >> self.half_bits, value & mask);
            for key in self.keys {
                let round = (right ^ key).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let next = left ^ ((round >> 32 ^ round >> 17) & mask);
                left = right;
                right = next;
            }
            value = left << self.half_bits | right;
            if value < self.n {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_hits_every_number_once_and_disturbs_the_order() {
        for n in [1, 2, 3, 10, 1000, 4097, 70_000] {
            let permutation = Permutation::new(n, 7);
            let mut seen: Vec<u64> = (0..n).map(|index| permutation.at(index)).collect();
            let moved = seen.iter().zip(0..).filter(|(to, from)| to.abs_diff(*from) > n / 10).count();
            assert!(n < 1000 || moved as u64 > n * 7 / 10, "{n}: only {moved} moved far");
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..n), "{n}");
        }
    }

    #[test]
    fn below_stays_below() {
        for i in 0..1000 {
            assert!(below(mix(i), 7) < 7);
        }
    }
}
