// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How full an LSP is: bytes spread evenly over the life of their record, summed by bins of time.

use crate::span::{self, Span};
use crate::time::{Ns, SECOND};
use serde::Serialize;
use std::collections::BTreeMap;

/// The shortest bin: a record of a week, the longest that counts, touches 604 800 of them.
pub const BIN_LEAST: Ns = SECOND;

/// Alpha and beta bytes by bin; bins that no record touches are left out. Memory: O(bins touched).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    bins: BTreeMap<i64, (u64, u64)>,
}

impl Load {
    /// Spreads the bytes of an alpha report.
    pub fn add_alpha(&mut self, bytes: u64, life: Span, bin: Ns) {
        span::for_bins(bytes, life, bin, |number, bytes| {
            let sum = &mut self.bins.entry(number).or_default().0;
            *sum = sum.saturating_add(bytes);
        });
    }

    /// Spreads the bytes of any other record.
    pub fn add_beta(&mut self, bytes: u64, life: Span, bin: Ns) {
        span::for_bins(bytes, life, bin, |number, bytes| {
            let sum = &mut self.bins.entry(number).or_default().1;
            *sum = sum.saturating_add(bytes);
        });
    }

    /// Adds other bytes that fell into a bin.
    pub fn add_bin(&mut self, number: i64, bytes: u64) {
        let sum = &mut self.bins.entry(number).or_default().1;
        *sum = sum.saturating_add(bytes);
    }

    /// Whether no record touched any bin.
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// All alpha and all beta bytes.
    pub fn bytes(&self) -> (u64, u64) {
        let add = |sum: (u64, u64), bin: &(u64, u64)| {
            (sum.0.saturating_add(bin.0), sum.1.saturating_add(bin.1))
        };
        self.bins.values().fold((0, 0), add)
    }

    /// The figures over `period` nanoseconds in bins of `bin`, against `capacity` in bit/s.
    pub fn usage(&self, period: u64, bin: Ns, capacity: Option<u64>) -> Usage {
        let bin = bin.max(1) as u64;
        let count = period.div_ceil(bin).max(self.bins.len() as u64);
        let mut sums: Vec<u64> =
            self.bins.values().map(|(alpha, beta)| alpha.saturating_add(*beta)).collect();
        sums.sort_unstable();
        let empty = count - sums.len() as u64;
        // Nearest rank: the smallest value that at least so many percent of all bins do not exceed.
        let percentile = |percent: u64| {
            let rank = (u128::from(count) * u128::from(percent)).div_ceil(100) as u64;
            let full = rank.saturating_sub(empty);
            if full == 0 { 0 } else { sums[full as usize - 1] }
        };
        let bits = |bytes: u64, span: u64| {
            (u128::from(bytes) * 8 * SECOND as u128).checked_div(u128::from(span)).unwrap_or(0)
                as u64
        };
        let (alpha, beta) = self.bytes();
        let whole = count.saturating_mul(bin);
        let above = capacity.map(|capacity| {
            [50, 80, 100].map(|percent| {
                // Exact: bytes · 8 · 100 · 10^9 against capacity · percent · bin.
                let limit = u128::from(capacity) * percent * u128::from(bin);
                let over = |bytes: &&u64| u128::from(**bytes) * 800 * SECOND as u128 > limit;
                sums.iter().filter(over).count() as u64 * bin
            })
        });
        Usage {
            bins: count,
            busy_bins: sums.iter().filter(|bytes| **bytes > 0).count() as u64,
            alpha_bytes: alpha,
            beta_bytes: beta,
            mean_bps: bits(alpha.saturating_add(beta), whole),
            mean_alpha_bps: bits(alpha, whole),
            mean_beta_bps: bits(beta, whole),
            p50_bps: bits(percentile(50), bin),
            p95_bps: bits(percentile(95), bin),
            p99_bps: bits(percentile(99), bin),
            max_bps: bits(percentile(100), bin),
            above_50_80_100: above,
        }
    }
}

/// Utilisation of an LSP. Rates in bit/s, rounded down; percentiles over all bins, empty ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bins of the period.
    pub bins: u64,
    /// Bins with any byte.
    pub busy_bins: u64,
    /// Bytes of alpha reports.
    pub alpha_bytes: u64,
    /// Other bytes.
    pub beta_bytes: u64,
    /// Mean rate.
    pub mean_bps: u64,
    /// Mean rate of alpha reports.
    pub mean_alpha_bps: u64,
    /// Mean rate of the rest.
    pub mean_beta_bps: u64,
    /// Median.
    pub p50_bps: u64,
    /// 95th percentile.
    pub p95_bps: u64,
    /// 99th percentile.
    pub p99_bps: u64,
    /// Maximum.
    pub max_bps: u64,
    /// Nanoseconds above 50, 80 and 100 % of the capacity, where one is given.
    pub above_50_80_100: Option<[u64; 3]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300 bytes over three of ten seconds, 50 beta bytes in the second of them.
    #[test]
    fn by_hand() {
        let mut load = Load::default();
        load.add_alpha(300, (0, 3 * SECOND), SECOND);
        load.add_beta(20, (SECOND, 2 * SECOND), SECOND);
        load.add_bin(1, 30);
        assert!(!load.is_empty());
        let usage = load.usage(10 * SECOND as u64, SECOND, Some(1000));
        let expected = Usage {
            bins: 10,
            busy_bins: 3,
            alpha_bytes: 300,
            beta_bytes: 50,
            mean_bps: 280,
            mean_alpha_bps: 240,
            mean_beta_bps: 40,
            p50_bps: 0,
            p95_bps: 1200,
            p99_bps: 1200,
            max_bps: 1200,
            above_50_80_100: Some([3, 1, 1].map(|seconds| seconds * SECOND as u64)),
        };
        assert_eq!(usage, expected);
        // The eighth of ten bins is the first with bytes.
        assert_eq!(load.usage(10 * SECOND as u64, SECOND, None).above_50_80_100, None);
        let four = load.usage(4 * SECOND as u64, SECOND, None);
        assert_eq!((four.p50_bps, four.bins), (800, 4));
        assert_eq!(Load::default().usage(0, SECOND, None).max_bps, 0);
    }
}
