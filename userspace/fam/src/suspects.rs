// SPDX-License-Identifier: Apache-2.0 OR MIT
//! First pass: which flows may be alpha.
//!
//! Memory of the report detector: O(alpha raw flows). The window detector cannot tell from one record;
//! it sums the bytes of 5-tuples and days that hash alike in [`Reading::suspect_buckets`] buckets of 12
//! octets, as many for a year as for a day. Flows of a bucket above H are suspected, innocent ones among
//! them: all of them once the bytes of the period divided by the buckets come near to H. So that the second
//! pass need not hold them all, it is done in [`Suspects::rounds`].

use crate::detect;
use crate::key::FiveTuple;
use crate::reading::{Detector, Reading};
use crate::record::Record;
use crate::screen::bytes;
use crate::time::Day;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;

/// Hashes the same way in every worker, so that their buckets can be added.
type Hasher = BuildHasherDefault<DefaultHasher>;

#[derive(Clone, Debug)]
enum Suspicion {
    /// 5-tuples with a report above the threshold.
    Keys(BTreeMap<Day, HashSet<FiveTuple>>),
    /// Bytes, and records, of all flows that hash alike. No window of a flow holds more than its bucket.
    Buckets(Vec<u64>, Vec<u32>),
}

/// First pass: what may be alpha.
#[derive(Clone, Debug)]
pub struct Suspects<'r> {
    reading: &'r Reading,
    suspicion: Suspicion,
}

/// A part of the suspects, for one run of the second pass.
pub type Round = Range<usize>;

impl<'r> Suspects<'r> {
    /// The reading it suspects by.
    pub fn reading(&self) -> &'r Reading {
        self.reading
    }

    /// Nobody is suspected yet.
    pub fn new(reading: &'r Reading) -> Self {
        let suspicion = match reading.detector {
            Detector::Report => Suspicion::Keys(BTreeMap::new()),
            Detector::Window => {
                let buckets = reading.suspect_buckets.max(1) as usize;
                Suspicion::Buckets(vec![0; buckets], vec![0; buckets])
            }
        };
        Self { reading, suspicion }
    }

    /// Looks at a record.
    pub fn observe(&mut self, record: &Record) {
        let Ok(bytes) = bytes(record, self.reading) else { return };
        let day = self.reading.calendar.day(record.first);
        match &mut self.suspicion {
            Suspicion::Keys(days) => {
                // Cheap first: nearly every record stops here.
                if self.reading.above(bytes)
                    && detect::alone(&detect::report(record, bytes, self.reading), self.reading)
                {
                    days.entry(day).or_default().insert(record.key);
                }
            }
            Suspicion::Buckets(sums, records) => {
                let at = bucket(day, &record.key, sums.len());
                sums[at] = sums[at].saturating_add(bytes);
                records[at] = records[at].saturating_add(1);
            }
        }
    }

    /// Adds what another worker, of the same reading, found.
    pub fn merge(&mut self, other: Self) {
        match (&mut self.suspicion, other.suspicion) {
            (Suspicion::Keys(ours), Suspicion::Keys(theirs)) => {
                for (day, keys) in theirs {
                    ours.entry(day).or_default().extend(keys);
                }
            }
            (Suspicion::Buckets(sums, records), Suspicion::Buckets(more, more_records)) => {
                for (ours, theirs) in sums.iter_mut().zip(more) {
                    *ours = ours.saturating_add(theirs);
                }
                for (ours, theirs) in records.iter_mut().zip(more_records) {
                    *ours = ours.saturating_add(theirs);
                }
            }
            // One reading has one detector.
            (_, _) => {}
        }
    }

    /// The 5-tuples that may be alpha on some day; `None` if they are known by their sums only.
    pub fn keys(&self) -> Option<impl Iterator<Item = &FiveTuple>> {
        match &self.suspicion {
            Suspicion::Keys(days) => Some(days.values().flatten()),
            Suspicion::Buckets(..) => None,
        }
    }

    /// Records of suspected flows, where they are known by their sums only: what the second pass holds.
    pub fn records(&self) -> u64 {
        match &self.suspicion {
            Suspicion::Keys(_) => 0,
            Suspicion::Buckets(sums, records) => {
                let suspected =
                    sums.iter().zip(records).filter(|(sum, _)| self.reading.above(**sum));
                suspected.map(|(_, records)| u64::from(*records)).sum()
            }
        }
    }

    /// Parts of the suspects, at least one, so that no part has more than [`Reading::suspect_reports`]
    /// records: unless a single bucket has. Every flow is in one part with all its records of a day.
    pub fn rounds(&self) -> Vec<Round> {
        let Suspicion::Buckets(sums, records) = &self.suspicion else {
            return std::iter::once(0..usize::MAX).collect();
        };
        let (mut rounds, mut from, mut held) = (Vec::new(), 0, 0u64);
        for (at, (sum, records)) in sums.iter().zip(records).enumerate() {
            if !self.reading.above(*sum) {
                continue;
            }
            let more = u64::from(*records);
            if held > 0 && held + more > self.reading.suspect_reports {
                rounds.push(from..at);
                (from, held) = (at, 0);
            }
            held += more;
        }
        rounds.push(from..sums.len());
        rounds
    }

    /// Whether the flow may be alpha on the day and is in this round.
    pub fn suspected(&self, day: Day, key: &FiveTuple, round: &Round) -> bool {
        match &self.suspicion {
            Suspicion::Keys(days) => days.get(&day).is_some_and(|keys| keys.contains(key)),
            Suspicion::Buckets(sums, _) => {
                let at = bucket(day, key, sums.len());
                round.contains(&at) && self.reading.above(sums[at])
            }
        }
    }
}

fn bucket(day: Day, key: &FiveTuple, buckets: usize) -> usize {
    (Hasher::default().hash_one((day, key)) % buckets.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{midnight, record};

    const MB: u64 = 1_000_000;

    /// Small flows of a thousand days, 0.9 GB in all, then as much again.
    #[test]
    fn days_cost_nothing_and_rounds_share_the_rest() {
        let reading = Reading {
            detector: Detector::Window,
            suspect_buckets: 4,
            suspect_reports: 300,
            ..Reading::default()
        };
        let mut suspects = Suspects::new(&reading);
        let show = |suspects: &mut Suspects<'_>| {
            for day in 0..1000 {
                let t = midnight(Day(day));
                suspects.observe(&record("192.0.2.7", "198.51.100.1", t, t + 60, 9 * MB / 10));
            }
        };
        show(&mut suspects);
        let Suspicion::Buckets(sums, records) = &suspects.suspicion else { panic!("no buckets") };
        assert_eq!((sums.len(), records.iter().sum::<u32>()), (4, 1000));
        assert_eq!((suspects.records(), suspects.rounds().len()), (0, 1), "0.9 GB are not above");
        for _ in 0..7 {
            show(&mut suspects);
        }
        assert_eq!(suspects.records(), 8000, "7.2 GB in four buckets");
        let rounds = suspects.rounds();
        assert_eq!(rounds, [0..1, 1..2, 2..3, 3..4], "each bucket has more than 300");
        for day in 0..1000 {
            let key = record("192.0.2.7", "198.51.100.1", 0, 1, 1).key;
            let suspected = |round: &&Round| suspects.suspected(Day(day), &key, round);
            assert_eq!(rounds.iter().filter(suspected).count(), 1);
        }
    }
}
