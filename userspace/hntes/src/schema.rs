// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Columns of flow records, in files of ours and in what the collector stores.
//!
//! | column | meaning |
//! | --- | --- |
//! | `exporter` | address of the router |
//! | `first_ns`, `last_ns` | first and last packet, nanoseconds since 1970 UTC |
//! | `src`, `dst` | addresses |
//! | `proto`, `src_port`, `dst_port` | as in the packets; ports 0 where there are none |
//! | `in_if`, `out_if` | interfaces, 0 = not exported |
//! | `bgp_next_hop` | empty = not exported |
//! | `tos` | type of service |
//! | `octets`, `packets` | as exported, not scaled |
//! | `sampling` | N of 1:N, or `observed/taken`; empty or 0 = unknown, which is not 1 |

use std::io::{self, Write};
use telesteer_fam::Record;

/// Names of the columns, in order.
pub const COLUMNS: [&str; 15] = [
    "exporter",
    "first_ns",
    "last_ns",
    "src",
    "dst",
    "proto",
    "src_port",
    "dst_port",
    "in_if",
    "out_if",
    "bgp_next_hop",
    "tos",
    "octets",
    "packets",
    "sampling",
];

/// In Parquet the rate is two columns: `sampling`, observed, and this one, taken.
pub const SAMPLING_TAKEN: &str = "sampling_taken";

/// Writes the line of names.
pub fn write_header(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))
}

/// Writes a record as a line.
pub fn write_record(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let key = &record.key;
    write!(
        out,
        "{},{},{},{},{},{},{},{},{},{},",
        record.exporter,
        record.first,
        record.last,
        key.src,
        key.dst,
        key.proto,
        key.src_port,
        key.dst_port,
        record.in_if,
        record.out_if
    )?;
    if let Some(hop) = record.next_hop {
        write!(out, "{hop}")?;
    }
    write!(out, ",{},{},{},", record.tos, record.octets, record.packets)?;
    match record.sampling.map(|sampling| sampling.ratio()) {
        Some((observed, 1)) => writeln!(out, "{observed}"),
        Some((observed, taken)) => writeln!(out, "{observed}/{taken}"),
        None => writeln!(out),
    }
}
