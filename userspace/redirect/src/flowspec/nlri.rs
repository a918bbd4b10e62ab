// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a FlowSpec route matches, octet by octet (RFC 8955, section 4; RFC 8956, section 3).
//!
//! ```text
//! length (1 or 2 octets), then components of rising types:
//!   1, 2    destination, source: bits, [offset,] as many octets as they need
//!   3 to 13 numbers: operator, value, operator, value, ... until an operator says it is the last
//!           operator: last 0x80, and 0x40, octets of the value 0x30 (1 << n), below it the comparison
//! ```

use crate::bgp::{Cursor, Family};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use telesteer_fam::Prefix;

/// Type of a component: destination prefix.
pub const DESTINATION: u8 = 1;
/// Source prefix.
pub const SOURCE: u8 = 2;
/// IP protocol, or the next header that is no extension.
pub const PROTOCOL: u8 = 3;
/// Destination port.
pub const DESTINATION_PORT: u8 = 5;
/// Source port.
pub const SOURCE_PORT: u8 = 6;
/// Flow label, which IPv6 alone has; the last type there is.
const FLOW_LABEL: u8 = 13;
/// From here on a length needs two octets.
const LONG: usize = 0xf0;
/// Octets of the longest route.
pub const MAX: usize = 0xfff;

const LAST: u8 = 0x80;
/// Of an operator: "and" instead of "or" before it, and the comparison.
const MEANING: u8 = 0x47;
/// Comparison: equal.
pub const EQUAL: u8 = 0x01;

/// A comparison of a number in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// Bit 0x40 for "and", and the comparison: of numbers 4 less, 2 greater, 1 equal.
    pub operator: u8,
    /// With what.
    pub value: u64,
}

/// One condition; a packet must meet all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Bits `offset` to the prefix's length of an address are those of the prefix.
    Net {
        /// [`DESTINATION`] or [`SOURCE`].
        kind: u8,
        /// With nothing before the offset.
        prefix: Prefix,
        /// 0 with IPv4.
        offset: u8,
    },
    /// A number is one of these.
    Numbers {
        /// Its type.
        kind: u8,
        /// At least one.
        items: Vec<Item>,
    },
}

impl Component {
    /// Its type.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Net { kind, .. } | Self::Numbers { kind, .. } => *kind,
        }
    }
}

/// What a route matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nlri {
    /// IPv4 or IPv6.
    pub family: Family,
    /// Of rising types, at least one.
    pub components: Vec<Component>,
}

/// Why octets are no route that can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNlri {
    /// Nothing in it.
    #[error("no component")]
    Empty,
    /// A component breaks off.
    #[error("component {0} breaks off")]
    Short(u8),
    /// A component comes twice or too late.
    #[error("component {0} is out of order")]
    Order(u8),
    /// Nobody knows what it is, nor where it ends.
    #[error("component {0} is not known")]
    Unknown(u8),
    /// A prefix longer than an address, or an offset beyond it.
    #[error("component {0}: no such prefix")]
    Prefix(u8),
}

/// The octets of each route in a list; none if they do not add up.
pub fn split(routes: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut cursor, mut all) = (Cursor(routes), Vec::new());
    while !cursor.is_empty() {
        let mut length = usize::from(cursor.u8()?);
        if length >= LONG {
            length = ((length & 0x0f) << 8) | usize::from(cursor.u8()?);
        }
        all.push(cursor.take(length)?);
    }
    Some(all)
}

impl Nlri {
    /// Reads a route, without its length.
    ///
    /// # Errors
    ///
    /// If it is not well-formed, or has a component that is not known.
    pub fn decode(family: Family, bytes: &[u8]) -> Result<Self, BadNlri> {
        let (mut cursor, mut components, mut last) = (Cursor(bytes), Vec::new(), 0);
        while let Some(kind) = cursor.u8() {
            if kind <= last {
                return Err(BadNlri::Order(kind));
            }
            last = kind;
            components.push(match (kind, family) {
                (DESTINATION | SOURCE, _) => net(family, kind, &mut cursor)?,
                (FLOW_LABEL, Family::Ipv4) => return Err(BadNlri::Unknown(kind)),
                (PROTOCOL..=FLOW_LABEL, _) => {
                    let items = numbers(&mut cursor).ok_or(BadNlri::Short(kind))?;
                    Component::Numbers { kind, items }
                }
                _ => return Err(BadNlri::Unknown(kind)),
            });
        }
        if components.is_empty() {
            return Err(BadNlri::Empty);
        }
        Ok(Self { family, components })
    }

