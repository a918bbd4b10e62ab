// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A small seeded generator of pseudo-random numbers (SplitMix64), so that a load is repeatable.

/// SplitMix64: one 64-bit word of state, equal seeds give equal loads.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator for `seed`; `stream` keeps the generators of one load apart.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        rng.next();
        rng
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number in `low..=high`; `low` when the range is empty.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        if high <= low {
            return low;
        }
        low + self.next() % (high - low + 1)
    }

    /// A length or index in `low..=high`.
    pub(crate) fn length(&mut self, low: usize, high: usize) -> usize {
        self.within(low as u64, high as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_agree_and_streams_differ() {
        let (mut one, mut same, mut other) = (Rng::new(7, 1), Rng::new(7, 1), Rng::new(7, 2));
        let word = one.next();
        assert_eq!(word, same.next());
        assert_ne!(word, other.next());
    }

    #[test]
    fn numbers_stay_within_their_range() {
        let mut rng = Rng::new(1, 0);
        assert!((0..1000).all(|_| (3..=9).contains(&rng.within(3, 9))));
        assert_eq!(rng.within(5, 4), 5);
    }
}
