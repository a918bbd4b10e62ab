// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A decoded record: a view of the datagram through its template's plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::element::{Element, Kind};
use super::options::{self, Options};
use super::template::{Field, Span, Template};
use crate::json;

/// Seconds between the NTP epoch (1900) and the Unix one.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// What a record inherits from the message it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// 9 for NetFlow v9, 10 for IPFIX.
    pub version: u16,
    /// Observation domain (IPFIX) or source id (v9).
    pub domain: u32,
    /// Export time, Unix seconds.
    pub export_time: u32,
    /// Sequence number: data records sent before (IPFIX), messages sent before (v9).
    pub sequence: u32,
    /// Milliseconds since the exporter booted (v9), 0 for IPFIX.
    pub uptime_ms: u32,
    /// The tag its [`super::Arrival`] carried.
    pub tag: u64,
}

/// One record, borrowed from the datagram, its template and the exporter's options.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(super) header: MessageHeader,
    pub(super) template: &'a Template,
    pub(super) bytes: &'a [u8],
    pub(super) spans: &'a [Span],
    pub(super) options: &'a Options,
    pub(super) sampling: Option<u32>,
    pub(super) system_init_ms: Option<u64>,
    pub(super) index: u32,
    pub(super) offset: u32,
    pub(super) late: bool,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Unsigned integer; also every time stamp, in the unit its [`Kind`] says, since 1970.
    Unsigned(u64),
    /// Signed integer.
    Signed(i64),
    /// Floating point number.
    Float(f64),
    /// Truth value.
    Boolean(bool),
    /// MAC address.
    Mac([u8; 6]),
    /// IPv4 or IPv6 address.
    Ip(IpAddr),
    /// Text, not checked to be UTF-8.
    Text(&'a [u8]),
    /// Anything else.
    Octets(&'a [u8]),
}

impl Value<'_> {
    /// The value as an unsigned integer; opaque octets of at most eight are read as one.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::Unsigned(value) => Some(value),
            Value::Signed(value) => u64::try_from(value).ok(),
            Value::Boolean(value) => Some(u64::from(value)),
            Value::Octets(bytes) => unsigned(bytes),
            Value::Mac(bytes) => unsigned(&bytes),
            _ => None,
        }
    }

    /// The value as an address.
    pub fn as_ip(&self) -> Option<IpAddr> {
        match *self {
            Value::Ip(address) => Some(address),
            _ => None,
        }
    }

    /// Appends the value as JSON: octets and lists as hex, addresses as text.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match *self {
            Value::Unsigned(value) => json::number(out, value),
            Value::Signed(value) => json::signed(out, value),
            Value::Float(value) => json::float(out, value),
            Value::Boolean(value) => {
                out.extend_from_slice(if value { b"true".as_slice() } else { b"false" });
            }
            Value::Mac(bytes) => json::mac(out, bytes),
            Value::Ip(address) => json::ip(out, address),
            Value::Text(bytes) => json::text(out, bytes),
            Value::Octets(bytes) => json::hex(out, bytes),
        }
    }
}

impl<'a> Record<'a> {
    /// The message it came in.
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Its template.
    pub fn template(&self) -> &'a Template {
        self.template
    }

    /// Whether it is an options record: about the exporter, not about traffic.
    pub fn is_options(&self) -> bool {
        self.template.options
    }

    /// Ordinal among the records of its datagram decoded at that moment, options records included.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Octet of the datagram at which it starts. Unlike [`Self::index`] this does not change when
    /// a set had to wait for its template.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// Whether its set waited for the template.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Packets observed for each one sampled: from the record itself, else by its sampler id, else
    /// by its ingress interface, else the exporter-wide one. `None` = nothing said.
    pub fn sampling_interval(&self) -> Option<u32> {
        self.sampling
    }

    /// [`Self::sampling_interval`] where it is no whole number: packets observed, and how many of
    /// them were sampled, in lowest terms. What options records tell is known as a whole number.
    pub fn sampling_ratio(&self) -> Option<(u32, u32)> {
        let own = self.template.sampling.interval.and_then(|_| options::ratio(self));
        own.or_else(|| Some((self.sampling?, 1)))
    }

    /// What the exporter's options records have told so far about this domain.
    pub fn options(&self) -> &'a Options {
        self.options
    }

    /// The record's octets.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Fields and values in wire order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a Field, Value<'a>)> + use<'a> {
        let bytes = self.bytes;
        self.template
            .fields
            .iter()
            .zip(self.spans)
            .map(move |(field, span)| (field, value(field.kind, slice(bytes, *span))))
    }

    /// The first field of this element.
    pub fn get(&self, element: Element) -> Option<Value<'a>> {
        let index = self.template.fields.iter().position(|field| field.element == element)?;
        let field = &self.template.fields[index];
        Some(value(field.kind, slice(self.bytes, *self.spans.get(index)?)))
    }

    /// The octets of the first field of this element.
    pub fn octets(&self, element: Element) -> Option<&'a [u8]> {
        let index = self.template.fields.iter().position(|field| field.element == element)?;
        Some(slice(self.bytes, *self.spans.get(index)?))
    }

    /// The first field of this element of IANA's registry, as an unsigned integer.
    pub fn unsigned(&self, id: u16) -> Option<u64> {
        self.get(Element::iana(id))?.as_u64()
    }

    /// Appends `{"name":value,…}` with every field in wire order.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (field, value)) in self.fields().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&field.key);
            value.write_json(out);
        }
        out.push(b'}');
    }
}

