// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What rate-specified circuits have booked of each link, now and later.

use crate::request::Name;
use crate::time::{At, Span};
use crate::topology::{Hop, Topology};
use std::collections::BTreeMap;

/// Most bookings of one direction of one link.
pub const BOOKINGS: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Booking {
    span: Span,
    mbps: u64,
}

#[derive(Clone, Debug, Default)]
struct Ledger {
    capacity: u64,
    bookings: BTreeMap<Name, Booking>,
}

impl Ledger {
    /// The most that is booked at any instant of `span`, `but` not counted. What is booked only grows
    /// where a booking begins, so the beginnings are the instants to look at.
    fn peak(&self, span: Span, but: Option<&Name>) -> u64 {
        let others =
            || self.bookings.iter().filter(move |(name, _)| Some(*name) != but).map(|(_, one)| one);
        let at = |at: At| -> u64 {
            others()
                .filter(|one| one.span.holds(at))
                .map(|one| one.mbps)
                .fold(0, u64::saturating_add)
        };
        let begins = others().map(|one| one.span.from).filter(|from| span.holds(*from));
        begins.chain([span.from]).map(at).max().unwrap_or(0)
    }

    fn room(&self, span: Span, mbps: u64, but: Option<&Name>) -> bool {
        self.bookings.len() < BOOKINGS
            && self.peak(span, but).checked_add(mbps).is_some_and(|sum| sum <= self.capacity)
    }
}

/// The budget of all links.
#[derive(Clone, Debug)]
pub struct Budget {
    /// By link: from `a` to `b`, and back.
    links: Vec<[Ledger; 2]>,
}

impl Budget {
    /// Nothing booked.
    pub fn new(topology: &Topology) -> Self {
        let ledger = |capacity| Ledger { capacity, bookings: BTreeMap::new() };
        let links = topology
            .links()
            .iter()
            .map(|link| [ledger(link.reservable()), ledger(link.reservable())]);
        Self { links: links.collect() }
    }

    fn ledger(&self, hop: Hop) -> Option<&Ledger> {
        self.links.get(hop.link).map(|both| if hop.forth { &both[0] } else { &both[1] })
    }

    fn ledger_mut(&mut self, hop: Hop) -> Option<&mut Ledger> {
        self.links.get_mut(hop.link).map(|both| if hop.forth { &mut both[0] } else { &mut both[1] })
    }

    /// Whether there is room for `mbps` more in all of `span`.
    pub fn room(&self, hop: Hop, span: Span, mbps: u64) -> bool {
        mbps == 0 || self.ledger(hop).is_some_and(|ledger| ledger.room(span, mbps, None))
    }

    /// The most that is booked at any instant of `span`, Mb/s.
    pub fn peak(&self, hop: Hop, span: Span) -> u64 {
        self.ledger(hop).map_or(0, |ledger| ledger.peak(span, None))
    }

    /// Books all of `hops` or, if one has no room, nothing and says which.
    pub fn book(&mut self, name: &Name, hops: &[Hop], span: Span, mbps: u64) -> Result<(), Hop> {
        if mbps == 0 {
            return Ok(());
        }
        // Both directions of a circuit may share a hop where their paths differ.
        let mut sums: BTreeMap<Hop, u64> = BTreeMap::new();
        for hop in hops {
            let sum = sums.entry(*hop).or_default();
            *sum = sum.saturating_add(mbps);
        }
        if let Some((full, _)) = sums.iter().find(|(hop, sum)| !self.room(**hop, span, **sum)) {
            return Err(*full);
        }
        for (hop, mbps) in sums {
            if let Some(ledger) = self.ledger_mut(hop) {
                ledger.bookings.insert(name.clone(), Booking { span, mbps });
            }
        }
        Ok(())
    }

    /// Moves the end of a booking on all links that have it, or says where there is no room.
    pub fn extend(&mut self, name: &Name, until: Option<At>) -> Result<(), Hop> {
        let all = self.links.iter().enumerate().flat_map(|(link, both)| {
            both.iter().zip([true, false]).map(move |(ledger, forth)| (ledger, Hop { link, forth }))
        });
        for (ledger, hop) in all {
            let Some(mine) = ledger.bookings.get(name) else { continue };
            let span = Span { until, ..mine.span };
            let peak = ledger.peak(span, Some(name));
            if peak.checked_add(mine.mbps).is_none_or(|sum| sum > ledger.capacity) {
                return Err(hop);
            }
        }
        let mine =
            self.links.iter_mut().flatten().filter_map(|ledger| ledger.bookings.get_mut(name));
        mine.for_each(|booking| booking.span.until = until);
        Ok(())
    }

    /// Gives back what a circuit has booked.
    pub fn release(&mut self, name: &Name) {
        for ledger in self.links.iter_mut().flatten() {
            ledger.bookings.remove(name);
        }
    }
}
