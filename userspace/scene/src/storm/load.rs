// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bytes of a session: valid BMP (RFC 7854), a function of seed, session and offset.
//!
//! The stream comes in groups of [`GROUP`] bytes, each a whole number of messages and made from
//! its own seed, so any range can be made again without what came before it.

use super::random::Random;

/// Bytes of a group.
pub(crate) const GROUP: u64 = 16 << 10;
/// Fixed part of a Route Monitoring message below: BMP 6, peer 42, BGP 19, lengths 4, ORIGIN 4,
/// AS_PATH 9, NEXT_HOP 7, filler attribute 4.
const LEAST: usize = 95;
/// Longest message but the last of a group.
const MOST: usize = 600;
/// Most routes of a message; routers send few that share all attributes.
const ROUTES: u64 = 8;

/// Makes the bytes of one session; keeps the group it made last.
#[derive(Debug)]
pub(crate) struct Load {
    seed: u64,
    group: u64,
    bytes: Vec<u8>,
}

impl Load {
    /// The bytes of session `number` in the storm of `seed`.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let seed = seed.wrapping_mul(0x1_0000_01b3) ^ number.wrapping_mul(0xd134_2543_de82_ef95);
        Self { seed, group: u64::MAX, bytes: Vec::new() }
    }

    /// The bytes from `offset` to the end of its group.
    pub(crate) fn at(&mut self, offset: u64) -> &[u8] {
        let group = offset / GROUP;
        if group != self.group {
            self.bytes.clear();
            self.fill(group);
            self.group = group;
        }
        &self.bytes[(offset % GROUP) as usize..]
    }

    /// Whether `bytes` are those of the stream at `offset`.
    pub(crate) fn is(&mut self, mut offset: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let truth = self.at(offset);
            let step = truth.len().min(bytes.len());
            if truth[..step] != bytes[..step] {
                return false;
            }
            bytes = &bytes[step..];
            offset += step as u64;
        }
        true
    }

    fn fill(&mut self, group: u64) {
        let mut random = Random::new(self.seed ^ group.wrapping_mul(0xa24b_aed4_963e_e407));
        if group == 0 {
            initiation(&mut self.bytes);
            peer_up(&mut self.bytes);
        }
        loop {
            let left = GROUP as usize - self.bytes.len();
            if left <= 2 * MOST {
                route_monitoring(&mut self.bytes, &mut random, left);
                return;
            }
            let length = LEAST + random.below((MOST - LEAST) as u64 + 1) as usize;
            route_monitoring(&mut self.bytes, &mut random, length);
        }
    }
}

/// What is in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// BMP messages.
    pub(crate) messages: u64,
    /// Routes in Route Monitoring messages.
    pub(crate) routes: u64,
}

impl Count {
    /// Counts a whole group.
    pub(crate) fn of(mut group: &[u8]) -> Self {
        let mut count = Self::default();
        while let [_, a, b, c, d, kind, ..] = *group {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some((message, rest)) = group.split_at_checked(length) else { break };
            count.messages += 1;
            // Attributes' length stands behind BMP, peer and BGP header and the empty withdrawal.
            if kind == 0
                && let Some(field) = message.get(69..71)
            {
                let attributes = usize::from(field[0]) << 8 | usize::from(field[1]);
                count.routes += (message.len().saturating_sub(71 + attributes) / 4) as u64;
            }
            group = rest;
        }
        count
    }

    /// Adds another count.
    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.routes += other.routes;
    }
}

fn common(out: &mut Vec<u8>, length: usize, kind: u8) {
    out.push(3);
    out.extend((length as u32).to_be_bytes());
    out.push(kind);
}

/// Per-peer header: a global IPv4 peer, AS 65001.
fn peer(out: &mut Vec<u8>) {
    out.extend([0; 10 + 12]);
    out.extend([10, 9, 0, 1]);
    out.extend(65_001u32.to_be_bytes());
    out.extend([10, 9, 0, 1]);
    out.extend([0; 8]);
}

/// Initiation (section 4.3) with sysDescr and sysName.
fn initiation(out: &mut Vec<u8>) {
    let (description, name) = (b"kill storm", b"exporter");
    common(out, 6 + 8 + description.len() + name.len(), 4);
    for (kind, text) in [(1u16, &description[..]), (2, &name[..])] {
        out.extend(kind.to_be_bytes());
        out.extend((text.len() as u16).to_be_bytes());
        out.extend(text);
    }
}

/// Peer Up (section 4.10) with two OPENs that agree on four-octet AS numbers.
fn peer_up(out: &mut Vec<u8>) {
    let mut open = vec![0xff; 16];
    open.extend([0, 43, 1, 4, 0xfd, 0xe9, 0, 180, 10, 9, 0, 1, 14]);
    open.extend([2, 12, 1, 4, 0, 1, 0, 1, 65, 4, 0, 0, 0xfd, 0xe9]);
    common(out, 6 + 42 + 20 + 2 * open.len(), 3);
    peer(out);
    out.extend([0; 12]);
    out.extend([10, 9, 0, 2, 0, 179, 0x9c, 0x40]);
    out.extend(&open);
    out.extend(&open);
}

/// Route Monitoring (section 4.6) of exactly `length` bytes: IPv4 routes, and an unknown
/// attribute that takes what is left.
fn route_monitoring(out: &mut Vec<u8>, random: &mut Random, length: usize) {
    let room = length - LEAST;
    let routes = random.below((room as u64 / 4).min(ROUTES) + 1) as usize;
    let filler = room - routes * 4;
    common(out, length, 0);
    peer(out);
    out.extend([0xff; 16]);
    out.extend(((length - 48) as u16).to_be_bytes());
    out.extend([2, 0, 0]);
    out.extend((24 + filler as u16).to_be_bytes());
    out.extend([0x40, 1, 1, 0]);
    out.extend([0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9]);
    out.extend([0x40, 3, 4, 10, 9, 0, 1]);
    out.extend([0xd0, 250]);
    out.extend((filler as u16).to_be_bytes());
    for _ in 0..filler {
        out.push(random.next() as u8);
    }
    for _ in 0..routes {
        let route = (random.next() as u32).to_be_bytes();
        out.extend([24, route[0] % 100 + 11, route[1], route[2]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_ledger::bmp::Messages;

    fn stream(load: &mut Load, length: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while (out.len() as u64) < length {
            let at = out.len() as u64;
            out.extend_from_slice(load.at(at));
        }
        out
    }

    #[test]
    fn whole_messages_fill_each_group() {
        let bytes = stream(&mut Load::new(1, 2), 3 * GROUP);
        let found = Messages::of(&bytes);
        assert_eq!(found.broken_at, None);
        assert!((1..=3).all(|group| found.is_boundary(group * GROUP)));
        assert!(found.ends.len() > 100);
        let mut count = Count::default();
        for group in bytes.chunks(GROUP as usize) {
            count.add(&Count::of(group));
        }
        assert_eq!(count.messages, found.ends.len() as u64);
        assert!(count.routes > count.messages);
    }

    #[test]
    fn any_range_can_be_made_again() {
        let mut load = Load::new(1, 2);
        let bytes = stream(&mut load, 3 * GROUP);
        for (from, to) in [(0, 10), (16_000, 17_000), (100, 40_000), (40_000, 49_000)] {
            assert!(load.is(from as u64, &bytes[from..to]));
            let mut wrong = bytes[from..to].to_vec();
            wrong[to - from - 1] ^= 1;
            assert!(!load.is(from as u64, &wrong));
            assert!(!Load::new(1, 3).is(from as u64 + 200, &bytes[from..to]));
        }
    }
}
