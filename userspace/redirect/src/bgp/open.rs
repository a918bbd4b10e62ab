// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The OPEN message and its capabilities (RFC 4271, section 4.2; RFC 5492; RFC 9072).

use super::Cursor;
use super::notification::{Fault, Notification};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Stands in the old field for an AS that needs four octets (RFC 6793).
const AS_TRANS: u16 = 23_456;
const VERSION: u8 = 4;
/// The optional parameter that holds capabilities.
const CAPABILITIES: u8 = 2;
/// Begins optional parameters with long lengths.
const EXTENDED: u8 = 255;
/// Capability: routes of a family (RFC 4760).
const MULTIPROTOCOL: u8 = 1;
/// Capability: AS numbers of four octets.
const FOUR_OCTET: u8 = 65;
/// FlowSpec among the routes of a family (RFC 8955).
pub(crate) const SAFI: u8 = 133;

/// What FlowSpec routes match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// RFC 8955.
    Ipv4,
    /// RFC 8956.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    fn afi(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }

    /// The family that AFI and SAFI name, if it is FlowSpec.
    pub fn of(afi: u16, safi: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.afi() == afi && safi == SAFI)
    }
}

/// Who a speaker is and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its AS.
    pub asn: u32,
    /// Seconds of silence after which it takes the other for dead; 0 for ever.
    pub hold: u16,
    /// Its identifier.
    pub id: Ipv4Addr,
    /// FlowSpec families it speaks.
    pub families: BTreeSet<Family>,
    /// It writes AS numbers in four octets.
    pub four_octet: bool,
}

impl Open {
    /// Reads the body of the message. Capabilities nobody needs here are passed over.
    ///
    /// # Errors
    ///
    /// If it is not well-formed, or not of this version.
    pub fn parse(body: &[u8]) -> Result<Self, Notification> {
        let mut cursor = Cursor(body);
        let fixed =
            (|| Some((cursor.u8()?, cursor.u16()?, cursor.u16()?, cursor.u32()?, cursor.u8()?)))();
        let (version, old_as, hold, id, length) = fixed.ok_or(Fault::Open)?;
        if version != VERSION {
            return Err(Fault::Version.about(&[0, VERSION]));
        }
        let mut open = Self {
            asn: u32::from(old_as),
            hold,
            id: Ipv4Addr::from_bits(id),
            families: BTreeSet::new(),
            four_octet: false,
        };
        let long = length == EXTENDED && cursor.0.first() == Some(&EXTENDED);
        let total = if long {
            cursor.take(1).and_then(|_| cursor.u16()).map(usize::from)
        } else {
            Some(usize::from(length))
        };
        if total != Some(cursor.0.len()) {
            return Err(Fault::Open.into());
        }
        while !cursor.is_empty() {
            let kind = cursor.u8().ok_or(Fault::Open)?;
            let length = if long { cursor.u16() } else { cursor.u8().map(u16::from) };
            let value = length.and_then(|length| cursor.take(usize::from(length)));
            let value = value.ok_or(Fault::Open)?;
            if kind != CAPABILITIES {
                return Err(Fault::Parameter.into());
            }
            open.capabilities(Cursor(value)).ok_or(Fault::Open)?;
        }
        Ok(open)
    }

    /// None if they do not add up.
    fn capabilities(&mut self, mut list: Cursor<'_>) -> Option<()> {
        while !list.is_empty() {
            let (code, length) = (list.u8()?, list.u8()?);
            let mut value = Cursor(list.take(usize::from(length))?);
            match code {
                MULTIPROTOCOL => {
                    let (afi, _reserved, safi) = (value.u16()?, value.u8()?, value.u8()?);
                    self.families.extend(Family::of(afi, safi));
                }
                FOUR_OCTET => {
                    self.asn = value.u32()?;
                    self.four_octet = true;
                }
                _ => {}
            }
        }
        Some(())
    }

