// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FlowSpec routes that say what an entry of ours matches, and which do not.

use super::nlri::{
    Component, DESTINATION, DESTINATION_PORT, EQUAL, Item, Nlri, PROTOCOL, SOURCE, SOURCE_PORT,
};
use crate::bgp::Family;
use crate::matching::{BadMatch, Match};
use telesteer_fam::Prefix;

/// Why a well-formed route stands for no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    /// An entry says where packets come from and where they go.
    #[error("no {0} prefix")]
    Lacks(&'static str),
    /// It matches what no entry does: flags, fragments, either port.
    #[error("component {0} is in no entry")]
    Component(u8),
    /// A range, a choice, or "not": an entry has one number.
    #[error("component {0} is not one number")]
    NotOne(u8),
    /// Bits in the middle of an address.
    #[error("component {0} does not begin with the address")]
    Offset(u8),
    /// Some of protocol and ports, and not all of them.
    #[error("protocol and both ports, or none of them")]
    Part,
    /// A 5-tuple or pair of prefixes that no entry is.
    #[error(transparent)]
    Match(#[from] BadMatch),
}

impl Nlri {
    /// The route that matches what `matching` does.
    pub fn of(matching: &Match) -> Self {
        let family = if matching.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        let net = |kind, prefix| Component::Net { kind, prefix, offset: 0 };
        let mut components = vec![net(DESTINATION, matching.dst()), net(SOURCE, matching.src())];
        if let Some((proto, src_port, dst_port)) = matching.ports() {
            let one = |kind, value| {
                let items = vec![Item { operator: EQUAL, value }];
                Component::Numbers { kind, items }
            };
            components.extend([
                one(PROTOCOL, u64::from(proto)),
                one(DESTINATION_PORT, u64::from(dst_port)),
                one(SOURCE_PORT, u64::from(src_port)),
            ]);
        }
        Self { family, components }
    }

    /// The entry that matches exactly what this route does.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn meaning(&self) -> Result<Match, Useless> {
        let (mut dst, mut src): (Option<Prefix>, Option<Prefix>) = (None, None);
        let (mut proto, mut dst_port, mut src_port) = (None, None, None);
        for component in &self.components {
            match component {
                Component::Net { kind, offset, .. } if *offset > 0 => {
                    return Err(Useless::Offset(*kind));
                }
                Component::Net { kind, prefix, .. } if *kind == DESTINATION => dst = Some(*prefix),
                Component::Net { prefix, .. } => src = Some(*prefix),
                Component::Numbers { kind, items } => {
                    let to = match *kind {
                        PROTOCOL => &mut proto,
                        DESTINATION_PORT => &mut dst_port,
                        SOURCE_PORT => &mut src_port,
                        other => return Err(Useless::Component(other)),
                    };
                    let [Item { operator: EQUAL, value }] = items.as_slice() else {
                        return Err(Useless::NotOne(*kind));
                    };
                    *to = Some(u16::try_from(*value).map_err(|_| Useless::NotOne(*kind))?);
                }
            }
        }
        let dst = dst.ok_or(Useless::Lacks("destination"))?;
        let src = src.ok_or(Useless::Lacks("source"))?;
        let ports = match (proto, src_port, dst_port) {
            (None, None, None) => None,
            (Some(proto), Some(src_port), Some(dst_port)) => {
                let proto = u8::try_from(proto).map_err(|_| Useless::NotOne(PROTOCOL))?;
                Some((proto, src_port, dst_port))
            }
            _ => return Err(Useless::Part),
        };
        Ok(Match::from_parts(src, dst, ports)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flowspec::nlri::split;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use telesteer_fam::{FiveTuple, PrefixFlow, Width};

    fn any_match() -> impl Strategy<Value = Match> {
        let v4 = (any::<u32>(), any::<u32>())
            .prop_map(|pair| <[u32; 2]>::from(pair).map(|one| IpAddr::from(Ipv4Addr::from(one))));
        let v6 = (any::<u128>(), any::<u128>())
            .prop_map(|pair| <[u128; 2]>::from(pair).map(|one| IpAddr::from(Ipv6Addr::from(one))));
        let ports = (prop_oneof![Just(6_u8), Just(17), Just(132)], 1..=u16::MAX, 1..=u16::MAX);
        (prop_oneof![v4, v6], ports, 0..3).prop_filter_map(
            "routable",
            |([src, dst], ports, rank)| {
                let (proto, src_port, dst_port) = ports;
                let key = FiveTuple { src, dst, proto, src_port, dst_port };
                match rank {
                    0 => Match::flow(key).ok(),
                    1 => Match::pair(PrefixFlow::of(&key, Width::HOST)).ok(),
                    _ => Match::pair(PrefixFlow::of(&key, Width::NET)).ok(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn every_entry_is_a_route_and_back(matching in any_match()) {
            let nlri = Nlri::of(&matching);
            prop_assert_eq!(nlri.meaning(), Ok(matching));
            let bytes = nlri.encode().unwrap();
            let again = Nlri::decode(nlri.family, split(&bytes).unwrap()[0]);
            prop_assert_eq!(again.unwrap().meaning(), Ok(matching));
        }
    }

    #[test]
    fn what_is_no_entry_is_told_why() {
        let told = |family, bytes: &[u8]| {
            Nlri::decode(family, bytes).unwrap().meaning().unwrap_err().to_string()
        };
        let v4 = |rest: &[u8]| {
            told(Family::Ipv4, &[&[1, 32, 10, 2, 0, 1, 2, 32, 10, 1, 0, 1][..], rest].concat())
        };
        assert_eq!(told(Family::Ipv4, &[1, 24, 10, 3, 0]), "no source prefix");
        assert_eq!(told(Family::Ipv4, &[2, 24, 10, 3, 0]), "no destination prefix");
        assert_eq!(v4(&[4, 0x81, 80]), "component 4 is in no entry");
        assert_eq!(v4(&[3, 0x81, 6]), "protocol and both ports, or none of them");
        assert_eq!(v4(&[3, 0x83, 6]), "component 3 is not one number", "6 or more");
        assert_eq!(v4(&[3, 0x01, 6, 0x81, 17]), "component 3 is not one number", "6 or 17");
        assert_eq!(v4(&[3, 0x91, 1, 6, 5, 0x81, 1, 6, 0x81, 1]), "component 3 is not one number");
        assert_eq!(
            v4(&[3, 0x81, 47, 5, 0x81, 1, 6, 0x81, 1]),
            "protocol 47 has no ports: a pair of hosts is the narrowest entry for it"
        );
        let v6 = [1, 72, 64, 1, 2, 128, 0, 0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(told(Family::Ipv6, &v6), "component 1 does not begin with the address");
        let wide = told(Family::Ipv4, &[1, 16, 10, 2, 2, 16, 10, 1]);
        assert!(wide.contains("/32 or /24"), "{wide}");
    }
}
