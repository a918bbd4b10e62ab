// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ports of one side: any, one, or a range.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Ports of one side of a transport flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports(Option<(u16, u16)>);

/// Not `any`, a port, or two of them with a dash between.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `any`, a port from 1 to 65535, or a range such as 5000-5100")]
pub struct BadPorts(pub String);

impl Ports {
    /// All, and traffic that has none.
    pub const ANY: Self = Self(None);

    /// These and all between; `None` if they are none: port 0, or the first after the last.
    pub fn range(first: u16, last: u16) -> Option<Self> {
        (first != 0 && first <= last).then_some(Self(Some((first, last))))
    }

    /// Whether nothing is said of ports.
    pub fn is_any(self) -> bool {
        self.0.is_none()
    }

    /// The first and the last; `None` if nothing is said of ports.
    pub fn bounds(self) -> Option<(u16, u16)> {
        self.0
    }

    /// How many there are; `None` if nothing is said of ports.
    pub fn count(self) -> Option<u32> {
        self.0.map(|(first, last)| u32::from(last - first) + 1)
    }

    /// Whether `port` is one of them.
    pub fn holds(self, port: u16) -> bool {
        self.0.is_none_or(|(first, last)| (first..=last).contains(&port))
    }

    /// Whether all of `other` are among them.
    pub fn covers(self, other: Self) -> bool {
        match (self.0, other.0) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own.0 <= other.0 && other.1 <= own.1,
        }
    }

    /// Whether some are among both.
    pub fn meets(self, other: Self) -> bool {
        match (self.0, other.0) {
            (Some(own), Some(other)) => own.0 <= other.1 && other.0 <= own.1,
            _ => true,
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("any"),
            Some((first, last)) if first == last => first.fmt(f),
            Some((first, last)) => write!(f, "{first}-{last}"),
        }
    }
}

impl FromStr for Ports {
    type Err = BadPorts;

    fn from_str(text: &str) -> Result<Self, BadPorts> {
        if text == "any" {
            return Ok(Self::ANY);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        // A number's own reader would take a sign.
        let port = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<u16>().ok()).flatten()
        };
        let both = port(first).zip(port(last));
        both.and_then(|(first, last)| Self::range(first, last))
            .ok_or_else(|| BadPorts(text.to_owned()))
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_slips() {
        for text in ["any", "1", "443", "5000-5100", "1-65535"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        assert_eq!("7-7".parse::<Ports>().unwrap().to_string(), "7");
        for text in ["", "0", "0-9", "65536", "9-8", "+5", "-", "5-", "-5", "1-2-3", "http", " 5"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }

    #[test]
    fn covering_and_meeting() {
        let ports = |text: &str| text.parse::<Ports>().unwrap();
        let (any, wide, narrow) = (Ports::ANY, ports("100-200"), ports("150"));
        assert!(any.covers(wide) && wide.covers(narrow) && wide.covers(wide));
        assert!(!wide.covers(any) && !narrow.covers(wide));
        assert!(any.meets(narrow) && narrow.meets(wide) && wide.meets(ports("200-300")));
        assert!(!wide.meets(ports("201-300")) && !ports("201-300").meets(wide));
        assert!(wide.holds(100) && wide.holds(200) && !wide.holds(99) && any.holds(0));
        assert_eq!((any.count(), wide.count(), narrow.count()), (None, Some(101), Some(1)));
    }
}
