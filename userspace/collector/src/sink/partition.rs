// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Partitions: the rows of one hour on their way into one file. No I/O and no clock here.
//!
//! A partition is closed when
//!
//! - its hour is over by the grace, or, for rows that come later than that, the grace after its
//!   first row;
//! - it has as many rows as a file may have;
//! - another hour needs its place: then the one that has waited longest for a row;
//! - all open ones together have too many rows: then the one with most of them;
//! - the collector ends.
//!
//! Rows that come for an hour after its partition was closed make another file of that hour.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use parquet::errors::ParquetError;
use telesteer_flowfile::Writer;

use super::{Row, row::stored};

const HOUR_S: u64 = 3600;

/// An hour of UTC, counted from 1970. Its text is the folder of the hour's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hour(u64);

impl Hour {
    /// The hour of an instant.
    pub(super) fn of(ns: u64) -> Self {
        Self(ns / (HOUR_S * 1_000_000_000))
    }

    fn end(self) -> Duration {
        Duration::from_secs((self.0 + 1) * HOUR_S)
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / 24);
        write!(f, "date={year:04}-{month:02}-{day:02}/hour={:02}", self.0 % 24)
    }
}

/// The date so many days after 1970-01-01, month and day from 1. Once a file, and it is 2262 at the
/// latest: counting is good enough.
fn date(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for len in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    (year, month, days + 1)
}

/// When partitions are closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Rows of a file.
    pub(super) file: usize,
    /// Rows of all open partitions.
    pub(super) open: usize,
    /// Open partitions.
    pub(super) partitions: usize,
    /// How long a partition stays open after its hour.
    pub(super) grace: Duration,
}

/// A closed partition.
pub(super) struct Closed {
    pub(super) hour: Hour,
    pub(super) rows: usize,
    /// The file, or why there is none.
    pub(super) file: Result<Vec<u8>, ParquetError>,
}

struct Partition {
    writer: Result<Writer<Vec<u8>>, ParquetError>,
    rows: usize,
    last_row: Duration,
    close_at: Duration,
}

impl Partition {
    fn new(now: Duration, close_at: Duration) -> Self {
        Self { writer: Writer::new(Vec::new()), rows: 0, last_row: now, close_at }
    }

    fn push(&mut self, row: &Row, instance: u64, now: Duration) {
        self.rows += 1;
        self.last_row = now;
        if let Ok(writer) = &mut self.writer
            && let Err(error) = writer.push(&stored(row, instance))
        {
            self.writer = Err(error);
        }
    }

    fn close(self, hour: Hour) -> Closed {
        Closed { hour, rows: self.rows, file: self.writer.and_then(Writer::finish) }
    }
}

/// The open partitions.
pub(super) struct Partitions {
    bounds: Bounds,
    instance: u64,
    open: BTreeMap<Hour, Partition>,
    rows: usize,
}

impl Partitions {
    pub(super) fn new(bounds: Bounds, instance: u64) -> Self {
        Self { bounds, instance, open: BTreeMap::new(), rows: 0 }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Adds a row at the time `now`; what had to be closed goes to `closed`.
    pub(super) fn add(&mut self, row: &Row, now: Duration, closed: &mut Vec<Closed>) {
        let hour = Hour::of(row.times.start_ns);
        if !self.open.contains_key(&hour) && self.open.len() >= self.bounds.partitions.max(1) {
            let idle = self.open.iter().min_by_key(|(_, partition)| partition.last_row);
            let idle = idle.map(|(hour, _)| *hour);
            self.close(idle, closed);
        }
        let close_at = hour.end().max(now) + self.bounds.grace;
        let partition = self.open.entry(hour).or_insert_with(|| Partition::new(now, close_at));
        partition.push(row, self.instance, now);
        self.rows += 1;
        if partition.rows >= self.bounds.file {
            self.close(Some(hour), closed);
        } else if self.rows >= self.bounds.open {
            let largest = self.open.iter().max_by_key(|(_, partition)| partition.rows);
            let largest = largest.map(|(hour, _)| *hour);
            self.close(largest, closed);
        }
    }

    /// Closes those whose time has come.
    pub(super) fn due(&mut self, now: Duration, closed: &mut Vec<Closed>) {
        let due = self.open.iter().filter(|(_, partition)| partition.close_at <= now);
        for hour in due.map(|(hour, _)| *hour).collect::<Vec<_>>() {
            self.close(Some(hour), closed);
        }
    }

    /// Closes all, the oldest hour first.
    pub(super) fn finish(&mut self, closed: &mut Vec<Closed>) {
        while let Some((hour, partition)) = self.open.pop_first() {
            closed.push(partition.close(hour));
        }
        self.rows = 0;
    }

    fn close(&mut self, hour: Option<Hour>, closed: &mut Vec<Closed>) {
        if let Some((hour, partition)) = hour.and_then(|hour| self.open.remove_entry(&hour)) {
            self.rows -= partition.rows;
            closed.push(partition.close(hour));
        }
    }
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