    /// Writes a route with its length; none if it is longer than [`MAX`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        for component in &self.components {
            body.push(component.kind());
            match component {
                Component::Net { prefix, offset, .. } => write_net(*prefix, *offset, &mut body),
                Component::Numbers { items, .. } => write_numbers(items, &mut body),
            }
        }
        let length = u16::try_from(body.len()).ok().filter(|_| body.len() <= MAX)?;
        let mut bytes = match u8::try_from(length) {
            Ok(short) if usize::from(short) < LONG => vec![short],
            _ => (length | 0xf000).to_be_bytes().to_vec(),
        };
        bytes.extend(body);
        Some(bytes)
    }
}

fn net(family: Family, kind: u8, cursor: &mut Cursor<'_>) -> Result<Component, BadNlri> {
    let short = BadNlri::Short(kind);
    let bits = cursor.u8().ok_or(short)?;
    let (full, offset) = match family {
        Family::Ipv4 => (32, 0),
        Family::Ipv6 => (128, cursor.u8().ok_or(short)?),
    };
    // "Nothing" may only be written as 0 bits from 0 on.
    if bits > full || offset > bits || (offset == bits && bits > 0) {
        return Err(BadNlri::Prefix(kind));
    }
    let octets = usize::from(bits - offset).div_ceil(8);
    let taken = cursor.take(octets).ok_or(short)?;
    let mut pattern = [0; 16];
    pattern.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
    let shifted = u128::from_be_bytes(pattern) >> offset.min(127);
    let prefix = match family {
        Family::Ipv4 => {
            let [a, b, c, d, ..] = shifted.to_be_bytes();
            Prefix::new(Ipv4Addr::new(a, b, c, d).into(), bits)
        }
        Family::Ipv6 => Prefix::new(Ipv6Addr::from_bits(shifted).into(), bits),
    };
    Ok(Component::Net { kind, prefix, offset })
}

fn write_net(prefix: Prefix, offset: u8, body: &mut Vec<u8>) {
    body.push(prefix.len());
    let octets = usize::from(prefix.len().saturating_sub(offset)).div_ceil(8);
    match prefix.addr() {
        std::net::IpAddr::V4(addr) => body.extend(addr.octets().iter().take(octets)),
        std::net::IpAddr::V6(addr) => {
            body.push(offset);
            let pattern = (addr.to_bits() << offset.min(127)).to_be_bytes();
            body.extend(pattern.iter().take(octets));
        }
    }
}

fn numbers(cursor: &mut Cursor<'_>) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    loop {
        let operator = cursor.u8()?;
        let value = cursor.number(1 << ((operator >> 4) & 3))?;
        // Before the first there is nothing to be "and" with.
        let first = if items.is_empty() { !0x40 } else { !0 };
        items.push(Item { operator: operator & MEANING & first, value });
        if operator & LAST != 0 {
            return Some(items);
        }
    }
}

fn write_numbers(items: &[Item], body: &mut Vec<u8>) {
    for (at, item) in items.iter().enumerate() {
        let size: u8 = match item.value {
            0..=0xff => 0,
            0x100..=0xffff => 1,
            0x1_0000..=0xffff_ffff => 2,
            _ => 3,
        };
        let last = if at + 1 == items.len() { LAST } else { 0 };
        body.push((item.operator & MEANING) | (size << 4) | last);
        body.extend(&item.value.to_be_bytes()[8 - (1 << size)..]);
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net { kind, prefix, offset } => {
                let side = if *kind == DESTINATION { "to" } else { "from" };
                write!(f, "{side} {prefix}")?;
                if *offset > 0 { write!(f, " from bit {offset}") } else { Ok(()) }
            }
            Self::Numbers { kind, items } => {
                write!(f, "component {kind}")?;
                items.iter().try_for_each(|one| write!(f, " {:#x}:{}", one.operator, one.value))
            }
        }
    }
}

impl fmt::Display for Nlri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, component) in self.components.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{component}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "nlri_tests.rs"]
mod tests;
