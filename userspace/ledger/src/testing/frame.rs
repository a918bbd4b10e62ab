// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ethernet frames and pcap files.

use std::net::IpAddr;

/// Flags and payload of a TCP segment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seg<'a> {
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) flags: u8,
    pub(crate) data: &'a [u8],
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;

impl<'a> Seg<'a> {
    pub(crate) fn data(seq: u32, data: &'a [u8]) -> Self {
        Self { seq, data, ..Self::default() }
    }

    pub(crate) fn flag(seq: u32, flags: u8) -> Self {
        Self { seq, flags, ..Self::default() }
    }
}

pub(crate) fn udp(src: &str, sport: u16, dst: &str, dport: u16, data: &[u8]) -> Vec<u8> {
    let mut body = ports(sport, dport);
    body.extend((data.len() as u16 + 8).to_be_bytes());
    body.extend([0, 0]);
    body.extend(data);
    ethernet(src, dst, 17, &body)
}

pub(crate) fn tcp(src: &str, sport: u16, dst: &str, dport: u16, seg: Seg<'_>) -> Vec<u8> {
    let mut body = ports(sport, dport);
    body.extend(seg.seq.to_be_bytes());
    body.extend(seg.ack.unwrap_or(0).to_be_bytes());
    body.extend([5 << 4, seg.flags | if seg.ack.is_some() { 0x10 } else { 0 }]);
    body.extend([0; 6]);
    body.extend(seg.data);
    ethernet(src, dst, 6, &body)
}

/// The answer of `dst` to a datagram of `src` to a closed port.
pub(crate) fn unreachable(src: &str, sport: u16, dst: &str, dport: u16) -> Vec<u8> {
    let quoted = udp(src, sport, dst, dport, b"12345678");
    let six = src.contains(':');
    let mut body = if six { vec![1, 4] } else { vec![3, 3] };
    body.extend([0; 6]);
    body.extend(&quoted[14..]);
    ethernet(dst, src, if six { 58 } else { 1 }, &body)
}

fn ports(sport: u16, dport: u16) -> Vec<u8> {
    [sport.to_be_bytes(), dport.to_be_bytes()].concat()
}

fn ethernet(src: &str, dst: &str, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![2; 12];
    match (src.parse().unwrap(), dst.parse().unwrap()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            out.extend([8, 0, 0x45, 0]);
            out.extend((body.len() as u16 + 20).to_be_bytes());
            out.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            out.extend(src.octets());
            out.extend(dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            out.extend((body.len() as u16).to_be_bytes());
            out.extend([protocol, 64]);
            out.extend(src.octets());
            out.extend(dst.octets());
        }
        _ => panic!("two families in one packet"),
    }
    out.extend(body);
    out
}

/// A pcap file of frames at times in microseconds.
pub(crate) fn pcap(frames: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut out = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
    out.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(262_144u32.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for (ts, frame) in frames {
        out.extend(((ts / 1_000_000) as u32).to_le_bytes());
        out.extend(((ts % 1_000_000) as u32).to_le_bytes());
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend(frame);
    }
    out
}
