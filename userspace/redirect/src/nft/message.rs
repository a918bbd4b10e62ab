// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages of nf_tables.
//!
//! Numbers are those of `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`. The messages are
//! few, and the crate that has them (netlink-packet-netfilter 0.4) formats a whole datagram for each
//! element it reads, in case of an error: seconds for ten thousand.

use super::attribute::{HEAD, all, first, nest, put};
use super::element::{self, Held};
use super::schema::{Map, TABLE};
use crate::netlink::HEADER;
use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};

/// `NFNL_SUBSYS_NFTABLES`, the upper octet of a message's type.
const NFTABLES: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// `NFT_MSG_NEWSETELEM` and so on.
pub(crate) const NEW_ELEMENTS: u16 = (NFTABLES << 8) | 12;
pub(crate) const GET_ELEMENTS: u16 = (NFTABLES << 8) | 13;
pub(crate) const DELETE_ELEMENTS: u16 = (NFTABLES << 8) | 14;
const NEW_GENERATION: u16 = (NFTABLES << 8) | 15;
const GET_GENERATION: u16 = (NFTABLES << 8) | 16;
/// `NFPROTO_INET`, the family of our table.
const INET: u8 = 1;
/// `NFTA_SET_ELEM_LIST_TABLE` and so on.
const LIST_TABLE: u16 = 1;
const LIST_MAP: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
/// `NFTA_GEN_ID`.
const GENERATION: u16 = 1;
/// `struct nfgenmsg`: family, version, resource.
const GENERAL: usize = 4;

/// A message behind its netlink header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    kind: u16,
    family: u8,
    resource: u16,
    attributes: Vec<u8>,
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        GENERAL + self.attributes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let [high, low] = self.resource.to_be_bytes();
        let general = [self.family, 0, high, low];
        let octets = general.iter().chain(&self.attributes);
        buffer.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let [family, _, high, low, attributes @ ..] = payload else {
            return Err(DecodeError::buffer_too_small(payload.len(), GENERAL));
        };
        Ok(Self {
            kind: header.message_type,
            family: *family,
            resource: u16::from_be_bytes([*high, *low]),
            attributes: attributes.to_vec(),
        })
    }
}

impl Message {
    fn bare(kind: u16, family: u8, resource: u16) -> Self {
        Self { kind, family, resource, attributes: Vec::new() }
    }

    /// What follows is one transaction.
    pub(crate) fn begin() -> Self {
        Self::bare(BATCH_BEGIN, 0, NFTABLES)
    }

    /// The transaction is complete.
    pub(crate) fn end() -> Self {
        Self::bare(BATCH_END, 0, NFTABLES)
    }

    /// Asks which generation of all rules is in force.
    pub(crate) fn generation() -> Self {
        Self::bare(GET_GENERATION, 0, 0)
    }

    /// About a map and the elements in `list`, or all if there is no list.
    pub(crate) fn elements(kind: u16, map: &Map, list: Option<&[u8]>) -> Self {
        let mut message = Self::bare(kind, INET, 0);
        let to = &mut message.attributes;
        for (kind, name) in [(LIST_TABLE, TABLE), (LIST_MAP, map.name)] {
            put(to, kind, &[name.as_bytes(), &[0]].concat());
        }
        if let Some(list) = list {
            nest(to, LIST_ELEMENTS, |to| to.extend(list));
        }
        message
    }

    /// With a netlink header that asks for something.
    pub(crate) fn with(self, flags: u16) -> NetlinkMessage<Self> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        NetlinkMessage::new(header, NetlinkPayload::InnerMessage(self))
    }

    /// Elements of `map` in an answer; an error says what was not understood.
    pub(crate) fn held(&self, map: &'static Map) -> Result<Vec<Held>, String> {
        if self.kind != NEW_ELEMENTS {
            return Err(format!("a message of type {:#x}", self.kind));
        }
        let list = first(&self.attributes, LIST_ELEMENTS)?.ok_or("elements without a list")?;
        all(list).map(|one| element::read(map, one?.value)).collect()
    }

    /// The generation in an answer.
    pub(crate) fn generation_id(&self) -> Option<u32> {
        let id = first(&self.attributes, GENERATION).ok().flatten();
        let id = id.filter(|_| self.kind == NEW_GENERATION)?;
        id.try_into().ok().map(u32::from_be_bytes)
    }
}

/// Octets of a message about `map`, its netlink header among them, before the first element listed.
pub(crate) fn before(map: &Map) -> usize {
    HEADER + Message::elements(GET_ELEMENTS, map, None).buffer_len() + HEAD
}

#[cfg(target_endian = "little")]
#[cfg(test)]
mod tests {
    use super::super::schema::{MAPS, map_of};
    use super::*;
    use crate::memory::testing::tuple;
    use crate::nft::element::{list, mapped, named};
    use crate::{Match, Rank};
    use netlink_packet_core::{NLM_F_CREATE, NLM_F_REQUEST};
    use telesteer_fam::{FiveTuple, PrefixFlow, Width};

