// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cells of the workload: a pair of hosts on a day, and how long each was quiet before.

use crate::generate::pairs::{Class, Pair};
use crate::rng::{Rng, Urn};
use std::collections::BTreeMap;

/// Pairs of hosts in all.
pub const HOSTS: usize = 1548;

/// How many cells there should be, roughly.
const CELLS: f64 = 11_000.0;

/// Most pairs of hosts in one prefix flow.
const QUOTA_MAX: usize = 200;

/// Days since the last alpha flow: at most 7, 14, 30, more, or none before. Effectiveness at the
/// slides' ages depends on the bytes in each class alone.
pub type GapClass = usize;

/// Number of gap classes.
pub const CLASSES: usize = 5;

/// A pair of hosts on a day.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Index of the prefix flow.
    pub pair: usize,
    /// Number of the pair of hosts within it.
    pub host: usize,
    /// Day, from 1.
    pub day: u16,
    /// How long the prefix flow was quiet.
    pub net_gap: GapClass,
    /// How long the pair of hosts was.
    pub host_gap: GapClass,
}

fn gap_class(day: u16, last: Option<u16>) -> GapClass {
    match last.map(|last| day - last) {
        Some(0..=7) => 0,
        Some(8..=14) => 1,
        Some(15..=30) => 2,
        Some(_) => 3,
        None => 4,
    }
}

/// How many pairs of hosts each prefix flow has: lognormal, at least one, [`HOSTS`] in all.
fn quotas(rng: &mut Rng, pairs: &[Pair]) -> Vec<usize> {
    let weights: Vec<f64> = pairs
        .iter()
        .map(|pair| {
            let median = match pair.class {
                Class::Core => 3.0,
                Class::Regular => 1.2,
                Class::Rare => 0.4,
            };
            rng.lognormal(median, 0.9)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    let spare = (HOSTS - pairs.len()) as f64;
    let mut quotas: Vec<usize> =
        weights.iter().map(|weight| (1 + (weight / sum * spare) as usize).min(QUOTA_MAX)).collect();
    let mut missing = HOSTS - quotas.iter().sum::<usize>();
    let urn = Urn::new(weights.into_iter());
    while missing > 0 {
        let Some(index) = urn.draw(rng) else { break };
        if quotas[index] < QUOTA_MAX {
            quotas[index] += 1;
            missing -= 1;
        }
    }
    quotas
}

/// The cells, by day. Each pair of hosts is introduced on some active day of its prefix flow, the
/// first on the first, and comes again as often as its rank lets it (Zipf 0.9).
pub fn cells(rng: &mut Rng, pairs: &[Pair]) -> Vec<Cell> {
    let quotas = quotas(rng, pairs);
    let share = |class| match class {
        Class::Core => 2.2,
        Class::Regular => 1.0,
        Class::Rare => 0.5,
    };
    let weighted: f64 = pairs.iter().map(|pair| share(pair.class) * pair.days.len() as f64).sum();
    // Drawing with replacement gives fewer hosts than draws; a fifth more makes up for most of it.
    let per_day = (CELLS - HOSTS as f64) / weighted * 1.25;
    let mut cells = Vec::new();
    for (index, (pair, quota)) in pairs.iter().zip(quotas).enumerate() {
        let mut introduced: Vec<usize> = (1..quota)
            .map(|_| (rng.beta(0.8, 1.4) * pair.days.len() as f64) as usize)
            .map(|at| at.min(pair.days.len() - 1))
            .collect();
        introduced.push(0);
        introduced.sort_unstable();
        let mut last: BTreeMap<usize, u16> = BTreeMap::new();
        let mut before = None;
        for (at, day) in pair.days.iter().copied().enumerate() {
            let known = introduced.partition_point(|intro| *intro < at);
            let now = introduced.partition_point(|intro| *intro <= at);
            let mut hosts: Vec<usize> = (known..now).collect();
            let urn = Urn::new((0..known).map(|rank| (rank as f64 + 1.0).powf(-0.9)));
            let draws = rng.poisson(per_day * share(pair.class)).max(1);
            hosts.extend((0..draws).filter_map(|_| urn.draw(rng)));
            hosts.sort_unstable();
            hosts.dedup();
            for host in hosts {
                cells.push(Cell {
                    pair: index,
                    host,
                    day,
                    net_gap: gap_class(day, before),
                    host_gap: gap_class(day, last.insert(host, day)),
                });
            }
            before = Some(day);
        }
    }
    cells.sort_by_key(|cell| (cell.day, cell.pair, cell.host));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::pairs::pairs;
    use std::collections::BTreeSet;

    #[test]
    fn all_hosts_come_and_gaps_are_in_order() {
        for seed in 100..110 {
            let mut rng = Rng::new(seed, 0);
            let pairs = pairs(&mut rng, &[89, 137]);
            let cells = cells(&mut rng, &pairs);
            let hosts: BTreeSet<_> = cells.iter().map(|cell| (cell.pair, cell.host)).collect();
            assert_eq!(hosts.len(), HOSTS);
            let nets: BTreeSet<_> = cells.iter().map(|cell| (cell.pair, cell.day)).collect();
            assert_eq!(nets.len(), pairs.iter().map(|pair| pair.days.len()).sum::<usize>());
            assert!((7_000..15_000).contains(&cells.len()), "{}", cells.len());
            assert!(cells.iter().all(|cell| cell.net_gap <= cell.host_gap));
            assert_eq!(cells.iter().filter(|cell| cell.host_gap == 4).count(), HOSTS);
        }
    }
}
