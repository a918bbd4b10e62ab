// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! The draw: what each member bids for each slot.
//!
//! With `u` uniform in (0, 1], member `i` of weight `w_i` wins with the probability
//! `w_i / sum(w)` if the lowest `-ln(u_i) / w_i` wins: these are exponentially distributed, with
//! rate `w_i`. The base of the logarithm does not matter, so it is 2, in fixed point.

/// Fractional bits of a logarithm.
const FRACTION: u32 = 24;

/// Bits of the mantissa that the table is indexed by; the rest is interpolated.
const INDEX: u32 = 8;

const STEPS: usize = 1 << INDEX;

/// `log2(1 + i / STEPS)`, and one more for the interpolation.
static LOG2: [u32; STEPS + 1] = table();

const fn table() -> [u32; STEPS + 1] {
    let mut table = [0; STEPS + 1];
    let mut i = 0;
    while i < STEPS {
        // A number in [1, 2) with 32 fractional bits. Its square is at least 2 if and only if the
        // next bit of its logarithm is set.
        let mut x = ((STEPS + i) as u64) << (32 - INDEX);
        let mut log = 0;
        let mut bit = 1 << (FRACTION - 1);
        while bit != 0 {
            let square = x as u128 * x as u128;
            x = (square >> 32) as u64;
            if x >> 33 != 0 {
                log |= bit;
                x >>= 1;
            }
            bit >>= 1;
        }
        table[i] = log;
        i += 1;
    }
    table[STEPS] = 1 << FRACTION;
    table
}

/// `-log2(u / 2^32)` with [`FRACTION`] fractional bits; 0 counts as 1. At most `32 << FRACTION`.
pub(crate) fn minus_log2(u: u32) -> u32 {
    let u = u | u32::from(u == 0);
    let zeros = u.leading_zeros() & 31;
    let mantissa = u.wrapping_shl(zeros) << 1;
    let index = (mantissa >> (32 - INDEX)) as usize;
    let rest = mantissa & ((1 << (32 - INDEX)) - 1);
    let (low, high) = match (LOG2.get(index), LOG2.get(index.wrapping_add(1))) {
        (Some(low), Some(high)) => (*low, *high),
        _ => (0, 0),
    };
    let part = u64::from(high.wrapping_sub(low)).wrapping_mul(u64::from(rest)) >> (32 - INDEX);
    (zeros.wrapping_add(1) << FRACTION)
        .wrapping_sub(low)
        .wrapping_sub(part as u32)
}

/// What the member with this salt draws for a slot, before its weight counts. The salt is a hash
/// of its id that nobody knows who does not know the seed.
pub(crate) fn cost(slot: usize, salt: u64) -> u32 {
    // The slot-th number of the generator splitmix64 that starts at the salt.
    let step = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul((slot as u64).wrapping_add(1));
    let mut z = salt.wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    minus_log2((z >> 32) as u32)
}

/// A bid for a slot.
#[derive(Clone, Copy)]
pub(crate) struct Bid {
    /// Who bids.
    pub(crate) handle: u16,
    /// Bids of a lower tier win against all of a higher one.
    pub(crate) tier: u8,
    /// What was drawn.
    pub(crate) cost: u32,
    /// At least 1.
    pub(crate) weight: u32,
    /// Settles equal draws, in the same way on all hosts.
    pub(crate) id: u64,
    /// Settles equal ids: the newer wins.
    pub(crate) seq: u32,
}

impl Bid {
    /// Whether this bid wins against another.
    pub(crate) fn beats(&self, other: &Bid) -> bool {
        if self.tier != other.tier {
            return self.tier < other.tier;
        }
        if self.id == other.id {
            return (self.seq.wrapping_sub(other.seq) as i32) > 0;
        }
        // 30 and 32 bits.
        let mine = u64::from(self.cost).wrapping_mul(u64::from(other.weight));
        let theirs = u64::from(other.cost).wrapping_mul(u64::from(self.weight));
        if mine != theirs {
            return mine < theirs;
        }
        self.id > other.id
    }
}

/// The better of two bids.
pub(crate) fn better(best: Option<Bid>, bid: Bid) -> Option<Bid> {
    match best {
        Some(best) if !bid.beats(&best) => Some(best),
        _ => Some(bid),
    }
}
