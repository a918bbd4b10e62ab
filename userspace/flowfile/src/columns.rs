// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rows on their way into columns.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        Int64Builder, StringBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
    },
};
use arrow_schema::ArrowError;

use crate::{Row, halves, schema::schema};

/// One builder a column, in the order of the schema.
#[derive(Debug, Default)]
pub struct Columns {
    rows: usize,
    exporter: StringBuilder,
    first_ns: Int64Builder,
    last_ns: Int64Builder,
    src: StringBuilder,
    dst: StringBuilder,
    proto: UInt8Builder,
    src_port: UInt16Builder,
    dst_port: UInt16Builder,
    in_if: UInt32Builder,
    out_if: UInt32Builder,
    bgp_next_hop: StringBuilder,
    tos: UInt8Builder,
    octets: UInt64Builder,
    packets: UInt64Builder,
    sampling: UInt32Builder,
    sampling_taken: UInt32Builder,
    domain: UInt32Builder,
    version: UInt8Builder,
    export_s: Int64Builder,
    instance: UInt64Builder,
    /// Upper and lower half.
    src_number: [UInt64Builder; 2],
    dst_number: [UInt64Builder; 2],
}

impl Columns {
    /// Rows not taken out yet.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row) {
        self.rows += 1;
        text(&mut self.exporter, row.exporter);
        self.first_ns.append_value(row.first_ns);
        self.last_ns.append_value(row.last_ns);
        text(&mut self.src, row.src);
        text(&mut self.dst, row.dst);
        self.proto.append_option(row.proto);
        self.src_port.append_value(row.src_port);
        self.dst_port.append_value(row.dst_port);
        self.in_if.append_value(row.in_if);
        self.out_if.append_value(row.out_if);
        match row.bgp_next_hop {
            Some(hop) => text(&mut self.bgp_next_hop, hop),
            None => self.bgp_next_hop.append_null(),
        }
        self.tos.append_value(row.tos);
        self.octets.append_value(row.octets);
        self.packets.append_value(row.packets);
        self.sampling.append_option(row.sampling.map(|(observed, _)| observed));
        self.sampling_taken.append_option(row.sampling.map(|(_, taken)| taken));
        self.domain.append_value(row.domain);
        self.version.append_value(row.version);
        self.export_s.append_value(row.export_s);
        self.instance.append_value(row.instance);
        number(&mut self.src_number, row.src);
        number(&mut self.dst_number, row.dst);
    }

    /// Takes the rows out.
    ///
    /// # Errors
    ///
    /// None that a caller could cause: the builders are those of the schema.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let [src_hi, src_lo] = &mut self.src_number;
        let [dst_hi, dst_lo] = &mut self.dst_number;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.exporter.finish()),
            Arc::new(self.first_ns.finish()),
            Arc::new(self.last_ns.finish()),
            Arc::new(self.src.finish()),
            Arc::new(self.dst.finish()),
            Arc::new(self.proto.finish()),
            Arc::new(self.src_port.finish()),
            Arc::new(self.dst_port.finish()),
            Arc::new(self.in_if.finish()),
            Arc::new(self.out_if.finish()),
            Arc::new(self.bgp_next_hop.finish()),
            Arc::new(self.tos.finish()),
            Arc::new(self.octets.finish()),
            Arc::new(self.packets.finish()),
            Arc::new(self.sampling.finish()),
            Arc::new(self.sampling_taken.finish()),
            Arc::new(self.domain.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.export_s.finish()),
            Arc::new(self.instance.finish()),
            Arc::new(src_hi.finish()),
            Arc::new(src_lo.finish()),
            Arc::new(dst_hi.finish()),
            Arc::new(dst_lo.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

/// Appends an address without a text of its own on the way.
fn text(column: &mut StringBuilder, addr: IpAddr) {
    // Writing into a builder cannot fail.
    let _ = write!(column, "{addr}");
    column.append_value("");
}

fn number([hi_column, lo_column]: &mut [UInt64Builder; 2], addr: IpAddr) {
    let (hi, lo) = halves::of(addr);
    hi_column.append_value(hi);
    lo_column.append_value(lo);
}
