// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reports for the tests of this crate.

use crate::report::Report;
use std::net::{IpAddr, Ipv4Addr};
use telesteer_fam::FiveTuple;
use telesteer_fam::time::SECOND;

/// A TCP flow.
pub(crate) fn key(src: &str, dst: &str, src_port: u16) -> FiveTuple {
    let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
    FiveTuple { src, dst, proto: 6, src_port, dst_port: 2811 }
}

/// A report of flow `port`, from second `first` to second `last`.
pub(crate) fn report(port: u16, first: i64, last: i64, bytes: u64) -> Report {
    Report {
        last: last * SECOND,
        key: key("192.0.2.7", "198.51.100.9", port),
        first: first * SECOND,
        bytes,
        exporter: exporter(1),
        fin: false,
    }
}

/// An exporter.
pub(crate) fn exporter(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}
