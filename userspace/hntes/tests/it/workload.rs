// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Small random workloads in which everything happens that a reading may have to decide.

use hntes::rng::Rng;
use hntes::schema;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, Record, Sampling};

fn host(rng: &mut Rng, net: u16) -> IpAddr {
    let (net, host) = (net + rng.below(3) as u16, rng.below(3) as u16 + 1);
    if rng.below(4) == 0 {
        Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host).into()
    } else {
        Ipv4Addr::new(10, 0, net as u8, host as u8).into()
    }
}

fn record(rng: &mut Rng) -> Record {
    let (src, mut dst) = (host(rng, 0), host(rng, 5));
    while src.is_ipv4() != dst.is_ipv4() {
        dst = host(rng, 5);
    }
    // Some of it is the way back.
    let (src, dst) = if rng.below(4) == 0 { (dst, src) } else { (src, dst) };
    // Two months, quiet in the middle; often near midnight, and near each other.
    let day = match rng.below(3) {
        0 => rng.below(8),
        1 => 20 + rng.below(8),
        _ => rng.below(60),
    };
    let second = match rng.below(4) {
        0 => rng.below(86_400),
        1 => 86_300 + rng.below(100),
        _ => 3600 + rng.below(240),
    };
    let first = (1_304_208_000 + (day * 86_400 + second) as i64) * SECOND
        + if rng.below(2) == 0 { rng.below(1_000_000_000) as i64 } else { 0 };
    let length = match rng.below(12) {
        0 => -(rng.below(5) as i64),
        1 => rng.below(400) as i64,
        2 => 60,
        3 => 8 * 86_400,
        _ => rng.below(61) as i64,
    };
    let octets = match rng.below(5) {
        0 => 1000,
        1 => rng.below(100_000),
        _ => rng.below(2500),
    };
    let sampling = match rng.below(12) {
        0 => None,
        1 => Sampling::one_in(3),
        2 => Sampling::interval_space(2, 3),
        _ => Some(Sampling::NONE),
    };
    let exporter = rng.below(2);
    Record {
        exporter: Ipv4Addr::new(192, 0, 2, 9 - 7 * exporter as u8).into(),
        first,
        last: first + length * SECOND,
        key: FiveTuple { src, dst, proto: 6, src_port: rng.below(2) as u16, dst_port: 2811 },
        in_if: 1 + rng.below(2) as u32,
        out_if: rng.below(3) as u32,
        next_hop: (rng.below(2) == 0)
            .then(|| Ipv4Addr::new(192, 0, 2, [1, 2, 9][rng.below(3) as usize]).into()),
        tos: 0,
        octets,
        packets: 1,
        sampling,
    }
}

/// Writes `count` records to a file. H is 1000.
pub(crate) fn write(seed: u64, count: usize, path: &Path) {
    let mut rng = Rng::new(seed, 77);
    let mut out = Vec::new();
    schema::write_header(&mut out).unwrap();
    for _ in 0..count {
        let seen = record(&mut rng);
        schema::write_record(&mut out, &seen).unwrap();
        // Now and then the other router sees it too, not quite as much of it.
        if rng.below(4) == 0 {
            let exporter = Ipv4Addr::new(192, 0, 2, 5).into();
            let octets = seen.octets - rng.below(2).min(seen.octets);
            schema::write_record(&mut out, &Record { exporter, octets, ..seen }).unwrap();
        }
    }
    std::fs::write(path, out).unwrap();
}
