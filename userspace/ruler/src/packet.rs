// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whole packets for raw sockets: a datagram or a SYN from any source address to loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// What arrives at a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Traffic {
    /// UDP datagrams over IPv4.
    Udp4,
    /// UDP datagrams over IPv6.
    Udp6,
    /// TCP SYNs over IPv4.
    Syn4,
    /// TCP SYNs over IPv6.
    Syn6,
}

impl Traffic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Udp4, Self::Udp6, Self::Syn4, Self::Syn6];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp4 => "UDP over IPv4",
            Self::Udp6 => "UDP over IPv6",
            Self::Syn4 => "TCP SYN over IPv4",
            Self::Syn6 => "TCP SYN over IPv6",
        }
    }

    /// Whether it is TCP.
    pub fn is_tcp(self) -> bool {
        matches!(self, Self::Syn4 | Self::Syn6)
    }

    /// Whether it is IPv6.
    pub fn is_ipv6(self) -> bool {
        matches!(self, Self::Udp6 | Self::Syn6)
    }

    /// The loopback address of its family.
    pub fn loopback(self) -> IpAddr {
        if self.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }

    /// The `n`th exporter's address: of 10.0.0.0/8 or 2001:db8::/32.
    pub fn source(self, n: u16) -> IpAddr {
        let [high, low] = n.to_be_bytes();
        if self.is_ipv6() {
            Ipv6Addr::new(0x2001, 0xdb8, 7, n, 0, 0, 0, 1).into()
        } else {
            Ipv4Addr::new(10, 7, high, low).into()
        }
    }

    /// A packet of this kind.
    pub fn packet(self, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let transport = if self.is_tcp() { syn(from, to) } else { datagram(from, to) };
        let protocol = if self.is_tcp() { TCP } else { UDP };
        with_header(protocol, from.ip(), to.ip(), transport)
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where the checksum stands in the transport header.
const TCP_SUM: usize = 16;
const UDP_SUM: usize = 6;
/// As long as an IPFIX message with a small data set.
const PAYLOAD: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

fn datagram(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut out = Vec::from(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend((8 + PAYLOAD.len() as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(PAYLOAD);
    put_sum(&mut out, UDP, UDP_SUM, from.ip(), to.ip());
    out
}

fn syn(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut out = Vec::from(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(1_u32.to_be_bytes());
    out.extend(0_u32.to_be_bytes());
    // Header of five words, SYN, window.
    out.extend([5 << 4, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    put_sum(&mut out, TCP, TCP_SUM, from.ip(), to.ip());
    out
}

fn with_header(protocol: u8, from: IpAddr, to: IpAddr, transport: Vec<u8>) -> Vec<u8> {
    let len = transport.len() as u16;
    let mut out = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0];
            header.extend((20 + len).to_be_bytes());
            // The kernel fills in id and checksum of the header.
            header.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            header
        }
        _ => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(len.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend(octets(from));
            header.extend(octets(to));
            header
        }
    };
    out.extend(transport);
    out
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

/// Puts the checksum over pseudo header and `transport` into its place.
fn put_sum(transport: &mut [u8], protocol: u8, at: usize, from: IpAddr, to: IpAddr) {
    let mut covered = octets(from);
    covered.extend(octets(to));
    covered.extend((transport.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, protocol]);
    covered.extend_from_slice(transport);
    let sum = match !ones(&covered) {
        0 => 0xffff,
        sum => sum,
    };
    if let Some(place) = transport.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

/// One's complement sum of 16-bit words.
fn ones(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(pair.first().copied().unwrap_or(0)) << 8 | u32::from(low);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_checksum_sums_to_all_ones() {
        for traffic in Traffic::ALL {
            let (from, to) = (traffic.source(300), traffic.loopback());
            let packet = traffic.packet((from, 4000).into(), (to, 4739).into());
            let header = if traffic.is_ipv6() { 40 } else { 20 };
            let transport = &packet[header..];
            let mut covered = octets(from);
            covered.extend(octets(to));
            covered.extend((transport.len() as u32).to_be_bytes());
            covered.extend([0, 0, 0, if traffic.is_tcp() { TCP } else { UDP }]);
            covered.extend(transport);
            assert_eq!(ones(&covered), 0xffff, "{}", traffic.name());
        }
    }

    #[test]
    fn sources_differ() {
        let all: std::collections::BTreeSet<IpAddr> =
            (0..1000).map(|n| Traffic::Udp4.source(n)).collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(Traffic::Udp4.source(258).to_string(), "10.7.1.2");
    }
}
