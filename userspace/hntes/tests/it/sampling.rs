// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What packet sampling does to what is called alpha: P(alpha | b) = Φ((b − H)/sd), with
//! sd = b·√(s(N−1)/b) for packets of s octets.

use crate::program::fresh_seed;
use hntes::generate::profile::{Profile, Scale, Workload};
use hntes::generate::records;
use std::collections::BTreeMap;
use telesteer_fam::day::read;
use telesteer_fam::{FiveTuple, Ns, Reading};

/// N of the profile, and its packets' octets.
const N: f64 = 1000.0;
const PACKET: f64 = 1500.0;

/// Φ, by Simpson's rule over the density.
fn phi(z: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let (steps, end) = (400, z.clamp(-9.0, 9.0));
    let width = end / f64::from(steps);
    let weight = |step: i32| match step {
        0 => 1.0,
        _ if step == steps => 1.0,
        _ if step % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum: f64 = (0..=steps).map(|step| weight(step) * density(f64::from(step) * width)).sum();
    0.5 + sum * width / 3.0
}

#[test]
fn phi_is_the_normal_distribution() {
    for (z, p) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.96, 0.024_997_895), (3.0, 0.998_650_102)] {
        assert!((phi(z) - p).abs() < 1e-8, "{z}: {}", phi(z));
    }
}

/// A bin of reports that are about as far from H.
#[derive(Default)]
struct Bin {
    reports: u64,
    alpha: u64,
    expected: f64,
    variance: f64,
}

/// 1. What was sent: the same plan, its records not sampled.
/// 2. Each H from 1.5 to 5 GB: of the reports that are so many deviations from it, as many are called
///    alpha as the formula says, within five standard deviations of a binomial count.
/// 3. Broken twin: with half the deviation it is not.
#[test]
fn alpha_is_as_likely_as_the_formula_says() {
    let seed = fresh_seed();
    let sampled = Workload::new(Profile::Sampled, seed, Scale::default()).unwrap();
    let sent = Workload { profile: Profile::Slides, ..sampled.clone() };
    let days = 1..=214;
    let mut truth: BTreeMap<(FiveTuple, Ns), u64> = BTreeMap::new();
    for record in days.clone().flat_map(|day| records::day(&sent, day)) {
        let sum = truth.entry((record.key, record.first)).or_default();
        assert_eq!(*sum, 0, "a report is known by its flow and its begin");
        *sum = record.octets;
    }
    let seen: Vec<_> = days.flat_map(|day| records::day(&sampled, day)).collect();
    let mut bins: BTreeMap<i64, Bin> = BTreeMap::new();
    let mut twin: BTreeMap<i64, Bin> = BTreeMap::new();
    for h in (15..=50).step_by(5).map(|tenths: u64| tenths * 100_000_000) {
        let found = read(&seen, &Reading { h, ..Reading::default() });
        let flows = found.values().flat_map(|day| &day.flows);
        let alpha: BTreeMap<(FiveTuple, Ns), bool> = flows
            .flat_map(|flow| flow.reports.iter().map(|report| (flow.key, report)))
            .map(|(key, report)| ((key, report.first), report.alpha))
            .collect();
        for (report, bytes) in &truth {
            let b = *bytes as f64;
            for (packet, bins) in [(PACKET, &mut bins), (PACKET / 4.0, &mut twin)] {
                let z = (b - h as f64) / (packet * (N - 1.0) * b).sqrt();
                if z.abs() < 4.0 {
                    let bin = bins.entry((z * 2.0).floor() as i64).or_default();
                    let p = phi(z);
                    bin.reports += 1;
                    bin.alpha += u64::from(alpha.get(report).is_some_and(|alpha| *alpha));
                    bin.expected += p;
                    bin.variance += p * (1.0 - p);
                }
            }
        }
    }
    let off = |bin: &Bin| (bin.alpha as f64 - bin.expected).abs();
    for (half, bin) in &bins {
        let what = format!("bin {half}: {} of {} reports, seed {seed}", bin.alpha, bin.reports);
        // Counts of whole packets move H by half a packet's worth, 0.02 deviations.
        let bound = 5.0 * bin.variance.sqrt() + 0.01 * bin.reports as f64 + 1.0;
        assert!(off(bin) <= bound, "{what}, {:.1} expected", bin.expected);
    }
    let middle: u64 = bins.range(-2..2).map(|(_, bin)| bin.reports).sum();
    assert!(middle > 300, "{middle} reports near H say little, seed {seed}");
    let wrong = twin.values().filter(|bin| off(bin) > 5.0 * bin.variance.sqrt() + 1.0).count();
    assert!(wrong > 0, "half the deviation does as well, seed {seed}");
}
