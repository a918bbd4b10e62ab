// SPDX-License-Identifier: Apache-2.0 OR MIT
//! 5-tuples, prefixes and prefix flows.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Names a transport flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FiveTuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub proto: u8,
    /// Source port, 0 where the protocol has none.
    pub src_port: u16,
    /// Destination port, 0 where the protocol has none.
    pub dst_port: u16,
}

/// How much of an address names a prefix flow: a length for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Width {
    /// Bits of an IPv4 address.
    pub v4: u8,
    /// Bits of an IPv6 address.
    pub v6: u8,
}

impl Width {
    /// Whole addresses: /32 and /128.
    pub const HOST: Self = Self { v4: 32, v6: 128 };
    /// Networks: /24 and /64.
    pub const NET: Self = Self { v4: 24, v6: 64 };

    /// `/24`: the name used in tables, by its IPv4 length.
    pub fn label(self) -> String {
        format!("/{}", self.v4)
    }
}

/// An address with its last bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    addr: IpAddr,
    len: u8,
}

/// Not an address, a slash and a length that fits it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a prefix such as 192.0.2.0/24")]
pub struct BadPrefix(pub String);

impl Prefix {
    /// The first `len` bits of `addr`; a longer `len` than the address has is the whole address.
    pub fn new(addr: IpAddr, len: u8) -> Self {
        match addr {
            IpAddr::V4(v4) => {
                let len = len.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                Self { addr: Ipv4Addr::from_bits(v4.to_bits() & mask).into(), len }
            }
            IpAddr::V6(v6) => {
                let len = len.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                Self { addr: Ipv6Addr::from_bits(v6.to_bits() & mask).into(), len }
            }
        }
    }

    /// The prefix of `width` around `addr`.
    pub fn of(addr: IpAddr, width: Width) -> Self {
        Self::new(addr, if addr.is_ipv4() { width.v4 } else { width.v6 })
    }

    /// First address.
    pub fn addr(self) -> IpAddr {
        self.addr
    }

    /// Length in bits.
    #[expect(clippy::len_without_is_empty, reason = "a prefix length, not a count of things")]
    pub fn len(self) -> u8 {
        self.len
    }

    /// Whether `addr` lies in it.
    pub fn contains(self, addr: IpAddr) -> bool {
        addr.is_ipv4() == self.addr.is_ipv4() && Self::new(addr, self.len) == self
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    /// Reads `192.0.2.0/24`, or an address as a prefix of full length. Set bits after the length
    /// are an error: they are usually a slip.
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let bad = || BadPrefix(text.to_owned());
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => (addr, Some(len.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| bad())?;
        let full = if addr.is_ipv4() { 32 } else { 128 };
        let len = len.unwrap_or(full);
        let prefix = Self::new(addr, len);
        if len > full || prefix.addr != addr { Err(bad()) } else { Ok(prefix) }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A pair of prefixes, from source to destination: what a PBR entry matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrefixFlow {
    /// Source prefix.
    pub src: Prefix,
    /// Destination prefix.
    pub dst: Prefix,
}

impl PrefixFlow {
    /// The prefix flow of `width` that `key` belongs to.
    pub fn of(key: &FiveTuple, width: Width) -> Self {
        Self::between(key.src, key.dst, width)
    }

    /// The prefix flow of `width` from `src` to `dst`.
    pub fn between(src: IpAddr, dst: IpAddr, width: Width) -> Self {
        Self { src: Prefix::of(src, width), dst: Prefix::of(dst, width) }
    }

    /// The other direction.
    #[must_use]
    pub fn reverse(self) -> Self {
        Self { src: self.dst, dst: self.src }
    }
}

impl fmt::Display for PrefixFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.src, self.dst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(src: &str, dst: &str) -> FiveTuple {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        FiveTuple { src, dst, proto: 6, src_port: 1, dst_port: 2 }
    }

    #[test]
    fn widths_of_both_families() {
        let v4 = flow("192.0.2.200", "198.51.100.9");
        assert_eq!(PrefixFlow::of(&v4, Width::NET).to_string(), "192.0.2.0/24 198.51.100.0/24");
        assert_eq!(PrefixFlow::of(&v4, Width::HOST).to_string(), "192.0.2.200/32 198.51.100.9/32");
        let v6 = flow("2001:db8:0:1:2::3", "2001:db8::");
        assert_eq!(PrefixFlow::of(&v6, Width::NET).to_string(), "2001:db8:0:1::/64 2001:db8::/64");
        let host = PrefixFlow::of(&v6, Width::HOST);
        assert_eq!(host.src.len(), 128);
        assert_eq!(host.reverse().reverse(), host);
        assert_ne!(host.reverse(), host);
    }

    #[test]
    fn reads_what_it_writes_and_refuses_slips() {
        for text in ["0.0.0.0/0", "192.0.2.0/24", "2001:db8::/32", "::/0"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1".parse::<Prefix>().unwrap().len(), 32);
        for text in ["192.0.2.1/24", "192.0.2.0/33", "192.0.2/24", "x/1", "192.0.2.0/"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
        let net: Prefix = "192.0.2.0/24".parse().unwrap();
        assert!(net.contains("192.0.2.255".parse().unwrap()));
        assert!(!net.contains("192.0.3.0".parse().unwrap()));
        assert!(!"0.0.0.0/0".parse::<Prefix>().unwrap().contains("::".parse().unwrap()));
    }
}
