// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! The map: slots, members, and how they change.
//!
//! One writer at a time calls [`Table::add`], [`Table::update`] and [`Table::remove`]; readers call
//! the rest at any time and from anywhere. Time is counted in ticks that may wrap.

use super::{
    draw::{
        better,
        Bid, //
    },
    load::Sum,
    member::{
        Facts,
        Member, //
    },
    place::{
        Place,
        Slot, //
    },
    siphash::SipHash,
    slot_of,
    MEMBERS,
    NOBODY,
    SLOTS, //
};

/// How a map follows its members.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// A slot that was silent for so many ticks may move.
    pub(crate) idle: u32,
    /// After so many ticks a slot that is not silent moves too; 0 is at once.
    pub(crate) deadline: u32,
    /// Thousandths of its share that a member may exceed it by and still get silent slots; 0 is no
    /// bound.
    pub(crate) bound: u32,
}

/// A map, borrowed from where its parts are kept.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    /// [`SLOTS`] of them.
    pub(crate) slots: &'a [Slot],
    /// [`MEMBERS`] of them.
    pub(crate) members: &'a [Member],
    /// The seed.
    pub(crate) hash: &'a SipHash,
    /// How it moves.
    pub(crate) pace: Pace,
}

/// A few members.
struct Handles {
    list: [u16; MEMBERS],
    len: usize,
}

impl Handles {
    fn new() -> Self {
        Handles {
            list: [NOBODY; MEMBERS],
            len: 0,
        }
    }

    fn mark(&mut self, handle: u16) {
        if !self.has(handle) {
            self.push(handle);
        }
    }

    fn push(&mut self, handle: u16) {
        if let Some(place) = self.list.get_mut(self.len) {
            *place = handle;
            self.len = self.len.wrapping_add(1);
        }
    }

    fn has(&self, handle: u16) -> bool {
        self.iter().any(|member| member == handle)
    }

    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let list = self.list.get(..self.len).unwrap_or_default();
        list.iter().copied()
    }
}

impl<'a> Table<'a> {
    // Readers.

    /// Who gets a packet with this digest, if the slot has been heard of in this tick and nobody
    /// counts: most packets. [`Table::select`] knows for the others.
    #[inline(always)]
    pub(crate) fn again(&self, digest: u64, now: u32) -> Option<u16> {
        let slot = self.slots.get(slot_of(digest))?;
        if slot.seen.get() != now || self.pace.bound != 0 {
            return None;
        }
        Some(slot.place().served())
    }

    /// Who gets a packet with this digest, or [`NOBODY`]. Notes that the slot has been heard of.
    pub(crate) fn select(&self, digest: u64, now: u32) -> u16 {
        let Some(slot) = self.slots.get(slot_of(digest)) else {
            return NOBODY;
        };
        let served = if slot.seen.get() == now {
            slot.place().served()
        } else {
            self.touch(slot, slot_of(digest), now)
        };
        if self.pace.bound != 0 {
            self.count(served, now);
        }
        served
    }

    /// The first packet for a slot in a tick.
    fn touch(&self, slot: &Slot, index: usize, now: u32) -> u16 {
        let place = slot.place();
        let next = if self.pace.bound != 0 && self.is_idle(slot, now) {
            self.chosen(place, index, now)
        } else {
            self.settled(slot, place, now)
        };
        let place = if next == place {
            place
        } else {
            slot.replace(place, next)
        };
        slot.seen.set(now);
        place.served()
    }

    fn count(&self, served: u16, now: u32) {
        if let Some(member) = self.member(served) {
            member.load.count(now);
        }
    }

    /// Who would get a packet with this digest, if those that `avoid` names were not there. Changes
    /// nothing.
    pub(crate) fn lookup(&self, digest: u64, now: u32, avoid: impl Fn(u16) -> bool) -> u16 {
        let index = slot_of(digest);
        let Some(slot) = self.slots.get(index) else {
            return NOBODY;
        };
        let place = self.settled(slot, slot.place(), now);
        for handle in [place.served(), place.owner()] {
            if handle == NOBODY || !avoid(handle) {
                return handle;
            }
        }
        let bids = self.live().filter_map(|(handle, member)| {
            if avoid(handle) {
                return None;
            }
            // An older one with an id counts if the newest will not do.
            let newest = member.newest.get() as u16;
            (newest == handle || avoid(newest)).then(|| member.bid(handle, index))
        });
        bids.fold(None, better).map_or(NOBODY, |bid| bid.handle)
    }

    /// Where a slot is to be served by now.
    fn settled(&self, slot: &Slot, place: Place, now: u32) -> Place {
        if !place.is_elsewhere() {
            return place;
        }
        let late = !place.is_chosen() && now.wrapping_sub(place.since()) >= self.pace.deadline;
        if late || self.is_idle(slot, now) {
            Place::at(place.owner())
        } else {
            place
        }
    }

