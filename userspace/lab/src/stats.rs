// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Of many readings: quantiles.

/// The smallest value that so many percent of the readings do not exceed; 0 of none.
pub(crate) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil();
    let at = (rank as usize).saturating_sub(1).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0.0)
}

/// Readings in order.
pub(crate) fn sorted(readings: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = readings.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_readings() {
        let all = sorted((1..=200).rev().map(f64::from));
        let of = |percent| percentile(&all, percent);
        assert_eq!((of(50.0), of(99.0), of(100.0), of(0.0)), (100.0, 198.0, 200.0, 1.0));
        assert_eq!(percentile(&[], 50.0), 0.0);
    }
}
