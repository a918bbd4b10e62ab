// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether an address, as text, lies in one of many networks, without making an address of it: nearly
//! all rows are asked, nearly none is in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hashbrown::HashSet;
use telesteer_fam::{Prefix, Width};

use crate::pick::Between;

/// Longest IPv4 address, in octets of text.
const V4_MAX: usize = 15;

/// Networks of one width.
#[derive(Clone, Debug)]
pub(crate) struct Networks {
    width: Width,
    /// IPv4: the text up to and with the last dot of the network, or the whole address.
    v4: HashSet<u128>,
    /// IPv6, first addresses.
    v6: HashSet<IpAddr>,
}

impl Networks {
    /// Those of the sources.
    pub(crate) fn src(between: &Between) -> Self {
        Self::new(&between.src, between.width)
    }

    /// Those of the destinations.
    pub(crate) fn dst(between: &Between) -> Self {
        Self::new(&between.dst, between.width)
    }

    fn new(networks: &BTreeSet<IpAddr>, width: Option<Width>) -> Self {
        let mut new =
            Self { width: width.unwrap_or(Width::HOST), v4: HashSet::new(), v6: HashSet::new() };
        for network in networks {
            if network.is_ipv4() {
                let key = new.v4_key(network.to_string().as_bytes());
                new.v4.extend(key);
            } else {
                new.v6.insert(*network);
            }
        }
        new
    }

    /// The part of an IPv4 address's text that names its network, as a number. `None` for what is no
    /// IPv4 address by its length or its dots.
    fn v4_key(&self, text: &[u8]) -> Option<u128> {
        let text = number(text)?;
        let mut dots = bytes_that_are(text, b'.');
        let last = match self.width.v4 / 8 {
            4.. => return Some(text),
            0 => return Some(0),
            // The third dot is the last.
            3 => u128::BITS - dots.leading_zeros(),
            octets => {
                (1..octets).for_each(|_| dots &= dots.wrapping_sub(1));
                dots.trailing_zeros() + 1
            }
        };
        if dots == 0 {
            return None;
        }
        // Up to and with that dot, whose highest bit was found.
        Some(text & (u128::MAX >> (u128::BITS - last)))
    }

    /// Whether the address is in one of them. What is no address is in none.
    pub(crate) fn have(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let v6 = match number(bytes) {
            Some(text) => bytes_that_are(text, b':') != 0,
            None => bytes.contains(&b':'),
        };
        if v6 {
            let Ok(addr) = text.parse::<IpAddr>() else { return false };
            let addr = addr.to_canonical();
            if addr.is_ipv6() {
                return self.v6.contains(&Prefix::of(addr, self.width).addr());
            }
            let text = addr.to_string();
            return self.v4_key(text.as_bytes()).is_some_and(|key| self.v4.contains(&key));
        }
        self.v4_key(bytes).is_some_and(|key| self.v4.contains(&key))
    }
}

/// A text of at most [`V4_MAX`] octets as a number, the first lowest.
fn number(text: &[u8]) -> Option<u128> {
    let len = text.len();
    if len > V4_MAX {
        return None;
    }
    // Nearly all have eight, and two loads are faster than a copy of unknown length.
    if let (Some(low), Some(high)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        return Some(u128::from(low) | u128::from(high) << (8 * (len - 8)));
    }
    let mut padded = [0; 16];
    padded[..len].copy_from_slice(text);
    Some(u128::from_le_bytes(padded))
}

/// The highest bit of each octet of a number that is this one.
fn bytes_that_are(number: u128, byte: u8) -> u128 {
    const LOW: u128 = u128::from_le_bytes([0x7f; 16]);
    let other = number ^ u128::from_le_bytes([byte; 16]);
    !(((other & LOW) + LOW) | other | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(width: Width, src: &[&str]) -> Between {
        let src = src.iter().map(|addr| addr.parse().unwrap()).collect();
        Between { width: Some(width), src, dst: BTreeSet::new() }
    }

    /// The text says what the address says.
    #[test]
    fn text_and_address_agree() {
        let networks = ["192.0.2.0", "10.0.0.0", "0.0.0.0", "2001:db8::", "2001:db8:0:1::", "::"];
        let asked = [
            "192.0.2.1",
            "192.0.20.1",
            "192.0.2.255",
            "192.0.2.0",
            "10.0.0.0",
            "10.0.0.1",
            "10.1.2.3",
            "0.0.0.0",
            "255.255.255.255",
            "100.0.0.1",
            "2001:db8::1",
            "2001:db8:0:1::2",
            "2001:db8:0:2::1",
            "::1",
            "::ffff:192.0.2.9",
            "fe80::1",
        ];
        for v4 in [0, 8, 16, 24, 32] {
            for v6 in [0, 16, 48, 64, 128] {
                let width = Width { v4, v6 };
                let mut between = between(width, &networks);
                between.src = between.src.iter().map(|a| Prefix::of(*a, width).addr()).collect();
                let compiled = Networks::src(&between);
                for text in asked {
                    let addr: IpAddr = text.parse().unwrap();
                    let said = between.src(addr.to_canonical());
                    assert_eq!(compiled.have(text), said, "{text} with /{v4} and /{v6}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_address_is_in_no_network() {
        let networks = Networks::src(&between(Width::NET, &["192.0.2.0"]));
        for text in ["", ".", "x", "192.0.2", "not:an:address", "1234567890123456.1"] {
            assert!(!networks.have(text), "{text}");
        }
    }
}
