// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Traffic of one pair of prefixes.

use crate::ticket::ports::Ports;
use crate::ticket::protocol::Protocol;
use serde::{Deserialize, Serialize};
use std::fmt;
use telesteer_fam::{FiveTuple, Prefix};

/// Packets from one prefix to another, of some protocol, ports and code point. One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// Sources.
    pub src: Prefix,
    /// Destinations.
    pub dst: Prefix,
    /// IP protocol.
    pub protocol: Protocol,
    /// Ports of the source.
    pub src_ports: Ports,
    /// Ports of the destination.
    pub dst_ports: Ports,
    /// DSCP of RFC 2474, 0 to 63; `None`: any.
    pub dscp: Option<u8>,
}

impl Pattern {
    /// Whether a transport flow is announced, as far as a flow record tells: it has no code point.
    pub fn holds(&self, key: &FiveTuple) -> bool {
        self.src.contains(key.src)
            && self.dst.contains(key.dst)
            && self.protocol.holds(key.proto)
            && self.src_ports.holds(key.src_port)
            && self.dst_ports.holds(key.dst_port)
    }

    /// Whether every packet of `other` is in it.
    pub fn covers(&self, other: &Self) -> bool {
        within(other.src, self.src)
            && within(other.dst, self.dst)
            && self.protocol.covers(other.protocol)
            && self.src_ports.covers(other.src_ports)
            && self.dst_ports.covers(other.dst_ports)
            && (self.dscp.is_none() || self.dscp == other.dscp)
    }

    /// Whether some packet may be in both.
    pub fn meets(&self, other: &Self) -> bool {
        touching(self.src, other.src)
            && touching(self.dst, other.dst)
            && self.protocol.meets(other.protocol)
            && self.src_ports.meets(other.src_ports)
            && self.dst_ports.meets(other.dst_ports)
            && (self.dscp.is_none() || other.dscp.is_none() || self.dscp == other.dscp)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { src, dst, protocol, src_ports, dst_ports, dscp } = self;
        write!(f, "{src} {dst} protocol {protocol} ports {src_ports} {dst_ports}")?;
        dscp.map_or(Ok(()), |dscp| write!(f, " dscp {dscp}"))
    }
}

/// Whether all of `inner` is in `outer`.
pub fn within(inner: Prefix, outer: Prefix) -> bool {
    outer.len() <= inner.len() && outer.contains(inner.addr())
}

/// Whether they have an address in common: one is in the other then.
pub fn touching(one: Prefix, other: Prefix) -> bool {
    within(one, other) || within(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::testing::pattern;

    #[test]
    fn covering_is_by_every_field() {
        let wide = pattern("192.0.2.0/24 198.51.100.0/24 tcp any 5000-5100");
        assert!(wide.covers(&wide) && wide.meets(&wide));
        let inside = pattern("192.0.2.7 198.51.100.0/25 tcp 99 5001");
        assert!(wide.covers(&inside) && !inside.covers(&wide));
        for outside in [
            "192.0.2.0/23 198.51.100.0/24 tcp any 5000-5100",
            "192.0.2.0/24 198.51.0.0/16 tcp any 5000-5100",
            "192.0.2.0/24 198.51.100.0/24 any any any",
            "192.0.2.0/24 198.51.100.0/24 tcp any 5000-5101",
        ]
        .map(pattern)
        {
            assert!(!wide.covers(&outside) && wide.meets(&outside), "{outside}");
        }
        for apart in [
            "192.0.3.0/24 198.51.100.0/24 tcp any 5000-5100",
            "192.0.2.0/24 198.51.101.0/24 tcp any 5000-5100",
            "192.0.2.0/24 198.51.100.0/24 udp any 5000-5100",
            "192.0.2.0/24 198.51.100.0/24 tcp any 5101",
            "2001:db8::/64 2001:db8:1::/64 tcp any 5000",
        ]
        .map(pattern)
        {
            assert!(!wide.meets(&apart) && !apart.meets(&wide), "{apart}");
        }
        let marked = |dscp| Pattern { dscp: Some(dscp), ..wide };
        assert!(wide.covers(&marked(10)) && !marked(10).covers(&wide));
        assert!(marked(10).meets(&wide) && !marked(10).meets(&marked(11)));
    }

    #[test]
    fn holds_what_a_record_tells() {
        let wide = pattern("192.0.2.0/24 198.51.100.0/24 tcp any 5000-5100");
        let (src, dst) = ("192.0.2.9".parse().unwrap(), "198.51.100.1".parse().unwrap());
        let key = FiveTuple { src, dst, proto: 6, src_port: 1, dst_port: 5100 };
        assert!(wide.holds(&key));
        for other in [
            FiveTuple { src: dst, ..key },
            FiveTuple { dst: src, ..key },
            FiveTuple { proto: 17, ..key },
            FiveTuple { dst_port: 5101, ..key },
        ] {
            assert!(!wide.holds(&other), "{other:?}");
        }
    }
}
