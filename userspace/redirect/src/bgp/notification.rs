// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a session ends, as one side tells the other (RFC 4271, section 4.5).

use std::fmt;

/// Octets of data that are kept of one or sent with one.
const MAX_DATA: usize = 256;

/// A NOTIFICATION message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What kind of error.
    pub code: u8,
    /// Which of that kind.
    pub subcode: u8,
    /// What it is about.
    pub data: Vec<u8>,
}

/// An error that this side finds: code and subcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The marker is not all ones.
    NotSynchronized,
    /// A length that no message, or none of its type, has.
    BadLength,
    /// A type nobody knows.
    BadType,
    /// OPEN with an error that has no subcode of its own.
    Open,
    /// Another version than 4.
    Version,
    /// Not the AS that was expected.
    PeerAs,
    /// An identifier that is none, or our own.
    Identifier,
    /// An optional parameter nobody knows.
    Parameter,
    /// A hold time of one or two seconds.
    HoldTime,
    /// No FlowSpec: neither of IPv4 nor of IPv6 (RFC 5492).
    Capability,
    /// The list of attributes does not add up.
    Attributes,
    /// An attribute with routes in it does not add up.
    Optional,
    /// Nothing came for the hold time.
    HoldExpired,
    /// A message that does not belong here.
    Unexpected,
    /// This side is told to stop (RFC 4486).
    Shutdown,
}

impl Fault {
    fn numbers(self) -> (u8, u8) {
        match self {
            Self::NotSynchronized => (1, 1),
            Self::BadLength => (1, 2),
            Self::BadType => (1, 3),
            Self::Open => (2, 0),
            Self::Version => (2, 1),
            Self::PeerAs => (2, 2),
            Self::Identifier => (2, 3),
            Self::Parameter => (2, 4),
            Self::HoldTime => (2, 6),
            Self::Capability => (2, 7),
            Self::Attributes => (3, 1),
            Self::Optional => (3, 9),
            Self::HoldExpired => (4, 0),
            Self::Unexpected => (5, 0),
            Self::Shutdown => (6, 2),
        }
    }

    /// The message that tells of it, and of the octets it is about.
    pub fn about(self, data: &[u8]) -> Notification {
        let (code, subcode) = self.numbers();
        Notification { code, subcode, data: data.iter().take(MAX_DATA).copied().collect() }
    }
}

impl From<Fault> for Notification {
    fn from(fault: Fault) -> Self {
        fault.about(&[])
    }
}

impl Notification {
    /// Reads the body of a message; one without a subcode has none.
    pub fn parse(body: &[u8]) -> Self {
        let (code, rest) = body.split_first().map_or((0, body), |(code, rest)| (*code, rest));
        let (subcode, data) = rest.split_first().map_or((0, rest), |(one, data)| (*one, data));
        Self { code, subcode, data: data.iter().take(MAX_DATA).copied().collect() }
    }

    /// The body of the message.
    pub fn encode(&self) -> Vec<u8> {
        [&[self.code, self.subcode][..], &self.data].concat()
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.code, self.subcode) {
            (1, 1) => "connection not synchronized",
            (1, 2) => "bad message length",
            (1, 3) => "bad message type",
            (2, 1) => "unsupported version",
            (2, 2) => "bad peer AS",
            (2, 3) => "bad BGP identifier",
            (2, 4) => "unsupported optional parameter",
            (2, 6) => "unacceptable hold time",
            (2, 7) => "no FlowSpec in common",
            (2, _) => "error in OPEN",
            (3, 1) => "malformed attribute list",
            (3, 9) => "malformed optional attribute",
            (3, _) => "error in UPDATE",
            (4, _) => "hold timer expired",
            (5, _) => "unexpected message",
            (6, 2) => "administrative shutdown",
            (6, 3) => "peer de-configured",
            (6, 4) => "administrative reset",
            (6, _) => "cease",
            _ => "unknown error",
        };
        write!(f, "{text} ({}/{})", self.code, self.subcode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let told = Fault::Version.about(&[0, 4]);
        assert_eq!(told.encode(), [2, 1, 0, 4]);
        assert_eq!(Notification::parse(&told.encode()), told);
        assert_eq!(told.to_string(), "unsupported version (2/1)");
        // One that breaks off is not worth another.
        assert_eq!(Notification::parse(&[6]).to_string(), "cease (6/0)");
        assert_eq!(Notification::parse(&[]).code, 0);
        assert_eq!(Fault::Attributes.about(&[7; 9000]).data.len(), MAX_DATA);
    }
}
