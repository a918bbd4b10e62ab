// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CSV with a header: the schema's columns, or nfdump's.

use super::stamp::{instant, length};
use super::{Assume, Format, Line};
use crate::schema::COLUMNS;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use telesteer_fam::{FiveTuple, Record, Sampling};

/// Most columns of a file.
const COLUMNS_MAX: usize = 256;

/// Columns a schema file may leave out.
pub(super) const OPTIONAL: [usize; 6] = [8, 9, 10, 11, 13, 14];

/// nfdump's names for the schema's columns: in 1.6's CSV, 1.7's, `csv-fast`, and `csv:%tsr,…`. Times are
/// handled apart.
const NFDUMP: [&[&str]; 15] = [
    &["ra", "router", "exporterIP", "routerIP"],
    &["ts", "firstSeen"],
    &["te", "lastSeen"],
    &["sa", "srcAddr"],
    &["da", "dstAddr"],
    &["pr", "proto"],
    &["sp", "srcPort"],
    &["dp", "dstPort"],
    &["in", "input"],
    &["out", "output"],
    &["nhb", "bgpNextHop", "bgpNextIP"],
    &["stos", "srcTos", "tos"],
    &["ibyt", "bytes", "inBytes"],
    &["ipkt", "packets", "inPackets"],
    &["sampling"],
];

/// How the header of `csv-fast` begins, and what it counts time in.
const FAST: &str = "cnt,af,firstSeen,";
const MS: i64 = 1_000_000;

/// Where the columns of a file are.
#[derive(Clone, Debug)]
pub struct Table {
    format: Format,
    /// Position of each column of the schema.
    at: [Option<usize>; 15],
    /// nfdump only: position of the duration, which may stand for the end.
    duration: Option<usize>,
    /// nfdump only: times are milliseconds since 1970.
    fast: bool,
    /// Number of columns.
    width: usize,
    /// What the lines are.
    part: Part,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Records,
    /// What nfdump says at the end.
    Summary,
    /// Lines below a header in which a column is missing.
    Unknown,
}

impl Table {
    /// Reads the header. `None` if it is of no format we know, the name of what is missing if it
    /// nearly is.
    pub fn from_header(text: &str) -> Result<Option<(Format, Self)>, &'static str> {
        let names: Vec<&str> = text.split(',').map(str::trim).take(COLUMNS_MAX).collect();
        let find = |name: &str| names.iter().position(|have| *have == name);
        let width = names.len();
        if find("first_ns").is_some() || find("octets").is_some() {
            let at = COLUMNS.map(find);
            let missing = (0..at.len()).find(|i| at[*i].is_none() && !OPTIONAL.contains(i));
            if let Some(missing) = missing {
                return Err(COLUMNS[missing]);
            }
            return Ok(Some((
                Format::Csv,
                Self {
                    format: Format::Csv,
                    at,
                    duration: None,
                    fast: false,
                    width,
                    part: Part::Records,
                },
            )));
        }
        let any = |names: &[&str]| names.iter().find_map(|name| find(name));
        let at = NFDUMP.map(any);
        if at[1].is_none() || at[3].is_none() {
            return Ok(None);
        }
        let duration = any(&["td", "duration"]);
        for needed in [4, 5, 12] {
            if at[needed].is_none() {
                return Err(NFDUMP[needed][0]);
            }
        }
        if at[2].is_none() && duration.is_none() {
            return Err("te");
        }
        let fast = text.starts_with(FAST);
        let table = Self { format: Format::Nfdump, at, duration, fast, width, part: Part::Records };
        Ok(Some((Format::Nfdump, table)))
    }

    /// Reads a line. One that is a header, as where files were put one behind the other, is no
    /// record; the lines below it are read by it.
    pub(super) fn line(&mut self, text: &str, assume: &Assume) -> Result<Line, String> {
        let read = match self.part {
            // nfdump ends with a summary under a line of that name.
            Part::Records if self.format == Format::Nfdump && text.starts_with("Summary") => {
                self.part = Part::Summary;
                return Ok(Line::Skip);
            }
            Part::Records => match self.record(text, assume) {
                Ok(record) => return Ok(Line::Record(record)),
                Err(reason) => Err(reason),
            },
            Part::Summary => Ok(Line::Skip),
            Part::Unknown => Err("below a header without a column that is needed".into()),
        };
        match Self::from_header(text) {
            Ok(None) => read,
            Ok(Some((_, table))) => {
                *self = table;
                Err("another header".into())
            }
            Err(missing) => {
                self.part = Part::Unknown;
                Err(format!("another header, without {missing}"))
            }
        }
    }

    fn record(&self, text: &str, assume: &Assume) -> Result<Record, String> {
        let mut fields = [""; COLUMNS_MAX];
        let mut count = 0;
        for field in text.split(',') {
            if count == COLUMNS_MAX {
                return Err("too many columns".into());
            }
            fields[count] = field.trim();
            count += 1;
        }
        if count < self.width {
            return Err("too few columns".into());
        }
        let field = |column: usize| self.at[column].map_or("", |at| fields[at]);
        match self.format {
            Format::Nfdump => {
                nfdump(&field, self.duration.map_or("", |at| fields[at]), self.fast, assume)
            }
            _ => schema(&field, assume),
        }
    }
}

