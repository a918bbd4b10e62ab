// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BMP messages (RFC 7854) of one monitored router: the opening, then routes and statistics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::bgp::{self, Pool, Speaker};
use super::rng::Rng;

const ROUTE_MONITORING: u8 = 0;
const STATISTICS: u8 = 1;
const PEER_UP: u8 = 3;
const INITIATION: u8 = 4;

/// Offset of the per-peer header's time stamp from the start of a message.
const STAMP_AT: usize = 6 + 34;

/// Every n-th message is a statistics report.
const STATISTICS_EVERY: u64 = 50;

/// Appends the messages of one router, in the order a router sends them.
#[derive(Debug)]
pub(crate) struct Router {
    name: String,
    peers: Vec<[u8; 42]>,
    local: IpAddr,
    pool: Arc<Pool>,
    rng: Rng,
    large_every: u64,
    sent: u64,
}

impl Router {
    /// A router at `address` with `peers` neighbours whose routes come from `pool`.
    pub(crate) fn new(
        address: IpAddr,
        peers: usize,
        pool: Arc<Pool>,
        rng: Rng,
        large_every: u64,
    ) -> Self {
        let peers = (0..peers.clamp(1, 200)).map(|index| peer_header(index as u8)).collect();
        Self {
            name: format!("router-{address}"),
            peers,
            local: address,
            pool,
            rng,
            large_every,
            sent: 0,
        }
    }

    /// The opening of a session: Initiation and one Peer Up a peer. Returns the messages written.
    pub(crate) fn opening(&mut self, out: &mut Vec<u8>, now_us: u64) -> u64 {
        let start = header(out, INITIATION);
        let description = "telesteer replay, a generated router";
        for (kind, text) in [(1_u16, description), (2, self.name.as_str())] {
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        finish(out, start);
        for index in 0..self.peers.len() {
            self.peer_up(out, index, now_us);
        }
        1 + self.peers.len() as u64
    }

    /// One more message of the running session.
    pub(crate) fn message(&mut self, out: &mut Vec<u8>, now_us: u64) {
        self.sent += 1;
        let peer = self.rng.length(0, self.peers.len() - 1);
        if self.sent.is_multiple_of(STATISTICS_EVERY) {
            self.statistics(out, peer, now_us);
            return;
        }
        let large = self.large_every > 0 && self.sent.is_multiple_of(self.large_every);
        let updates = if large { &self.pool.large } else { &self.pool.small };
        let Some(update) = updates.get(self.rng.length(0, updates.len().saturating_sub(1))) else {
            return;
        };
        let start = header(out, ROUTE_MONITORING);
        out.extend_from_slice(&self.peers[peer]);
        stamp(out, start, now_us, self.sent);
        out.extend_from_slice(update);
        finish(out, start);
    }

    fn peer_up(&self, out: &mut Vec<u8>, index: usize, now_us: u64) {
        let start = header(out, PEER_UP);
        out.extend_from_slice(&self.peers[index]);
        stamp(out, start, now_us, 0);
        let local: Ipv4Addr = match self.local {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::new(10, 255, 0, 1),
        };
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&local.octets());
        out.extend_from_slice(&179_u16.to_be_bytes());
        out.extend_from_slice(&(40_000 + index as u16).to_be_bytes());
        let remote = Speaker { asn: peer_asn(index as u8), id: peer_id(index as u8), hold_s: 90 };
        out.extend_from_slice(&bgp::open(Speaker { asn: 65_000, id: local, hold_s: 90 }));
        out.extend_from_slice(&bgp::open(remote));
        finish(out, start);
    }

    fn statistics(&mut self, out: &mut Vec<u8>, peer: usize, now_us: u64) {
        let start = header(out, STATISTICS);
        out.extend_from_slice(&self.peers[peer]);
        stamp(out, start, now_us, self.sent);
        out.extend_from_slice(&3_u32.to_be_bytes());
        for kind in [0_u16, 1] {
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&4_u16.to_be_bytes());
            out.extend_from_slice(&(self.rng.within(0, 1000) as u32).to_be_bytes());
        }
        out.extend_from_slice(&7_u16.to_be_bytes());
        out.extend_from_slice(&8_u16.to_be_bytes());
        out.extend_from_slice(&self.rng.within(0, 1_000_000).to_be_bytes());
        finish(out, start);
    }
}

fn peer_asn(index: u8) -> u32 {
    64_512 + u32::from(index)
}

fn peer_id(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, index.saturating_add(1))
}

/// A per-peer header (RFC 7854, section 4.2), every second one post-policy, every third IPv6.
fn peer_header(index: u8) -> [u8; 42] {
    let mut header = [0; 42];
    if index % 2 == 1 {
        header[1] |= 0x40;
    }
    if index % 3 == 2 {
        header[1] |= 0x80;
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0xbeef, 0, 0, 0, 0, u16::from(index) + 1);
        header[10..26].copy_from_slice(&address.octets());
    } else {
        header[22..26].copy_from_slice(&peer_id(index).octets());
    }
    header[26..30].copy_from_slice(&peer_asn(index).to_be_bytes());
    header[30..34].copy_from_slice(&peer_id(index).octets());
    header
}

/// Starts a message with a common header of yet unknown length.
fn header(out: &mut Vec<u8>, kind: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[3, 0, 0, 0, 0, kind]);
    start
}

/// Writes the length of the message that began at `start`.
fn finish(out: &mut [u8], start: usize) {
    let length = (out.len() - start) as u32;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
}

/// Stamps the per-peer header; `count` goes into the microseconds, so no two messages are equal.
fn stamp(out: &mut [u8], start: usize, now_us: u64, count: u64) {
    let at = start + STAMP_AT;
    out[at..at + 4].copy_from_slice(&((now_us / 1_000_000) as u32).to_be_bytes());
    out[at + 4..at + 8].copy_from_slice(&((count % 1_000_000) as u32).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(large_every: u64) -> Router {
        let pool = Arc::new(Pool::new(&mut Rng::new(3, 0), 64_512, false));
        Router::new(Ipv4Addr::new(10, 8, 0, 1).into(), 3, pool, Rng::new(3, 1), large_every)
    }

    /// Splits a stream by the stated lengths; the kinds and lengths found.
    fn split(mut stream: &[u8]) -> Vec<(u8, usize)> {
        let mut found = Vec::new();
        while !stream.is_empty() {
            assert_eq!(stream[0], 3);
            let length = u32::from_be_bytes([stream[1], stream[2], stream[3], stream[4]]) as usize;
            found.push((stream[5], length));
            stream = &stream[length..];
        }
        found
    }

    #[test]
    fn a_session_opens_with_initiation_and_peer_ups() {
        let mut stream = Vec::new();
        assert_eq!(router(0).opening(&mut stream, 1_000_000), 4);
        let kinds: Vec<u8> = split(&stream).iter().map(|message| message.0).collect();
        assert_eq!(kinds, [INITIATION, PEER_UP, PEER_UP, PEER_UP]);
    }

    #[test]
    fn routes_statistics_and_large_messages_follow() {
        let (mut router, mut stream) = (router(10), Vec::new());
        (0..100).for_each(|_| router.message(&mut stream, 1_000_000));
        let found = split(&stream);
        assert_eq!(found.iter().filter(|message| message.0 == STATISTICS).count(), 2);
        assert_eq!(found.iter().filter(|message| message.1 > 4000).count(), 8);
        assert!(found.iter().all(|message| message.1 <= 4096 + 48));
    }
}
