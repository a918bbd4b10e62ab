// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IP protocols by name or number.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Those that have two ports, by their names.
const NAMES: [(&str, u8); 5] =
    [("tcp", 6), ("udp", 17), ("dccp", 33), ("sctp", 132), ("udplite", 136)];

/// An IP protocol, or any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(Option<u8>);

/// Neither a name nor a number of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not any, tcp, udp, dccp, sctp, udplite, or a number from 0 to 255")]
pub struct BadProtocol(pub String);

impl Protocol {
    /// All.
    pub const ANY: Self = Self(None);

    /// That of a number.
    pub fn new(number: u8) -> Self {
        Self(Some(number))
    }

    /// Its number; `None` for all.
    pub fn number(self) -> Option<u8> {
        self.0
    }

    /// Whether its packets carry two ports.
    pub fn has_ports(self) -> bool {
        NAMES.iter().any(|(_, number)| self.0 == Some(*number))
    }

    /// Whether `number` is it.
    pub fn holds(self, number: u8) -> bool {
        self.0.is_none_or(|own| own == number)
    }

    /// Whether all of `other` is in it.
    pub fn covers(self, other: Self) -> bool {
        self.0.is_none() || self == other
    }

    /// Whether some packet is of both.
    pub fn meets(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(number) = self.0 else { return f.write_str("any") };
        match NAMES.iter().find(|(_, own)| *own == number) {
            Some((name, _)) => f.write_str(name),
            None => number.fmt(f),
        }
    }
}

impl FromStr for Protocol {
    type Err = BadProtocol;

    fn from_str(text: &str) -> Result<Self, BadProtocol> {
        if text == "any" {
            return Ok(Self::ANY);
        }
        if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::new(*number));
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| text.parse().ok()).flatten();
        number.map(Self::new).ok_or_else(|| BadProtocol(text.to_owned()))
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["any", "tcp", "udp", "sctp", "47", "0", "255"] {
            assert_eq!(text.parse::<Protocol>().unwrap().to_string(), text);
        }
        assert_eq!("6".parse::<Protocol>().unwrap().to_string(), "tcp");
        for text in ["", "TCP", "256", "+6", "icmp"] {
            assert!(text.parse::<Protocol>().is_err(), "{text}");
        }
        let protocol = |text: &str| text.parse::<Protocol>().unwrap();
        assert!(protocol("udp").has_ports() && !protocol("47").has_ports());
        assert!(!Protocol::ANY.has_ports());
        assert!(Protocol::ANY.covers(protocol("tcp")) && !protocol("tcp").covers(Protocol::ANY));
        assert!(protocol("tcp").meets(Protocol::ANY) && !protocol("tcp").meets(protocol("udp")));
    }
}
