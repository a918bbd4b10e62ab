// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The key of an element: addresses, and of a 5-tuple protocol and ports, one behind the other.
//!
//! Addresses and ports are in network byte order. Every part begins at a multiple of four octets, and
//! zeros fill the gaps, as registers of nf_tables are laid out.

use super::schema::{Map, map_of};
use crate::matching::{Match, Rank};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use telesteer_fam::{Prefix, Width};

/// Octets of protocol and ports.
const PORTS: usize = 12;

/// The key under which `matching` lies in its map.
pub(crate) fn encode(matching: &Match) -> Vec<u8> {
    let mut key = Vec::new();
    for prefix in [matching.src(), matching.dst()] {
        match prefix.addr() {
            IpAddr::V4(addr) => key.extend(addr.octets()),
            IpAddr::V6(addr) => key.extend(addr.octets()),
        }
    }
    if let Some((proto, src_port, dst_port)) = matching.ports() {
        key.extend([proto, 0, 0, 0]);
        for port in [src_port, dst_port] {
            let [high, low] = port.to_be_bytes();
            key.extend([high, low, 0, 0]);
        }
    }
    key
}

/// What an element with such a key matches; none if it is none of ours.
pub(crate) fn decode(map: &Map, key: &[u8]) -> Option<Match> {
    let (src, dst, rest) = addresses(map, key)?;
    let len = match map.rank {
        Rank::Net if map.ipv4 => Width::NET.v4,
        Rank::Net => Width::NET.v6,
        Rank::Flow | Rank::Host => Width::HOST.v6,
    };
    let ports = match rest {
        [] => None,
        [proto, 0, 0, 0, a, b, 0, 0, c, d, 0, 0] => {
            Some((*proto, u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
        }
        _ => return None,
    };
    let (src_net, dst_net) = (Prefix::new(src, len), Prefix::new(dst, len));
    let matching = Match::from_parts(src_net, dst_net, ports).ok()?;
    // A network's element that is not its first address matches no packet.
    let real = src_net.addr() == src && dst_net.addr() == dst && map_of(&matching) == map;
    real.then_some(matching)
}

fn addresses<'a>(map: &Map, key: &'a [u8]) -> Option<(IpAddr, IpAddr, &'a [u8])> {
    if map.ipv4 {
        let (src, rest) = key.split_first_chunk::<4>()?;
        let (dst, rest) = rest.split_first_chunk::<4>()?;
        Some((Ipv4Addr::from(*src).into(), Ipv4Addr::from(*dst).into(), rest))
    } else {
        let (src, rest) = key.split_first_chunk::<16>()?;
        let (dst, rest) = rest.split_first_chunk::<16>()?;
        Some((Ipv6Addr::from(*src).into(), Ipv6Addr::from(*dst).into(), rest))
    }
}

/// A key in words, whatever it is.
pub(crate) fn text(map: &Map, key: &[u8]) -> String {
    let mut text = String::new();
    let rest = match addresses(map, key) {
        Some((src, dst, rest)) if rest.is_empty() || rest.len() == PORTS => {
            let _ = write!(text, "{src} . {dst}");
            rest
        }
        _ => key,
    };
    for part in rest.chunks(4) {
        let gap = if text.is_empty() { "" } else { " . " };
        let _ = write!(text, "{gap}0x");
        for octet in part {
            let _ = write!(text, "{octet:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::schema::MAPS;
    use super::*;
    use crate::memory::testing::{net, tuple};

    fn map(name: &str) -> &'static Map {
        MAPS.iter().find(|map| map.name == name).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let flow = Match::flow(tuple(1, 40_000)).unwrap();
        for matching in [flow, flow.reverse(), net(3)] {
            assert_eq!(decode(map_of(&matching), &encode(&matching)), Some(matching));
        }
        let key = encode(&flow);
        assert_eq!(key.len(), 20);
        assert_eq!(key[8..], [6, 0, 0, 0, 0x9c, 0x40, 0, 0, 0x14, 0x51, 0, 0]);
    }

    #[test]
    fn what_is_not_ours_is_told_apart() {
        let good = encode(&net(1));
        let mut inside = good.clone();
        inside[3] = 7;
        assert_eq!(decode(map("net4"), &inside), None, "not a network's first address");
        assert_eq!(decode(map("host4"), &[10, 0, 0, 1]), None, "half of a key");
        assert_eq!(decode(map("flow4"), &good), None, "no ports");
        assert_eq!(decode(map("net6"), &good), None, "another family");
        let mut flow = encode(&Match::flow(tuple(1, 1)).unwrap());
        assert_eq!(decode(map("host4"), &flow), None, "ports");
        flow[9] = 1;
        assert_eq!(decode(map("flow4"), &flow), None, "a filled gap");
        assert_eq!(text(map("net4"), &[10, 0, 0, 7, 10, 1, 0, 0]), "10.0.0.7 . 10.1.0.0");
        assert_eq!(
            text(map("flow4"), &flow),
            format!("{} . 0x06010000 . 0x00010000 . 0x14510000", "10.1.1.1 . 10.2.1.1")
        );
        assert_eq!(text(map("host6"), &[1, 2, 3, 4, 5]), "0x01020304 . 0x05");
        assert_eq!(text(map("host6"), &[]), "");
    }
}
