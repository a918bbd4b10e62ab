// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a policy route matches: a 5-tuple, a pair of hosts or a pair of networks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use telesteer_fam::{FiveTuple, Prefix, PrefixFlow, Width};

/// Protocols whose header begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// Which of two entries that match the same packet wins: the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// A 5-tuple.
    Flow,
    /// A pair of hosts, /32 or /128.
    Host,
    /// A pair of networks, /24 or /64.
    Net,
}

impl Rank {
    /// All, the strongest first.
    pub const ALL: [Self; 3] = [Self::Flow, Self::Host, Self::Net];

    /// 0 for the strongest.
    pub fn index(self) -> u32 {
        match self {
            Self::Flow => 0,
            Self::Host => 1,
            Self::Net => 2,
        }
    }
}

/// Why something cannot be matched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMatch {
    /// One side is IPv4, the other IPv6.
    #[error("{0} and {1} are of two families")]
    Families(String, String),
    /// Not a host pair and not a network pair.
    #[error("{0} to {1}: a pair is /32 or /24 on both sides, /128 or /64 with IPv6")]
    Widths(Prefix, Prefix),
    /// A 5-tuple of a protocol without ports, which is a pair of hosts and nothing narrower.
    #[error("protocol {0} has no ports: a pair of hosts is the narrowest entry for it")]
    Portless(u8),
    /// A router would take port 0 as "any".
    #[error("port 0 in a 5-tuple")]
    PortZero,
    /// An address no packet that is forwarded carries.
    #[error("{0} is in no packet that a router forwards")]
    Unroutable(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Flow(FiveTuple),
    Pair(PrefixFlow),
}

/// One direction of what an entry matches. It is checked when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Key", into = "Key")]
pub struct Match(Key);

impl Match {
    /// One transport flow.
    ///
    /// # Errors
    ///
    /// If the addresses are of two families or unroutable, or the protocol or a port cannot be told.
    pub fn flow(key: FiveTuple) -> Result<Self, BadMatch> {
        if key.src.is_ipv4() != key.dst.is_ipv4() {
            return Err(BadMatch::Families(key.src.to_string(), key.dst.to_string()));
        }
        routable(key.src)?;
        routable(key.dst)?;
        if !WITH_PORTS.contains(&key.proto) {
            return Err(BadMatch::Portless(key.proto));
        }
        if key.src_port == 0 || key.dst_port == 0 {
            return Err(BadMatch::PortZero);
        }
        Ok(Self(Key::Flow(key)))
    }

    /// Everything from one host or network to another.
    ///
    /// # Errors
    ///
    /// If the prefixes are of two families, unroutable, or not of one of the two widths.
    pub fn pair(pair: PrefixFlow) -> Result<Self, BadMatch> {
        let (src, dst) = (pair.src, pair.dst);
        if src.addr().is_ipv4() != dst.addr().is_ipv4() {
            return Err(BadMatch::Families(src.to_string(), dst.to_string()));
        }
        let net = if src.addr().is_ipv4() { Width::NET.v4 } else { Width::NET.v6 };
        if src.len() != dst.len() || (src.len() != net && src.len() != full(src.addr())) {
            return Err(BadMatch::Widths(src, dst));
        }
        routable(src.addr())?;
        routable(dst.addr())?;
        Ok(Self(Key::Pair(pair)))
    }

    /// How strong it is.
    pub fn rank(&self) -> Rank {
        match self.0 {
            Key::Flow(_) => Rank::Flow,
            Key::Pair(pair) if pair.src.len() == full(pair.src.addr()) => Rank::Host,
            Key::Pair(_) => Rank::Net,
        }
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.src().addr().is_ipv4()
    }

    /// The sources; one address of a 5-tuple.
    pub fn src(&self) -> Prefix {
        match self.0 {
            Key::Flow(flow) => Prefix::of(flow.src, Width::HOST),
            Key::Pair(pair) => pair.src,
        }
    }

    /// The destinations.
    pub fn dst(&self) -> Prefix {
        match self.0 {
            Key::Flow(flow) => Prefix::of(flow.dst, Width::HOST),
            Key::Pair(pair) => pair.dst,
        }
    }

    /// Protocol, source port, destination port of a 5-tuple.
    pub fn ports(&self) -> Option<(u8, u16, u16)> {
        match self.0 {
            Key::Flow(flow) => Some((flow.proto, flow.src_port, flow.dst_port)),
            Key::Pair(_) => None,
        }
    }

    /// The other direction.
    #[must_use]
    pub fn reverse(&self) -> Self {
        Self(match self.0 {
            Key::Flow(flow) => Key::Flow(FiveTuple {
                src: flow.dst,
                dst: flow.src,
                proto: flow.proto,
                src_port: flow.dst_port,
                dst_port: flow.src_port,
            }),
            Key::Pair(pair) => Key::Pair(pair.reverse()),
        })
    }

