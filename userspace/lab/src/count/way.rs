// SPDX-License-Identifier: Apache-2.0 OR MIT
//! By which of two links each number of each flow went, from captures behind both.

use super::frame::each;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Numbers of each flow, in the order in which they were captured.
pub(crate) type Numbers = BTreeMap<u32, Vec<u64>>;

/// The numbers in a capture; with `label` only of packets that carry one, or only of those without.
pub(crate) fn numbers(file: &Path, label: Option<bool>) -> Result<Numbers> {
    let mut all = Numbers::new();
    each(file, |frame| {
        if label.is_none_or(|wanted| frame.label.is_some() == wanted)
            && let Some((flow, number)) = frame.number
        {
            all.entry(flow).or_default().push(number);
        }
    })?;
    Ok(all)
}

/// How the packets of a flow went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// Sent.
    pub(crate) sent: u64,
    /// Seen on neither link.
    pub(crate) neither: u64,
    /// Seen more than once, on one link or on both.
    pub(crate) doubled: u64,
    /// Stretches of numbers that went one way: `false` the plain one, `true` the science path.
    pub(crate) runs: Vec<bool>,
}

impl Way {
    /// Of what was captured on the plain link and on the science path, of `sent` numbers from 0.
    pub(crate) fn of(plain: &[u64], science: &[u64], sent: u64) -> Self {
        let mut by_number: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
        for (numbers, science) in [(plain, false), (science, true)] {
            for number in numbers {
                let entry = by_number.entry(*number).or_insert((0, science));
                entry.0 += 1;
            }
        }
        let mut way = Self { sent, ..Self::default() };
        way.neither = (0..sent).filter(|number| !by_number.contains_key(number)).count() as u64;
        way.doubled = by_number.values().filter(|(times, _)| *times > 1).count() as u64;
        for (_, science) in by_number.values() {
            if way.runs.last() != Some(science) {
                way.runs.push(*science);
            }
        }
        way
    }

    /// Whether every number was seen once.
    pub(crate) fn whole(&self) -> bool {
        self.neither == 0 && self.doubled == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_numbers() {
        let way = Way::of(&[0, 1, 4, 5], &[3, 2, 6], 7);
        assert_eq!(way.runs, [false, true, false, true]);
        assert!(way.whole());
    }

    #[test]
    fn what_is_lost_or_went_both_ways_is_told() {
        let way = Way::of(&[0, 1], &[1, 3], 5);
        assert_eq!((way.neither, way.doubled, way.whole()), (2, 1, false));
    }
}
