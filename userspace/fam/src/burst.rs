// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The alpha/beta decomposition of traffic (Sarvotham, Riedi, Baraniuk).
//!
//! Bins of traffic above the mean plus a deviation are bursts. The connection with most bytes in a
//! burst dominates it; dominant connections are alpha, all others beta. Beta traffic is nearly
//! Gaussian: without alpha the kurtosis of the bins falls towards 3.

use crate::key::FiveTuple;
use crate::reading::Reading;
use crate::record::Record;
use crate::screen;
use crate::span::{self, Span};
use crate::time::{Day, Ns, SECOND};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Bin of the decomposition.
pub const BIN: Ns = SECOND / 2;

/// Most bins of one decomposition: 24 days of half seconds.
pub const BINS_MAX: usize = 1 << 22;

/// What a decomposition came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decomposition {
    /// Bins from the first to the last byte.
    pub bins: u64,
    /// Bins above the limit.
    pub bursts: u64,
    /// The limit in bytes per bin.
    pub limit: f64,
    /// Dominant connections.
    pub alpha: BTreeSet<FiveTuple>,
    /// Their bytes.
    pub alpha_bytes: u64,
    /// All other bytes.
    pub beta_bytes: u64,
    /// Kurtosis of the bytes per bin, 3 for a Gaussian; `None` where nothing varies.
    pub kurtosis: Option<f64>,
    /// Kurtosis of the beta bytes per bin.
    pub beta_kurtosis: Option<f64>,
}

/// Bytes of a connection over spans of time.
pub type Connections = BTreeMap<FiveTuple, Vec<(Span, u64)>>;

/// A pass over records that keeps the traffic of one day; memory grows with its flows.
#[derive(Clone, Debug)]
pub struct BurstPass<'r> {
    reading: &'r Reading,
    day: Day,
    connections: Connections,
}

impl<'r> BurstPass<'r> {
    /// Nothing kept yet.
    pub fn new(day: Day, reading: &'r Reading) -> Self {
        Self { reading, day, connections: Connections::new() }
    }

    /// Takes a record.
    pub fn observe(&mut self, record: &Record) {
        if self.reading.calendar.day(record.first) == self.day
            && let Ok(bytes) = screen::bytes(record, self.reading)
        {
            let parts = self.connections.entry(record.key).or_default();
            parts.push(((record.first, record.last), bytes));
        }
    }

    /// Adds what another worker took.
    pub fn merge(&mut self, other: Self) {
        for (key, parts) in other.connections {
            self.connections.entry(key).or_default().extend(parts);
        }
    }

    /// The traffic.
    pub fn finish(self) -> Connections {
        self.connections
    }
}

/// Decomposes the traffic of `connections` in bins of `bin`; bursts are above the mean plus
/// `deviations` standard deviations. `None` without traffic, or with more than [`BINS_MAX`] bins.
pub fn decompose(connections: &Connections, bin: Ns, deviations: f64) -> Option<Decomposition> {
    let spans = || connections.values().flatten().map(|(span, _)| *span);
    let bin = bin.max(1);
    let first = spans().map(|span| span.0).min()?.div_euclid(bin);
    let last = spans().map(|span| span.1.max(span.0 + 1) - 1).max()?.div_euclid(bin);
    let count = usize::try_from(last - first).ok()?.checked_add(1)?;
    if count > BINS_MAX {
        return None;
    }
    let spread = |parts: &[(Span, u64)], mut each: Box<dyn FnMut(usize, u64) + '_>| {
        for (span, bytes) in parts {
            span::for_bins(*bytes, *span, bin, |number, bytes| {
                each((number - first) as usize, bytes);
            });
        }
    };
    let mut all = vec![0u64; count];
    for parts in connections.values() {
        spread(parts, Box::new(|at, bytes| all[at] = all[at].saturating_add(bytes)));
    }
    let (mean, variance) = moments(&all);
    let limit = mean + deviations * variance.sqrt();

    // Most bytes of one connection in each burst so far, and which: the first among equals.
    let mut dominant: BTreeMap<usize, (u64, FiveTuple)> = BTreeMap::new();
    for (key, parts) in connections {
        let mut own: BTreeMap<usize, u64> = BTreeMap::new();
        spread(
            parts,
            Box::new(|at, bytes| {
                if all[at] as f64 > limit {
                    *own.entry(at).or_default() += bytes;
                }
            }),
        );
        for (at, bytes) in own {
            let most = dominant.entry(at).or_insert((bytes, *key));
            if bytes > most.0 {
                *most = (bytes, *key);
            }
        }
    }
    let bursts = dominant.len() as u64;
    let alpha: BTreeSet<FiveTuple> = dominant.into_values().map(|(_, key)| key).collect();
    let mut beta = vec![0u64; count];
    for (_, parts) in connections.iter().filter(|(key, _)| !alpha.contains(*key)) {
        spread(parts, Box::new(|at, bytes| beta[at] = beta[at].saturating_add(bytes)));
    }
    let sum = |bins: &[u64]| bins.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    let (total, beta_bytes) = (sum(&all), sum(&beta));
    Some(Decomposition {
        bins: count as u64,
        bursts,
        limit,
        alpha,
        alpha_bytes: total - beta_bytes,
        beta_bytes,
        kurtosis: kurtosis(&all),
        beta_kurtosis: kurtosis(&beta),
    })
}