    /// The match from its parts, as a device reads them back.
    pub(crate) fn from_parts(
        src: Prefix,
        dst: Prefix,
        ports: Option<(u8, u16, u16)>,
    ) -> Result<Self, BadMatch> {
        let Some((proto, src_port, dst_port)) = ports else {
            return Self::pair(PrefixFlow { src, dst });
        };
        if src.len() != full(src.addr()) || dst.len() != full(dst.addr()) {
            return Err(BadMatch::Widths(src, dst));
        }
        Self::flow(FiveTuple { src: src.addr(), dst: dst.addr(), proto, src_port, dst_port })
    }
}

fn full(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { Width::HOST.v4 } else { Width::HOST.v6 }
}

fn routable(addr: IpAddr) -> Result<(), BadMatch> {
    let never = addr.is_unspecified()
        || addr.is_loopback()
        || matches!(addr, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if never { Err(BadMatch::Unroutable(addr)) } else { Ok(()) }
}

impl TryFrom<Key> for Match {
    type Error = BadMatch;

    fn try_from(key: Key) -> Result<Self, BadMatch> {
        match key {
            Key::Flow(flow) => Self::flow(flow),
            Key::Pair(pair) => Self::pair(pair),
        }
    }
}

impl From<Match> for Key {
    fn from(matching: Match) -> Self {
        matching.0
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Key::Flow(flow) => write!(
                f,
                "{} {} protocol {}",
                SocketAddr::new(flow.src, flow.src_port),
                SocketAddr::new(flow.dst, flow.dst_port),
                flow.proto
            ),
            Key::Pair(pair) => pair.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(src: &str, dst: &str) -> Result<Match, BadMatch> {
        Match::pair(PrefixFlow { src: src.parse().unwrap(), dst: dst.parse().unwrap() })
    }

    fn flow(src: &str, dst: &str, proto: u8, ports: (u16, u16)) -> Result<Match, BadMatch> {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        Match::flow(FiveTuple { src, dst, proto, src_port: ports.0, dst_port: ports.1 })
    }

    #[test]
    fn widths_have_their_rank() {
        assert_eq!(pair("192.0.2.1", "198.51.100.2").unwrap().rank(), Rank::Host);
        assert_eq!(pair("192.0.2.0/24", "198.51.100.0/24").unwrap().rank(), Rank::Net);
        assert_eq!(pair("2001:db8::1", "2001:db8:1::").unwrap().rank(), Rank::Host);
        assert_eq!(pair("2001:db8::/64", "2001:db8:1::/64").unwrap().rank(), Rank::Net);
        assert_eq!(flow("192.0.2.1", "198.51.100.2", 6, (1, 2)).unwrap().rank(), Rank::Flow);
        assert!(Rank::ALL.is_sorted());
    }

    #[test]
    fn slips_are_refused() {
        for (src, dst) in [
            ("192.0.2.0/24", "198.51.100.1"),
            ("192.0.0.0/16", "198.51.0.0/16"),
            ("192.0.2.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("0.0.0.0", "198.51.100.1"),
            ("127.0.0.1", "198.51.100.1"),
            ("::ffff:192.0.2.1", "2001:db8::1"),
        ] {
            assert!(pair(src, dst).is_err(), "{src} {dst}");
        }
        assert_eq!(flow("192.0.2.1", "192.0.2.2", 47, (0, 0)), Err(BadMatch::Portless(47)));
        assert_eq!(flow("192.0.2.1", "192.0.2.2", 6, (0, 2)), Err(BadMatch::PortZero));
        assert!(flow("192.0.2.1", "2001:db8::1", 6, (1, 2)).is_err());
    }

    #[test]
    fn the_reverse_of_the_reverse_is_the_match() {
        let one = flow("192.0.2.1", "198.51.100.2", 6, (1, 2)).unwrap();
        assert_eq!(one.reverse().to_string(), "198.51.100.2:2 192.0.2.1:1 protocol 6");
        assert_eq!(one.reverse().reverse(), one);
        assert_eq!(Match::from_parts(one.src(), one.dst(), one.ports()), Ok(one));
    }

    #[test]
    fn what_is_read_is_checked() {
        let one = flow("192.0.2.1", "198.51.100.2", 6, (1, 2)).unwrap();
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Match>(&text).unwrap(), one);
        let error = serde_json::from_str::<Match>(&text.replace("\"proto\":6", "\"proto\":1"));
        assert!(error.unwrap_err().to_string().contains("no ports"));
    }
}
