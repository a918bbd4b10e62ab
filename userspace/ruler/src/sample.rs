// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Repeated measurements of one thing.

use serde::{Deserialize, Serialize};

/// Several readings of the same work, each divided by how often the work was done.
///
/// The clock counts instructions, so what disturbs a reading (a timer, a worker of the kernel) can
/// only add to it: the least reading is the cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The least reading.
    pub least: f64,
    /// The one in the middle.
    pub median: f64,
    /// The greatest.
    pub most: f64,
    /// How many there were.
    pub readings: usize,
}

impl Sample {
    /// Of readings, each the cost of doing the work `times` times.
    pub fn of(readings: &[u64], times: usize) -> Self {
        let mut sorted: Vec<f64> =
            readings.iter().map(|reading| *reading as f64 / times.max(1) as f64).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(sorted.len() / 2),
            most: at(sorted.len().saturating_sub(1)),
            readings: sorted.len(),
        }
    }

    /// Of rounds that each consist of the same pieces of work, all pieces of a round together doing
    /// the work `times` times. A timer that falls into one round's piece falls elsewhere in another
    /// round, so the least readings of the pieces add up to a round without any.
    pub fn of_pieces(rounds: &[Vec<u64>], times: usize) -> Self {
        let pieces = rounds.iter().map(Vec::len).min().unwrap_or(0);
        let mut sums = [0; 3];
        for piece in 0..pieces {
            let mut readings: Vec<u64> =
                rounds.iter().filter_map(|round| round.get(piece).copied()).collect();
            readings.sort_unstable();
            let last = readings.len().saturating_sub(1);
            for (sum, at) in sums.iter_mut().zip([0, readings.len() / 2, last]) {
                *sum += readings.get(at).copied().unwrap_or(0);
            }
        }
        let each = |sum: u64| sum as f64 / times.max(1) as f64;
        let [least, median, most] = sums.map(each);
        Self { least, median, most, readings: rounds.len() }
    }

    /// How far the middle reading lies above the least.
    pub fn spread(&self) -> f64 {
        self.median - self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_reading_is_the_cost() {
        let sample = Sample::of(&[30, 10, 20, 90], 10);
        assert_eq!((sample.least, sample.median, sample.most), (1.0, 3.0, 9.0));
        assert_eq!(sample.spread(), 2.0);
        assert!(Sample::of(&[], 1).least.is_nan());
    }

    #[test]
    fn a_disturbance_in_each_round_leaves_no_trace() {
        let rounds = [vec![10, 99, 10], vec![99, 10, 10], vec![10, 10, 99]];
        let sample = Sample::of_pieces(&rounds, 3);
        assert_eq!((sample.least, sample.median, sample.most), (10.0, 10.0, 99.0));
    }
}
