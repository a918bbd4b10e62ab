// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BGP-4 messages (RFC 4271) as a router would send them: OPEN, KEEPALIVE and UPDATE.
//!
//! AS numbers are four octets (RFC 6793); IPv6 routes go in MP_REACH_NLRI (RFC 4760).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::rng::Rng;

/// The largest message without the extended-message capability, in octets.
pub(crate) const MESSAGE_MAX: usize = 4096;

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;

const ORIGIN: [u8; 4] = [0x40, 1, 1, 0];

/// A speaker as it shows itself in an OPEN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker {
    /// Four-octet AS number.
    pub asn: u32,
    /// BGP identifier.
    pub id: Ipv4Addr,
    /// Hold time in seconds.
    pub hold_s: u16,
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (19 + body.len()) as u16;
    let mut message = vec![0xff; 16];
    message.extend_from_slice(&length.to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// An OPEN with multiprotocol IPv4 and IPv6 unicast, route refresh and four-octet AS numbers.
pub(crate) fn open(speaker: Speaker) -> Vec<u8> {
    let short = u16::try_from(speaker.asn).unwrap_or(23_456); // AS_TRANS
    let mut capabilities = vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1, 2, 0, 65, 4];
    capabilities.extend_from_slice(&speaker.asn.to_be_bytes());
    let mut body = vec![4];
    body.extend_from_slice(&short.to_be_bytes());
    body.extend_from_slice(&speaker.hold_s.to_be_bytes());
    body.extend_from_slice(&speaker.id.octets());
    body.extend_from_slice(&[capabilities.len() as u8 + 2, 2, capabilities.len() as u8]);
    body.extend_from_slice(&capabilities);
    framed(OPEN, &body)
}

/// A KEEPALIVE.
pub(crate) fn keepalive() -> Vec<u8> {
    framed(KEEPALIVE, &[])
}

/// The attributes of one announcement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// First AS of the path; two more are derived from `tail`.
    pub asn: u32,
    /// Makes paths differ.
    pub tail: u32,
    /// MULTI_EXIT_DISC.
    pub med: u32,
    /// Next hop; its family decides where the routes go.
    pub next_hop: IpAddr,
}

/// One UPDATE that announces as many of `prefixes` (/24 or /48 by index) as fit.
///
/// Returns the message and the number of prefixes in it.
pub(crate) fn announce(path: Path, prefixes: &[u32]) -> (Vec<u8>, usize) {
    let mut attributes = ORIGIN.to_vec();
    attributes.extend_from_slice(&[0x40, 2, 14, 2, 3]);
    for asn in [path.asn, 64_600 + path.tail % 100, 65_100 + path.tail % 37] {
        attributes.extend_from_slice(&asn.to_be_bytes());
    }
    match path.next_hop {
        IpAddr::V4(next_hop) => {
            attributes.extend_from_slice(&[0x40, 3, 4]);
            attributes.extend_from_slice(&next_hop.octets());
            put_med(&mut attributes, path.med);
            let room = (MESSAGE_MAX - 19 - 4 - attributes.len()) / 4;
            let count = prefixes.len().min(room);
            let mut body = vec![0, 0];
            body.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
            body.extend_from_slice(&attributes);
            prefixes.iter().take(count).for_each(|&index| put_v4(&mut body, index));
            (framed(UPDATE, &body), count)
        }
        IpAddr::V6(next_hop) => {
            put_med(&mut attributes, path.med);
            let room = (MESSAGE_MAX - 19 - 4 - attributes.len() - 25) / 7;
            let count = prefixes.len().min(room);
            let mut reach = vec![0, 2, 1, 16];
            reach.extend_from_slice(&next_hop.octets());
            reach.push(0);
            prefixes.iter().take(count).for_each(|&index| put_v6(&mut reach, index));
            attributes.extend_from_slice(&[0x90, 14]);
            attributes.extend_from_slice(&(reach.len() as u16).to_be_bytes());
            attributes.extend_from_slice(&reach);
            let mut body = vec![0, 0];
            body.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
            body.extend_from_slice(&attributes);
            (framed(UPDATE, &body), count)
        }
    }
}

