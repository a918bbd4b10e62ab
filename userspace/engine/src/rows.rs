// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rows of [`crate::stored::COLUMNS`] as records.

use std::net::IpAddr;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringViewArray};
use arrow_schema::DataType;
use telesteer_fam::{FiveTuple, Record};

use crate::totals::{Assumed, rate};

/// A batch with all columns of the schema, in any order.
#[derive(Debug)]
pub struct Rows {
    exporter: StringViewArray,
    first: PrimitiveArray<Int64Type>,
    last: PrimitiveArray<Int64Type>,
    src: StringViewArray,
    dst: StringViewArray,
    proto: PrimitiveArray<UInt8Type>,
    ports: [PrimitiveArray<UInt16Type>; 2],
    interfaces: [PrimitiveArray<UInt32Type>; 2],
    next_hop: StringViewArray,
    tos: PrimitiveArray<UInt8Type>,
    octets: PrimitiveArray<UInt64Type>,
    packets: PrimitiveArray<UInt64Type>,
    sampling: [PrimitiveArray<UInt32Type>; 2],
}

impl Rows {
    /// The columns; text may be of either Arrow type. Fails with the name of one that is missing or
    /// of another type.
    pub fn of(batch: &RecordBatch) -> Result<Self, String> {
        Ok(Self {
            exporter: text(batch, "exporter")?,
            first: number(batch, "first_ns")?,
            last: number(batch, "last_ns")?,
            src: text(batch, "src")?,
            dst: text(batch, "dst")?,
            proto: number(batch, "proto")?,
            ports: [number(batch, "src_port")?, number(batch, "dst_port")?],
            interfaces: [number(batch, "in_if")?, number(batch, "out_if")?],
            next_hop: text(batch, "bgp_next_hop")?,
            tos: number(batch, "tos")?,
            octets: number(batch, "octets")?,
            packets: number(batch, "packets")?,
            sampling: [number(batch, "sampling")?, number(batch, "sampling_taken")?],
        })
    }

    /// The record of a row; the error names what is none.
    pub fn record(&self, row: usize, assumed: &Assumed) -> Result<Record, String> {
        let addr = |column: &StringViewArray, name: &str| -> Result<IpAddr, String> {
            let addr: IpAddr = column.value(row).parse().map_err(|_| format!("bad {name}"))?;
            Ok(addr.to_canonical())
        };
        let exporter = addr(&self.exporter, "exporter")?;
        let hop = self.next_hop.is_valid(row).then(|| addr(&self.next_hop, "bgp_next_hop"));
        let [observed, taken] = self.sampling.each_ref().map(|column| value(column, row));
        let sampling = rate(observed, taken).map_err(|()| "bad sampling".to_owned())?;
        Ok(Record {
            exporter,
            first: self.first.value(row),
            last: self.last.value(row),
            key: FiveTuple {
                src: addr(&self.src, "src")?,
                dst: addr(&self.dst, "dst")?,
                proto: self.proto.value(row),
                src_port: self.ports[0].value(row),
                dst_port: self.ports[1].value(row),
            },
            in_if: self.interfaces[0].value(row),
            out_if: self.interfaces[1].value(row),
            next_hop: hop.transpose()?,
            tos: self.tos.value(row),
            octets: self.octets.value(row),
            packets: self.packets.value(row),
            sampling: assumed.sampling(sampling, exporter),
        })
    }
}

/// The value of a row, if it has one.
pub(crate) fn value<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}

/// A column of numbers.
pub(crate) fn number<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>, String> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    column.cloned().ok_or_else(|| format!("no column {name} of {}", T::DATA_TYPE))
}

/// A column of text. Views of a column that has none copy no text.
pub(crate) fn text(batch: &RecordBatch, name: &str) -> Result<StringViewArray, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))?;
    match column.data_type() {
        DataType::Utf8View => Ok(column.as_string_view().clone()),
        DataType::Utf8 => Ok(StringViewArray::from(column.as_string::<i32>())),
        other => Err(format!("column {name} is {other}, which is not text")),
    }
}
