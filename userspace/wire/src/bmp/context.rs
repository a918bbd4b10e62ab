// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What later messages of a session depend on, as raw messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::peer::PeerKey;

/// Peer Ups kept for one Loc-RIB peer, which may announce each address family by one of its own
/// (RFC 9069 section 6.1.1).
const LOC_RIB_PEER_UPS: usize = 16;
const LOC_RIB: u8 = 3;

/// Initiation and Peer Ups of a session, raw, ready to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The last Initiation.
    #[serde(default, with = "hex_option")]
    pub initiation: Option<Vec<u8>>,
    /// The Peer Up messages in force.
    #[serde(default, with = "hex_list")]
    pub peer_ups: Vec<Vec<u8>>,
}

/// The kept messages by peer.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) initiation: Option<Vec<u8>>,
    peers: BTreeMap<PeerKey, Vec<Vec<u8>>>,
    bytes: usize,
}

impl Kept {
    pub(super) fn peers(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn knows(&self, key: &PeerKey) -> bool {
        self.peers.contains_key(key)
    }

    /// Every kept Peer Up, peer by peer.
    pub(super) fn peer_ups(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.peers.values().flatten()
    }

    /// Keeps a Peer Up in place of the one before; `None` if there is no room, else whether the
    /// context changed.
    pub(super) fn peer_up(
        &mut self,
        key: PeerKey,
        message: &[u8],
        limits: &Limits,
    ) -> Option<bool> {
        let known = self.peers.get(&key);
        if known.is_some_and(|known| known.iter().any(|kept| kept == message)) {
            return Some(false);
        }
        let loc_rib = key[0] == LOC_RIB;
        let freed: usize = match known {
            Some(known) if !loc_rib => known.iter().map(Vec::len).sum(),
            Some(known) if known.len() >= LOC_RIB_PEER_UPS => known.first().map_or(0, Vec::len),
            _ => 0,
        };
        let full = known.is_none() && self.peers.len() >= limits.peers;
        if full || self.bytes - freed + message.len() > limits.context_bytes {
            return None;
        }
        self.bytes = self.bytes - freed + message.len();
        let known = self.peers.entry(key).or_default();
        if !loc_rib {
            known.clear();
        } else if known.len() >= LOC_RIB_PEER_UPS {
            known.remove(0);
        }
        known.push(message.to_vec());
        Some(true)
    }

    /// Forgets a peer; says whether it was known.
    pub(super) fn peer_down(&mut self, key: &PeerKey) -> bool {
        match self.peers.remove(key) {
            Some(messages) => {
                self.bytes -= messages.iter().map(Vec::len).sum::<usize>();
                true
            }
            None => false,
        }
    }

    /// Forgets all peers; says whether there were any.
    pub(super) fn clear_peers(&mut self) -> bool {
        let any = !self.peers.is_empty();
        self.peers.clear();
        self.bytes = 0;
        any
    }

    pub(super) fn context(&self) -> Context {
        Context {
            initiation: self.initiation.clone(),
            peer_ups: self.peer_ups().cloned().collect(),
        }
    }
}

mod hex_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(super::to_hex).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| super::from_hex(&text)).transpose().map_err(serde::de::Error::custom)
    }
}

mod hex_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        let list: Vec<String> = list.iter().map(|bytes| super::to_hex(bytes)).collect();
        list.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let list = Vec::<String>::deserialize(from)?;
        list.iter()
            .map(|text| super::from_hex(text))
            .collect::<Result<_, _>>()
            .map_err(serde::de::Error::custom)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn from_hex(text: &str) -> Result<Vec<u8>, &'static str> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("hex of odd length");
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("not a hex digit");
    pairs.iter().map(|[high, low]| Ok((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}
