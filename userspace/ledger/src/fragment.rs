// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IP reassembly, for datagrams longer than the link's MTU (UDP-notif sends them).

use crate::packet::Ip;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Packets being put together at a time; the oldest is given up first.
const MAX_OPEN: usize = 1024;
/// Longest IP body.
const MAX_BODY: usize = 65_535;

type Key = (IpAddr, IpAddr, u32, u8);

#[derive(Default)]
struct Partial {
    pieces: BTreeMap<usize, Vec<u8>>,
    length: Option<usize>,
    born: u64,
}

/// Reassembles fragmented IP packets.
#[derive(Default)]
pub struct Fragments {
    open: BTreeMap<Key, Partial>,
    clock: u64,
    given_up: u64,
}

impl Fragments {
    /// Adds a fragment; returns the whole body when it was the missing one.
    pub fn add(&mut self, packet: &Ip<'_>) -> Option<Vec<u8>> {
        let piece = packet.fragment?;
        if piece.offset + packet.body.len() > MAX_BODY {
            self.given_up += 1;
            return None;
        }
        let key = (packet.src, packet.dst, piece.id, packet.protocol);
        self.clock += 1;
        if !self.open.contains_key(&key) && self.open.len() >= MAX_OPEN {
            let oldest = self.open.iter().min_by_key(|(_, partial)| partial.born);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.open.remove(&oldest);
                self.given_up += 1;
            }
        }
        let clock = self.clock;
        let partial =
            self.open.entry(key).or_insert_with(|| Partial { born: clock, ..Partial::default() });
        if !piece.more {
            partial.length = Some(piece.offset + packet.body.len());
        }
        partial.pieces.insert(piece.offset, packet.body.to_vec());
        let length = partial.length?;
        let mut body = Vec::with_capacity(length);
        for (offset, bytes) in &partial.pieces {
            if *offset != body.len() {
                return None;
            }
            body.extend_from_slice(bytes);
        }
        if body.len() != length {
            return None;
        }
        self.open.remove(&key);
        Some(body)
    }

    /// Packets that never became whole.
    pub fn incomplete(&self) -> u64 {
        self.given_up + self.open.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Piece;

    fn piece(id: u32, offset: usize, more: bool, body: &[u8]) -> Ip<'_> {
        Ip {
            src: "10.0.0.1".parse().unwrap(),
            dst: "10.0.0.2".parse().unwrap(),
            protocol: 17,
            body,
            fragment: Some(Piece { id, offset, more }),
        }
    }

    #[test]
    fn any_order() {
        let mut fragments = Fragments::default();
        assert!(fragments.add(&piece(1, 8, false, b"tail")).is_none());
        assert!(fragments.add(&piece(2, 0, true, b"another!")).is_none());
        assert_eq!(fragments.add(&piece(1, 0, true, b"headhead")).unwrap(), b"headheadtail");
        assert_eq!(fragments.incomplete(), 1);
    }

    #[test]
    fn bounded() {
        let mut fragments = Fragments::default();
        for id in 0..5000 {
            fragments.add(&piece(id, 0, true, b"headhead"));
        }
        assert_eq!(fragments.open.len(), MAX_OPEN);
        assert_eq!(fragments.incomplete(), 5000);
    }
}
