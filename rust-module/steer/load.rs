// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! How much a member has to do, and whether that is too much: bounded loads.
//!
//! The load is the number of packets of late: each [`EPOCH`] halves what came before. It is
//! counted only if there is a bound.

use super::Cell64;

/// Ticks after which a packet counts half.
pub(crate) const EPOCH: u32 = 1 << EPOCH_BITS;

const EPOCH_BITS: u32 = 5;

/// Bits of the numbers that are multiplied with each other.
const SCALE: u32 = 21;

/// The packets a member got of late: count (bits 0 to 31), epoch of the count (32 to 63).
pub(crate) struct Load(Cell64);

impl Load {
    /// None.
    pub(crate) fn new() -> Self {
        Load(Cell64::new(0))
    }

    /// Forgets all, for the next one with the handle.
    pub(crate) fn clear(&self) {
        self.0.set(0);
    }

    /// One more.
    pub(crate) fn count(&self, now: u32) {
        let word = self.0.get();
        let epoch = now >> EPOCH_BITS;
        if (word >> 32) as u32 == epoch {
            self.0.add(1);
            return;
        }
        // Of several that come to a new epoch at once one is counted.
        let next = u64::from(epoch) << 32 | u64::from(Self::decayed(word, epoch)).wrapping_add(1);
        self.0.replace(word, next);
    }

    /// The load now.
    pub(crate) fn get(&self, now: u32) -> u32 {
        Self::decayed(self.0.get(), now >> EPOCH_BITS)
    }

    fn decayed(word: u64, epoch: u32) -> u32 {
        let age = epoch.wrapping_sub((word >> 32) as u32);
        (word as u32).checked_shr(age).unwrap_or(0)
    }
}

/// Load and weight of all, to compare one with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    load: u64,
    weight: u64,
}

impl Sum {
    /// Adds a member.
    pub(crate) fn add(&mut self, load: u32, weight: u32) {
        self.load = self.load.wrapping_add(u64::from(load));
        self.weight = self.weight.wrapping_add(u64::from(weight));
    }

    /// Whether a member has no more than its share of the load, and `bound` thousandths of that.
    pub(crate) fn allows(&self, load: u32, weight: u32, bound: u32) -> bool {
        // load / sum of loads <= (1 + bound) * weight / sum of weights, in numbers that can be
        // multiplied.
        let l = shift(self.load);
        let w = shift(self.weight);
        let factor = 1000_u64.wrapping_add(u64::from(bound.min(1_000_000)));
        let left = (u64::from(load) >> l)
            .wrapping_mul(self.weight >> w)
            .wrapping_mul(1000);
        let right = (self.load >> l)
            .wrapping_mul(u64::from(weight) >> w)
            .wrapping_mul(factor);
        left <= right
    }
}

/// By how much to shift a number so that [`SCALE`] bits are left.
fn shift(number: u64) -> u32 {
    (u64::BITS - SCALE).saturating_sub(number.leading_zeros())
}
