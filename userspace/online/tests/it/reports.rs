// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Small random reports: few flows, bytes around the threshold, so that much meets.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_online::{Detector, Event, Report, Setting};

/// A setting whose threshold small reports reach.
pub(crate) const SETTING: Setting = Setting {
    h: 1000,
    t: 60 * SECOND,
    slot: 10 * SECOND,
    grace: 0,
    lateness: 20 * SECOND,
    idle: 100 * SECOND,
    early: 1,
    flows: 1000,
    rest: 10,
};

/// A flow by its number.
pub(crate) fn key(number: u32) -> FiveTuple {
    let [a, b, c, d] = number.to_be_bytes();
    FiveTuple {
        src: Ipv4Addr::new(10, a, b, c).into(),
        dst: Ipv4Addr::new(10, 255, 0, d).into(),
        proto: 6,
        src_port: 1,
        dst_port: 2811,
    }
}

/// Who tells it all.
pub(crate) const EXPORTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 1));

/// A report.
pub(crate) fn report(number: u32, first: Ns, last: Ns, bytes: u64) -> Report {
    Report { last, key: key(number), first, bytes, exporter: EXPORTER, fin: false }
}

/// Reports of one flow, each after the one before: (gap, length, bytes), times in tenths of a second.
pub(crate) fn run(number: u32, parts: &[(i64, i64, u64)]) -> Vec<Report> {
    let tenth = SECOND / 10;
    let mut at = 0;
    let mut reports = Vec::new();
    for (gap, length, bytes) in parts {
        let first = at + gap * tenth;
        at = first + length * tenth;
        reports.push(report(number, first, at, *bytes));
    }
    reports
}

/// Gaps, lengths within `lengths` tenths of a second, bytes.
pub(crate) fn parts(
    lengths: std::ops::RangeInclusive<i64>,
) -> impl Strategy<Value = Vec<(i64, i64, u64)>> {
    let gap = prop_oneof![4 => Just(0), 2 => 0..100i64, 1 => 0..900i64];
    let bytes = prop_oneof![3 => 0..400u64, 2 => 150..180u64, 1 => 900..1100u64];
    prop::collection::vec((gap, lengths, bytes), 0..40)
}

/// Feeds reports, each known as it ends.
pub(crate) fn feed(detector: &mut Detector, reports: &[Report]) -> Vec<Event> {
    let mut out = Vec::new();
    for report in reports {
        detector.observe(report, report.last, &mut out);
    }
    out
}