    fn octets(message: Message, flags: u16, sequence: u32) -> Vec<u8> {
        let mut message = message.with(flags);
        message.header.sequence_number = sequence;
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        octets
    }

    /// Octets in hexadecimal, as strace prints them without its marks.
    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|one| pair(one).unwrap()).collect()
    }

    const NAME: &str = "14000100 74656c6573746565725f686e74657300";

    #[test]
    fn a_transaction_is_what_nft_sends() {
        // nft 1.1.3, `delete element` of 10.1.1.9 . 10.2.1.1 in host4, then `add element` of
        // 10.1.1.1 . 10.2.1.1 . tcp . 40000 . 5201 : 101 in flow4, but for the number of the map
        // within the transaction, which only maps made in it need.
        assert_eq!(
            octets(Message::begin(), NLM_F_REQUEST, 0),
            hex("14000000 1000 0100 00000000 00000000 0000000a")
        );
        let mut key = FiveTuple { src: [10, 1, 1, 9].into(), ..tuple(1, 1) };
        let host = Match::pair(PrefixFlow::of(&key, Width::HOST)).unwrap();
        let mut body = Vec::new();
        list(&mut body, &named(&host));
        let gone = Message::elements(DELETE_ELEMENTS, map_of(&host), Some(&body));
        assert_eq!(
            octets(gone, NLM_F_REQUEST, 1),
            hex(&format!(
                "4c000000 0e0a 0100 01000000 00000000 01000000 {NAME} 0a000200 686f73743400 0000 \
                 18000380 14000180 10000180 0c000100 0a010109 0a020101"
            ))
        );
        key = tuple(1, 40_000);
        let flow = Match::flow(key).unwrap();
        let mut body = Vec::new();
        list(&mut body, &mapped(&flow, 101));
        let new = Message::elements(NEW_ELEMENTS, map_of(&flow), Some(&body));
        assert_eq!(
            octets(new, NLM_F_REQUEST | NLM_F_CREATE, 2),
            hex(&format!(
                "64000000 0c0a 0104 02000000 00000000 01000000 {NAME} 0a000200 666c6f773400 0000 \
                 30000380 2c000180 1c000180 18000100 0a010101 0a020101 06000000 9c400000 14510000 \
                 0c000280 08000100 65000000"
            ))
        );
        assert_eq!(
            octets(Message::end(), NLM_F_REQUEST, 4),
            hex("14000000 1100 0100 04000000 00000000 0000000a")
        );
    }

    #[test]
    fn pairs_of_networks_are_what_nft_sends() {
        // 2001:db8:: . 2001:db8:0:1:: : 102 in net6.
        let key = FiveTuple {
            src: "2001:db8::5".parse().unwrap(),
            dst: "2001:db8:0:1::7".parse().unwrap(),
            ..tuple(1, 1)
        };
        let pair = Match::pair(PrefixFlow::of(&key, Width::NET)).unwrap();
        assert_eq!((pair.rank(), map_of(&pair).name), (Rank::Net, "net6"));
        let mut body = Vec::new();
        list(&mut body, &mapped(&pair, 102));
        assert_eq!(
            body,
            hex("38000180 28000180 24000100 20010db8000000000000000000000000
                 20010db8000000010000000000000000 0c000280 08000100 66000000")
        );
    }

    #[test]
    fn what_is_listed_begins_where_it_is_said() {
        for map in &MAPS {
            let with = octets(Message::elements(GET_ELEMENTS, map, Some(b"abcd")), 0, 0);
            assert_eq!(with[before(map)..], *b"abcd");
        }
    }

    #[test]
    fn answers_are_read() {
        let id = Message {
            attributes: hex("08000100 00000004 08000200 00000001"),
            ..Message::bare(NEW_GENERATION, 0, 4)
        };
        assert_eq!(id.generation_id(), Some(4));
        assert_eq!(Message { kind: NEW_ELEMENTS, ..id.clone() }.generation_id(), None);
        assert!(id.held(&MAPS[0]).is_err(), "no elements");
        // The last of a listing has an empty list.
        let last = format!("{NAME} 0a000200 666c6f773400 0000 04000300");
        let last = Message { attributes: hex(&last), ..Message::bare(NEW_ELEMENTS, INET, 4) };
        assert_eq!(last.held(&MAPS[0]), Ok(Vec::new()));
        for end in [29, 30, 34] {
            let torn = Message { attributes: last.attributes[..end].to_vec(), ..last.clone() };
            assert!(torn.held(&MAPS[0]).is_err(), "{end}");
        }
        let header = NetlinkHeader::default();
        assert!(Message::deserialize(&header, &[1, 0, 0]).is_err());
    }
}
