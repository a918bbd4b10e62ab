// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flows, pairs, paths and entries to try devices with.

use std::net::{IpAddr, Ipv6Addr};
use telesteer_fam::{FiveTuple, PrefixFlow, Width};
use telesteer_redirect::{Aging, Entry, Match, PathName, Target};

pub(crate) fn name(text: &str) -> PathName {
    PathName::new(text).unwrap()
}

/// Path number `n` has mark 100 + n and table 100 + n.
pub(crate) fn target(n: u32) -> Target {
    Target { mark: 100 + n, table: 100 + n }
}

/// Two addresses of site 1 and site 2, in network `net` of each.
pub(crate) fn tuple(net: u16, host: u8, port: u16) -> FiveTuple {
    let [high, low] = net.to_be_bytes();
    FiveTuple {
        src: [10, 16 + high, low, host].into(),
        dst: [10, 32 + high, low, host].into(),
        proto: 6,
        src_port: port,
        dst_port: 5201,
    }
}

pub(crate) fn tuple6(net: u16, host: u16, port: u16) -> FiveTuple {
    let addr = |site| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, site, net, 0, 0, 0, host));
    FiveTuple { src: addr(1), dst: addr(2), proto: 17, src_port: port, dst_port: 443 }
}

pub(crate) fn flow(key: FiveTuple) -> Match {
    Match::flow(key).unwrap()
}

pub(crate) fn host(key: FiveTuple) -> Match {
    Match::pair(PrefixFlow::of(&key, Width::HOST)).unwrap()
}

pub(crate) fn net(key: FiveTuple) -> Match {
    Match::pair(PrefixFlow::of(&key, Width::NET)).unwrap()
}

/// One direction, kept.
pub(crate) fn entry(matching: Match, path: &str) -> Entry {
    Entry { matching, path: name(path), back: None, aging: Aging::Kept }
}

/// Both directions, kept.
pub(crate) fn both(matching: Match, path: &str, back: &str) -> Entry {
    Entry { back: Some(name(back)), ..entry(matching, path) }
}
