// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The frame around every message (RFC 4271, section 4.1).

use super::notification::{Fault, Notification};

/// Octets of the longest message.
pub const MAX: usize = 4096;
/// Octets of the frame: marker, length, type.
pub const HEADER: usize = 19;
const MARKER: [u8; 16] = [0xff; 16];

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who somebody is and what it can do.
    Open,
    /// Routes.
    Update,
    /// The end, and why.
    Notification,
    /// A sign of life.
    Keepalive,
    /// "Tell me all again" (RFC 2918).
    RouteRefresh,
}

impl Kind {
    /// Octets of the shortest message of this kind.
    fn shortest(self) -> usize {
        match self {
            Self::Open => 29,
            Self::Update => 23,
            Self::Notification => 21,
            Self::Keepalive => HEADER,
            Self::RouteRefresh => 23,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }

    fn of(number: u8) -> Option<Self> {
        let all =
            [Self::Open, Self::Update, Self::Notification, Self::Keepalive, Self::RouteRefresh];
        all.into_iter().find(|kind| kind.number() == number)
    }
}

/// A message's kind, its body, and octets it takes. None if more must come first.
pub type First<'a> = Option<(Kind, &'a [u8], usize)>;

/// The first message of `bytes`.
///
/// # Errors
///
/// If this is the beginning of no message.
pub fn first(bytes: &[u8]) -> Result<First<'_>, Notification> {
    let seen = bytes.len().min(MARKER.len());
    if bytes.get(..seen) != MARKER.get(..seen) {
        return Err(Fault::NotSynchronized.into());
    }
    let Some([high, low, number]) = bytes.get(MARKER.len()..HEADER) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let kind = Kind::of(*number).ok_or_else(|| Fault::BadType.about(&[*number]))?;
    let exact = kind == Kind::Keepalive;
    if length < kind.shortest() || length > MAX || (exact && length != HEADER) {
        return Err(Fault::BadLength.about(&[*high, *low]));
    }
    Ok(bytes.get(HEADER..length).map(|body| (kind, body, length)))
}

/// A message. A body that no message can hold is cut: ours are short.
pub fn wrap(kind: Kind, body: &[u8]) -> Vec<u8> {
    let body = body.get(..MAX - HEADER).unwrap_or(body);
    let length = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    [&MARKER[..], &length.to_be_bytes(), &[kind.number()], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_one_by_one() {
        let keepalive = wrap(Kind::Keepalive, &[]);
        let both = [keepalive.clone(), wrap(Kind::Notification, &[6, 2])].concat();
        assert_eq!(first(&both), Ok(Some((Kind::Keepalive, &[][..], HEADER))));
        assert_eq!(first(&both[HEADER..]), Ok(Some((Kind::Notification, &[6, 2][..], 21))));
        for end in 0..HEADER {
            assert_eq!(first(&keepalive[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_is_no_message_is_told_so() {
        let with = |at: usize, value: u8| {
            let mut bytes = wrap(Kind::Keepalive, &[]);
            bytes[at] = value;
            first(&bytes).unwrap_err().to_string()
        };
        assert_eq!(with(0, 0), "connection not synchronized (1/1)");
        assert_eq!(with(17, 18), "bad message length (1/2)");
        assert_eq!(with(17, 20), "bad message length (1/2)");
        assert_eq!(with(16, 0x11), "bad message length (1/2)");
        assert_eq!(with(18, 6), "bad message type (1/3)");
        assert_eq!(with(18, 1), "bad message length (1/2)");
        // Text of a program that is no speaker.
        assert!(first(b"GET / HTTP/1.1\r\n").is_err());
    }
}
