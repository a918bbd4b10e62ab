// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! Where a slot is served and who owns it, in one word that is read and written at once.

use super::{
    Cell32,
    Cell64,
    NOBODY, //
};

/// A slot's word: served by (bits 0 to 15), owner (16 to 30), chosen by load (31), since (32 to 63).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

const CHOSEN: u64 = 1 << 31;

/// Ticks: the farthest from now, in a counter that wraps.
const LONG_AGO: u32 = 1 << 31;

impl Place {
    /// Nobody's.
    pub(crate) const EMPTY: Place = Place(0x7fff_ffff);

    /// Served by its owner.
    pub(crate) fn at(owner: u16) -> Self {
        Place(u64::from(owner) << 16 & 0x7fff_0000 | u64::from(owner))
    }

    /// Still served by another than its owner, since a tick.
    pub(crate) fn lagging(served: u16, owner: u16, since: u32) -> Self {
        Place(u64::from(since) << 32 | Self::at(owner).0 & !0xffff | u64::from(served))
    }

    /// Served by one that was chosen for its low load.
    pub(crate) fn chosen(served: u16, owner: u16) -> Self {
        Place(Self::lagging(served, owner, 0).0 | CHOSEN)
    }

    /// Who serves the slot, or [`NOBODY`].
    #[inline(always)]
    pub(crate) fn served(self) -> u16 {
        self.0 as u16
    }

    /// Who owns the slot, or [`NOBODY`].
    pub(crate) fn owner(self) -> u16 {
        match (self.0 >> 16) as u16 & 0x7fff {
            0x7fff => NOBODY,
            owner => owner,
        }
    }

    /// Whether the owner does not serve.
    pub(crate) fn is_elsewhere(self) -> bool {
        self.served() != self.owner()
    }

    /// Whether load put it where it is.
    pub(crate) fn is_chosen(self) -> bool {
        self.0 & CHOSEN != 0
    }

    /// When it began to lag.
    pub(crate) fn since(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A slot. Its word is written by the writer and, when time has passed, by readers.
pub(crate) struct Slot {
    place: Cell64,
    /// Tick of the last packet.
    pub(crate) seen: Cell32,
    /// What the owner drew. Writer only.
    pub(crate) cost: Cell32,
}

impl Slot {
    /// A slot of nobody, which has been silent for as long as can be told.
    pub(crate) fn new(now: u32) -> Self {
        Slot {
            place: Cell64::new(Place::EMPTY.0),
            seen: Cell32::new(now.wrapping_sub(LONG_AGO)),
            cost: Cell32::new(0),
        }
    }

    /// The word.
    #[inline(always)]
    pub(crate) fn place(&self) -> Place {
        Place(self.place.get())
    }

    /// Writes the word. Writer only.
    pub(crate) fn put(&self, place: Place) {
        self.place.set(place.0);
    }

    /// Writes the word unless it has changed; returns what is in force then.
    pub(crate) fn replace(&self, old: Place, new: Place) -> Place {
        if self.place.replace(old.0, new.0) {
            new
        } else {
            self.place()
        }
    }
}