/// Mean and variance.
fn moments(values: &[u64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|value| u128::from(*value)).sum::<u128>() as f64 / n;
    let squares: f64 = values.iter().map(|value| (*value as f64 - mean).powi(2)).sum();
    (mean, squares / n)
}

/// Fourth central moment over the square of the second; 3 for a Gaussian.
pub fn kurtosis(values: &[u64]) -> Option<f64> {
    let (mean, variance) = moments(values);
    let fourth = values.iter().map(|value| (*value as f64 - mean).powi(4)).sum::<f64>();
    (variance > 0.0).then(|| fourth / values.len() as f64 / variance.powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ip, record};

    fn key(port: u16) -> FiveTuple {
        let (src, dst) = (ip("192.0.2.1"), ip("198.51.100.1"));
        FiveTuple { src, dst, proto: 6, src_port: port, dst_port: 80 }
    }

    #[test]
    fn kurtosis_by_hand() {
        assert_eq!(kurtosis(&[1, 1, 3, 3]), Some(1.0), "two values, equally often: the minimum");
        // −1, 0, 0, 1: second moment 1/2, fourth 1/2.
        assert_eq!(kurtosis(&[9, 10, 10, 11]), Some(2.0));
        assert_eq!(kurtosis(&[5, 5]), None);
        assert_eq!(kurtosis(&[]), None);
    }

    /// Twenty small connections in all bins, sums of many coins; one large one in two bins.
    #[test]
    fn without_alpha_the_rest_is_nearly_gaussian() {
        let mut connections = Connections::new();
        let mut coin = 1u64;
        for port in 0..20 {
            let parts = (0..400).map(|n| {
                coin = coin.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((n * BIN, (n + 1) * BIN), 1000 + (coin >> 60) * 10)
            });
            connections.insert(key(port), parts.collect());
        }
        let without = decompose(&connections, BIN, 1.0).unwrap().kurtosis.unwrap();
        connections.insert(key(999), vec![((7 * BIN, 9 * BIN), 1_000_000)]);
        let found = decompose(&connections, BIN, 1.0).unwrap();
        assert_eq!((found.bins, found.bursts), (400, 2));
        assert_eq!(found.alpha, [key(999)].into());
        assert_eq!(found.alpha_bytes, 1_000_000);
        assert!(found.kurtosis.unwrap() > 100.0);
        assert_eq!(found.beta_kurtosis, Some(without));
        assert!((without - 3.0).abs() < 0.7, "{without}");
    }

    #[test]
    fn a_day_of_records() {
        let reading = Reading::default();
        let records = [
            record("192.0.2.1", "198.51.100.1", 0, 1, 500),
            record("192.0.2.2", "198.51.100.1", 1, 2, 900),
            record("192.0.2.1", "198.51.100.1", 86_400, 86_401, 7),
        ];
        let mut pass = BurstPass::new(Day(0), &reading);
        let mut other = pass.clone();
        pass.observe(&records[2]);
        records.iter().for_each(|record| other.observe(record));
        pass.merge(other);
        let found = decompose(&pass.finish(), BIN, 0.5).unwrap();
        assert_eq!((found.bins, found.bursts, found.limit), (4, 2, 400.0));
        assert_eq!((found.alpha_bytes, found.beta_bytes), (900, 500));
    }

    #[test]
    fn nothing_and_too_much() {
        assert_eq!(decompose(&Connections::new(), BIN, 1.0), None);
        let wide = vec![((0, 1), 1), ((BINS_MAX as i64 * BIN, BINS_MAX as i64 * BIN + 1), 1)];
        assert_eq!(decompose(&Connections::from([(key(1), wide)]), BIN, 1.0), None);
    }
}
