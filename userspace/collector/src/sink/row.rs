// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A record that was decoded as one that is stored.

use telesteer_flowfile::Row as Stored;

use super::Row;

/// The row of a collector.
pub(super) fn stored(row: &Row, instance: u64) -> Stored {
    Stored {
        exporter: row.exporter,
        // Both are below 2^63.
        first_ns: row.times.start_ns as i64,
        last_ns: row.times.end_ns as i64,
        src: row.src,
        dst: row.dst,
        proto: row.proto,
        src_port: row.src_port,
        dst_port: row.dst_port,
        in_if: row.in_if,
        out_if: row.out_if,
        bgp_next_hop: row.next_hop,
        tos: row.tos,
        octets: row.octets,
        packets: row.packets,
        sampling: row.sampling,
        domain: row.domain,
        version: row.version,
        export_s: i64::from(row.export_s),
        instance,
    }
}
