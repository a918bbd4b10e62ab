// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a FlowSpec route does with what it matches: extended communities (RFC 8955, section 7; RFC 7674;
//! draft-ietf-idr-flowspec-redirect-ip).

use crate::bgp::Cursor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Names a routing table of another router: the VRF that imports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RouteTarget {
    /// An AS of two octets, and a number of that AS's choice.
    As2 {
        /// AS.
        asn: u16,
        /// Its number.
        number: u32,
    },
    /// An address and a number.
    Ip {
        /// Address.
        addr: Ipv4Addr,
        /// Its number.
        number: u16,
    },
    /// An AS of four octets and a number.
    As4 {
        /// AS.
        asn: u32,
        /// Its number.
        number: u16,
    },
}

/// Not a route target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no route target such as 64512:101, 1.5000:101 or 192.0.2.1:101")]
pub struct BadTarget(pub String);

impl FromStr for RouteTarget {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let parse = || {
            let (administrator, number) = text.rsplit_once(':')?;
            if let Ok(addr) = administrator.parse() {
                return Some(Self::Ip { addr, number: number.parse().ok()? });
            }
            if let Some((high, low)) = administrator.split_once('.') {
                let (high, low): (u16, u16) = (high.parse().ok()?, low.parse().ok()?);
                let asn = (u32::from(high) << 16) | u32::from(low);
                return Some(Self::As4 { asn, number: number.parse().ok()? });
            }
            let asn: u32 = administrator.parse().ok()?;
            Some(match u16::try_from(asn) {
                Ok(asn) => Self::As2 { asn, number: number.parse().ok()? },
                Err(_) => Self::As4 { asn, number: number.parse().ok()? },
            })
        };
        parse().ok_or_else(|| BadTarget(text.to_owned()))
    }
}

impl TryFrom<String> for RouteTarget {
    type Error = BadTarget;

    fn try_from(text: String) -> Result<Self, BadTarget> {
        text.parse()
    }
}

impl From<RouteTarget> for String {
    fn from(target: RouteTarget) -> Self {
        target.to_string()
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As2 { asn, number } => write!(f, "{asn}:{number}"),
            Self::Ip { addr, number } => write!(f, "{addr}:{number}"),
            // With a dot, as it would be taken for one of two octets.
            Self::As4 { asn, number } => write!(f, "{}.{}:{number}", asn >> 16, asn & 0xffff),
        }
    }
}

/// Where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Redirect {
    /// Into the routing table that imports it.
    Target(RouteTarget),
    /// As those to this address go.
    Address(IpAddr),
}

impl FromStr for Redirect {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        match text.parse() {
            Ok(addr) => Ok(Self::Address(addr)),
            Err(_) => text.parse().map(Self::Target),
        }
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => target.fmt(f),
            Self::Address(addr) => addr.fmt(f),
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send it elsewhere.
    Redirect(Redirect),
    /// Send it where the route's next hop says; the owner of the route knows it.
    RedirectToNextHop,
    /// Anything else: a rate, a copy, a sample, a DSCP.
    Other,
}

/// Low bit of the last octets of a redirection to an address: a copy goes there, the packet does not.
const COPY: u16 = 1;

/// Reads a list of extended communities of eight octets; those that are no actions are passed over.
/// None if it does not add up.
pub fn parse(value: &[u8]) -> Option<Vec<Action>> {
    let (mut cursor, mut actions) = (Cursor(value), Vec::new());
    while !cursor.is_empty() {
        let mut one = Cursor(cursor.take(8)?);
        let target = |target| Some(Action::Redirect(Redirect::Target(target)));
        actions.extend(match one.u16()? {
            0x8008 => target(RouteTarget::As2 { asn: one.u16()?, number: one.u32()? }),
            0x8108 => {
                let addr = Ipv4Addr::from_bits(one.u32()?);
                target(RouteTarget::Ip { addr, number: one.u16()? })
            }
            0x8208 => target(RouteTarget::As4 { asn: one.u32()?, number: one.u16()? }),
            0x010c => {
                let addr = Ipv4Addr::from_bits(one.u32()?).into();
                Some(to_address(addr, one.u16()?))
            }
            0x0800 => {
                let copy = one.take(4).and_then(|_| one.u16())? & COPY != 0;
                Some(if copy { Action::Other } else { Action::RedirectToNextHop })
            }
            // Those of flow specification in RFC 8955 begin with one of these.
            0x8000..=0x82ff => Some(Action::Other),
            _ => None,
        });
    }
    Some(actions)
}

