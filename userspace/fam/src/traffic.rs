// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which known prefix flows had any traffic on which day, for tables that any traffic keeps young.

use crate::aging::Traffic;
use crate::key::PrefixFlow;
use crate::reading::Reading;
use crate::record::Record;
use crate::screen;
use crate::series::{Days, PairHistory};
use std::collections::HashSet;

/// A pass over the records of any days.
#[derive(Clone, Debug)]
pub struct TrafficPass<'r> {
    reading: &'r Reading,
    known: HashSet<PrefixFlow>,
    seen: Traffic,
}

impl<'r> TrafficPass<'r> {
    /// Looks for the prefix flows that had alpha flows in `days`.
    pub fn new(days: &Days, reading: &'r Reading) -> Self {
        let widths = reading.widths.iter();
        let known = widths.flat_map(|width| PairHistory::new(days, *width).all()).collect();
        Self { reading, known, seen: Traffic::new() }
    }

    /// Takes a record.
    pub fn observe(&mut self, record: &Record) {
        if screen::bytes(record, self.reading).is_err() {
            return;
        }
        for width in &self.reading.widths {
            let pair = PrefixFlow::of(&record.key, *width);
            if self.known.contains(&pair) {
                let day = self.reading.calendar.day(record.first);
                self.seen.entry(day).or_default().insert(pair);
            }
        }
    }

    /// Adds what another worker saw.
    pub fn merge(&mut self, other: Self) {
        for (day, pairs) in other.seen {
            self.seen.entry(day).or_default().extend(pairs);
        }
    }

    /// What was seen.
    pub fn finish(self) -> Traffic {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::read;
    use crate::testing::{midnight, record};
    use crate::time::Day;

    #[test]
    fn sees_small_records_of_known_prefix_flows_only() {
        let (day, reading) = (Day(15_095), Reading::default());
        let t = midnight(day);
        let mut records = vec![
            record("192.0.2.7", "198.51.100.1", t, t + 60, 2_000_000_000),
            record("192.0.2.8", "198.51.100.1", t + 86_400, t + 86_400, 40),
            record("192.0.3.8", "198.51.100.1", t + 86_400, t + 86_400, 40),
        ];
        records[2].sampling = None;
        let days = read(&records, &reading);
        let mut pass = TrafficPass::new(&days, &reading);
        let mut other = pass.clone();
        pass.observe(&records[0]);
        records[1..].iter().for_each(|record| other.observe(record));
        pass.merge(other);
        let seen = pass.finish();
        assert_eq!((seen[&day].len(), seen[&day.plus(1)].len()), (2, 1), "/24 and /32, then /24");
    }
}
