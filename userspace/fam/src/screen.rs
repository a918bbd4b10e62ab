// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which records count, and what became of the others.

use crate::reading::{Exporters, Reading};
use crate::record::Record;
use crate::span;
use serde::{Deserialize, Serialize};

/// Why a record is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Its sampling rate is not known.
    UnknownSampling,
    /// It ends before it begins.
    NegativeDuration,
    /// It claims to have lasted longer than any exporter waits.
    TooLong,
    /// The reading does not count its exporter, or not at that interface.
    OtherExporter,
}

/// The scaled bytes of a record, or why it does not count.
pub fn bytes(record: &Record, reading: &Reading) -> Result<u64, Fault> {
    let counts = match &reading.exporters {
        Exporters::All => true,
        Exporters::Only(exporter) => record.exporter == *exporter,
        Exporters::Ingress(edges) => edges.contains(&(record.exporter, record.in_if)),
    };
    if !counts {
        return Err(Fault::OtherExporter);
    }
    if record.last < record.first {
        return Err(Fault::NegativeDuration);
    }
    if span::length((record.first, record.last)) > reading.longest.max(0) as u64 {
        return Err(Fault::TooLong);
    }
    let sampling = record.sampling.ok_or(Fault::UnknownSampling)?;
    Ok(sampling.scale(record.octets))
}

/// What one day's records came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records that count.
    pub records: u64,
    /// Their scaled bytes.
    pub bytes: u64,
    /// Records of unknown sampling.
    pub unknown_sampling: u64,
    /// Octets they tell of; the true number is a multiple nobody knows.
    pub unknown_octets: u64,
    /// Those above the threshold whatever their sampling is.
    pub unknown_above: u64,
    /// Records that end before they begin.
    pub negative: u64,
    /// Records longer than the reading believes.
    pub too_long: u64,
    /// Records of exporters or interfaces that the reading leaves out.
    pub other_exporter: u64,
}

impl Totals {
    /// Counts a record and what [`bytes`] said about it.
    pub fn add(&mut self, record: &Record, outcome: Result<u64, Fault>, reading: &Reading) {
        match outcome {
            Ok(bytes) => {
                self.records += 1;
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Err(Fault::UnknownSampling) => {
                self.unknown_sampling += 1;
                self.unknown_octets = self.unknown_octets.saturating_add(record.octets);
                self.unknown_above += u64::from(reading.above(record.octets));
            }
            Err(Fault::NegativeDuration) => self.negative += 1,
            Err(Fault::TooLong) => self.too_long += 1,
            Err(Fault::OtherExporter) => self.other_exporter += 1,
        }
    }

    /// Adds another part of the day.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.unknown_sampling += other.unknown_sampling;
        self.unknown_octets = self.unknown_octets.saturating_add(other.unknown_octets);
        self.unknown_above += other.unknown_above;
        self.negative += other.negative;
        self.too_long += other.too_long;
        self.other_exporter += other.other_exporter;
    }
}
