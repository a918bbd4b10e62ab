// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How even the shares are: in exporters, by weight, and in packets when few send most of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::hash::Random;
use super::placement::{Member, Method, Placement};

/// Exponent of the rates: the exporter of rank r sends 1 / r^1.1.
const ZIPF: f64 = 1.1;
/// Packets that a simulated tick brings, and the ticks until loads are read.
const PACKETS: usize = 2000;
const TICKS: usize = 100;

/// Deviations of a method.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Shares {
    pub(crate) method: String,
    pub(crate) members: u64,
    /// Standard deviation of the members' shares of the exporters, relative to the mean.
    pub(crate) deviation: f64,
    /// The largest share, relative to the mean.
    pub(crate) most: f64,
    /// With weights 1, 2, 3, 1, 2, 3: the largest error of a share, relative to its weight.
    pub(crate) weights: Option<f64>,
}

impl Shares {
    /// Average over the seeds.
    pub(crate) fn of(method: Method, members: u64, exporters: u64, seeds: u64) -> Self {
        let mut sum = Self { method: method.name.to_owned(), members, ..Self::default() };
        for seed in 0..seeds {
            let counts = counts(method, seed, members, exporters, |_| 1);
            let mean = exporters as f64 / members as f64;
            let square: f64 = counts.iter().map(|count| (count / mean - 1.0).powi(2)).sum();
            sum.deviation += (square / members as f64).sqrt() / seeds as f64;
            sum.most += counts.iter().copied().fold(0.0, f64::max) / mean / seeds as f64;
            if method.weights {
                let weight = |member: Member| 1 + (member as u32 - 1) % 3;
                let all: u32 = (1..=members).map(weight).sum();
                let counts = self::counts(method, seed, members, exporters, weight);
                let worst = (1..=members)
                    .zip(counts)
                    .map(|(member, count)| {
                        let due = exporters as f64 * f64::from(weight(member)) / f64::from(all);
                        (count / due - 1.0).abs()
                    })
                    .fold(0.0, f64::max);
                *sum.weights.get_or_insert(0.0) += worst / seeds as f64;
            }
        }
        sum
    }
}

fn group(
    method: Method,
    seed: u64,
    members: u64,
    weight: impl Fn(Member) -> u32,
) -> Box<dyn Placement> {
    let mut map = (method.make)(seed);
    for member in 1..=members {
        map.join(member, weight(member));
    }
    map
}

fn counts(
    method: Method,
    seed: u64,
    members: u64,
    exporters: u64,
    weight: impl Fn(Member) -> u32,
) -> Vec<f64> {
    let mut map = group(method, seed, members, weight);
    let mut counts = vec![0.0; members as usize];
    for exporter in 0..exporters {
        if let Some(member) = map.home(exporter) {
            counts[member as usize - 1] += 1.0;
        }
    }
    counts
}

/// Loads under Zipf rates.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Loads {
    pub(crate) method: String,
    /// Observation domains of an exporter; each is placed by itself.
    pub(crate) domains: u64,
    /// The largest load of a member over the mean load: on average over the seeds, and the seed in
    /// twenty that is worse.
    pub(crate) most: f64,
    pub(crate) most_of_20: f64,
    /// The least it can be: nobody can have less than one domain of the largest exporter.
    pub(crate) floor: f64,
}

impl Loads {
    /// Plays traffic until every exporter has spoken, then reads who has what.
    pub(crate) fn of(
        method: Method,
        members: u64,
        exporters: u64,
        domains: u64,
        seeds: u64,
    ) -> Self {
        let rates = Rates::new(exporters, domains);
        let mut all: Vec<f64> = (0..seeds)
            .map(|seed| {
                let mut map = group(method, seed, members, |_| 1);
                let mut random = Random::new(seed);
                let ticks = if map.learns() { TICKS } else { 0 };
                for _ in 0..ticks {
                    map.pass(1);
                    for _ in 0..PACKETS {
                        map.home(rates.draw(&mut random));
                    }
                }
                let mut loads: BTreeMap<Member, f64> = BTreeMap::new();
                for (unit, rate) in rates.each() {
                    if let Some(member) = map.home(unit) {
                        *loads.entry(member).or_default() += rate;
                    }
                }
                loads.values().copied().fold(0.0, f64::max) * members as f64
            })
            .collect();
        all.sort_by(f64::total_cmp);
        Self {
            method: method.name.to_owned(),
            domains,
            most: all.iter().sum::<f64>() / seeds as f64,
            most_of_20: all.get(all.len() * 19 / 20).copied().unwrap_or(f64::NAN),
            floor: (rates.largest() * members as f64).max(1.0),
        }
    }
}

/// Rates of all domains of all exporters; a unit is an exporter's domain.
struct Rates {
    domains: u64,
    /// Sums of the exporters' rates, the last one is 1.
    sums: Vec<f64>,
}

impl Rates {
    fn new(exporters: u64, domains: u64) -> Self {
        let rate = |rank: u64| (rank as f64).powf(-ZIPF);
        let all: f64 = (1..=exporters).map(rate).sum();
        let mut sum = 0.0;
        let sums = (1..=exporters)
            .map(|rank| {
                sum += rate(rank) / all;
                sum
            })
            .collect();
        Self { domains, sums }
    }

    fn largest(&self) -> f64 {
        self.sums.first().copied().unwrap_or(0.0) / self.domains as f64
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let at = random.unit();
        let exporter = self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1);
        exporter as u64 * self.domains + random.next() % self.domains
    }

    fn each(&self) -> impl Iterator<Item = (u64, f64)> {
        let mut before = 0.0;
        let rates: Vec<f64> = self
            .sums
            .iter()
            .map(|sum| {
                let rate = sum - before;
                before = *sum;
                rate
            })
            .collect();
        let domains = self.domains;
        (0_u64..).zip(rates).flat_map(move |(exporter, rate)| {
            (0..domains).map(move |domain| (exporter * domains + domain, rate / domains as f64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::placement::METHODS;
    use super::*;

    #[test]
    fn rates_sum_to_one_and_the_first_has_its_share() {
        let rates = Rates::new(1000, 16);
        let sum: f64 = rates.each().map(|(_, rate)| rate).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert!((rates.largest() * 16.0 - 0.18).abs() < 0.01, "{}", rates.largest());
        let mut random = Random::new(1);
        let first = (0..10_000).filter(|_| rates.draw(&mut random) < 16).count();
        assert!((1600..2000).contains(&first), "{first}");
    }

    #[test]
    fn shares_follow_weights_where_a_method_has_them() {
        for method in METHODS {
            let shares = Shares::of(*method, 6, 20_000, 2);
            assert!(shares.deviation < 0.1, "{}: {}", method.name, shares.deviation);
            assert_eq!(shares.weights.is_some(), method.weights);
            assert!(shares.weights.is_none_or(|worst| worst < 0.15), "{}", method.name);
        }
    }
}
