// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A value axis: its ticks, and where a value is on it.

use super::unit::{Unit, decades, number, power, ticks};

/// An axis of equal steps from 0, or of powers of ten.
#[derive(Clone, Debug)]
pub struct Axis {
    unit: Unit,
    logarithmic: bool,
    /// What the numbers at the ticks count.
    one: f64,
    name: String,
    /// Ticks, in the unit shown.
    steps: Vec<f64>,
}

impl Axis {
    /// An axis to `largest`.
    pub fn linear(unit: Unit, largest: f64) -> Self {
        let scale = unit.scale(largest);
        let steps = ticks(largest / scale.one, 4, unit == Unit::Count);
        Self { unit, logarithmic: false, one: scale.one, name: scale.name, steps }
    }

    /// An axis from the smallest of `values` above 0 to the largest.
    pub fn logarithmic(unit: Unit, values: impl Iterator<Item = f64> + Clone) -> Self {
        let largest = values.clone().fold(1e-9, f64::max);
        let smallest = values.filter(|value| *value > 0.0).fold(largest, f64::min);
        // Powers of ten say their own size.
        let scale = unit.scale(1.0);
        let steps = decades(smallest, largest);
        Self { unit, logarithmic: true, one: scale.one, name: scale.name, steps }
    }

    /// How far along a value is, 0 to 1; nothing for what powers of ten cannot show. What is smaller
    /// than the first of them is there.
    pub fn place(&self, value: f64) -> Option<f64> {
        let (first, last) = (*self.steps.first()?, *self.steps.last()?);
        let value = value / self.one;
        match self.logarithmic {
            true if value <= 0.0 => None,
            true => {
                let share = (value.log10() - first.log10()) / (last.log10() - first.log10());
                Some(share.max(0.0))
            }
            false => Some((value - first) / (last - first)),
        }
    }

    /// Places and names of the ticks.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let short = self.logarithmic && self.unit != Unit::Percent;
        let name = |step: f64| if short { power(step) } else { number(step) };
        let tick = |step: &f64| Some((self.place(step * self.one)?, name(*step)));
        self.steps.iter().filter_map(tick).collect()
    }

    /// A value as its bar is labelled, without the unit.
    pub fn label(&self, value: f64) -> String {
        number(value / self.one)
    }

    /// What it counts, with the unit.
    pub fn title(&self, what: &str) -> String {
        match (self.name.is_empty(), self.logarithmic) {
            (true, false) => what.to_owned(),
            (true, true) => format!("{what} (logarithmic)"),
            (false, false) => format!("{what} ({})", self.name),
            (false, true) => format!("{what} ({}, logarithmic)", self.name),
        }
    }

    /// Whether steps are powers of ten.
    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_steps_from_zero() {
        let axis = Axis::linear(Unit::Bytes, 2.65e12);
        assert_eq!(axis.ticks().last(), Some(&(1.0, "3".to_owned())));
        assert_eq!((axis.place(0.0), axis.place(1.5e12)), (Some(0.0), Some(0.5)));
        assert_eq!(axis.title("bytes"), "bytes (TB)");
        assert_eq!(axis.label(2.65e12), "2.65");
    }

    #[test]
    fn powers_of_ten_show_no_zero_and_end_somewhere() {
        let values = [0.0, 1e-4, 3e8, 2.5e9];
        let axis = Axis::logarithmic(Unit::BitsPerSecond, values.into_iter());
        assert_eq!(axis.ticks()[0], (0.0, "1k".to_owned()));
        assert_eq!(axis.ticks().last(), Some(&(1.0, "10G".to_owned())));
        assert_eq!((axis.place(0.0), axis.place(1e-4)), (None, Some(0.0)));
        assert_eq!(axis.title("rate"), "rate (bit/s, logarithmic)");
        let percent = Axis::logarithmic(Unit::Percent, [0.002, 100.0].into_iter());
        assert_eq!(percent.ticks()[0].1, "0.001");
    }
}
