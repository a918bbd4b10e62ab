// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rows of [`telesteer_flowfile::COLUMNS`] as records.

use std::net::{IpAddr, Ipv6Addr};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringViewArray};
use arrow_schema::DataType;
use telesteer_fam::{FiveTuple, Record};
use telesteer_flowfile::halves;

use crate::totals::{Assumed, rate};

/// What a pass looks at of its records beside times, ends, octets and sampling. The rest is 0, nothing,
/// or `::`, and is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Protocol and ports.
    pub transport: bool,
    /// Who exported it, where it came in and where it went out.
    pub way: bool,
    /// Class and packets.
    pub rest: bool,
}

impl Fields {
    /// All.
    pub const ALL: Self = Self { transport: true, way: true, rest: true };
    /// Who talked how much to whom.
    pub const ENDS: Self = Self { transport: false, way: false, rest: false };

    /// The columns to read.
    pub(crate) fn columns(self, assumed: &Assumed) -> Vec<&'static str> {
        let mut columns = ENDS.to_vec();
        columns.extend(["first_ns", "last_ns", "octets", "sampling", "sampling_taken"]);
        if self.transport {
            columns.extend(["proto", "src_port", "dst_port"]);
        }
        if self.way {
            columns.extend(["exporter", "in_if", "out_if", "bgp_next_hop"]);
        } else if !assumed.of.is_empty() {
            columns.push("exporter");
        }
        if self.rest {
            columns.extend(["tos", "packets"]);
        }
        columns
    }
}

/// The columns of a row's ends, and what they have: source and destination, of each the upper and the
/// lower half.
pub(crate) const ENDS: [&str; 4] = ["src_hi", "src_lo", "dst_hi", "dst_lo"];
pub(crate) type Ends = [u64; 4];

/// A batch with the columns of [`Fields`], in any order.
#[derive(Debug)]
pub struct Rows {
    exporter: Option<StringViewArray>,
    first: PrimitiveArray<Int64Type>,
    last: PrimitiveArray<Int64Type>,
    /// Nothing if they are known from elsewhere.
    ends: Option<[PrimitiveArray<UInt64Type>; 4]>,
    transport: Option<(PrimitiveArray<UInt8Type>, [PrimitiveArray<UInt16Type>; 2])>,
    way: Option<([PrimitiveArray<UInt32Type>; 2], StringViewArray)>,
    octets: PrimitiveArray<UInt64Type>,
    rest: Option<(PrimitiveArray<UInt8Type>, PrimitiveArray<UInt64Type>)>,
    sampling: [PrimitiveArray<UInt32Type>; 2],
}

impl Rows {
    /// The columns; text may be of either Arrow type. Fails with the name of one that is missing or
    /// of another type.
    pub fn of(batch: &RecordBatch, fields: Fields) -> Result<Self, String> {
        let [src_hi, src_lo, dst_hi, dst_lo] = ENDS.map(|name| number(batch, name));
        let ends = [src_hi?, src_lo?, dst_hi?, dst_lo?];
        Ok(Self { ends: Some(ends), ..Self::without_ends(batch, fields)? })
    }

    /// The columns but those of source and destination.
    pub(crate) fn without_ends(batch: &RecordBatch, fields: Fields) -> Result<Self, String> {
        let exporter = fields.way || batch.column_by_name("exporter").is_some();
        Ok(Self {
            exporter: exporter.then(|| text(batch, "exporter")).transpose()?,
            first: number(batch, "first_ns")?,
            last: number(batch, "last_ns")?,
            ends: None,
            transport: match fields.transport {
                true => Some((
                    number(batch, "proto")?,
                    [number(batch, "src_port")?, number(batch, "dst_port")?],
                )),
                false => None,
            },
            way: match fields.way {
                true => Some((
                    [number(batch, "in_if")?, number(batch, "out_if")?],
                    text(batch, "bgp_next_hop")?,
                )),
                false => None,
            },
            octets: number(batch, "octets")?,
            rest: match fields.rest {
                true => Some((number(batch, "tos")?, number(batch, "packets")?)),
                false => None,
            },
            sampling: [number(batch, "sampling")?, number(batch, "sampling_taken")?],
        })
    }

    /// The record of a row; the error names what is none.
    pub fn record(&self, row: usize, assumed: &Assumed) -> Result<Record, String> {
        let ends = self.ends.as_ref().ok_or("nobody knows its ends")?;
        self.record_between(ends.each_ref().map(|half| half.value(row)), row, assumed)
    }

    /// The same between these.
    pub(crate) fn record_between(
        &self,
        [src_hi, src_lo, dst_hi, dst_lo]: Ends,
        row: usize,
        assumed: &Assumed,
    ) -> Result<Record, String> {
        let exporter = match &self.exporter {
            Some(exporter) => addr(exporter, row, "exporter")?,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let [observed, taken] = self.sampling.each_ref().map(|column| value(column, row));
        let sampling = rate(observed, taken).map_err(|()| "bad sampling".to_owned())?;
        let (proto, [src_port, dst_port]) = match &self.transport {
            Some((proto, ports)) => {
                (proto.value(row), ports.each_ref().map(|port| port.value(row)))
            }
            None => (0, [0, 0]),
        };
        let ([in_if, out_if], next_hop) = match &self.way {
            Some((interfaces, hop)) => {
                let hop = hop.is_valid(row).then(|| addr(hop, row, "bgp_next_hop"));
                (interfaces.each_ref().map(|interface| interface.value(row)), hop.transpose()?)
            }
            None => ([0, 0], None),
        };
        let (tos, packets) = match &self.rest {
            Some((tos, packets)) => (tos.value(row), packets.value(row)),
            None => (0, 0),
        };
        let (src, dst) = (halves::addr(src_hi, src_lo), halves::addr(dst_hi, dst_lo));
        Ok(Record {
            exporter,
            first: self.first.value(row),
            last: self.last.value(row),
            key: FiveTuple { src, dst, proto, src_port, dst_port },
            in_if,
            out_if,
            next_hop,
            tos,
            octets: self.octets.value(row),
            packets,
            sampling: assumed.sampling(sampling, exporter),
        })
    }
}

/// The address of a row.
pub(crate) fn addr(column: &StringViewArray, row: usize, name: &str) -> Result<IpAddr, String> {
    let addr: IpAddr = column.value(row).parse().map_err(|_| format!("bad {name}"))?;
    Ok(addr.to_canonical())
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
