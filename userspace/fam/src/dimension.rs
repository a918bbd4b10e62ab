// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The four dimensions of a flow (Lan and Heidemann): size, rate, duration, burstiness.
//!
//! Along each a flow is heavy or not: elephant or mouse, cheetah or snail, tortoise or dragonfly,
//! porcupine or stingray. Heavy is above the mean plus three standard deviations over all flows, or
//! above a limit that somebody gives.

use crate::detect::Report;
use crate::rank::spearman;
use crate::span::{self, Span};
use crate::time::SECOND;
use serde::Serialize;

/// Flows not longer than this have no rate: a few packets back to back would be the fastest.
pub const SHORTEST_RATED: u64 = SECOND as u64 / 10;

/// The names of the dimensions, in the order of [`Shape::values`] and of a [`Cell`]'s bits.
pub const DIMENSIONS: [&str; 4] = ["size", "rate", "duration", "burstiness"];

/// What heavy flows are called in each dimension.
pub const HEAVY: [&str; 4] = ["elephant", "cheetah", "tortoise", "porcupine"];

/// What the others are called.
pub const LIGHT: [&str; 4] = ["mouse", "snail", "dragonfly", "stingray"];

/// A flow along the four dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Shape {
    /// Bytes.
    pub bytes: u64,
    /// Mean rate in bit/s, of flows longer than [`SHORTEST_RATED`].
    pub rate: Option<u64>,
    /// Nanoseconds from the first packet to the last.
    pub duration: u64,
    /// The fullest second over the mean rate, in thousandths, of flows that have a rate. Seconds
    /// count from the first packet; within a report bytes are even. The literature has several
    /// measures of burstiness; this one is ours.
    pub burstiness: Option<u64>,
}

impl Shape {
    /// The shape of a flow of some reports, each from its first packet to its last and with its bytes;
    /// `None` without any.
    pub fn of(reports: impl IntoIterator<Item = (Span, u64)>) -> Option<Self> {
        let reports: Vec<(Span, u64)> = reports.into_iter().collect();
        let first = reports.iter().map(|(life, _)| life.0).min()?;
        let last = reports.iter().map(|(life, _)| life.1).max()?;
        let bytes = reports.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
        let duration = span::length((first, last));
        let second = SECOND as u128;
        let (mut rate, mut burstiness) = (None, None);
        if duration > SHORTEST_RATED {
            let bits = u128::from(bytes) * 8 * second / u128::from(duration);
            rate = Some(u64::try_from(bits).unwrap_or(u64::MAX));
            let mut bins = std::collections::BTreeMap::<i64, u64>::new();
            for (life, bytes) in reports {
                let life = (life.0 - first, life.1 - first);
                span::for_bins(bytes, life, SECOND, |bin, bytes| {
                    let sum = bins.entry(bin).or_default();
                    *sum = sum.saturating_add(bytes);
                });
            }
            let peak = u128::from(bins.into_values().max().unwrap_or(0));
            burstiness = (peak * u128::from(duration) * 1000)
                .checked_div(u128::from(bytes) * second)
                .map(|ratio| u64::try_from(ratio).unwrap_or(u64::MAX));
        }
        Some(Self { bytes, rate, duration, burstiness })
    }

    /// The shape of a raw flow.
    pub fn of_reports(reports: &[Report]) -> Option<Self> {
        Self::of(reports.iter().map(|report| ((report.first, report.last), report.bytes)))
    }

    /// The four values in the order of [`DIMENSIONS`].
    pub fn values(&self) -> [Option<u64>; 4] {
        [Some(self.bytes), self.rate, Some(self.duration), self.burstiness]
    }
}

/// What makes a flow heavy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heavy {
    /// Standard deviations above the mean; 3 in the literature.
    pub deviations: f64,
    /// Limits to be taken in place of that, in the order of [`DIMENSIONS`] and the units of a [`Shape`].
    pub fixed: [Option<u64>; 4],
}

impl Default for Heavy {
    fn default() -> Self {
        Self { deviations: 3.0, fixed: [None; 4] }
    }
}

impl Heavy {
    /// The limits for these flows.
    pub fn limits(&self, shapes: &[Shape]) -> Limits {
        let mut limits = Limits::of(shapes, self.deviations);
        for (limit, fixed) in limits.0.iter_mut().zip(self.fixed) {
            *limit = fixed.map_or(*limit, |fixed| fixed as f64);
        }
        limits
    }
}

/// Limits above which a flow is heavy, in the order of [`DIMENSIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits(pub [f64; 4]);

impl Limits {
    /// Mean plus `deviations` standard deviations of each dimension over the flows that have it.
    pub fn of(shapes: &[Shape], deviations: f64) -> Self {
        let limit = |index: usize| {
            let (mut n, mut sum, mut squares) = (0u128, 0u128, 0u128);
            for value in shapes.iter().filter_map(|shape| shape.values()[index]) {
                let value = u128::from(value);
                n += 1;
                sum += value;
                squares = squares.saturating_add(value * value);
            }
            if n == 0 {
                return f64::INFINITY;
            }
            // Exact while it fits: squares of large numbers that nearly cancel lose their digits.
            let spread = match (n.checked_mul(squares), sum.checked_mul(sum)) {
                (Some(all), Some(mean)) => all.saturating_sub(mean) as f64,
                _ => (n as f64 * squares as f64 - sum as f64 * sum as f64).max(0.0),
            };
            (sum as f64 + deviations * spread.sqrt()) / n as f64
        };
        Self([0, 1, 2, 3].map(limit))
    }