    /// The body of the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for family in &self.families {
            list.extend([MULTIPROTOCOL, 4]);
            list.extend(family.afi().to_be_bytes());
            list.extend([0, SAFI]);
        }
        if self.four_octet {
            list.extend([FOUR_OCTET, 4]);
            list.extend(self.asn.to_be_bytes());
        }
        let mut body = vec![VERSION];
        body.extend(u16::try_from(self.asn).unwrap_or(AS_TRANS).to_be_bytes());
        body.extend(self.hold.to_be_bytes());
        body.extend(self.id.octets());
        // Two families and a number: 18 octets at most.
        let length = u8::try_from(list.len()).unwrap_or(u8::MAX);
        body.extend([length.saturating_add(2), CAPABILITIES, length]);
        body.extend(list);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What GoBGP 3.36 sends: route refresh, its name and release, two families, four octets, next hops.
    const GOBGP: [u8; 67] = [
        0x04, 0xfc, 0x00, 0x00, 0x5a, 0xc0, 0x00, 0x02, 0x01, 0x39, 0x02, 0x37, 0x02, 0x00, 0x49,
        0x04, 0x02, 0x76, 0x6d, 0x00, 0x4b, 0x0d, 0x0c, 0x47, 0x6f, 0x42, 0x47, 0x50, 0x2f, 0x33,
        0x2e, 0x33, 0x36, 0x2e, 0x30, 0x01, 0x04, 0x00, 0x01, 0x00, 0x85, 0x01, 0x04, 0x00, 0x02,
        0x00, 0x85, 0x41, 0x04, 0x00, 0x00, 0xfc, 0x00, 0x05, 0x0c, 0x00, 0x01, 0x00, 0x85, 0x00,
        0x02, 0x00, 0x02, 0x00, 0x85, 0x00, 0x02,
    ];

    fn expected() -> Open {
        Open {
            asn: 64_512,
            hold: 90,
            id: Ipv4Addr::new(192, 0, 2, 1),
            families: Family::ALL.into(),
            four_octet: true,
        }
    }

    #[test]
    fn a_real_speaker_is_understood() {
        assert_eq!(Open::parse(&GOBGP), Ok(expected()));
    }

    #[test]
    fn what_is_written_is_read() {
        for asn in [1, 64_512, 65_535, 65_536, 4_200_000_000] {
            let open = Open { asn, ..expected() };
            assert_eq!(Open::parse(&open.encode()), Ok(open));
        }
        // Without the capability the old field counts.
        let old = Open { four_octet: false, families: [Family::Ipv6].into(), ..expected() };
        assert_eq!(Open::parse(&old.encode()), Ok(old));
    }

    #[test]
    fn long_parameters_are_read() {
        let mut body = expected().encode();
        let list = body.split_off(10);
        *body.last_mut().unwrap() = EXTENDED;
        let length = u16::try_from(list.len()).unwrap() + 1;
        body.push(EXTENDED);
        body.extend(length.to_be_bytes());
        body.extend([list[0], 0]);
        body.extend(&list[1..]);
        assert_eq!(Open::parse(&body), Ok(expected()));
    }

    #[test]
    fn slips_are_told_apart() {
        let with = |at: usize, value: u8| {
            let mut body = expected().encode();
            body[at] = value;
            Open::parse(&body).unwrap_err().to_string()
        };
        assert_eq!(with(0, 3), "unsupported version (2/1)");
        assert_eq!(with(10, 1), "unsupported optional parameter (2/4)");
        assert_eq!(with(9, 1), "error in OPEN (2/0)");
        assert_eq!(with(11, 200), "error in OPEN (2/0)");
        assert_eq!(with(13, 9), "error in OPEN (2/0)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Open::parse(&body);
        }

        #[test]
        fn any_slip_in_a_real_one_is_survived(at in 0..GOBGP.len(), value: u8, end in 0..=GOBGP.len()) {
            let mut body = GOBGP.to_vec();
            body[at] = value;
            body.truncate(end);
            let _ = Open::parse(&body);
        }
    }
}