fn nfdump<'a>(
    field: &dyn Fn(usize) -> &'a str,
    duration: &str,
    fast: bool,
    assume: &Assume,
) -> Result<Record, String> {
    let time = |column: usize| {
        let text = field(column);
        let at = match fast {
            true => text.parse().ok().and_then(|ms: i64| ms.checked_mul(MS)),
            false => instant(text),
        };
        at.ok_or_else(|| bad("time"))
    };
    let first = time(1)?;
    let last = if duration.is_empty() {
        time(2)?
    } else {
        length(duration)
            .and_then(|length| first.checked_add(length))
            .ok_or_else(|| bad("duration"))?
    };
    let exporter = match field(0) {
        "" | "0.0.0.0" | "::" => assume.exporter.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        text => address(text, "exporter")?,
    };
    let proto = protocol(field(5)).ok_or_else(|| bad("protocol"))?;
    let port = |column: usize| match field(column) {
        // ICMP has type.code where others have a port.
        text if matches!(proto, 1 | 58) && text.contains('.') => Ok(0),
        text => or_zero(text, COLUMNS[column]),
    };
    let next_hop = match field(10) {
        "" => None,
        text => Some(address(text, COLUMNS[10])?).filter(|hop| !hop.is_unspecified()),
    };
    // nfdump gives bytes as seen when it was not told to scale them.
    Ok(Record {
        exporter,
        first,
        last,
        key: FiveTuple {
            src: address(field(3), "source")?,
            dst: address(field(4), "destination")?,
            proto,
            src_port: port(6)?,
            dst_port: port(7)?,
        },
        in_if: or_zero(field(8), COLUMNS[8])?,
        out_if: or_zero(field(9), COLUMNS[9])?,
        next_hop,
        tos: or_zero(field(11), COLUMNS[11])?,
        octets: parse(field(12), "octets")?,
        packets: or_zero(field(13), COLUMNS[13])?,
        sampling: assume.sampling(sampling(field(14))?, exporter),
    })
}

fn schema<'a>(field: &dyn Fn(usize) -> &'a str, assume: &Assume) -> Result<Record, String> {
    let exporter = match (field(0), assume.exporter) {
        ("", Some(exporter)) => exporter,
        (text, _) => address(text, "exporter")?,
    };
    let next_hop = match field(10) {
        "" => None,
        text => Some(address(text, "bgp_next_hop")?),
    };
    Ok(Record {
        exporter,
        first: parse(field(1), "first_ns")?,
        last: parse(field(2), "last_ns")?,
        key: FiveTuple {
            src: address(field(3), "src")?,
            dst: address(field(4), "dst")?,
            proto: parse(field(5), "proto")?,
            src_port: parse(field(6), "src_port")?,
            dst_port: parse(field(7), "dst_port")?,
        },
        in_if: or_zero(field(8), COLUMNS[8])?,
        out_if: or_zero(field(9), COLUMNS[9])?,
        next_hop,
        tos: or_zero(field(11), COLUMNS[11])?,
        octets: parse(field(12), "octets")?,
        packets: or_zero(field(13), COLUMNS[13])?,
        sampling: assume.sampling(sampling(field(14))?, exporter),
    })
}

fn bad(what: &str) -> String {
    format!("bad {what}")
}

fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| bad(what))
}

/// A number that may be left out; one that does not fit is none.
fn or_zero<T: FromStr + Default>(text: &str, what: &str) -> Result<T, String> {
    if text.is_empty() { Ok(T::default()) } else { parse(text, what) }
}

/// An address; an IPv4 one in IPv6 clothes is the IPv4 one.
pub(super) fn address(text: &str, what: &str) -> Result<IpAddr, String> {
    parse::<IpAddr>(text, what).map(|addr| addr.to_canonical())
}

/// N, or `observed/taken`; nothing or 0 is unknown.
pub(super) fn sampling(text: &str) -> Result<Option<Sampling>, String> {
    let parsed = match text.split_once('/') {
        _ if text.is_empty() => return Ok(None),
        None => return Ok(Sampling::one_in(parse(text, "sampling")?)),
        Some((observed, taken)) => {
            Sampling::from_ratio(parse(observed, "sampling")?, parse(taken, "sampling")?)
        }
    };
    parsed.map(Some).ok_or_else(|| bad("sampling"))
}

/// A protocol by number or by the name nfdump, pmacct and goflow2 give it.
pub(super) fn protocol(text: &str) -> Option<u8> {
    let number = match text.to_ascii_lowercase().as_str() {
        "icmp" => 1,
        "igmp" => 2,
        "ipip" => 4,
        "tcp" => 6,
        "udp" => 17,
        "ipv6" => 41,
        "rsvp" => 46,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmp6" | "ipv6-icmp" | "icmpv6" => 58,
        "ospf" | "ospfigp" => 89,
        "pim" => 103,
        "sctp" => 132,
        "udplite" | "udp-lite" => 136,
        other => return other.parse().ok(),
    };
    Some(number)
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
