// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The per-peer header (RFC 7854 section 4.2), read without judging it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::cursor::Cursor;

/// Octets of the per-peer header.
pub(super) const PEER_HEADER_LEN: usize = 42;

/// Identifies a peer inside a session: type, distinguisher, address, AS and BGP id.
pub type PeerKey = [u8; 33];

/// The per-peer header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// 0 global instance, 1 RD instance, 2 local instance, 3 Loc-RIB.
    #[serde(rename = "type")]
    pub peer_type: u8,
    /// The flags octet: V 0x80, L 0x40, A 0x20, O 0x10; for Loc-RIB F 0x80.
    pub flags: u8,
    /// Route distinguisher, eight octets as on the wire.
    #[serde(serialize_with = "hex")]
    pub distinguisher: [u8; 8],
    /// Peer address, `0.0.0.0` for Loc-RIB.
    pub address: IpAddr,
    /// Peer AS.
    pub asn: u32,
    /// Peer BGP id.
    pub bgp_id: Ipv4Addr,
    /// Time the message is about, Unix seconds; 0 if the router does not say.
    pub seconds: u32,
    /// Microseconds of that second.
    pub microseconds: u32,
}

fn hex<S: serde::Serializer>(bytes: &[u8; 8], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{:016x}", u64::from_be_bytes(*bytes)))
}

impl Peer {
    /// Reads the header of a message whose type has one.
    pub fn of(message: &[u8]) -> Option<Self> {
        if *message.get(5)? == 4 || *message.get(5)? == 5 {
            return None; // Initiation and Termination are about the router
        }
        let mut cursor = Cursor::new(message.get(6..6 + PEER_HEADER_LEN)?);
        let peer_type = cursor.u8()?;
        let flags = cursor.u8()?;
        let distinguisher = cursor.take(8)?.try_into().ok()?;
        let address: [u8; 16] = cursor.take(16)?.try_into().ok()?;
        let v6 = peer_type != 3 && flags & 0x80 != 0;
        let address = match address {
            _ if v6 => IpAddr::V6(Ipv6Addr::from(address)),
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            _ => IpAddr::V6(Ipv6Addr::from(address)),
        };
        Some(Self {
            peer_type,
            flags,
            distinguisher,
            address,
            asn: cursor.u32()?,
            bgp_id: Ipv4Addr::from(cursor.u32()?),
            seconds: cursor.u32()?,
            microseconds: cursor.u32()?,
        })
    }

    /// The octets of a message that name its peer.
    pub(super) fn key(message: &[u8]) -> Option<PeerKey> {
        let mut key = [0; 33];
        let header = message.get(6..6 + PEER_HEADER_LEN)?;
        key[0] = header[0];
        key[1..].copy_from_slice(&header[2..34]);
        Some(key)
    }
}
