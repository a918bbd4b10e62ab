// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The message header (draft-ietf-netconf-udp-notif section 3.2) and its options.

use super::Error;
use super::payload::Encoding;
use crate::cursor::Cursor;

/// Octets of the fixed part.
const FIXED_LEN: usize = 12;
/// The option that numbers segments (section 4.1).
const OPTION_SEGMENT: u8 = 1;

/// Where a segment lies in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// From 0, 15 bits.
    pub number: u16,
    /// Whether it is the last one.
    pub last: bool,
}

/// The header of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How the payload is encoded.
    pub encoding: Encoding,
    /// Who published, unique only for one exporter.
    pub publisher: u32,
    /// Rises by one a message.
    pub message_id: u32,
    /// Present on segmented messages.
    pub segment: Option<Segment>,
}

impl Header {
    /// Splits a datagram into header and payload. Octets after the message's length are padding.
    ///
    /// # Errors
    ///
    /// When the header is not one of version 1 that fits the datagram.
    pub fn read(datagram: &[u8]) -> Result<(Self, &[u8]), Error> {
        let short = Error::TooShort(datagram.len());
        let mut cursor = Cursor::new(datagram);
        let first = cursor.u8().ok_or(short)?;
        let version = first >> 5;
        if version != 1 {
            return Err(Error::UnknownVersion(version));
        }
        let encoding = Encoding::of(first & 0x0f, first & 0x10 != 0);
        let header_len = cursor.u8().ok_or(short)?;
        let message_len = usize::from(cursor.u16().ok_or(short)?);
        let publisher = cursor.u32().ok_or(short)?;
        let message_id = cursor.u32().ok_or(short)?;
        let body = usize::from(header_len);
        if body < FIXED_LEN || body > message_len {
            return Err(Error::BadHeaderLength(header_len));
        }
        let message = datagram.get(..message_len).ok_or(short)?;
        let (head, payload) = message.split_at(body);
        let segment = segment(&head[FIXED_LEN..])?;
        Ok((Self { encoding, publisher, message_id, segment }, payload))
    }
}

fn segment(options: &[u8]) -> Result<Option<Segment>, Error> {
    let mut cursor = Cursor::new(options);
    let mut found = None;
    while cursor.remaining() > 0 {
        let (Some(kind), Some(len)) = (cursor.u8(), cursor.u8()) else {
            return Err(Error::BadOption(0));
        };
        let value = usize::from(len).checked_sub(2).and_then(|len| cursor.take(len));
        let value = value.ok_or(Error::BadOption(kind))?;
        if kind == OPTION_SEGMENT {
            let &[high, low] = value else { return Err(Error::BadOption(kind)) };
            let bits = u16::from_be_bytes([high, low]);
            found = Some(Segment { number: bits >> 1, last: bits & 1 == 1 });
        }
    }
    Ok(found)
}
