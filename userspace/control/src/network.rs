// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which routers there are, what flow records call them, and which addresses are behind each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use telesteer_circuit::request::Pair;
use telesteer_fam::{FiveTuple, Prefix};

/// A router, as far as flows are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What flow records call it, beside its name.
    pub addresses: Vec<IpAddr>,
    /// What is behind it.
    pub prefixes: Vec<Prefix>,
}

/// Two routers cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("routers {first} and {second} are both called, or both have behind them, {what}")]
pub struct Shared {
    /// One router.
    pub first: String,
    /// The other.
    pub second: String,
    /// What both claim.
    pub what: String,
}

/// All routers.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Names and addresses, to names.
    called: BTreeMap<String, String>,
    prefixes: BTreeMap<Prefix, String>,
    /// Lengths that occur, of IPv4 or not, the longest first.
    lengths: Vec<(bool, u8)>,
}

impl Network {
    /// Of these routers, by name.
    ///
    /// # Errors
    ///
    /// If two share a name, an address or a prefix.
    pub fn new(places: &BTreeMap<String, Place>) -> Result<Self, Shared> {
        let mut network = Self::default();
        for (name, place) in places {
            let calls = place.addresses.iter().map(IpAddr::to_string).chain([name.clone()]);
            for called in calls {
                if let Some(first) = network.called.insert(called.clone(), name.clone())
                    && first != *name
                {
                    return Err(Shared { first, second: name.clone(), what: called });
                }
            }
            for prefix in &place.prefixes {
                if let Some(first) = network.prefixes.insert(*prefix, name.clone())
                    && first != *name
                {
                    let what = prefix.to_string();
                    return Err(Shared { first, second: name.clone(), what });
                }
            }
        }
        let mut lengths: Vec<(bool, u8)> =
            network.prefixes.keys().map(|prefix| (prefix.addr().is_ipv4(), prefix.len())).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        network.lengths = lengths;
        Ok(network)
    }

    /// The name of the router that is called so.
    pub fn router(&self, called: &str) -> Option<&str> {
        self.called.get(called).map(String::as_str)
    }

    /// The router that the address is behind: of the longest prefix.
    pub fn behind(&self, addr: IpAddr) -> Option<&str> {
        let v4 = addr.is_ipv4();
        let lengths = self.lengths.iter().filter(|(of_v4, _)| *of_v4 == v4);
        lengths
            .filter_map(|(_, len)| self.prefixes.get(&Prefix::new(addr, *len)))
            .next()
            .map(String::as_str)
    }

    /// Where packets from one address to another come in and leave; `exporter` tells of them and is
    /// where they come in if no prefix says so.
    pub fn pair(&self, src: IpAddr, dst: IpAddr, exporter: Option<IpAddr>) -> Option<Pair> {
        let told = || exporter.and_then(|exporter| self.router(&exporter.to_string()));
        let ingress = self.behind(src).or_else(told)?;
        Some(Pair::new(ingress, self.behind(dst)?))
    }

    /// The same of a flow.
    pub fn pair_of(&self, flow: &FiveTuple, exporter: Option<IpAddr>) -> Option<Pair> {
        self.pair(flow.src, flow.dst, exporter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(addresses: &[&str], prefixes: &[&str]) -> Place {
        Place {
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn network() -> Network {
        let places = BTreeMap::from([
            ("r1".to_owned(), place(&["10.255.0.1"], &["10.1.0.0/16", "2001:db8:1::/48"])),
            ("r2".to_owned(), place(&["10.255.0.2"], &["10.2.0.0/16", "10.1.7.0/24"])),
            ("r3".to_owned(), place(&[], &["2001:db8:2::/48"])),
        ]);
        Network::new(&places).unwrap()
    }

    #[test]
    fn the_longest_prefix_says_where() {
        let network = network();
        let behind = |text: &str| network.behind(text.parse().unwrap());
        assert_eq!(behind("10.1.6.1"), Some("r1"));
        assert_eq!(behind("10.1.7.1"), Some("r2"));
        assert_eq!(behind("2001:db8:2::1"), Some("r3"));
        assert_eq!(behind("10.3.0.1"), None);
        assert_eq!(network.router("10.255.0.2"), Some("r2"));
        assert_eq!(network.router("r3"), Some("r3"));
    }

    #[test]
    fn an_exporter_stands_in_for_a_source_nobody_knows() {
        let network = network();
        let pair = |src: &str, dst: &str, exporter: &str| {
            let exporter = exporter.parse().ok();
            network.pair(src.parse().unwrap(), dst.parse().unwrap(), exporter)
        };
        assert_eq!(pair("10.1.0.1", "10.2.0.1", "10.255.0.2"), Some(Pair::new("r1", "r2")));
        assert_eq!(pair("192.0.2.1", "10.2.0.1", "10.255.0.1"), Some(Pair::new("r1", "r2")));
        assert_eq!(pair("192.0.2.1", "10.2.0.1", ""), None);
        assert_eq!(pair("10.1.0.1", "192.0.2.1", "10.255.0.1"), None);
    }

    #[test]
    fn two_routers_cannot_be_one() {
        let two = |a: Place, b: Place| {
            Network::new(&BTreeMap::from([("r1".to_owned(), a), ("r2".to_owned(), b)]))
        };
        let shared = two(place(&["10.0.0.1"], &[]), place(&["10.0.0.1"], &[])).unwrap_err();
        assert_eq!(shared.what, "10.0.0.1");
        assert!(two(place(&[], &["10.0.0.0/8"]), place(&[], &["10.0.0.0/8"])).is_err());
    }
}