/// One UPDATE that withdraws the IPv4 prefixes with these indices.
pub(crate) fn withdraw(prefixes: &[u32]) -> Vec<u8> {
    let mut routes = Vec::with_capacity(prefixes.len() * 4);
    prefixes.iter().for_each(|&index| put_v4(&mut routes, index));
    let mut body = (routes.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(&routes);
    body.extend_from_slice(&[0, 0]);
    framed(UPDATE, &body)
}

fn put_med(attributes: &mut Vec<u8>, med: u32) {
    attributes.extend_from_slice(&[0x80, 4, 4]);
    attributes.extend_from_slice(&med.to_be_bytes());
}

/// The /24 with number `index` in 16.0.0.0/4, wide enough for a million.
fn put_v4(body: &mut Vec<u8>, index: u32) {
    let address = 0x1000_0000 + ((index & 0x000f_ffff) << 8);
    body.push(24);
    body.extend_from_slice(&address.to_be_bytes()[..3]);
}

/// The /48 with number `index` in 2001:db8::/16's unused upper part.
fn put_v6(body: &mut Vec<u8>, index: u32) {
    body.push(48);
    body.extend_from_slice(&[0x2a, 0x0f]);
    body.extend_from_slice(&index.to_be_bytes());
}

/// A pool of UPDATEs as BMP would mirror them: `small` ordinary ones, then `large` near 4 KiB.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Ordinary updates, one to eight routes, some withdrawals.
    pub small: Vec<Vec<u8>>,
    /// Updates filled up to [`MESSAGE_MAX`].
    pub large: Vec<Vec<u8>>,
}

impl Pool {
    /// Builds the pool for routers of `asn` with next hops of the family of `v6`.
    pub(crate) fn new(rng: &mut Rng, asn: u32, v6: bool) -> Self {
        let next_hop: IpAddr = if v6 {
            Ipv6Addr::new(0x2001, 0xdb8, 0xbeef, 0, 0, 0, 0, 1).into()
        } else {
            Ipv4Addr::new(198, 51, 100, 1).into()
        };
        let mut pool = Self { small: Vec::new(), large: Vec::new() };
        for turn in 0..64_u32 {
            let base = rng.within(0, 900_000) as u32;
            let many = if turn < 60 { rng.within(1, 8) as u32 } else { 1100 };
            let prefixes: Vec<u32> = (base..base + many).collect();
            let tail = rng.next() as u32 & 0xffff;
            let path = Path { asn, tail, med: turn, next_hop };
            if turn % 8 == 7 && turn < 60 && !v6 {
                pool.small.push(withdraw(&prefixes));
            } else if turn < 60 {
                pool.small.push(announce(path, &prefixes).0);
            } else {
                pool.large.push(announce(path, &prefixes).0);
            }
        }
        pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(message: &[u8]) -> usize {
        usize::from(u16::from_be_bytes([message[16], message[17]]))
    }

    #[test]
    fn every_message_states_its_own_length_and_keeps_the_limit() {
        for v6 in [false, true] {
            let pool = Pool::new(&mut Rng::new(1, 0), 65_001, v6);
            for message in pool.small.iter().chain(&pool.large) {
                assert_eq!(length(message), message.len());
                assert!(message.len() <= MESSAGE_MAX);
            }
            assert!(pool.large.iter().all(|message| message.len() > 4000));
        }
    }

    #[test]
    fn an_open_carries_the_wide_as_number() {
        let open = open(Speaker { asn: 70_000, id: Ipv4Addr::new(1, 2, 3, 4), hold_s: 90 });
        assert_eq!(length(&open), open.len());
        assert_eq!(&open[20..22], &23_456_u16.to_be_bytes());
        assert!(open.windows(6).any(|part| part == [65, 4, 0, 1, 0x11, 0x70]));
    }
}
