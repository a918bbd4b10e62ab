// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passes as SQL.

use std::collections::BTreeSet;
use std::net::IpAddr;

use telesteer_fam::reading::{Exporters, Reading, Threshold};
use telesteer_fam::time::{SECOND, Step};
use telesteer_fam::{Ns, Width};
use telesteer_flowfile::halves;

use super::TABLE;
use crate::Run;
use crate::networks::masks;
use crate::pick::Pick;

/// Longest piece of time that lies in one day whatever the zone's whole hours are.
const SLOT_MAX_S: i64 = 3600;

/// The condition of a pick, with its WHERE, or nothing.
pub(super) fn condition(pick: &Pick, highest: u64) -> String {
    match pick {
        Pick::All => String::new(),
        Pick::Above { bytes, assumed } => {
            let floor = pick.floor(highest);
            let mut text = format!(" WHERE octets >= arrow_cast({floor}, 'UInt64')");
            if highest.max(*assumed) > 1 {
                // Floating point is inexact, so a little below H is taken too.
                let bytes = *bytes as f64 * (1.0 - 1e-9) - 1.0;
                let of = |column: &str| format!("arrow_cast({column}, 'Float64')");
                text += &format!(
                    " AND CASE WHEN coalesce(sampling, 0) = 0 THEN {} * {assumed} \
                     ELSE {} * {} / {} END >= {bytes:e}",
                    of("octets"),
                    of("octets"),
                    of("sampling"),
                    of("coalesce(sampling_taken, 1)")
                );
            }
            text
        }
        Pick::Between(between) => {
            let width = between.width.unwrap_or(Width::HOST);
            let (src, dst) =
                (within("src", &between.src, width), within("dst", &between.dst, width));
            format!(" WHERE {src} AND {dst}")
        }
    }
}

/// Whether an address, as the two numbers of its columns, lies in one of the networks. IPv6 networks
/// longer than 64 bits are asked for by each half alone, which takes a little too much.
fn within(column: &str, networks: &BTreeSet<IpAddr>, width: Width) -> String {
    let (v4_mask, (hi_mask, lo_mask)) = masks(width);
    let (mut v4, mut hi, mut lo) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for network in networks {
        let (upper, lower) = halves::of(*network);
        if halves::is_v4(upper, lower) {
            v4.insert(lower & v4_mask);
        } else {
            hi.insert(upper & hi_mask);
            lo.insert(lower & lo_mask);
        }
    }
    let (upper, lower) = (format!("{column}_hi"), format!("{column}_lo"));
    let v4 = one_of(&lower, v4_mask, &v4);
    let mut v6 = one_of(&upper, hi_mask, &hi);
    if lo_mask != 0 && !lo.is_empty() {
        v6 = format!("{v6} AND {}", one_of(&lower, lo_mask, &lo));
    }
    let (first, last) = (number(halves::V4), number(halves::V4 | u64::from(u32::MAX)));
    let is_v4 = format!("{upper} = {} AND {lower} >= {first} AND {lower} <= {last}", number(0));
    format!("(CASE WHEN {is_v4} THEN {v4} ELSE {v6} END)")
}

/// Whether the bits of a mask are one of these.
fn one_of(column: &str, mask: u64, keys: &BTreeSet<u64>) -> String {
    if keys.is_empty() {
        return "false".to_owned();
    }
    let masked = match mask {
        u64::MAX => column.to_owned(),
        mask => format!("({column} & {})", number(mask)),
    };
    let keys: Vec<String> = keys.iter().map(|key| number(*key)).collect();
    format!("{masked} IN ({})", keys.join(", "))
}

/// A number of the type that the columns have: as text, for SQL's own numbers end at 2^63.
fn number(number: u64) -> String {
    format!("arrow_cast('{number}', 'UInt64')")
}

/// The question of totals: rows by what decides them all alike.
#[derive(Debug)]
pub(super) struct Totals {
    /// Nanoseconds of a slot; every slot lies in one interval of the reading.
    pub(super) slot: Ns,
    /// Whether the exporter decides, and whether the interface does.
    pub(super) by: (bool, bool),
    longest: Ns,
    above: String,
}

impl Totals {
    pub(super) fn new(run: &Run<'_>, reading: &Reading) -> Self {
        let ingress = matches!(reading.exporters, Exporters::Ingress(_));
        let exporter = reading.exporters != Exporters::All || !run.assumed.of.is_empty();
        let above = match reading.threshold {
            Threshold::Exceeds => ">",
            Threshold::Reaches => ">=",
        };
        let above = format!("octets {above} arrow_cast({}, 'UInt64')", reading.h);
        let slot = slot_s(reading).saturating_mul(SECOND);
        Self { slot, by: (exporter, ingress), longest: reading.longest.max(0), above }
    }

    /// Sums in halves, so that none wraps; octets as whole multiples of the packets taken, and what
    /// is over, so that scaling afterwards is exact.
    pub(super) fn sql(&self) -> String {
        let Self { slot, longest, above, .. } = self;
        let exporter = if self.by.0 { "exporter" } else { "''" };
        let in_if = if self.by.1 { "in_if" } else { "arrow_cast(0, 'UInt32')" };
        format!(
            "SELECT slot, exporter, in_if, sampling, taken, fault, spare, count(*) AS n, \
             sum(CASE WHEN above THEN 1 ELSE 0 END) AS above, \
             sum(times / arrow_cast(4294967296, 'UInt64')) AS high, \
             sum(times % arrow_cast(4294967296, 'UInt64')) AS low FROM (\
             SELECT CASE WHEN first_ns < 0 THEN (first_ns + 1) / {slot} - 1 ELSE first_ns / {slot} END AS slot, \
             {exporter} AS exporter, {in_if} AS in_if, sampling, sampling_taken AS taken, \
             CASE WHEN last_ns < first_ns THEN 1 \
             WHEN last_ns - first_ns < 0 OR last_ns - first_ns > {longest} THEN 2 ELSE 0 END AS fault, \
             {above} AS above, octets % {per} AS spare, octets / {per} AS times FROM {TABLE}) \
             GROUP BY slot, exporter, in_if, sampling, taken, fault, spare",
            per = "greatest(arrow_cast(coalesce(sampling_taken, 1), 'UInt64'), arrow_cast(1, 'UInt64'))"
        )
    }
}

/// Seconds that divide every change of the zone and every offset, so that a slot has one day.
fn slot_s(reading: &Reading) -> i64 {
    let zone = &reading.calendar.zone;
    match reading.calendar.step {
        Step::Hour => SLOT_MAX_S,
        Step::Day => zone.instants_s().fold(SLOT_MAX_S, gcd),
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
