// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Beta traffic beside the alpha flows.
//!
//! Flow sizes are a mixture of lognormals fitted to the TCP flows of a campus over a month of 2015
//! (Jurkiewicz, Rzym, Boryło: "Flow length and size distributions in campus Internet traffic", and
//! the figures published with it). Which flows lie inside alpha prefix flows is ours, and known.

use crate::generate::flow::T_MS;
use crate::generate::profile::{DAY_MS, Profile, Workload};
use crate::generate::records::{INGRESS, egress_router, hosts, midnight};
use crate::rng::{Rng, Urn};
use telesteer_fam::{FiveTuple, Ns, Record, Sampling};

/// Share, median in bytes and deviation of the logarithm of each part of the mixture.
const SIZES: [(f64, f64, f64); 8] = [
    (0.356_215_68, 97.448_6, 0.390_723),
    (0.245_961_53, 309.396_4, 0.809_056),
    (0.299_368_68, 2_126.654, 1.076_765),
    (0.080_649_98, 25_680.66, 1.308_259),
    (0.015_038_56, 416_681.0, 1.351_327),
    (0.002_074_71, 5_602_172.0, 1.082_475),
    (0.000_682_63, 53_432_349.0, 1.019_114),
    (0.000_008_23, 514_468_039.0, 1.190_468),
];

/// Flows of a day unless told otherwise.
pub const FLOWS: u32 = 800;

/// Most flows of a day. A day is held in memory as a whole: this many take 0.4 GB.
pub const FLOWS_MAX: u32 = 1_000_000;

/// Source ports, below those of the alpha flows; the destination port tells apart what has the same.
const PORTS: usize = 48_000;

/// Networks elsewhere; none of them has alpha flows.
const ELSEWHERE: usize = 30_000;

/// Least and most bytes of a flow. Beta flows stay well below H.
const BYTES: (f64, f64) = (64.0, 0.8e9);

/// Hosts of a network from here on have no alpha flows.
const OTHER_HOSTS: usize = 1600;

/// Where a beta flow lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Between the hosts of an alpha flow: number of the pair and of the hosts.
    Hosts(usize, usize),
    /// Between other hosts of its networks.
    Net(usize),
    /// Elsewhere.
    Elsewhere,
}

/// A beta flow.
#[derive(Clone, Copy, Debug)]
pub struct BetaFlow {
    /// Where.
    pub place: Place,
    /// Bytes.
    pub bytes: u64,
    /// Milliseconds after midnight.
    pub start_ms: u64,
    /// Duration.
    pub length_ms: u64,
}

impl BetaFlow {
    /// Milliseconds after its begin and bytes of each of its records.
    pub fn cuts(&self) -> Vec<(u64, u64, u64)> {
        let count = self.length_ms.div_ceil(T_MS).max(1);
        let until = |n: u64| (self.length_ms * n / count, self.bytes * n / count);
        let cut = |n| {
            let ((from, sent), (to, done)) = (until(n), until(n + 1));
            (from, to - from, done - sent)
        };
        (0..count).map(cut).collect()
    }
}

/// The beta flows of a day.
pub fn flows(of: &Workload, rng: &mut Rng) -> Vec<BetaFlow> {
    let parts = Urn::new(SIZES.iter().map(|part| part.0));
    let cells = &of.plan.cells;
    (0..of.scale.beta_flows)
        .map(|_| {
            let (_, median, sigma) = SIZES[parts.draw(rng).unwrap_or(0)];
            let bytes = rng.lognormal(median, sigma).clamp(BYTES.0, BYTES.1) as u64;
            let rate = rng.lognormal(5e6, 1.0).max(1e5);
            let length_ms = ((bytes as f64 * 8e3 / rate) as u64).min(DAY_MS / 2);
            let start_ms = rng.below(DAY_MS - length_ms);
            // Any cell of any day names hosts that have an alpha flow at some time.
            let cell = cells[rng.below(cells.len() as u64) as usize];
            let place = match rng.below(10) {
                0..2 => Place::Hosts(cell.pair, cell.host),
                2..4 => Place::Net(cell.pair),
                _ => Place::Elsewhere,
            };
            BetaFlow { place, bytes, start_ms, length_ms }
        })
        .collect()
}

/// The records of a day's beta flows.
pub fn records(of: &Workload, day: u16, rng: &mut Rng) -> Vec<Record> {
    let egress = of.plan.pairs.len() as u64;
    let mut records = Vec::new();
    for (number, flow) in flows(of, rng).into_iter().enumerate() {
        // Each flow of the day has its own pair of ports.
        let ports = (1024 + (number % PORTS) as u16, 443 + (number / PORTS) as u16);
        let (src, dst, pair) = match flow.place {
            Place::Hosts(pair, host) => {
                let (src, dst) = hosts(Profile::Slides, pair, host);
                (src, dst, pair)
            }
            Place::Net(pair) => {
                let (src, dst) = hosts(Profile::Slides, pair, OTHER_HOSTS);
                (src, dst, pair)
            }
            Place::Elsewhere => {
                let (src, dst) = hosts(Profile::Slides, 1000 + number % ELSEWHERE, 0);
                (src, dst, number % egress as usize)
            }
        };
        let egress = of.plan.pairs[pair].egress;
        for (from, length, bytes) in flow.cuts() {
            let first = midnight(day) + (flow.start_ms + from) as Ns * 1_000_000;
            records.push(Record {
                exporter: INGRESS,
                first,
                last: first + length as Ns * 1_000_000,
                key: FiveTuple { src, dst, proto: 6, src_port: ports.0, dst_port: ports.1 },
                in_if: 1,
                out_if: 100 + egress as u32,
                next_hop: Some(egress_router(egress)),
                tos: 0,
                octets: bytes,
                packets: bytes.div_ceil(1500),
                sampling: Some(Sampling::NONE),
            });
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_add_up_and_are_short() {
        for (bytes, length_ms) in [(64, 0), (1_000_000, 59_999), (7, 60_000), (9e8 as u64, 200_001)]
        {
            let flow = BetaFlow { place: Place::Elsewhere, bytes, start_ms: 0, length_ms };
            let cuts = flow.cuts();
            assert_eq!(cuts.iter().map(|cut| cut.2).sum::<u64>(), bytes);
            assert_eq!(cuts.iter().map(|cut| cut.1).sum::<u64>(), length_ms);
            assert!(cuts.iter().all(|cut| cut.1 <= T_MS));
        }
    }

    #[test]
    fn the_mixture_is_whole() {
        assert!((SIZES.iter().map(|part| part.0).sum::<f64>() - 1.0).abs() < 1e-6);
    }
}
