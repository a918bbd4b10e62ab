// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The policy `stable` itself: the arithmetic of the kernel module, included as it is.

use super::hash::pair;
use super::moves::{LULL, LULLS};
use super::placement::{Member, Method, Placement};
use steer::siphash::SipHash;
use steer::table::{Pace, Table};
use steer::{MEMBERS, NOBODY, SLOTS, member, place};

#[rustfmt::skip] // formatted as kernel code is
#[path = "../../../../rust-module/cell_host.rs"]
mod cell;
#[allow(dead_code, reason = "the module has callers for what the simulation does not need")]
#[rustfmt::skip]
#[path = "../../../../rust-module/steer/mod.rs"]
mod steer;

/// Ticks without a packet after which a slot is idle, and after which a live one moves too.
const IDLE: u32 = 2 * LULL;
const DEADLINE: u32 = LULLS * LULL;
/// A quarter more than its share.
const BOUND: u32 = 250;

/// The policy, without and with a bound.
pub(crate) const METHODS: &[Method] = &[
    Method { name: "stable", weights: true, make: |seed| Box::new(Stable::new(seed, 0)) },
    Method {
        name: "stable, bounded",
        weights: true,
        make: |seed| Box::new(Stable::new(seed, BOUND)),
    },
];

struct Stable {
    slots: Vec<place::Slot>,
    members: Vec<member::Member>,
    hash: SipHash,
    pace: Pace,
    now: u32,
    seq: u32,
    /// Members by handle.
    names: Vec<Option<Member>>,
}

impl Stable {
    fn new(seed: u64, bound: u32) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| place::Slot::new(0)).collect(),
            members: (0..MEMBERS).map(|_| member::Member::new()).collect(),
            hash: SipHash::new([seed, pair(seed, 4)]),
            pace: Pace { idle: IDLE, deadline: DEADLINE, bound },
            now: 1,
            seq: 0,
            names: vec![None; MEMBERS],
        }
    }

    fn table(&self) -> Table<'_> {
        Table { slots: &self.slots, members: &self.members, hash: &self.hash, pace: self.pace }
    }
}

impl Placement for Stable {
    fn join(&mut self, member: Member, weight: u32) {
        let Some(handle) = self.names.iter().position(Option::is_none) else { return };
        self.names[handle] = Some(member);
        self.seq += 1;
        let facts = member::Facts { id: member, weight, drains: false, seq: self.seq };
        self.table().add(handle as u16, &facts, self.now);
    }

    fn leave(&mut self, member: Member) {
        let Some(handle) = self.names.iter().position(|name| *name == Some(member)) else {
            return;
        };
        self.names[handle] = None;
        self.table().remove(handle as u16, self.now);
    }

    fn home(&mut self, exporter: u64) -> Option<Member> {
        let digest = self.hash.two(0, exporter);
        match self.table().select(digest, self.now) {
            NOBODY => None,
            handle => self.names.get(usize::from(handle)).copied().flatten(),
        }
    }

    fn pass(&mut self, ticks: u32) {
        self.now += ticks;
    }

    fn learns(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher};

    /// The standard library has SipHash-1-3 too, with a key of zeros.
    #[test]
    fn siphash_is_that_of_the_standard_library() {
        let ours = SipHash::new([0, 0]);
        let theirs = |words: &[u64]| {
            let mut hasher = DefaultHasher::new();
            words.iter().for_each(|word| hasher.write_u64(*word));
            hasher.finish()
        };
        let mut word = 0;
        for _ in 0..1000 {
            let next = theirs(&[word]);
            assert_eq!(ours.one(word), next);
            assert_eq!(ours.two(0, word), theirs(&[0, word]));
            assert_eq!(ours.two(next, word), theirs(&[next, word]));
            assert_eq!(ours.three(0, next, word), theirs(&[0, next, word]));
            word = next;
        }
    }
}
