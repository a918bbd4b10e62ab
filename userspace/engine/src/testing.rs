// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Records for tests: few hosts, few days, bytes around a small threshold, everything that is odd now
//! and then.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use telesteer_fam::reading::{Exporters, LongReport, Threshold};
use telesteer_fam::time::{SECOND, Step, Zone};
use telesteer_fam::{Calendar, FiveTuple, Ns, Reading, Record, Sampling};

use crate::Assumed;
use crate::stored::{Stored, Writer, look};

/// H of the readings under test.
pub(crate) const H: u64 = 1000;
/// First second of the records.
const START: i64 = 15_095 * 86_400;

/// Numbers that look random: one multiplication and its high half.
fn mixed(number: u64, salt: u64) -> u64 {
    let mixed =
        (number.wrapping_add(salt) ^ salt.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// The record of a number.
pub(crate) fn record(number: u64) -> Record {
    let pick = |salt: u64, of: u64| mixed(number, salt) % of;
    let v6 = pick(1, 9) == 0;
    let addr = |net: u64, host: u64| -> IpAddr {
        match v6 {
            true if host == 1 => format!("2001:db8:0:{net}::").parse().unwrap(),
            true => format!("2001:db8:{net}:0:{host}:0:0:{net}").parse().unwrap(),
            false => Ipv4Addr::new(10, 0, net as u8, host as u8).into(),
        }
    };
    let length = match pick(2, 12) {
        0 => -(pick(3, 5) as i64) - 1,
        1 => 60 + pick(3, 200) as i64,
        2 => 8 * 86_400,
        _ => pick(3, 61) as i64,
    };
    let octets = match pick(4, 10) {
        0 => H,
        1 => H + 1,
        2 | 3 => H + pick(5, 4 * H),
        _ => pick(5, H),
    };
    let sampling = match pick(6, 10) {
        0 => None,
        1 => Sampling::one_in(3),
        2 => Sampling::interval_space(2, 3),
        3 => Sampling::interval_space(3, 4),
        _ => Some(Sampling::NONE),
    };
    let second = if pick(7, 4) == 0 { 86_300 + pick(8, 100) } else { pick(8, 86_400) };
    let first: Ns =
        (START + pick(9, 9) as i64 * 86_400 + second as i64) * SECOND + pick(10, 999) as i64;
    Record {
        exporter: Ipv4Addr::new(10, 9, 9, pick(11, 2) as u8).into(),
        first,
        last: first + length * SECOND,
        key: FiveTuple {
            src: addr(pick(12, 3), pick(13, 4)),
            dst: addr(3 + pick(14, 2), pick(15, 4)),
            proto: 6,
            src_port: pick(16, 2) as u16,
            dst_port: 2811,
        },
        in_if: pick(17, 2) as u32,
        out_if: pick(18, 3) as u32,
        next_hop: (pick(19, 5) == 0).then(|| addr(200, pick(20, 2))),
        tos: 0,
        octets,
        packets: 1,
        sampling,
    }
}

/// Readings that ask for every column and every branch.
pub(crate) fn readings() -> Vec<(Reading, Assumed)> {
    let base = Reading { h: H, longest: 7 * 86_400 * SECOND, ..Reading::default() };
    let router: IpAddr = "10.9.9.1".parse().unwrap();
    let three = Assumed { of: [(router, Sampling::one_in(3).unwrap())].into(), rest: None };
    let two = Assumed { of: three.of.clone(), rest: Sampling::one_in(2) };
    let summer = Zone::new(3600, vec![((START + 3 * 86_400 + 1800) * SECOND, 7200)]);
    vec![
        (base.clone(), Assumed::default()),
        (Reading { threshold: Threshold::Reaches, ..base.clone() }, three),
        (Reading { long_report: LongReport::Whole, ..base.clone() }, two.clone()),
        (Reading { exporters: Exporters::Only(router), ..base.clone() }, Assumed::default()),
        (Reading { exporters: Exporters::Ingress([(router, 1)].into()), ..base.clone() }, two),
        (
            Reading { calendar: Calendar { zone: summer, step: Step::Day }, ..base.clone() },
            Assumed::default(),
        ),
        (
            Reading { calendar: Calendar { zone: Zone::utc(), step: Step::Hour }, ..base },
            Assumed::default(),
        ),
    ]
}

/// Records as files in a folder, dealt like cards.
pub(crate) fn files(dir: &Path, records: &[Record], count: usize) -> Vec<Stored> {
    let paths: Vec<PathBuf> = (0..count).map(|n| dir.join(format!("{n}.parquet"))).collect();
    let mut writers: Vec<Writer> = paths.iter().map(|path| Writer::create(path).unwrap()).collect();
    for (number, record) in records.iter().enumerate() {
        writers[number % count].write(record).unwrap();
    }
    writers.into_iter().for_each(|writer| writer.close().unwrap());
    paths.iter().map(|path| look(path).unwrap()).collect()
}
