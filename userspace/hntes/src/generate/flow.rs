// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A raw flow of the workload, and the reports it is cut into.

/// H: what an alpha report exceeds.
pub const H: u64 = 1_000_000_000;

/// T in milliseconds: when an exporter cuts.
pub const T_MS: u64 = 60_000;

/// The least an alpha raw flow has.
pub const LEAST: f64 = 1.02e9;

/// The largest flow on record.
pub const MOST: f64 = 811e9;

/// Slowest and fastest rate in bit/s. The slowest makes a full report exceed H.
pub const RATES: (f64, f64) = (134e6, 5.7e9);

/// One raw flow: all its traffic on one day.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Index of its cell.
    pub cell: usize,
    /// Bytes.
    pub size: f64,
    /// Bit/s.
    pub rate: f64,
    /// Whether it is one of the many flows of the busiest prefix flow, which stay small.
    pub small: bool,
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Milliseconds since the flow began.
    pub from_ms: u64,
    /// Duration in milliseconds.
    pub length_ms: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Cut {
    /// Whether it is an alpha report.
    pub fn alpha(&self) -> bool {
        self.bytes > H
    }
}

impl Flow {
    /// The reports an exporter with an active timeout of T makes of it.
    pub fn cut(&self) -> Vec<Cut> {
        let size = self.size as u64;
        let full = (self.rate / 8.0 * T_MS as f64 / 1e3) as u64;
        let mut cuts = Vec::with_capacity((size / full) as usize + 1);
        let (mut at, mut left) = (0, size);
        while left >= full {
            cuts.push(Cut { from_ms: at, length_ms: T_MS, bytes: full });
            at += T_MS;
            left -= full;
        }
        if left > 0 {
            let length_ms = ((left as f64 * 8e3 / self.rate) as u64).clamp(1, T_MS);
            cuts.push(Cut { from_ms: at, length_ms, bytes: left });
        }
        cuts
    }

    /// Bytes and milliseconds of its alpha reports.
    pub fn alpha(&self) -> (f64, f64) {
        let size = self.size as u64;
        let full = (self.rate / 8.0 * T_MS as f64 / 1e3) as u64;
        let (count, left) = (size / full, size % full);
        let (mut bytes, mut time) = (count * full, (count * T_MS) as f64);
        if left > H {
            bytes += left;
            time += left as f64 * 8e3 / self.rate;
        }
        (bytes as f64, time)
    }

    /// Scales what it has above the least.
    pub fn scale(&mut self, factor: f64) {
        if !self.small {
            self.size = (LEAST + (self.size - LEAST) * factor).clamp(LEAST, MOST);
        }
    }

    /// Makes it faster or slower.
    pub fn hurry(&mut self, factor: f64) {
        self.rate = (self.rate * factor).clamp(RATES.0, RATES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_add_up_and_begin_with_an_alpha_report() {
        for (size, rate) in
            [(LEAST, RATES.0), (LEAST, RATES.1), (MOST, 470e6), (7.5e9, 1e9), (9e9, 1e9)]
        {
            let flow = Flow { cell: 0, size, rate, small: false };
            let cuts = flow.cut();
            assert!(cuts[0].alpha());
            assert_eq!(cuts.iter().map(|cut| cut.bytes).sum::<u64>(), size as u64);
            let alpha = || cuts.iter().filter(|cut| cut.alpha());
            assert_eq!(alpha().map(|cut| cut.bytes).sum::<u64>() as f64, flow.alpha().0);
            let time = alpha().map(|cut| cut.length_ms).sum::<u64>() as f64;
            assert!((time - flow.alpha().1).abs() <= 1.0);
            assert!(cuts.windows(2).all(|c| c[0].from_ms + c[0].length_ms == c[1].from_ms));
        }
        let mut flow = Flow { cell: 0, size: 2e9, rate: 1e9, small: false };
        flow.scale(2.0);
        assert_eq!(flow.size, 2.0 * 2e9 - LEAST);
        flow.scale(-5.0);
        assert_eq!(flow.size, LEAST);
        flow.hurry(100.0);
        assert_eq!(flow.rate, RATES.1);
    }
}
