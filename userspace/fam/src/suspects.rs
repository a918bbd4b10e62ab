// SPDX-License-Identifier: Apache-2.0 OR MIT
//! First pass: which flows may be alpha.

use crate::detect;
use crate::key::FiveTuple;
use crate::reading::{Detector, Reading};
use crate::record::Record;
use crate::screen::bytes;
use crate::time::Day;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Hashes the same way in every worker, so that their buckets can be added.
type Hasher = BuildHasherDefault<DefaultHasher>;

#[derive(Clone, Debug)]
enum Suspicion {
    /// 5-tuples with a report above the threshold.
    Keys(HashSet<FiveTuple>),
    /// Bytes of all flows that hash alike. No window of a flow holds more than its bucket.
    Buckets(Vec<u64>),
}

/// First pass: what may be alpha.
#[derive(Clone, Debug)]
pub struct Suspects<'r> {
    reading: &'r Reading,
    days: BTreeMap<Day, Suspicion>,
}

impl<'r> Suspects<'r> {
    /// The reading it suspects by.
    pub fn reading(&self) -> &'r Reading {
        self.reading
    }

    /// Nobody is suspected yet.
    pub fn new(reading: &'r Reading) -> Self {
        Self { reading, days: BTreeMap::new() }
    }

    fn bucket(&self, key: &FiveTuple) -> usize {
        let buckets = u64::from(self.reading.suspect_buckets.max(1));
        (Hasher::default().hash_one(key) % buckets) as usize
    }

    /// Looks at a record.
    pub fn observe(&mut self, record: &Record) {
        let Ok(bytes) = bytes(record, self.reading) else { return };
        let day = self.reading.calendar.day(record.first);
        match self.reading.detector {
            Detector::Report => {
                // Cheap first: nearly every record stops here.
                if self.reading.above(bytes)
                    && detect::alone(&detect::report(record, bytes, self.reading), self.reading)
                {
                    let empty = || Suspicion::Keys(HashSet::new());
                    if let Suspicion::Keys(keys) = self.days.entry(day).or_insert_with(empty) {
                        keys.insert(record.key);
                    }
                }
            }
            Detector::Window => {
                let bucket = self.bucket(&record.key);
                let len = self.reading.suspect_buckets.max(1) as usize;
                let empty = || Suspicion::Buckets(vec![0; len]);
                if let Suspicion::Buckets(sums) = self.days.entry(day).or_insert_with(empty) {
                    sums[bucket] = sums[bucket].saturating_add(bytes);
                }
            }
        }
    }

    /// Adds what another worker, of the same reading, found.
    pub fn merge(&mut self, other: Self) {
        for (day, theirs) in other.days {
            match (self.days.entry(day).or_insert_with(|| theirs.clone_empty()), theirs) {
                (Suspicion::Keys(ours), Suspicion::Keys(theirs)) => ours.extend(theirs),
                (Suspicion::Buckets(ours), Suspicion::Buckets(theirs)) => {
                    for (ours, theirs) in ours.iter_mut().zip(theirs) {
                        *ours = ours.saturating_add(theirs);
                    }
                }
                // One reading has one detector.
                (_, _) => {}
            }
        }
    }

    /// The 5-tuples that may be alpha on some day; `None` if they are known by their sums only.
    pub fn keys(&self) -> Option<impl Iterator<Item = &FiveTuple>> {
        let sets = self.days.values().map(|suspicion| match suspicion {
            Suspicion::Keys(keys) => Some(keys),
            Suspicion::Buckets(_) => None,
        });
        let sets: Option<Vec<&HashSet<FiveTuple>>> = sets.collect();
        sets.map(|sets| sets.into_iter().flatten())
    }

    /// Whether the record's flow may be alpha on the record's day.
    pub fn suspected(&self, day: Day, key: &FiveTuple) -> bool {
        match self.days.get(&day) {
            None => false,
            Some(Suspicion::Keys(keys)) => keys.contains(key),
            Some(Suspicion::Buckets(sums)) => self.reading.above(sums[self.bucket(key)]),
        }
    }
}

impl Suspicion {
    fn clone_empty(&self) -> Self {
        match self {
            Self::Keys(_) => Self::Keys(HashSet::new()),
            Self::Buckets(sums) => Self::Buckets(vec![0; sums.len()]),
        }
    }
}
