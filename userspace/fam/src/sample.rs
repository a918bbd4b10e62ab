// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All flows of some days, alpha or not, or as many of them as may be held: for their dimensions.
//!
//! Flows are given up in the order of a hash of their 5-tuple and day, so that those which are left are
//! a sample of all, whole, and the same for any order of records and any way to split them between
//! workers: a flow that is in the sample in the end was never given up, since whatever came before it in
//! that order was never more than may be held. Few flows are large: what a small sample says of
//! elephants is little, and the alpha raw flows are looked at without one.

use crate::dimension::Shape;
use crate::key::FiveTuple;
use crate::reading::{Duplicates, Reading};
use crate::record::Record;
use crate::screen;
use crate::series::Days;
use crate::span::Span;
use crate::time::Day;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Reports that are held at most if nobody says otherwise; some 150 octets each.
pub const REPORTS_MOST: u64 = 1 << 22;

/// Hash, day and 5-tuple: those with the largest are given up first.
type Name = (u64, Day, FiveTuple);

/// What each exporter reported of a flow.
type Views = BTreeMap<IpAddr, Vec<(Span, u64)>>;

/// A pass over all records. Memory: O(reports that may be held).
#[derive(Clone, Debug)]
pub struct FlowSample<'r> {
    reading: &'r Reading,
    days: &'r Days,
    most: u64,
    flows: BTreeMap<Name, Views>,
    held: u64,
    seen: u64,
    /// The least flow that was given up.
    ceiling: Option<Name>,
}

/// What was sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The flows; one seen by several exporters as the one with most bytes saw it, the lowest address
    /// among equals, unless each is to count.
    pub shapes: Vec<Shape>,
    /// Records that count.
    pub records: u64,
    /// Of these, those of flows that are not in the sample.
    pub left_out: u64,
    /// The part of all flows that is in the sample: 1 if all are.
    pub part: f64,
}

impl<'r> FlowSample<'r> {
    /// Takes records of `days` and holds `most` at most.
    pub fn new(days: &'r Days, most: u64, reading: &'r Reading) -> Self {
        let (flows, ceiling) = (BTreeMap::new(), None);
        Self { reading, days, most, flows, held: 0, seen: 0, ceiling }
    }

    /// Takes a record.
    pub fn observe(&mut self, record: &Record) {
        let Ok(bytes) = screen::bytes(record, self.reading) else { return };
        let day = self.reading.calendar.day(record.first);
        if !self.days.contains_key(&day) {
            return;
        }
        self.seen += 1;
        let name = (place(day, &record.key), day, record.key);
        if self.ceiling.is_some_and(|ceiling| name >= ceiling) {
            return;
        }
        let views = self.flows.entry(name).or_default();
        views.entry(record.exporter).or_default().push(((record.first, record.last), bytes));
        self.held += 1;
        self.trim();
    }

    fn trim(&mut self) {
        while self.held > self.most
            && let Some((name, views)) = self.flows.pop_last()
        {
            self.held -= reports(&views);
            self.ceiling = Some(name);
        }
    }

    /// Adds what another worker took.
    pub fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        for (name, views) in other.flows {
            let ours = self.flows.entry(name).or_default();
            for (exporter, reports) in views {
                ours.entry(exporter).or_default().extend(reports);
            }
        }
        self.ceiling = match (self.ceiling, other.ceiling) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        if let Some(ceiling) = self.ceiling {
            drop(self.flows.split_off(&ceiling));
        }
        self.held = self.flows.values().map(reports).sum();
        self.trim();
    }

    /// The sample.
    pub fn finish(self) -> Sample {
        let each = self.reading.duplicates == Duplicates::Each;
        let shape = |(_, reports): (IpAddr, Vec<(Span, u64)>)| Shape::of(reports);
        let shapes = |views: Views| -> Vec<Shape> {
            if each {
                return views.into_iter().filter_map(shape).collect();
            }
            let bytes = |reports: &[(Span, u64)]| {
                reports.iter().fold(0u64, |sum, report| sum.saturating_add(report.1))
            };
            let best = views.into_iter().max_by_key(|(at, view)| (bytes(view), Reverse(*at)));
            best.and_then(shape).into_iter().collect()
        };
        Sample {
            shapes: self.flows.into_values().flat_map(shapes).collect(),
            records: self.seen,
            left_out: self.seen - self.held,
            part: self.ceiling.map_or(1.0, |(place, _, _)| place as f64 / 2f64.powi(64)),
        }
    }
}

fn reports(views: &Views) -> u64 {
    views.values().map(|reports| reports.len() as u64).sum()
}

/// Where a flow stands: FNV-1a over its octets, whose high bits are then mixed (splitmix64). The same
/// for ever, unlike the hash of the standard library.
fn place(day: Day, key: &FiveTuple) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |octets: &[u8]| {
        for octet in octets {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3);
        }
    };
    for addr in [key.src, key.dst] {
        match addr {
            IpAddr::V4(addr) => take(&addr.octets()),
            IpAddr::V6(addr) => take(&addr.octets()),
        }
    }
    take(&[key.proto]);
    take(&key.src_port.to_be_bytes());
    take(&key.dst_port.to_be_bytes());
    take(&day.0.to_be_bytes());
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
