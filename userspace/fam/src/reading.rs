// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The readings of the definitions: one switch for everything the published texts leave open.
//!
//! The slides and papers describe alpha flows, aging and effectiveness in words. Where the words
//! allow more than one calculation there is a switch here; its default is the reference reading,
//! the one that the golden fixtures are about.

use crate::key::Width;
use crate::lsp::EgressTable;
use crate::time::{Calendar, Ns, SECOND};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Which reports are alpha reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A single report above H, its exporter's active timeout being T.
    #[default]
    Report,
    /// All reports that lie in some window of length T in which their flow sent more than H. Finds
    /// what [`Detector::Report`] finds, and flows reported more often than every T.
    Window,
}

/// What "above H" is at H itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// b > H: "exceeds".
    #[default]
    Exceeds,
    /// b ≥ H.
    Reaches,
}

/// What a report longer than T says about T.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongReport {
    /// Its bytes were sent evenly: the share that fits into T counts. The flow is marked `approx`.
    #[default]
    Spread,
    /// It counts whole, as if its exporter's timeout were T.
    Whole,
}

/// How long an entry stays in force when A intervals pass without an alpha flow. With g the number
/// of intervals since the last one:
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// g ≤ A: A empty intervals withdraw it.
    #[default]
    UpTo,
    /// g < A.
    Under,
    /// g ≤ A + 1.
    OneMore,
}

/// How the days' shares become one figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mean {
    /// All matched bytes over all bytes.
    #[default]
    RatioOfSums,
    /// The mean of the percentages of the days that have alpha bytes.
    OfDays,
}

/// Which bytes effectiveness is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// Those of alpha reports.
    #[default]
    AlphaReports,
    /// All of alpha raw flows.
    WholeFlows,
}

/// What keeps an entry young.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// An alpha raw flow of its prefix flow.
    #[default]
    AlphaFlows,
    /// Any record of its prefix flow while it is in force, as a router's own counter sees it.
    AnyTraffic,
}

/// From when on an entry redirects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// From the interval after its first alpha flow: it is installed overnight.
    #[default]
    NextDay,
    /// From the end of its first alpha report on: what an online system could reach at best.
    SameDay,
}

/// Which traffic an entry redirects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directions {
    /// That of its prefix flow: as the slides count.
    #[default]
    OneWay,
    /// That of the reverse prefix flow too: as PBRs are set.
    Both,
}

/// What a raw flow seen by several exporters counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Once: as the exporter with most alpha bytes of it that day saw it, the lowest address among
    /// equals.
    #[default]
    Once,
    /// As often as it was exported.
    Each,
}

/// Whose records count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exporters {
    /// Everyone's.
    #[default]
    All,
    /// One router's.
    Only(IpAddr),
    /// Those that entered the network where they were seen: (exporter, input interface).
    Ingress(BTreeSet<(IpAddr, u32)>),
}

/// Where the egress router of a record comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EgressFrom {
    /// The record's BGP next hop, else its output interface, else the table.
    #[default]
    Record,
    /// The table, else the record.
    Table,
}

/// One reading of all definitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// H in bytes. A GB is 10^9 bytes: only then are 1 GB in 60 s the published 133 Mb/s.
    pub h: u64,
    /// T.
    pub t: Ns,
    /// A report of at most T + grace counts as one of T: exporters' timers are late.
    pub grace: Ns,
    /// A record that claims more is left out and counted; it also bounds what one record can cost.
    pub longest: Ns,
    /// Days farther than so many days without a record from the bulk of them are not believed, as
    /// [`crate::period`] has it; `None` if every day is.
    pub far: Option<u32>,
    /// Which reports are alpha reports.
    pub detector: Detector,
    /// What counts at H itself.
    pub threshold: Threshold,
    /// What reports longer than T count.
    pub long_report: LongReport,
    /// Zone and length of an aggregation interval. A flow alive at its end is two raw flows.
    pub calendar: Calendar,
    /// Widths of prefix flows.
    pub widths: Vec<Width>,
    /// When entries are withdrawn.
    pub gap: Gap,
    /// How days become one figure.
    pub mean: Mean,
    /// Intervals at the beginning that fill the table but do not count in effectiveness.
    pub warm_up: u32,
    /// Which bytes count in effectiveness.
    pub bytes: Bytes,
    /// What keeps entries young.
    pub refresh: Refresh,
    /// From when on entries redirect.
    pub credit: Credit,
    /// Which traffic entries redirect.
    pub directions: Directions,
    /// What a flow seen by several exporters counts.
    pub duplicates: Duplicates,
    /// Whose records count.
    pub exporters: Exporters,
    /// Where egress routers come from.
    pub egress_from: EgressFrom,
    /// Egress routers by destination.
    pub egress: EgressTable,
    /// Reports of a flow at most this far apart are one stay in the sweep of simultaneous flows.
    pub adjacent: Ns,
    /// Bin of LSP utilisation, at least [`crate::utilisation::BIN_LEAST`].
    pub utilisation_bin: Ns,
    /// Buckets in which the window detector's first pass sums flows, 12 octets each for every worker;
    /// more of them leave fewer innocent flows for the second pass. Good are four for every H bytes of
    /// the period. Results do not depend on it.
    pub suspect_buckets: u32,
    /// Most reports of suspected flows that the window detector's second pass holds, some 100 octets
    /// each; where there are more it is done again for the rest. Results do not depend on it.
    pub suspect_reports: u64,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            h: 1_000_000_000,
            t: 60 * SECOND,
            grace: 0,
            longest: 7 * 86_400 * SECOND,
            far: Some(31),
            detector: Detector::default(),
            threshold: Threshold::default(),
            long_report: LongReport::default(),
            calendar: Calendar::default(),
            widths: vec![Width::NET, Width::HOST],
            gap: Gap::default(),
            mean: Mean::default(),
            warm_up: 0,
            bytes: Bytes::default(),
            refresh: Refresh::default(),
            credit: Credit::default(),
            directions: Directions::default(),
            duplicates: Duplicates::default(),
            exporters: Exporters::default(),
            egress_from: EgressFrom::default(),
            egress: EgressTable::default(),
            adjacent: 0,
            utilisation_bin: 10 * SECOND,
            suspect_buckets: 1 << 21,
            suspect_reports: 1 << 22,
        }
    }
}

impl Reading {
    /// Whether `bytes` within T make an alpha report.
    pub fn above(&self, bytes: u64) -> bool {
        match self.threshold {
            Threshold::Exceeds => bytes > self.h,
            Threshold::Reaches => bytes >= self.h,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_strict() {
        let reading = Reading::default();
        assert!(!reading.above(1_000_000_000) && reading.above(1_000_000_001));
        let reaches = Reading { threshold: Threshold::Reaches, ..reading };
        assert!(reaches.above(1_000_000_000) && !reaches.above(999_999_999));
    }

    #[test]
    fn a_reading_names_only_what_differs() {
        let read: Reading = serde_json::from_str(r#"{"gap":"under","warm_up":30}"#).unwrap();
        assert_eq!(read, Reading { gap: Gap::Under, warm_up: 30, ..Reading::default() });
    }
}
