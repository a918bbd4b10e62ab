// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! A member as the map sees it.

use super::{
    draw::{
        self,
        Bid, //
    },
    load::Load,
    Cell32,
    Cell64,
    NOBODY, //
};

const LIVE: u32 = 1 << 0;
const DRAINS: u32 = 1 << 1;

/// What is known about a member when it joins or changes.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    /// Stable name.
    pub(crate) id: u64,
    /// Share, may be 0.
    pub(crate) weight: u32,
    /// Gets nothing new.
    pub(crate) drains: bool,
    /// Grows with each member that joins.
    pub(crate) seq: u32,
}

/// A place for a member. Written by the writer, read by anybody.
pub(crate) struct Member {
    pub(crate) id: Cell64,
    salt: Cell64,
    weight: Cell32,
    state: Cell32,
    seq: Cell32,
    /// Handle of the one that stands for this id: the newest that does not drain.
    pub(crate) newest: Cell32,
    /// Counted if there is a bound.
    pub(crate) load: Load,
}

impl Member {
    /// A place that is free.
    pub(crate) fn new() -> Self {
        Member {
            id: Cell64::new(0),
            salt: Cell64::new(0),
            weight: Cell32::new(0),
            state: Cell32::new(0),
            seq: Cell32::new(0),
            newest: Cell32::new(u32::from(NOBODY)),
            load: Load::new(),
        }
    }

    /// Somebody has come or changed. A reader that sees a mixture places one packet elsewhere.
    pub(crate) fn set(&self, facts: &Facts, salt: u64) {
        self.id.set(facts.id);
        self.salt.set(salt);
        self.weight.set(facts.weight);
        self.seq.set(facts.seq);
        self.state.set(LIVE | if facts.drains { DRAINS } else { 0 });
    }

    /// It has left.
    pub(crate) fn clear(&self) {
        self.state.set(0);
        self.newest.set(u32::from(NOBODY));
    }

    /// Whether there is somebody.
    pub(crate) fn lives(&self) -> bool {
        self.state.get() & LIVE != 0
    }

    /// Whether it wants nothing new.
    pub(crate) fn drains(&self) -> bool {
        self.state.get() & DRAINS != 0
    }

    /// Its weight; one without a weight counts 1 among its like.
    pub(crate) fn weight(&self) -> u32 {
        self.weight.get().max(1)
    }

    /// Those with a weight come first, then those without, then, if all drain, the same again.
    pub(crate) fn tier(&self) -> u8 {
        u8::from(self.weight.get() == 0) | u8::from(self.drains()) << 1
    }

    /// Whether it, with this handle, is the one that stands for its id.
    pub(crate) fn stands(&self, handle: u16) -> bool {
        self.lives() && self.newest.get() == u32::from(handle)
    }

    /// Whether it takes the place of another with the same id.
    pub(crate) fn precedes(&self, other: &Member) -> bool {
        if self.drains() != other.drains() {
            return other.drains();
        }
        (self.seq.get().wrapping_sub(other.seq.get()) as i32) > 0
    }

    /// What it bids for a slot.
    pub(crate) fn bid(&self, handle: u16, slot: usize) -> Bid {
        self.bid_with(handle, draw::cost(slot, self.salt.get()))
    }

    /// The same, of one whose draw is known.
    pub(crate) fn bid_with(&self, handle: u16, cost: u32) -> Bid {
        Bid {
            handle,
            tier: self.tier(),
            cost,
            weight: self.weight(),
            id: self.id.get(),
            seq: self.seq.get(),
        }
    }
}
