// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a captured record to the addresses, ports and payload the accounts need.
//!
//! Checksums are not looked at: on a virtual link they are never filled in.

use crate::pcap::Link;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP packet, or a piece of one.
#[derive(Clone, Copy, Debug)]
pub struct Ip<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol number of `body`.
    pub protocol: u8,
    /// What follows the IP header and extension headers.
    pub body: &'a [u8],
    /// Set when this is a fragment.
    pub fragment: Option<Piece>,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Identification.
    pub id: u32,
    /// Byte offset in the whole body.
    pub offset: usize,
    /// Whether more follow.
    pub more: bool,
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Sequence number of the first payload byte, or of the SYN.
    pub seq: u32,
    /// Acknowledged, if the ACK flag is set.
    pub ack: Option<u32>,
    /// SYN flag.
    pub syn: bool,
    /// FIN flag.
    pub fin: bool,
    /// RST flag.
    pub rst: bool,
    /// Payload.
    pub data: &'a [u8],
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Payload.
    pub data: &'a [u8],
}

/// Transport payload of an IP packet.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// TCP.
    Tcp(Tcp<'a>),
    /// UDP.
    Udp(Udp<'a>),
    /// ICMP port unreachable; says whose packet it refuses: source address and destination port.
    Refused {
        /// Source address of the refused packet.
        exporter: IpAddr,
        /// Destination port of the refused packet.
        port: u16,
    },
    /// Anything else.
    Other,
}

/// IP header of a record; `None` for anything that is not complete IP.
pub fn ip(link: Link, data: &[u8]) -> Option<Ip<'_>> {
    let body = match link {
        Link::Raw => data,
        Link::Ethernet => after_tags(data, 12)?,
        Link::Sll => after_tags(data, 14)?,
        Link::Sll2 => data.get(20..)?,
    };
    network(body)
}

/// Skips 802.1Q and 802.1ad tags from the EtherType at `at`.
fn after_tags(data: &[u8], mut at: usize) -> Option<&[u8]> {
    loop {
        match be16(data, at)? {
            0x8100 | 0x88a8 => at += 4,
            0x0800 | 0x86dd => return data.get(at + 2..),
            _ => return None,
        }
    }
}

fn network(data: &[u8]) -> Option<Ip<'_>> {
    match data.first()? >> 4 {
        4 => ipv4(data),
        6 => ipv6(data),
        _ => None,
    }
}

fn ipv4(data: &[u8]) -> Option<Ip<'_>> {
    let header = usize::from(data[0] & 15) * 4;
    // A super-segment of 64 KiB or more carries length 0.
    let total = match usize::from(be16(data, 2)?) {
        0 => data.len(),
        n => n,
    };
    let body = data.get(header..total.min(data.len()))?;
    let flags = be16(data, 6)?;
    let (more, offset) = (flags & 0x2000 != 0, usize::from(flags & 0x1fff) * 8);
    let fragment =
        (more || offset != 0).then_some(Piece { id: u32::from(be16(data, 4)?), offset, more });
    let address = |at: usize| -> Option<IpAddr> {
        let raw: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(raw)))
    };
    Some(Ip { src: address(12)?, dst: address(16)?, protocol: data[9], body, fragment })
}

fn ipv6(data: &[u8]) -> Option<Ip<'_>> {
    let length = match usize::from(be16(data, 4)?) {
        0 => data.len(),
        n => 40 + n,
    };
    let data = data.get(..length.min(data.len()))?;
    let address = |at: usize| -> Option<IpAddr> {
        let raw: [u8; 16] = data.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(raw)))
    };
    let (src, dst) = (address(8)?, address(24)?);
    let (mut next, mut at, mut fragment) = (*data.get(6)?, 40, None);
    loop {
        match next {
            0 | 43 | 60 => {
                let length = 8 + usize::from(*data.get(at + 1)?) * 8;
                next = *data.get(at)?;
                at += length;
            }
            44 => {
                let flags = be16(data, at + 2)?;
                let id = u32::from(be16(data, at + 4)?) << 16 | u32::from(be16(data, at + 6)?);
                let piece = Piece { id, offset: usize::from(flags & !7), more: flags & 1 != 0 };
                fragment = (piece.more || piece.offset != 0).then_some(piece);
                next = *data.get(at)?;
                at += 8;
            }
            _ => break,
        }
        if fragment.is_some() {
            break;
        }
    }
    Some(Ip { src, dst, protocol: next, body: data.get(at..)?, fragment })
}

/// Transport header of a whole IP body; `None` when it is cut short.
pub fn transport(protocol: u8, body: &[u8]) -> Option<Transport<'_>> {
    match protocol {
        6 => tcp(body).map(Transport::Tcp),
        17 => udp(body).map(Transport::Udp),
        1 if body.first() == Some(&3) && body.get(1) == Some(&3) => refused(body.get(8..)?),
        58 if body.first() == Some(&1) && body.get(1) == Some(&4) => refused(body.get(8..)?),
        _ => Some(Transport::Other),
    }
}

fn tcp(body: &[u8]) -> Option<Tcp<'_>> {
    let header = usize::from(body.get(12)? >> 4) * 4;
    let flags = *body.get(13)?;
    Some(Tcp {
        sport: be16(body, 0)?,
        dport: be16(body, 2)?,
        seq: be32(body, 4)?,
        ack: if flags & 0x10 != 0 { Some(be32(body, 8)?) } else { None },
        syn: flags & 2 != 0,
        fin: flags & 1 != 0,
        rst: flags & 4 != 0,
        data: body.get(header..)?,
    })
}

fn udp(body: &[u8]) -> Option<Udp<'_>> {
    let length = match usize::from(be16(body, 4)?) {
        0 => body.len(),
        n => n,
    };
    Some(Udp { sport: be16(body, 0)?, dport: be16(body, 2)?, data: body.get(8..length)? })
}

/// The packet quoted in an ICMP error.
fn refused(quoted: &[u8]) -> Option<Transport<'_>> {
    let inner = network(quoted)?;
    Some(Transport::Refused { exporter: inner.src, port: be16(inner.body, 2)? })
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frame;

    #[test]
    fn both_families_and_vlan() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
            let bytes = frame::udp(src, 7, dst, 4739, b"hello");
            let packet = ip(Link::Ethernet, &bytes).unwrap();
            assert_eq!(packet.src, src.parse::<IpAddr>().unwrap());
            let Some(Transport::Udp(udp)) = transport(packet.protocol, packet.body) else {
                panic!("not UDP")
            };
            assert_eq!((udp.sport, udp.dport, udp.data), (7, 4739, &b"hello"[..]));

            let mut tagged = bytes[..12].to_vec();
            tagged.extend([0x81, 0, 0, 5]);
            tagged.extend(&bytes[12..]);
            assert_eq!(ip(Link::Ethernet, &tagged).unwrap().dst, packet.dst);
        }
    }

    #[test]
    fn unreachable_names_the_exporter() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
            let bytes = frame::unreachable(src, 7, dst, 4739);
            let packet = ip(Link::Ethernet, &bytes).unwrap();
            match transport(packet.protocol, packet.body) {
                Some(Transport::Refused { exporter, port }) => {
                    assert_eq!(exporter, src.parse::<IpAddr>().unwrap());
                    assert_eq!(port, 4739);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn short_input_never_panics() {
        let bytes = frame::tcp("10.0.0.1", 7, "10.0.0.2", 1790, frame::Seg::data(1, b"x"));
        for cut in 0..bytes.len() {
            if let Some(packet) = ip(Link::Ethernet, &bytes[..cut]) {
                let _ = transport(packet.protocol, packet.body);
            }
        }
    }
}
