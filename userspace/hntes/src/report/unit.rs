// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers as people read them: units by size, few digits, no trailing zeros.

/// What an axis or a label counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes; a GB is 10^9 of them.
    Bytes,
    /// Bits per second.
    BitsPerSecond,
    /// Hours.
    Hours,
    /// Percent.
    Percent,
}

/// Powers of a thousand.
const PREFIXES: [(f64, &str); 6] =
    [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];

/// A unit at the size that fits a largest value.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// What one of the shown unit is.
    pub one: f64,
    /// Its name; empty for counts.
    pub name: String,
}

impl Unit {
    /// The size of unit in which `largest` has one to three digits before the point.
    pub fn scale(self, largest: f64) -> Scale {
        let of = |base: &str| {
            let fits = |(one, _): &&(f64, &str)| largest >= *one;
            let (one, prefix) = PREFIXES.iter().find(fits).unwrap_or(&(1.0, ""));
            Scale { one: *one, name: format!("{prefix}{base}") }
        };
        match self {
            Self::Count => Scale { one: 1.0, name: String::new() },
            Self::Bytes => of("B"),
            Self::BitsPerSecond => of("bit/s"),
            Self::Hours => Scale { one: 1.0, name: "h".to_owned() },
            Self::Percent => Scale { one: 1.0, name: "%".to_owned() },
        }
    }

    /// `2.65 TB`.
    pub fn amount(self, value: f64) -> String {
        let scale = self.scale(value.abs());
        let number = number(value / scale.one);
        if scale.name.is_empty() { number } else { format!("{number} {}", scale.name) }
    }
}

/// A power of ten on an axis, where names of units would take too much room: `1k`, `10M`.
pub fn power(value: f64) -> String {
    let fits = |(one, _): &&(f64, &str)| value >= *one;
    let (one, prefix) = PREFIXES.iter().find(fits).unwrap_or(&(1.0, ""));
    format!("{}{prefix}", number(value / one))
}

/// A number: whole ones in full, thousands apart; others to three digits.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value == value.trunc() || value.abs() >= 1000.0 {
        return grouped(&format!("{value:.0}"));
    }
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        // Three digits that count, however small it is.
        small => (2.0 - small.log10().floor()).min(12.0) as usize,
    };
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How much of the whole the part is.
pub fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part * 100.0 / whole } else { 0.0 }
}

/// Digits in threes, a narrow space between; four digits stay together.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    if digits.len() <= 4 {
        return format!("{sign}{digits}");
    }
    let mut text = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Round values from 0 to at least `largest`, about `count` steps of 1, 2 or 5.
pub fn ticks(largest: f64, count: u32, whole: bool) -> Vec<f64> {
    let largest = if largest.is_finite() && largest > 0.0 { largest } else { 1.0 };
    let rough = largest / f64::from(count.max(1));
    let unit = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * unit);
    let mut step = steps.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
    if whole {
        step = step.max(1.0);
    }
    let last = (largest / step * 0.999_999).ceil().max(1.0) as u32;
    (0..=last).map(|n| f64::from(n) * step).collect()
}

/// Powers of ten from at most `smallest` to at least `largest`, seven steps at most: what is smaller
/// still lies at the first.
pub fn decades(smallest: f64, largest: f64) -> Vec<f64> {
    let from = smallest.max(1e-9).log10().floor() as i32;
    let to = (largest.max(1e-9).log10().ceil() as i32).max(from + 1);
    let from = from.max(to - 7);
    (from..=to).map(|power| 10f64.powi(power)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_units() {
        assert_eq!(Unit::Bytes.amount(2.65e12), "2.65 TB");
        assert_eq!(Unit::Bytes.amount(0.0), "0 B");
        assert_eq!(Unit::BitsPerSecond.amount(133_333_333.0), "133 Mbit/s");
        assert_eq!(Unit::Percent.amount(91.0), "91 %");
        assert_eq!(Unit::Count.amount(22_041.0), "22\u{202f}041");
        assert_eq!(Unit::Hours.amount(9.3), "9.3 h");
        assert_eq!([0.06, 12.34, 123.4, 1548.0].map(number), ["0.06", "12.3", "123", "1548"]);
        assert_eq!([0.5, 0.0001, 0.012_345].map(number), ["0.5", "0.0001", "0.0123"]);
        assert_eq!([0.1, 10.0, 1e4, 1e9].map(power), ["0.1", "10", "10k", "1G"]);
        assert_eq!(number(f64::NAN), "-");
    }

    #[test]
    fn ticks_are_round_and_enclose() {
        assert_eq!(ticks(2.65, 4, false), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(ticks(100.0, 5, false), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(2.0, 4, true), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(0.0, 4, true), [0.0, 1.0]);
        assert_eq!(decades(3.0, 200.0), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(decades(10.0, 10.0), [10.0, 100.0]);
        assert_eq!(decades(1e-9, 10.0), decades(1e-6, 10.0));
    }
}
