// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which records count, and what became of the others.

use crate::reading::{Exporters, Reading};
use crate::record::{Record, Sampling};
use crate::span::{self, Span};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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
    if !counts(record.exporter, record.in_if, reading) {
        return Err(Fault::OtherExporter);
    }
    scaled((record.first, record.last), record.octets, record.sampling, reading)
}

/// Whether the reading looks at what this exporter saw come in there.
pub fn counts(exporter: IpAddr, in_if: u32, reading: &Reading) -> bool {
    match &reading.exporters {
        Exporters::All => true,
        Exporters::Only(only) => exporter == *only,
        Exporters::Ingress(edges) => edges.contains(&(exporter, in_if)),
    }
}

/// The scaled bytes of a record that [`counts`], from those of its fields that decide it.
pub fn scaled(
    life: Span,
    octets: u64,
    sampling: Option<Sampling>,
    reading: &Reading,
) -> Result<u64, Fault> {
    if life.1 < life.0 {
        return Err(Fault::NegativeDuration);
    }
    if span::length(life) > reading.longest.max(0) as u64 {
        return Err(Fault::TooLong);
    }
    let sampling = sampling.ok_or(Fault::UnknownSampling)?;
    Ok(sampling.scale(octets))
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
    /// Counts a record of `octets` and what [`bytes`] said about it.
    pub fn add(&mut self, octets: u64, outcome: Result<u64, Fault>, reading: &Reading) {
        match outcome {
            Ok(bytes) => {
                self.records += 1;
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Err(Fault::UnknownSampling) => {
                self.unknown_sampling += 1;
                self.unknown_octets = self.unknown_octets.saturating_add(octets);
                self.unknown_above += u64::from(reading.above(octets));
            }
            Err(Fault::NegativeDuration) => self.negative += 1,
            Err(Fault::TooLong) => self.too_long += 1,
            Err(Fault::OtherExporter) => self.other_exporter += 1,
        }
    }

    /// All records, those left out too.
    pub fn all(&self) -> u64 {
        let Self { records, unknown_sampling, negative, too_long, other_exporter, .. } = *self;
        records + unknown_sampling + negative + too_long + other_exporter
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
