// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Small random workloads: few hosts, few days, bytes around the threshold, so that much meets.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use telesteer_fam::key::FiveTuple;
use telesteer_fam::time::SECOND;
use telesteer_fam::{Ns, Record, Sampling};

/// H of the readings under test.
pub(crate) const H: u64 = 1000;

/// First second of the workload.
pub(crate) const START: i64 = 15_095 * 86_400;

fn host(net: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, net, host).into()
}

fn sampling() -> impl Strategy<Value = Option<Sampling>> {
    prop_oneof![
        8 => Just(Some(Sampling::NONE)),
        1 => Just(Sampling::one_in(3)),
        1 => Just(Sampling::interval_space(2, 3)),
        1 => Just(None),
    ]
}

prop_compose! {
    /// One record. Now and then it lasts longer than T, ends before it begins or has no sampling.
    pub(crate) fn record()(
        (src, dst) in ((0..3u8, 1..4u8), (3..5u8, 1..4u8)),
        back in prop_oneof![3 => Just(false), 1 => Just(true)],
        port in 0..2u16,
        (day, second) in (0..9i64, prop_oneof![0..200i64, 86_300..86_400i64]),
        length in prop_oneof![8 => 0..61i64, 2 => 60..200i64, 1 => -5..0i64],
        octets in prop_oneof![1 => 0..200u64, 2 => 200..H, 1 => Just(H), 2 => H..4 * H],
        (exporter, out_if) in (0..2u8, 0..3u32),
        sampling in sampling(),
    ) -> Record {
        let first: Ns = (START + day * 86_400 + second) * SECOND;
        let (src, dst) = if back { (dst, src) } else { (src, dst) };
        Record {
            exporter: host(255, exporter),
            first,
            last: first + length * SECOND,
            key: FiveTuple {
                src: host(src.0, src.1),
                dst: host(dst.0, dst.1),
                proto: 6,
                src_port: port,
                dst_port: 2811,
            },
            in_if: u32::from(exporter),
            out_if,
            next_hop: None,
            tos: 0,
            octets,
            packets: 1,
            sampling,
        }
    }
}

/// A workload.
pub(crate) fn workload() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec(record(), 0..120)
}
