// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random numbers for workloads: the same seed gives the same workload.

/// xoshiro256++.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A stream of its own for each seed and purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut mix = seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // splitmix64 fills the state, so that near seeds give far states.
        let state = [0; 4].map(|_| {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mix;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self { state }
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `n`, evenly; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Lognormal with this median and this deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Pareto from `low`.
    pub fn pareto(&mut self, low: f64, shape: f64) -> f64 {
        low * (1.0 - self.unit()).powf(-1.0 / shape)
    }

    /// Beta(a, b), by Jöhnk's rejection; for small a and b.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        loop {
            let x = self.unit().powf(1.0 / a);
            let y = self.unit().powf(1.0 / b);
            if x + y <= 1.0 && x + y > 0.0 {
                return x / (x + y);
            }
        }
    }

    /// Poisson, for small means.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let limit = (-mean).exp();
        let (mut count, mut product) = (0, self.unit());
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// Draws indices in proportion to weights.
#[derive(Clone, Debug)]
pub struct Urn {
    sums: Vec<f64>,
}

impl Urn {
    /// Negative weights count as 0.
    pub fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let add = |weight: f64| {
            sum += weight.max(0.0);
            sum
        };
        Self { sums: weights.map(add).collect() }
    }

    /// An index; `None` if all weights are 0.
    pub fn draw(&self, rng: &mut Rng) -> Option<usize> {
        let total = self.sums.last().copied().filter(|total| *total > 0.0)?;
        let at = rng.unit() * total;
        Some(self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_their_own_and_repeat() {
        let first = |seed, purpose| Rng::new(seed, purpose).bits();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(2, 2));
        assert_ne!(first(1, 2), first(1, 3));
    }

    /// Means and deviations of 40 000 draws, within five standard errors.
    #[test]
    fn draws_have_their_means() {
        let mut rng = Rng::new(9, 9);
        let n = 40_000;
        let mut mean = |draw: &mut dyn FnMut(&mut Rng) -> f64| {
            (0..n).map(|_| draw(&mut rng)).sum::<f64>() / f64::from(n)
        };
        let near = |found: f64, expected: f64, deviation: f64| {
            assert!((found - expected).abs() < 5.0 * deviation / f64::from(n).sqrt(), "{found}");
        };
        near(mean(&mut Rng::unit), 0.5, 0.289);
        near(mean(&mut Rng::normal), 0.0, 1.0);
        near(mean(&mut |rng| rng.normal().powi(2)), 1.0, 1.42);
        near(mean(&mut |rng| rng.beta(0.8, 1.4)), 0.8 / 2.2, 0.28);
        near(mean(&mut |rng| rng.poisson(3.0) as f64), 3.0, 1.74);
        near(mean(&mut |rng| rng.pareto(2.0, 4.0)), 8.0 / 3.0, 0.95);
        let urn = Urn::new([1.0, 0.0, 3.0].into_iter());
        near(mean(&mut |rng| urn.draw(rng).unwrap() as f64), 1.5, 0.87);
        assert_eq!(Urn::new([0.0].into_iter()).draw(&mut rng), None);
    }
}
