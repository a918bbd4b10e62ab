// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The last T of one flow, in slots.
//!
//! A slot is a report of at most τ, or as many of them, or packets, as lie within τ. So two slots side by
//! side are together longer than τ, and T has few of them, however many packets there are. A report longer
//! than τ was sent evenly: it is cut into slots. A window is any T that ends with a slot; it counts the
//! slots that lie in it whole. So what it counts was sent within T: no window shows more than there was.
//! With reports of τ, one after the other, it shows all there was.

use crate::setting::Setting;
use std::collections::VecDeque;
use telesteer_fam::Ns;
use telesteer_fam::span::{self, Span};

/// Bytes between two instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First packet by the report.
    pub begun: Ns,
    /// The same, put off where the report is longer than τ by no more than an exporter's look.
    pub first: Ns,
    /// Last packet.
    pub last: Ns,
    /// Bytes.
    pub bytes: u64,
}

impl Slot {
    fn joined(&self, other: &Self) -> Self {
        Self {
            begun: self.begun.min(other.begun),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn length(&self) -> Ns {
        self.last.saturating_sub(self.first)
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Last packet of the earliest slot that has more bytes than before; none if it came too late.
    pub since: Option<Ns>,
    /// It was longer than a slot, so its bytes were spread.
    pub spread: bool,
    /// A newer one had come before.
    pub earlier: bool,
    /// There was no slot left for it; it shares another one's, which is now longer than τ.
    pub crowded: bool,
}

/// Slots of a flow, by their last packet.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    slots: VecDeque<Slot>,
}

/// What became of a slot.
enum Put {
    At { last: Ns, earlier: bool, crowded: bool },
    TooLate,
}

impl Ring {
    /// Takes the bytes of a report.
    pub fn take(&mut self, (first, last): Span, bytes: u64, setting: &Setting) -> Taken {
        let mut taken = Taken::default();
        if last.saturating_sub(first) <= setting.slot.saturating_add(setting.grace) {
            let begun = first;
            let first = first.max(last.saturating_sub(setting.slot));
            self.note(Slot { begun, first, last, bytes }, setting, &mut taken);
            return taken;
        }
        taken.spread = true;
        // What no window reaches any more is not cut.
        let old = last.saturating_sub(setting.reach()).saturating_sub(first).max(0);
        let mut from = first.saturating_add(old / setting.slot * setting.slot);
        while from < last {
            let until = from.saturating_add(setting.slot).min(last);
            let sent = |at| span::sent_before(bytes, (first, last), at);
            let bytes = sent(until) - sent(from);
            let slot = Slot { begun: from, first: from, last: until, bytes };
            self.note(slot, setting, &mut taken);
            from = until;
        }
        taken
    }

    fn note(&mut self, slot: Slot, setting: &Setting, taken: &mut Taken) {
        if let Put::At { last, earlier, crowded } = self.put(slot, setting) {
            taken.since = Some(taken.since.map_or(last, |since| since.min(last)));
            taken.earlier |= earlier;
            taken.crowded |= crowded;
        }
    }

    fn put(&mut self, slot: Slot, setting: &Setting) -> Put {
        let newest = self.slots.back().map(|newest| newest.last);
        if newest.is_some_and(|newest| slot.first < newest.saturating_sub(setting.reach())) {
            return Put::TooLate;
        }
        let earlier = newest.is_some_and(|newest| slot.last < newest);
        let at = self.slots.partition_point(|other| other.last <= slot.last);
        let joins = |n: &usize| {
            let other = self.slots.get(*n);
            other.is_some_and(|other| other.joined(&slot).length() <= setting.slot)
        };
        let beside = at.checked_sub(1).filter(joins).or_else(|| Some(at).filter(joins));
        let full = self.slots.len() >= setting.ring_slots();
        let crowded = beside.is_none() && full;
        let shared = beside.or_else(|| full.then(|| at.saturating_sub(1)));
        let last = match shared.and_then(|n| self.slots.get_mut(n)) {
            Some(other) => {
                *other = other.joined(&slot);
                other.last
            }
            None => {
                self.slots.insert(at, slot);
                slot.last
            }
        };
        let oldest = newest.map_or(slot.last, |newest| newest.max(slot.last));
        let oldest = oldest.saturating_sub(setting.reach());
        while self.slots.len() > 1 && self.slots.front().is_some_and(|front| front.first < oldest) {
            self.slots.pop_front();
        }
        Put::At { last, earlier, crowded }
    }

    /// The window that ends with slot `end`, its slots together.
    fn window(&self, end: usize, setting: &Setting) -> Option<Slot> {
        let last = self.slots.get(end)?.last;
        let start = last.saturating_sub(setting.t);
        self.slots
            .range(..=end)
            .rev()
            .take_while(|slot| slot.last >= start)
            .filter(|slot| slot.first >= start)
            .copied()
            .reduce(|window, slot| window.joined(&slot))
    }

    /// The first window above H that ends at `since` or later.
    pub fn above(&self, since: Ns, setting: &Setting) -> Option<Slot> {
        let from = self.slots.partition_point(|slot| slot.last < since);
        (from..self.slots.len())
            .filter_map(|end| self.window(end, setting))
            .find(|window| window.bytes > setting.h)
    }

    /// The window that ends with the newest slot.
    pub fn newest(&self, setting: &Setting) -> Option<Slot> {
        self.window(self.slots.len().checked_sub(1)?, setting)
    }

    /// The newest slot, if as many slots running as the early rule wants have a rate that makes more
    /// than H in T.
    pub fn running(&self, setting: &Setting) -> Option<Slot> {
        let wanted = setting.early as usize;
        if wanted == 0 || self.slots.len() < wanted {
            return None;
        }
        let enough = |slot: &Slot| {
            u128::from(slot.bytes) * setting.t as u128
                > u128::from(setting.h) * setting.slot as u128
        };
        let newest = self.slots.iter().rev().take(wanted);
        let before = self.slots.iter().rev().skip(1).take(wanted - 1);
        let gap = |(slot, before): (&Slot, &Slot)| slot.first.saturating_sub(before.last);
        let runs = newest.clone().zip(before).all(|pair| gap(pair) <= setting.slot);
        (runs && newest.clone().all(enough)).then(|| self.slots.back().copied()).flatten()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::time::SECOND;

    fn setting() -> Setting {
        Setting { h: 1000, ..Setting::default() }
    }

    /// Puts reports of (first, last, bytes), in seconds, and says at which the window was above H.
    fn found(setting: &Setting, reports: &[(i64, i64, u64)]) -> Option<(usize, Slot)> {
        let mut ring = Ring::default();
        reports.iter().enumerate().find_map(|(n, (first, last, bytes))| {
            let taken = ring.take((first * SECOND, last * SECOND), *bytes, setting);
            Some((n, ring.above(taken.since?, setting)?))
        })
    }

    #[test]
    fn more_than_h_in_t_and_not_h() {
        let setting = setting();
        let exactly = [(0, 10, 500), (50, 60, 500)];
        assert_eq!(found(&setting, &exactly), None);
        let window = Slot { begun: 0, first: 0, last: 60 * SECOND, bytes: 1001 };
        assert_eq!(found(&setting, &[(0, 10, 501), (50, 60, 500)]), Some((1, window)));
        assert_eq!(found(&setting, &[(0, 10, 501), (50, 61, 500)]), None, "61 s");
        let one = Slot { begun: 0, first: 0, last: 0, bytes: 1001 };
        assert_eq!(found(&setting, &[(0, 0, 1001)]), Some((0, one)), "a single packet");
    }

    /// Without the last one no T has more than 900 bytes; with it 0 to 20 has, and 10 to 70 too.
    #[test]
    fn late_reports_count_where_they_were_sent() {
        let setting = setting();
        let late = [(10, 20, 600), (60, 70, 300), (0, 5, 300), (12, 18, 150)];
        assert_eq!(found(&setting, &late).map(|(n, window)| (n, window.bytes)), Some((3, 1050)));
        // Behind T and lateness nothing counts.
        let mut ring = Ring::default();
        ring.take((100 * SECOND, 110 * SECOND), 1, &setting);
        let taken = ring.take((30 * SECOND, 35 * SECOND), 5000, &setting);
        assert_eq!(taken, Taken::default());
        let taken = ring.take((40 * SECOND, 45 * SECOND), 5000, &setting);
        assert_eq!((taken.since, taken.earlier), (Some(45 * SECOND), true));
        assert!(ring.above(45 * SECOND, &setting).is_some(), "its window ended at 45");
    }

    /// 300 s at 20 bytes a second are 1200 in 60 s.
    #[test]
    fn long_reports_are_spread() {
        let setting = setting();
        let (_, window) = found(&setting, &[(0, 300, 6000)]).unwrap();
        assert_eq!(window.bytes, 1200);
        assert_eq!(found(&setting, &[(0, 300, 5000)]), None, "exactly H in T");
        let mut ring = Ring::default();
        assert!(ring.take((0, 11 * SECOND), 9, &setting).spread);
        assert_eq!(ring.len(), 2);
        let graceful = Setting { grace: SECOND, ..setting };
        let mut ring = Ring::default();
        assert!(!ring.take((0, 11 * SECOND), 9, &graceful).spread);
        assert_eq!(ring.len(), 1);
        ring.take((0, i64::MAX), u64::MAX, &setting);
        assert!(ring.len() <= setting.ring_slots());
    }

    /// Of 13 s, 10 and an exporter's look: its bytes are of the last 10, and were sent in 13.
    #[test]
    fn a_slot_knows_how_long_it_was_sent() {
        let setting = Setting { grace: 3 * SECOND, ..setting() };
        let (_, window) = found(&setting, &[(0, 13, 600), (13, 24, 600)]).unwrap();
        assert_eq!((window.begun, window.first), (0, 3 * SECOND));
        assert_eq!((window.last, window.bytes), (24 * SECOND, 1200));
    }

    #[test]
    fn packets_fill_few_slots() {
        let setting = Setting { slot: SECOND, lateness: SECOND, ..setting() };
        let mut ring = Ring::default();
        for n in 0..100_000 {
            ring.take((n * SECOND / 100, n * SECOND / 100), 1, &setting);
        }
        assert!((60..=64).contains(&ring.len()), "{}", ring.len());
        assert!((5900..=6001).contains(&ring.newest(&setting).unwrap().bytes));
    }

    /// Reports that overlap could fill any number of slots.
    #[test]
    fn overlapping_reports_are_bounded() {
        let setting = setting();
        let mut ring = Ring::default();
        let mut crowded = 0;
        for n in 0..10_000 {
            let first = n * SECOND / 1000;
            crowded += u32::from(ring.take((first, first + 10 * SECOND), 1, &setting).crowded);
        }
        assert!(ring.len() <= setting.ring_slots() && crowded > 9000, "{crowded}");
    }

    #[test]
    fn the_early_rule_wants_slots_running() {
        let setting = Setting { early: 2, ..setting() };
        let running = |reports: &[(i64, i64, u64)]| {
            let mut ring = Ring::default();
            for (first, last, bytes) in reports {
                ring.take((first * SECOND, last * SECOND), *bytes, &setting);
            }
            ring.running(&setting).is_some()
        };
        // 167 in 10 s are 1002 in 60 s, 166 are 996.
        assert!(!running(&[(0, 10, 167)]));
        assert!(running(&[(0, 10, 167), (10, 20, 167)]));
        assert!(!running(&[(0, 10, 167), (10, 20, 166)]));
        assert!(!running(&[(0, 10, 167), (21, 31, 167)]), "not running");
        assert!(running(&[(0, 10, 1), (10, 20, 167), (20, 22, 167)]));
    }
}
