// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Spearman's rank correlation.

/// Twice the rank of each value, equal values sharing the mean of theirs.
fn ranks(values: &[u64]) -> Vec<i128> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by_key(|index| values[*index]);
    let mut ranks = vec![0; values.len()];
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        // `chunk_by` hands out parts of `order` in order: what is before it has smaller values.
        let before = order.partition_point(|index| values[*index] < values[equal[0]]) as i128;
        for index in equal {
            ranks[*index] = 2 * before + equal.len() as i128 + 1;
        }
    }
    ranks
}

/// The correlation of the ranks of `pairs`, −1 to 1; `None` where one side does not vary. The same
/// pairs in any order give the same bits: everything is summed as integers.
pub fn spearman(pairs: &[(u64, u64)]) -> Option<f64> {
    let n = pairs.len() as i128;
    let x = ranks(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
    let y = ranks(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
    let sum = |values: &[i128]| values.iter().sum::<i128>();
    let product = |a: &[i128], b: &[i128]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i128>();
    let covariance = n * product(&x, &y) - sum(&x) * sum(&y);
    let variance = |values: &[i128]| n * product(values, values) - sum(values).pow(2);
    let (x, y) = (variance(&x), variance(&y));
    (x > 0 && y > 0).then(|| covariance as f64 / (x as f64 * y as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(ranks(&[30, 10, 20, 10]), [8, 3, 6, 3]);
        let close = |pairs: &[(u64, u64)], expected: f64| {
            assert!((spearman(pairs).unwrap() - expected).abs() < 1e-12);
        };
        close(&[(1, 10), (2, 100), (3, 1000)], 1.0);
        close(&[(1, 9), (2, 8), (3, 1)], -1.0);
        // d² = 1 + 1 + 0 + 1 + 1; 1 − 6·4 / (5·24).
        close(&[(1, 2), (2, 1), (3, 3), (4, 5), (5, 4)], 0.8);
        assert_eq!(spearman(&[(1, 2), (1, 3)]), None);
        assert_eq!(spearman(&[]), None);
    }
}
