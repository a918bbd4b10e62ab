// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A captured record: its MPLS label if it has one (RFC 3032), addresses, ports, number.

use crate::error::{Result, odd};
use crate::numbered::{LEAST, MAGIC};
use std::net::IpAddr;
use std::path::Path;
use telesteer_ledger::packet;
use telesteer_ledger::pcap::{Link, Reader};

/// EtherType of MPLS unicast.
const MPLS: [u8; 2] = [0x88, 0x47];
/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// Labels a packet may carry; more are none of ours.
const MAX_LABELS: usize = 4;

/// A packet as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Unix time in microseconds.
    pub(crate) at_us: i64,
    /// The outermost label.
    pub(crate) label: Option<u32>,
    /// Source address.
    pub(crate) src: IpAddr,
    /// Destination address.
    pub(crate) dst: IpAddr,
    /// IP protocol.
    pub(crate) proto: u8,
    /// Source and destination port, of TCP and UDP.
    pub(crate) ports: Option<(u16, u16)>,
    /// Octets of the IP packet.
    pub(crate) octets: u64,
    /// Flow and number of a numbered datagram.
    pub(crate) number: Option<(u32, u64)>,
}

/// Reads a record of an Ethernet link; `None` if it is no whole IPv4 or IPv6 header.
fn parse(at_us: i64, wire_len: usize, data: &[u8]) -> Option<Frame> {
    let labelled = data.get(12..ETHERNET)? == MPLS;
    let (label, labels) = if labelled { labels(data.get(ETHERNET..)?)? } else { (None, 0) };
    let ip = match labelled {
        true => packet::ip(Link::Raw, data.get(ETHERNET + 4 * labels..)?)?,
        false => packet::ip(Link::Ethernet, data)?,
    };
    let first = ip.fragment.is_none_or(|piece| piece.offset == 0);
    let ports = matches!(ip.protocol, 6 | 17) && first;
    let ports = ports.then(|| Some((be16(ip.body, 0)?, be16(ip.body, 2)?))).flatten();
    let number = match ip.protocol {
        17 if first => ip.body.get(8..8 + LEAST).and_then(number),
        _ => None,
    };
    let octets = wire_len.saturating_sub(ETHERNET + 4 * labels) as u64;
    Some(Frame {
        at_us,
        label,
        src: ip.src,
        dst: ip.dst,
        proto: ip.protocol,
        ports,
        octets,
        number,
    })
}

/// The outermost label and how many there are.
fn labels(data: &[u8]) -> Option<(Option<u32>, usize)> {
    let mut outer = None;
    for (count, entry) in data.chunks_exact(4).take(MAX_LABELS).enumerate() {
        let entry = u32::from_be_bytes(entry.try_into().ok()?);
        outer = outer.or(Some(entry >> 12));
        if entry & 0x100 != 0 {
            return Some((outer, count + 1));
        }
    }
    None
}

fn number(payload: &[u8]) -> Option<(u32, u64)> {
    let rest = payload.strip_prefix(&MAGIC)?;
    let (flow, number) = rest.split_first_chunk::<4>()?;
    let number = number.first_chunk::<8>()?;
    Some((u32::from_be_bytes(*flow), u64::from_be_bytes(*number)))
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

/// Calls `each` with every IP packet of a capture, in order.
///
/// # Errors
///
/// If the file cannot be read, is of another link type, or ends inside a record.
pub(crate) fn each(file: &Path, mut each: impl FnMut(Frame)) -> Result<()> {
    let mut reader = Reader::open(file)?;
    if reader.link() != Link::Ethernet {
        return Err(odd(file.display().to_string(), "not of an Ethernet link"));
    }
    while let Some(record) = reader.record()? {
        if let Some(frame) = parse(record.ts_us, record.wire_len, record.data) {
            each(frame);
        }
    }
    if reader.torn() {
        return Err(odd(file.display().to_string(), "it ends inside a record"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A numbered datagram from 10.1.1.1:4000 to 10.2.1.1:7000 under these labels.
    pub(crate) fn datagram(labels: &[u32], flow: u32, number: u64) -> Vec<u8> {
        let mut bytes = vec![2; 12];
        bytes.extend(if labels.is_empty() { [8, 0] } else { MPLS });
        for (place, label) in labels.iter().enumerate() {
            let bottom = u32::from(place + 1 == labels.len()) << 8;
            bytes.extend((label << 12 | bottom | 64).to_be_bytes());
        }
        let total = 20 + 8 + LEAST as u16;
        bytes.extend([0x45, 0]);
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 1, 1, 1, 10, 2, 1, 1]);
        bytes.extend(4000_u16.to_be_bytes());
        bytes.extend(7000_u16.to_be_bytes());
        bytes.extend((8 + LEAST as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(MAGIC);
        bytes.extend(flow.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes
    }

    #[test]
    fn labels_are_seen_and_what_is_under_them() {
        for (labels, outer) in [(&[][..], None), (&[100_000], Some(100_000)), (&[7, 9], Some(7))] {
            let bytes = datagram(labels, 3, 1 << 40);
            let frame = parse(5, bytes.len(), &bytes).unwrap();
            assert_eq!((frame.at_us, frame.label, frame.octets), (5, outer, 44));
            assert_eq!(frame.number, Some((3, 1 << 40)));
            assert_eq!((frame.ports, frame.proto), (Some((4000, 7000)), 17));
            assert_eq!(frame.src, "10.1.1.1".parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_cut_frame_still_tells_its_length_and_never_panics() {
        let bytes = datagram(&[100_000], 1, 2);
        let frame = parse(0, 1518, &bytes).unwrap();
        assert_eq!(frame.octets, 1500);
        for cut in 0..bytes.len() {
            let frame = parse(0, bytes.len(), &bytes[..cut]);
            assert!(frame.is_none_or(|frame| frame.number.is_none()), "{cut}");
        }
    }

    #[test]
    fn labels_without_a_bottom_are_none_of_ours() {
        let mut bytes = datagram(&[7], 1, 2);
        bytes[16] &= 0xfe;
        assert_eq!(parse(0, bytes.len(), &bytes), None);
    }
}
