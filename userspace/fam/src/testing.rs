// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Records for the tests of this crate.

use crate::key::FiveTuple;
use crate::record::{Record, Sampling};
use crate::time::{Day, SECOND};
use std::net::IpAddr;

/// An address.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A TCP record of router 10.0.0.9, from second `first` to second `last`.
pub(crate) fn record(src: &str, dst: &str, first: i64, last: i64, octets: u64) -> Record {
    Record {
        exporter: ip("10.0.0.9"),
        first: first * SECOND,
        last: last * SECOND,
        key: FiveTuple { src: ip(src), dst: ip(dst), proto: 6, src_port: 5000, dst_port: 2811 },
        in_if: 1,
        out_if: 0,
        next_hop: None,
        tos: 0,
        octets,
        packets: octets / 1500 + 1,
        sampling: Some(Sampling::NONE),
    }
}

/// The first second of a day.
pub(crate) fn midnight(day: Day) -> i64 {
    i64::from(day.0) * 86_400
}
