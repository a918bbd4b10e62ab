// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passes as SQL.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use telesteer_fam::reading::{Exporters, Reading, Threshold};
use telesteer_fam::time::{SECOND, Step};
use telesteer_fam::{Ns, Width};

use super::TABLE;
use crate::Run;
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

/// Whether the address in a column lies in one of the networks, as SQL over its text.
fn within(column: &str, networks: &BTreeSet<IpAddr>, width: Width) -> String {
    let list = |keys: Vec<String>| match keys.is_empty() {
        true => "false".to_owned(),
        false => format!(" IN ('{}')", keys.join("', '")),
    };
    let v4: Vec<String> = networks
        .iter()
        .filter(|addr| addr.is_ipv4())
        .map(|addr| v4_key(&addr.to_string(), width.v4))
        .collect();
    let v6: Vec<String> = networks
        .iter()
        .filter_map(|addr| match addr {
            IpAddr::V6(addr) => Some(v6_key(*addr, width.v6)),
            IpAddr::V4(_) => None,
        })
        .collect();
    let has = |expression: String, keys: Vec<String>| match list(keys) {
        none if none == "false" => none,
        list => expression + &list,
    };
    let v4 = has(v4_expression(column, width.v4), v4);
    let v6 = has(v6_expression(column, width.v6), v6);
    // IPv6 with dots is IPv4 in other clothes: all of it is taken.
    format!(
        "(CASE WHEN strpos({column}, ':') = 0 THEN {v4} \
         WHEN strpos({column}, '.') > 0 THEN true ELSE {v6} END)"
    )
}

/// The text of an address up to and with the dot that ends its network.
fn v4_key(text: &str, bits: u8) -> String {
    match bits / 8 {
        4.. => text.to_owned(),
        octets => text.split_inclusive('.').take(usize::from(octets)).collect(),
    }
}

fn v4_expression(column: &str, bits: u8) -> String {
    let part = |number: u8| format!("split_part({column}, '.', {number})");
    match bits / 8 {
        4.. => column.to_owned(),
        3 => format!("substr({column}, 1, length({column}) - length({}))", part(4)),
        0 => "''".to_owned(),
        octets => {
            let parts: Vec<String> = (1..=octets).map(|number| part(number) + ", '.'").collect();
            format!("concat({})", parts.join(", "))
        }
    }
}

/// The first groups of an address, each with a colon.
fn v6_key(addr: Ipv6Addr, bits: u8) -> String {
    let groups = usize::from(bits / 16);
    addr.segments().iter().take(groups).map(|group| format!("{group:x}:")).collect()
}

/// The same of a column: what `::` stands for is put in, then the groups are picked.
fn v6_expression(column: &str, bits: u8) -> String {
    let count = |text: &str| {
        format!(
            "(CASE WHEN {text} = '' THEN 0 \
             ELSE length({text}) - length(replace({text}, ':', '')) + 1 END)"
        )
    };
    let (left, right) =
        (format!("split_part({column}, '::', 1)"), format!("split_part({column}, '::', 2)"));
    let zeros = format!("repeat('0:', CAST(8 - {} - {} AS BIGINT))", count(&left), count(&right));
    let whole = format!(
        "(CASE WHEN strpos({column}, '::') = 0 THEN {column} WHEN {left} = '' \
         THEN concat({zeros}, {right}) ELSE concat({left}, ':', {zeros}, {right}) END)"
    );
    match bits / 16 {
        0 => "''".to_owned(),
        groups => {
            let part = |number: u8| format!("split_part({whole}, ':', {number}), ':'");
            format!("concat({})", (1..=groups).map(part).collect::<Vec<_>>().join(", "))
        }
    }
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
