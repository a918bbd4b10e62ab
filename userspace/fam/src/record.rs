// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A flow record as an exporter wrote it, and the packet sampling behind it.

use crate::key::FiveTuple;
use crate::time::Ns;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// 1:N packet sampling. N is a fraction, since IPFIX gives it as interval and space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sampling {
    observed: u32,
    taken: u32,
}

impl Sampling {
    /// Every packet.
    pub const NONE: Self = Self { observed: 1, taken: 1 };

    /// One packet of `n`. `None` for 0, which exporters use for "not said".
    pub fn one_in(n: u32) -> Option<Self> {
        (n > 0).then_some(Self { observed: n, taken: 1 })
    }

    /// `interval` packets taken, then `space` left out: N = (interval + space) / interval.
    pub fn interval_space(interval: u32, space: u32) -> Option<Self> {
        let observed = interval.checked_add(space)?;
        (interval > 0).then_some(Self { observed, taken: interval })
    }

    /// N = 1 / `probability`, to a millionth; a whole N where it is one to within that.
    pub fn probability(probability: f64) -> Option<Self> {
        if !(probability > 0.0 && probability <= 1.0) {
            return None;
        }
        let n = probability.recip();
        if n > f64::from(u32::MAX) {
            return None;
        }
        let whole = n.round();
        if (n - whole).abs() <= 1e-6 * whole || n > f64::from(u32::MAX) / 1e6 {
            return Self::one_in(whole as u32);
        }
        Some(Self { observed: (n * 1e6).round() as u32, taken: 1_000_000 })
    }

    /// N as packets observed for packets taken.
    pub fn ratio(self) -> (u32, u32) {
        (self.observed, self.taken)
    }

    /// N given as a ratio of packets observed to packets taken; `None` unless 0 < taken ≤ observed.
    pub fn from_ratio(observed: u32, taken: u32) -> Option<Self> {
        (taken > 0 && observed >= taken).then_some(Self { observed, taken })
    }

    /// b = N · octets, to the nearest octet, halves up; at most `u64::MAX`.
    pub fn scale(self, octets: u64) -> u64 {
        if self.taken == 1 {
            return octets.saturating_mul(u64::from(self.observed));
        }
        let taken = u128::from(self.taken);
        let scaled = (u128::from(octets) * u128::from(self.observed) * 2 + taken) / (taken * 2);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// One flow record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The router that exported it.
    pub exporter: IpAddr,
    /// First packet.
    pub first: Ns,
    /// Last packet.
    pub last: Ns,
    /// The transport flow.
    pub key: FiveTuple,
    /// Input interface, 0 if not exported.
    pub in_if: u32,
    /// Output interface, 0 if not exported.
    pub out_if: u32,
    /// BGP next hop, if exported.
    pub next_hop: Option<IpAddr>,
    /// Type of service octet.
    pub tos: u8,
    /// Octets of the sampled packets.
    pub octets: u64,
    /// Sampled packets.
    pub packets: u64,
    /// Sampling, if known. Unknown is not 1:1: such a record is counted and left out.
    pub sampling: Option<Sampling>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_by_every_way_to_say_it() {
        assert_eq!(Sampling::one_in(1000).unwrap().scale(7), 7000);
        assert_eq!(Sampling::interval_space(1, 999), Sampling::one_in(1000));
        assert_eq!(Sampling::interval_space(2, 3).unwrap().scale(10), 25);
        assert_eq!(Sampling::interval_space(2, 3).unwrap().scale(1), 3, "2.5, halves up");
        assert_eq!(Sampling::probability(0.001), Sampling::one_in(1000));
        assert_eq!(Sampling::probability(0.4).unwrap().scale(1000), 2500);
        assert_eq!(Sampling::one_in(2).unwrap().scale(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_says_nothing_is_unknown() {
        assert_eq!(Sampling::one_in(0), None);
        assert_eq!(Sampling::interval_space(0, 5), None);
        for p in [0.0, -1.0, 1.5, f64::NAN, 1e-12] {
            assert_eq!(Sampling::probability(p), None);
        }
    }
}