/// The same of communities of twenty octets, which hold an IPv6 address.
pub fn parse6(value: &[u8]) -> Option<Vec<Action>> {
    let (mut cursor, mut actions) = (Cursor(value), Vec::new());
    while !cursor.is_empty() {
        let mut one = Cursor(cursor.take(20)?);
        let kind = one.u16()?;
        let addr = <[u8; 16]>::try_from(one.take(16)?).ok()?;
        match kind {
            0x000c => actions.push(to_address(addr.into(), one.u16()?)),
            // A route target of an IPv6 address (RFC 8956, section 6.1): nobody here has one.
            0x000d => actions.push(Action::Other),
            _ => {}
        }
    }
    Some(actions)
}

fn to_address(addr: IpAddr, flags: u16) -> Action {
    if flags & COPY != 0 { Action::Other } else { Action::Redirect(Redirect::Address(addr)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        for text in ["64512:101", "0:0", "1.5000:101", "0.7:1", "192.0.2.1:65535"] {
            assert_eq!(text.parse::<RouteTarget>().unwrap().to_string(), text);
        }
        let long: RouteTarget = "4200000000:5".parse().unwrap();
        assert_eq!(long, RouteTarget::As4 { asn: 4_200_000_000, number: 5 });
        assert_eq!(long.to_string().parse(), Ok(long));
        for bad in ["", "5", "64512:", ":1", "1.2.3:4", "192.0.2.1:65536", "70000:65536", "a:1"] {
            assert!(bad.parse::<RouteTarget>().is_err(), "{bad}");
        }
        assert!(
            "2001:db8::1".parse::<Redirect>().is_ok_and(|one| one.to_string() == "2001:db8::1")
        );
    }

    #[test]
    fn actions_are_told_apart() {
        let list = [
            // A route target that is no action; redirections to targets of each kind.
            [0x00, 0x02, 0xfc, 0x00, 0, 0, 0, 1],
            [0x80, 0x08, 0xfc, 0x00, 0, 0, 0, 101],
            [0x81, 0x08, 192, 0, 2, 7, 0, 7],
            [0x82, 0x08, 0, 1, 0x13, 0x88, 0, 101],
            // To an address, a copy of it, to the next hop, a copy.
            [0x01, 0x0c, 192, 0, 2, 7, 0, 0],
            [0x01, 0x0c, 192, 0, 2, 7, 0, 1],
            [0x08, 0x00, 0, 0, 0, 0, 0, 0],
            [0x08, 0x00, 0, 0, 0, 0, 0, 1],
            // A rate, a DSCP.
            [0x80, 0x06, 0, 0, 0, 0, 0, 0],
            [0x80, 0x09, 0, 0, 0, 0, 0, 10],
        ];
        let to = |text: &str| Action::Redirect(text.parse().unwrap());
        assert_eq!(
            parse(&list.concat()).unwrap(),
            [
                to("64512:101"),
                to("192.0.2.7:7"),
                to("1.5000:101"),
                to("192.0.2.7"),
                Action::Other,
                Action::RedirectToNextHop,
                Action::Other,
                Action::Other,
                Action::Other,
            ]
        );
        assert_eq!(parse(&list.concat()[1..]), None);
        let addr = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let six = |kind: u8, flag: u8| [&[0, kind][..], &addr, &[0, flag]].concat();
        let all = [six(0x0c, 0), six(0x0c, 1), six(0x0d, 0), six(0x02, 0)].concat();
        let expected = [to("2001:db8::7"), Action::Other, Action::Other];
        assert_eq!(parse6(&all).unwrap(), expected);
        assert_eq!(parse6(&all[..19]), None);
    }
}
