// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Columns of a Parquet file as what a record needs, whatever type the writer gave them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

/// What a column has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An address: text, or 4 or 16 octets.
    Address,
    /// Nanoseconds since 1970: an integer, or a time stamp of any unit.
    Instant,
    /// An integer.
    Number,
    /// An integer, or text as CSV has it: N of 1:N, or observed/taken.
    Sampling,
}

impl Wanted {
    /// Whether a column of this type can be read as it.
    pub(super) fn takes(self, kind: &DataType) -> bool {
        let text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8);
        match self {
            Self::Address => {
                let octets = matches!(kind, DataType::Binary | DataType::FixedSizeBinary(4 | 16));
                text || octets
            }
            Self::Instant => kind.is_integer() || matches!(kind, DataType::Timestamp(..)),
            Self::Number => kind.is_integer(),
            Self::Sampling => kind.is_integer() || text,
        }
    }

    /// For a message.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Address => "an address",
            Self::Instant => "a time",
            Self::Number => "a whole number",
            Self::Sampling => "a sampling rate",
        }
    }
}

/// One value, read as what its type is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// Null.
    None,
    /// An integer; a time stamp in nanoseconds.
    Number(i128),
    /// Text.
    Text(&'a str),
    /// Octets.
    Octets(&'a [u8]),
}

impl Cell<'_> {
    /// The value as a number that fits; text is read as CSV is.
    pub(super) fn number<T: TryFrom<i128> + FromStr>(self) -> Option<T> {
        match self {
            Self::Number(number) => T::try_from(number).ok(),
            Self::Text(text) => text.parse().ok(),
            Self::None | Self::Octets(_) => None,
        }
    }

    /// The value as an address.
    pub(super) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Octets(octets) => match octets.len() {
                4 => <[u8; 4]>::try_from(octets).ok().map(|four| Ipv4Addr::from(four).into()),
                16 => <[u8; 16]>::try_from(octets).ok().map(|all| Ipv6Addr::from(all).into()),
                _ => None,
            },
            Self::None | Self::Number(_) => None,
        }
    }

    /// Whether there is nothing: null, or text without a letter.
    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::None | Self::Text(""))
    }
}

/// The value in a row; null for a type that [`Wanted::takes`] refuses.
pub(super) fn cell(column: &ArrayRef, row: usize) -> Cell<'_> {
    if column.is_null(row) {
        return Cell::None;
    }
    macro_rules! number {
        ($kind:ty) => {
            Cell::Number(i128::from(column.as_primitive::<$kind>().value(row)))
        };
        ($kind:ty, $factor:expr) => {
            Cell::Number(i128::from(column.as_primitive::<$kind>().value(row)) * $factor)
        };
    }
    match column.data_type() {
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Timestamp(TimeUnit::Second, _) => number!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            number!(TimestampMillisecondType, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => number!(TimestampMicrosecondType, 1000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Cell::Text(column.as_string::<i64>().value(row)),
        DataType::Binary => Cell::Octets(column.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => Cell::Octets(column.as_fixed_size_binary().value(row)),
        _ => Cell::None,
    }
}
