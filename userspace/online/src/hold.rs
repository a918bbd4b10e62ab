// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reports in the order of their last packets. Each is held until nothing older is expected, so whatever
//! the order they come in, the same reports give the same events, and all of them that much later.

use crate::clock::Clock;
use crate::report::Report;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use telesteer_fam::Ns;

/// Holds reports back.
#[derive(Clone, Debug)]
pub struct Hold {
    by: Ns,
    room: usize,
    held: BinaryHeap<Reverse<Report>>,
    passed: Option<Ns>,
    /// The clock of reports.
    pub clock: Clock,
    /// Reports that came when a newer one had been passed on already.
    pub late: u64,
    /// Reports passed on before their time for want of room.
    pub crowded: u64,
}

impl Hold {
    /// Holds each report until one came that is `by` newer, and at most `room` of them. 0 holds none.
    pub fn new(by: Ns, room: usize, clock: Clock) -> Self {
        let held = BinaryHeap::new();
        Self { by: by.max(0), room, held, passed: None, clock, late: 0, crowded: 0 }
    }

    /// Takes a report; hands on, with the time, what need not wait any longer.
    pub fn push(&mut self, report: Report, mut each: impl FnMut(&Report, Ns)) {
        let now = self.clock.read(report.last);
        if self.by == 0 {
            return each(&report, now);
        }
        if self.passed.is_some_and(|passed| report.last < passed) {
            self.late += 1;
            return each(&report, now.saturating_sub(self.by));
        }
        self.held.push(Reverse(report));
        self.release(now.saturating_sub(self.by), &mut each);
        while self.held.len() > self.room {
            let Some(Reverse(oldest)) = self.held.pop() else { break };
            self.crowded += 1;
            self.pass(&oldest, &mut each);
        }
    }

    /// Says that it is `now`, without a report.
    pub fn tick(&mut self, now: Ns, mut each: impl FnMut(&Report, Ns)) -> Ns {
        let until = self.clock.read(now).saturating_sub(self.by);
        self.release(until, &mut each);
        until
    }

    /// Hands on everything.
    pub fn finish(&mut self, mut each: impl FnMut(&Report, Ns)) {
        while let Some(Reverse(oldest)) = self.held.pop() {
            self.pass(&oldest, &mut each);
        }
    }

    /// Hands on what is older than `until`. What is as old may still come.
    fn release(&mut self, until: Ns, each: &mut impl FnMut(&Report, Ns)) {
        while self.held.peek().is_some_and(|oldest| oldest.0.last < until) {
            let Some(Reverse(oldest)) = self.held.pop() else { break };
            self.pass(&oldest, each);
        }
    }

    /// For who comes after, the time is that of the reports passed on.
    fn pass(&mut self, report: &Report, each: &mut impl FnMut(&Report, Ns)) {
        let passed = self.passed.map_or(report.last, |passed| passed.max(report.last));
        self.passed = Some(passed);
        each(report, passed);
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;
    use telesteer_fam::time::SECOND;

    fn pass(hold: &mut Hold, lasts: &[i64]) -> Vec<i64> {
        let mut passed = Vec::new();
        for last in lasts {
            hold.push(report(1, *last, *last, 1), |report, _| passed.push(report.last / SECOND));
        }
        passed
    }

    #[test]
    fn older_ones_first() {
        let mut hold = Hold::new(5 * SECOND, 10, Clock::new(1000 * SECOND));
        assert_eq!(pass(&mut hold, &[10, 7, 12, 11, 16]), [7, 10]);
        assert_eq!((hold.len(), hold.late), (3, 0));
        assert_eq!(pass(&mut hold, &[9]), [9], "too late to be in order");
        assert_eq!(hold.late, 1);
        let mut rest = Vec::new();
        assert_eq!(hold.tick(18 * SECOND, |report, _| rest.push(report.last)), 13 * SECOND);
        assert_eq!(rest, [11 * SECOND, 12 * SECOND]);
        hold.finish(|report, _| rest.push(report.last));
        assert_eq!(rest, [11 * SECOND, 12 * SECOND, 16 * SECOND]);
        assert!(hold.is_empty());
    }

    #[test]
    fn room_is_bounded_and_nothing_is_held_by_0() {
        let mut hold = Hold::new(50 * SECOND, 3, Clock::new(1000 * SECOND));
        assert_eq!(pass(&mut hold, &[1, 2, 3, 4, 5]), [1, 2]);
        assert_eq!((hold.len(), hold.crowded), (3, 2));
        let mut none = Hold::new(0, 3, Clock::new(1000 * SECOND));
        assert_eq!(pass(&mut none, &[3, 1, 2]), [3, 1, 2]);
    }
}
