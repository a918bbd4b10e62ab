// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! Which member of a group an exporter belongs to: the arithmetic, without a kernel in it.
//!
//! An exporter is hashed to one of [`SLOTS`] slots, and each slot belongs to a member. The owner
//! of a slot is the one that wins a weighted draw (rendezvous hashing, [`draw`]): what a member
//! draws depends on the slot, on its id, its weight and the seed, and on nothing else. So a member
//! that leaves gives away its own slots only, one that joins only takes, and hosts with the same
//! ids and seed agree.
//!
//! Where a slot is *served* may lag behind its owner ([`table`]): a slot that was heard of lately
//! stays with the member that knows its exporters, until it falls silent or a deadline passes. A
//! slot whose member leaves or drains moves at once. With a bound ([`load`]) a silent slot that
//! speaks again avoids members that have more than their share to do.
//!
//! These files know no kernel type, take no lock and read no clock, so that a program in user space
//! can include them. What includes them brings `cell` beside `steer`: the atomic cells.

pub(crate) mod draw;
pub(crate) mod load;
pub(crate) mod member;
pub(crate) mod place;
pub(crate) mod siphash;
pub(crate) mod table;

pub(crate) use super::cell::{
    Cell32,
    Cell64, //
};

/// Slots of a map. A share of 1/n deviates by about `sqrt(n / SLOTS)`: 6 % for 16 members.
pub(crate) const SLOTS: usize = 1 << SLOT_BITS;

/// Bits of a hash that name the slot.
pub(crate) const SLOT_BITS: u32 = 12;

/// Members a map can have; a handle is smaller.
pub(crate) const MEMBERS: usize = 256;

/// No member.
pub(crate) const NOBODY: u16 = u16::MAX;

/// The slot of a hash.
#[inline(always)]
pub(crate) fn slot_of(digest: u64) -> usize {
    (digest >> (u64::BITS - SLOT_BITS)) as usize
}