/// The span's octets; the spans of a record always lie inside it.
pub(super) fn slice(bytes: &[u8], span: Span) -> &[u8] {
    let at = usize::from(span.at);
    bytes.get(at..at + usize::from(span.len)).unwrap_or_default()
}

/// Big-endian integer of up to eight octets.
pub(super) fn unsigned(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Reads octets as `kind`; a length the kind cannot have leaves them octets.
pub(super) fn value(kind: Kind, bytes: &[u8]) -> Value<'_> {
    let octets = Value::Octets(bytes);
    match kind {
        Kind::Unsigned | Kind::Seconds | Kind::Milliseconds => {
            unsigned(bytes).map_or(octets, Value::Unsigned)
        }
        Kind::Signed => unsigned(bytes).map_or(octets, |value| {
            let unused = 64 - 8 * bytes.len() as u32;
            Value::Signed((value << unused) as i64 >> unused)
        }),
        Kind::Float => match *bytes {
            [a, b, c, d] => Value::Float(f64::from(f32::from_be_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Value::Float(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => octets,
        },
        Kind::Boolean => match *bytes {
            [1] => Value::Boolean(true),
            [2] => Value::Boolean(false),
            _ => octets,
        },
        Kind::Mac => bytes.try_into().map_or(octets, Value::Mac),
        Kind::Text => Value::Text(bytes),
        Kind::Microseconds => ntp(bytes, 1_000_000).map_or(octets, Value::Unsigned),
        Kind::Nanoseconds => ntp(bytes, 1_000_000_000).map_or(octets, Value::Unsigned),
        Kind::Ipv4 => match *bytes {
            [a, b, c, d] => Value::Ip(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            _ => octets,
        },
        Kind::Ipv6 => <[u8; 16]>::try_from(bytes)
            .map_or(octets, |bytes| Value::Ip(IpAddr::V6(Ipv6Addr::from(bytes)))),
        Kind::Octets | Kind::List => octets,
    }
}

/// An NTP time stamp as `per_second`ths of a second since 1970; `None` if it is no time after it.
fn ntp(bytes: &[u8], per_second: u64) -> Option<u64> {
    let stamp = (bytes.len() == 8).then(|| unsigned(bytes))??;
    let seconds = (stamp >> 32).checked_sub(NTP_TO_UNIX_S)?;
    Some(seconds * per_second + (((stamp & 0xffff_ffff) * per_second) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduced_size_integers_keep_their_value_and_sign() {
        assert_eq!(value(Kind::Unsigned, &[1, 0]), Value::Unsigned(256));
        assert_eq!(value(Kind::Signed, &[0xff, 0xfe]), Value::Signed(-2));
        assert_eq!(value(Kind::Signed, &[0x7f, 0xff, 0xff]), Value::Signed(0x7f_ffff));
        assert_eq!(value(Kind::Unsigned, &[0; 9]), Value::Octets(&[0; 9]));
        assert_eq!(value(Kind::Unsigned, &[]), Value::Octets(&[]));
    }

    #[test]
    fn a_length_the_type_cannot_have_leaves_octets() {
        assert_eq!(value(Kind::Ipv4, &[1, 2, 3]), Value::Octets(&[1, 2, 3]));
        assert_eq!(value(Kind::Boolean, &[3]), Value::Octets(&[3]));
        assert_eq!(value(Kind::Mac, &[0; 5]), Value::Octets(&[0; 5]));
    }

    #[test]
    fn ntp_times_become_unix_times() {
        // 1970-01-01T00:00:01.5
        let stamp = [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0];
        assert_eq!(value(Kind::Microseconds, &stamp), Value::Unsigned(1_500_000));
        assert_eq!(value(Kind::Nanoseconds, &stamp), Value::Unsigned(1_500_000_000));
        assert_eq!(value(Kind::Microseconds, &[0; 8]), Value::Octets(&[0; 8]));
    }
}
