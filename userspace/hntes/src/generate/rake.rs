// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Raking: factors that give a table of gap classes the margins of the slides.

use crate::generate::cells::CLASSES;

/// Bytes by gap class of the prefix flow and of the pair of hosts.
pub type Matrix = [[f64; CLASSES]; CLASSES];

/// Shares of the /24 gap classes behind 82, 87, 91 and 92 %.
pub const NET_SHARES: [f64; CLASSES] = [0.82, 0.05, 0.04, 0.01, 0.08];

/// Shares of the /32 gap classes behind 67, 73, 82 and 86 %.
pub const HOST_SHARES: [f64; CLASSES] = [0.67, 0.06, 0.09, 0.04, 0.14];

/// Scales `start` to the margins, times `total`, by turns; cells that are 0 stay 0. `None` if no
/// such table exists or is found.
pub fn rake(start: &Matrix, total: f64) -> Option<Matrix> {
    let mut table = *start;
    for _ in 0..2000 {
        let mut worst = 0f64;
        for (row, share) in table.iter_mut().zip(NET_SHARES) {
            let sum: f64 = row.iter().sum();
            let factor = share * total / sum;
            worst = worst.max((factor - 1.0).abs());
            row.iter_mut().for_each(|cell| *cell *= factor);
        }
        for (column, share) in HOST_SHARES.iter().enumerate() {
            let sum: f64 = table.iter().map(|row| row[column]).sum();
            let factor = share * total / sum;
            worst = worst.max((factor - 1.0).abs());
            table.iter_mut().for_each(|row| row[column] *= factor);
        }
        if !worst.is_finite() {
            return None;
        }
        if worst < 1e-9 {
            return Some(table);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_met_or_refused() {
        let mut start = [[0.0; CLASSES]; CLASSES];
        for (net, row) in start.iter_mut().enumerate() {
            for (host, cell) in row.iter_mut().enumerate().skip(net) {
                *cell = 1.0 + (net * 3 + host) as f64;
            }
        }
        let table = rake(&start, 50.0).unwrap();
        for class in 0..CLASSES {
            let row: f64 = table[class].iter().sum();
            let column: f64 = table.iter().map(|row| row[class]).sum();
            assert!((row - 50.0 * NET_SHARES[class]).abs() < 1e-6);
            assert!((column - 50.0 * HOST_SHARES[class]).abs() < 1e-6);
        }
        assert_eq!(table[1][0], 0.0);
        start[3] = [0.0; CLASSES];
        assert_eq!(rake(&start, 1.0), None, "a margin without a cell");
    }
}