    /// Where a silent slot that speaks again is to be served: the best bid of those that have no
    /// more to do than they should.
    fn chosen(&self, place: Place, index: usize, now: u32) -> Place {
        let owner = place.owner();
        let Some(tier) = self.member(owner).map(Member::tier) else {
            return place;
        };
        let mut sum = Sum::default();
        for (_, member) in self.standing().filter(|(_, member)| member.tier() == tier) {
            sum.add(member.load.get(now), member.weight());
        }
        let bids = self
            .standing()
            .filter(|(_, member)| member.tier() == tier)
            .filter_map(|(handle, member)| {
                let load = member.load.get(now);
                sum.allows(load, member.weight(), self.pace.bound)
                    .then(|| member.bid(handle, index))
            });
        match bids.fold(None, better) {
            Some(bid) if bid.handle != owner => Place::chosen(bid.handle, owner),
            _ => Place::at(owner),
        }
    }

    fn is_idle(&self, slot: &Slot, now: u32) -> bool {
        now.wrapping_sub(slot.seen.get()) >= self.pace.idle
    }

    fn member(&self, handle: u16) -> Option<&'a Member> {
        self.members.get(usize::from(handle))
    }

    fn live(&self) -> impl Iterator<Item = (u16, &'a Member)> {
        let members = self.members;
        (0..MEMBERS as u16).filter_map(move |handle| {
            let member = members.get(usize::from(handle))?;
            member.lives().then_some((handle, member))
        })
    }

    fn standing(&self) -> impl Iterator<Item = (u16, &'a Member)> {
        self.live()
            .filter(|(handle, member)| member.stands(*handle))
    }

    // The writer.

    /// A member has joined. Says whether there is a place for it.
    pub(crate) fn add(&self, handle: u16, facts: &Facts, now: u32) -> bool {
        let Some(member) = self.member(handle) else {
            return false;
        };
        let mut changed = Handles::new();
        member.load.clear();
        member.set(facts, self.hash.one(facts.id));
        self.elect(facts.id, &mut changed);
        self.remap(&changed, now);
        true
    }

    /// A member has another id, weight or flag than before.
    pub(crate) fn update(&self, handle: u16, facts: &Facts, now: u32) {
        let Some(member) = self.member(handle) else {
            return;
        };
        let mut changed = Handles::new();
        let old = member.id.get();
        member.set(facts, self.hash.one(facts.id));
        changed.mark(handle);
        self.elect(facts.id, &mut changed);
        if old != facts.id {
            self.elect(old, &mut changed);
        }
        self.remap(&changed, now);
    }

    /// A member leaves.
    pub(crate) fn remove(&self, handle: u16, now: u32) {
        let Some(member) = self.member(handle) else {
            return;
        };
        let mut changed = Handles::new();
        member.clear();
        changed.mark(handle);
        self.elect(member.id.get(), &mut changed);
        self.remap(&changed, now);
    }

    /// Of several members with one id, as there are when a daemon is replaced, one counts.
    fn elect(&self, id: u64, changed: &mut Handles) {
        let same = || self.live().filter(|(_, member)| member.id.get() == id);
        let newest = same().reduce(|best, next| if next.1.precedes(best.1) { next } else { best });
        let Some((newest, _)) = newest else { return };
        for (handle, member) in same() {
            if member.newest.get() != u32::from(newest) {
                member.newest.set(u32::from(newest));
                changed.mark(handle);
            }
        }
    }

    /// Finds the owner of each slot again, if one of the changed members can have to do with it.
    fn remap(&self, changed: &Handles, now: u32) {
        let mut standing = Handles::new();
        let mut challengers = Handles::new();
        for (handle, _) in self.standing() {
            standing.push(handle);
            if changed.has(handle) {
                challengers.push(handle);
            }
        }
        for index in 0..SLOTS {
            let Some(slot) = self.slots.get(index) else {
                return;
            };
            let place = slot.place();
            let owner = place.owner();
            let holder = self.member(owner).filter(|_| !changed.has(owner));
            if holder.is_some() && challengers.len == 0 && !changed.has(place.served()) {
                continue;
            }
            let held = holder.map(|member| member.bid_with(owner, slot.cost.get()));
            let rivals = if held.is_some() {
                &challengers
            } else {
                &standing
            };
            let bids = rivals
                .iter()
                .filter_map(|handle| Some(self.member(handle)?.bid(handle, index)));
            let best = bids.fold(held, better);
            let next = match &best {
                Some(best) => self.moved(slot, place, best, now),
                None => Place::EMPTY,
            };
            slot.cost.set(best.map_or(0, |best| best.cost));
            if next != place {
                slot.put(next);
            }
        }
    }

    /// The word of a slot that this bid has won: it may be served where it is for a while.
    fn moved(&self, slot: &Slot, place: Place, best: &Bid, now: u32) -> Place {
        let served = place.served();
        let here = Place::at(best.handle);
        let stays = self.member(served).is_some_and(|member| {
            served != best.handle && member.stands(served) && member.tier() >> 1 <= best.tier >> 1
        });
        if !stays || self.is_idle(slot, now) {
            return here;
        }
        if place.is_chosen() {
            return Place::chosen(served, best.handle);
        }
        let since = if place.is_elsewhere() {
            place.since()
        } else {
            now
        };
        if now.wrapping_sub(since) >= self.pace.deadline {
            return here;
        }
        Place::lagging(served, best.handle, since)
    }
}
