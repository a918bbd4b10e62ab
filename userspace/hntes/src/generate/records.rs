// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The records of a workload, a day at a time.

use crate::generate::beta;
use crate::generate::flow::Cut;
use crate::generate::plan::{Plan, Session};
use crate::generate::profile::{DAY_MS, Profile, Workload};
use crate::rng::Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use telesteer_fam::time::day_number;
use telesteer_fam::{FiveTuple, Ns, Record, Sampling};

const MS: Ns = 1_000_000;

/// The router that sees everything come in.
pub const INGRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Source networks of the site.
const SITE_NETS: usize = 12;

/// Source hosts of one prefix flow.
const SOURCES: usize = 8;

/// N of the sampled profile.
const SAMPLED_N: u32 = 1000;

/// Bytes of a packet of the sampled profile.
const SAMPLED_PACKET: u64 = 1500;

/// Midnight before a day of the workload.
pub fn midnight(day: u16) -> Ns {
    (day_number(2011, 5, 1) + i64::from(day) - 1) * DAY_MS as Ns * MS
}

/// Loopback address of an egress router.
pub fn egress_router(egress: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 1, egress as u8 + 1).into()
}

/// Observation domain of an exporter: 1 is the ingress router, N + 1 the egress router 10.0.1.N. Each
/// has one, so that they can be told apart where all send from one host.
pub fn domain(exporter: IpAddr) -> u32 {
    match exporter {
        INGRESS => 1,
        IpAddr::V4(addr) => u32::from(addr.octets()[3]) + 1,
        IpAddr::V6(_) => 0,
    }
}

/// The addresses of a pair of hosts. Prefix flows share source networks, not destinations.
pub fn hosts(profile: Profile, pair: usize, host: usize) -> (IpAddr, IpAddr) {
    let (site, source, sink) = (pair % SITE_NETS, host % SOURCES + 1, host / SOURCES + 1);
    if profile == Profile::Ipv6 {
        let of = |side, net, host| Ipv6Addr::new(0x2001, 0xdb8, side, net, 0, 0, 0, host).into();
        return (of(1, site as u16, source as u16), of(2, pair as u16, sink as u16));
    }
    let src = Ipv4Addr::new(198, 18, site as u8, source as u8);
    let dst = Ipv4Addr::new(100, 64 + (pair >> 8) as u8, pair as u8, sink as u8);
    (src.into(), dst.into())
}

/// The day, from 1, that `ms` milliseconds after midnight before `day` lie in.
pub fn day_of(day: u16, ms: u64) -> u16 {
    day + (ms / DAY_MS) as u16
}

/// The instant `ms` milliseconds after the midnight before `day`.
pub fn instant(day: u16, ms: u64) -> Ns {
    midnight(day) + ms as Ns * MS
}

/// The sessions that may have records of a day, those of the day before among them: the index of
/// each, and its number within its cell.
pub fn sessions(plan: &Plan, day: u16) -> Vec<(usize, usize)> {
    let cell_day = |session: &Session| plan.cells[session.cell].day;
    let from = plan.sessions.partition_point(|s| cell_day(s) + 1 < day);
    let to = plan.sessions.partition_point(|s| cell_day(s) <= day);
    let cells = plan.sessions[from..to].chunk_by(|a, b| a.cell == b.cell);
    let numbers = cells.flat_map(|cell| 0..cell.len());
    (from..to).zip(numbers).collect()
}

/// The 5-tuple of a session, number `number` of its cell.
pub fn key(of: &Workload, session: &Session, number: usize) -> FiveTuple {
    let cell = &of.plan.cells[session.cell];
    let (src, dst) = hosts(of.profile, of.identity(cell.pair, cell.day), cell.host);
    // Ports are data channels of a GridFTP server; no two sessions of a cell, or of it and the same
    // hosts' on the day after, have the same.
    let odd_days = 5_000 * (cell.day % 2);
    FiveTuple {
        src,
        dst,
        proto: 6,
        src_port: 50_000 + (number % 1000) as u16,
        dst_port: 50_000 + (number / 1000) as u16 + odd_days,
    }
}

/// The records of a session, number `number` of its cell, that begin on `today`.
fn session_records(of: &Workload, session: &Session, number: usize, today: u16) -> Vec<Record> {
    let cell = &of.plan.cells[session.cell];
    let egress = of.plan.pairs[cell.pair].egress;
    let key = key(of, session, number);
    let record = |cut: &Cut| {
        let from = session.start_ms + cut.from_ms;
        Record {
            exporter: INGRESS,
            first: instant(cell.day, from),
            last: instant(cell.day, from + cut.length_ms),
            key,
            in_if: 1,
            out_if: 100 + egress as u32,
            next_hop: Some(egress_router(egress)),
            tos: 0,
            octets: cut.bytes,
            packets: cut.bytes.div_ceil(8948),
            sampling: Some(Sampling::NONE),
        }
    };
    let today = |cut: &&Cut| day_of(cell.day, session.start_ms + cut.from_ms) == today;
    session.cuts.iter().filter(today).map(record).collect()
}

/// All records of a day, in the order an exporter would send them.
pub fn day(of: &Workload, day: u16) -> Vec<Record> {
    let mut found = Vec::new();
    for (at, number) in sessions(&of.plan, day) {
        found.extend(session_records(of, &of.plan.sessions[at], number, day));
    }
    let mut rng = of.rng(day);
    match of.profile {
        Profile::Beta => found.extend(beta::records(of, day, &mut rng)),
        Profile::Duplicates => {
            let again: Vec<_> = found.iter().map(seen_at_egress).collect();
            found.extend(again);
        }
        Profile::Sampled => found = found.iter().filter_map(|r| sampled(r, &mut rng)).collect(),
        _ => {}
    }
    found.sort_by_key(|record| (record.last, record.key, record.exporter));
    if of.profile == Profile::Loss {
        for at in (1..found.len()).rev() {
            found.swap(at, rng.below(at as u64 + 1) as usize);
        }
    }
    found
}

/// What the egress router exports of a flow, its clock five milliseconds ahead. Nothing gets into
/// the next day by that.
fn seen_at_egress(record: &Record) -> Record {
    let day_ns = DAY_MS as Ns * MS;
    let ahead = 5 * MS;
    let ahead = if (record.first + ahead) / day_ns == record.first / day_ns { ahead } else { 0 };
    Record {
        exporter: record.next_hop.unwrap_or(INGRESS),
        first: record.first + ahead,
        last: record.last + ahead,
        in_if: 9,
        out_if: 1,
        next_hop: None,
        ..record.clone()
    }
}

/// What is left of a record when packets are sampled; `None` if none of them was.
fn sampled(record: &Record, rng: &mut Rng) -> Option<Record> {
    let mean = record.octets.div_ceil(SAMPLED_PACKET) as f64 / f64::from(SAMPLED_N);
    // Rare events: Poisson, and normal where there are many.
    let packets = match mean < 30.0 {
        true => rng.poisson(mean),
        false => (mean + mean.sqrt() * rng.normal()).round().max(0.0) as u64,
    };
    let octets = packets * SAMPLED_PACKET;
    let sampling = Sampling::one_in(SAMPLED_N);
    (packets > 0).then(|| Record { octets, packets, sampling, ..record.clone() })
}