    /// The cell of a shape: bit i is set where it is heavy in dimension i.
    pub fn cell(&self, shape: &Shape) -> usize {
        let heavy = |(value, limit): (Option<u64>, f64)| value.is_some_and(|v| v as f64 > limit);
        let bits = shape.values().into_iter().zip(self.0).map(heavy).enumerate();
        bits.fold(0, |cell, (bit, heavy)| cell | usize::from(heavy) << bit)
    }
}

/// One of the 16 cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Flows.
    pub flows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The table of the dimensions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dimensions {
    /// Above which a flow is heavy.
    pub limits: Limits,
    /// By cell number, see [`Limits::cell`].
    pub cells: [Cell; 16],
    /// Rank correlation of each pair of dimensions, over the flows that have both.
    pub correlations: Vec<(usize, usize, Option<f64>)>,
}

/// `elephant cheetah dragonfly stingray`: the names of a cell.
pub fn cell_name(cell: usize) -> String {
    let name = |bit: usize| if cell >> bit & 1 == 1 { HEAVY[bit] } else { LIGHT[bit] };
    [0, 1, 2, 3].map(name).join(" ")
}

/// Sorts flows into the cells that `limits` make.
pub fn dimensions(shapes: &[Shape], limits: Limits) -> Dimensions {
    let mut cells = [Cell::default(); 16];
    for shape in shapes {
        let cell = &mut cells[limits.cell(shape)];
        cell.flows += 1;
        cell.bytes = cell.bytes.saturating_add(shape.bytes);
    }
    let mut correlations = Vec::new();
    for a in 0..4 {
        for b in a + 1..4 {
            let both = |shape: &Shape| Some((shape.values()[a]?, shape.values()[b]?));
            let pairs: Vec<_> = shapes.iter().filter_map(both).collect();
            correlations.push((a, b, spearman(&pairs)));
        }
    }
    Dimensions { limits, cells, correlations }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(first_ms: i64, last_ms: i64, bytes: u64) -> (Span, u64) {
        ((first_ms * 1_000_000, last_ms * 1_000_000), bytes)
    }

    #[test]
    fn a_shape_by_hand() {
        // 900 bytes in the first second of three, 300 in the last.
        let shape = Shape::of([report(500, 1500, 900), report(2500, 3500, 300)]).unwrap();
        let expected = Shape {
            bytes: 1200,
            rate: Some(3200),
            duration: 3 * SECOND as u64,
            burstiness: Some(2250),
        };
        assert_eq!(shape, expected);
        let short = Shape::of([report(0, 100, 9)]).unwrap();
        assert_eq!((short.rate, short.burstiness), (None, None), "100 ms are not more than 100 ms");
        assert!(Shape::of([report(0, 101, 9)]).unwrap().rate.is_some());
        assert_eq!(Shape::of([]), None);
    }

    /// One flow for each cell, and the same flows a thousand times as large.
    #[test]
    fn a_flow_in_every_cell_at_any_scale() {
        for scale in [1u64, 1000] {
            let limits = Limits([5, 5, 5, 5].map(|limit| (limit * scale) as f64));
            let value = |heavy: usize| if heavy & 1 == 1 { 6 * scale } else { 5 * scale };
            let shapes: Vec<_> = (0..16)
                .map(|cell| Shape {
                    bytes: value(cell),
                    rate: Some(value(cell >> 1)),
                    duration: value(cell >> 2),
                    burstiness: Some(value(cell >> 3)),
                })
                .collect();
            let table = dimensions(&shapes, limits);
            assert!(table.cells.iter().all(|cell| cell.flows == 1));
            assert_eq!(table.cells[1].bytes, 6 * scale);
            assert!(table.correlations.iter().all(|(_, _, r)| *r == Some(0.0)));
        }
        assert_eq!(cell_name(0b0101), "elephant snail tortoise stingray");
    }

    /// Nineteen times 1 and once 21: mean 2, deviation √19, limit 2 + 3·4.36 = 15.08.
    #[test]
    fn heavy_is_mean_plus_three_deviations() {
        let shape = |bytes| Shape { bytes, rate: None, duration: bytes, burstiness: None };
        let mut shapes = vec![shape(1); 19];
        shapes.push(shape(21));
        let limits = Limits::of(&shapes, 3.0);
        assert!((limits.0[0] - (2.0 + 3.0 * 19f64.sqrt())).abs() < 1e-9);
        assert_eq!(limits.0[1], f64::INFINITY);
        let table = dimensions(&shapes, limits);
        assert_eq!((table.cells[0b0101].flows, table.cells[0].flows), (1, 19));
        assert_eq!(table.correlations[1], (0, 2, Some(1.0)));
        assert_eq!(table.correlations[0].2, None);
        let heavy = Heavy { deviations: 0.0, fixed: [None, None, Some(21), None] };
        assert_eq!(heavy.limits(&shapes).0, [2.0, f64::INFINITY, 21.0, f64::INFINITY]);
    }
}
