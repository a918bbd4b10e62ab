// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers to give out: labels, routing tables.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A range of numbers, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl Range {
    /// Whether it holds `number`.
    pub fn holds(self, number: u32) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

/// Numbers of a range, each given out once.
#[derive(Clone, Debug)]
pub struct Pool {
    range: Range,
    taken: BTreeSet<u32>,
}

impl Pool {
    /// All of `range` free.
    pub fn new(range: Range) -> Self {
        Self { range, taken: BTreeSet::new() }
    }

    /// The smallest free number; `None`: all are taken.
    pub fn take(&mut self) -> Option<u32> {
        let mut free = self.range.first;
        for taken in &self.taken {
            if *taken != free {
                break;
            }
            free = free.checked_add(1)?;
        }
        (free <= self.range.last && self.taken.insert(free)).then_some(free)
    }

    /// Takes a given number; `false` if it is taken or not of the range.
    pub fn take_this(&mut self, number: u32) -> bool {
        self.range.holds(number) && self.taken.insert(number)
    }

    /// Gives a number back.
    pub fn give(&mut self, number: u32) {
        self.taken.remove(&number);
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_number() {
        let mut pool = Pool::new(Range { first: 5, last: 7 });
        assert!(pool.take_this(6) && !pool.take_this(6) && !pool.take_this(8));
        assert_eq!((pool.take(), pool.take(), pool.take()), (Some(5), Some(7), None));
        pool.give(6);
        assert_eq!((pool.take(), pool.taken()), (Some(6), 3));
        assert_eq!(Pool::new(Range { first: 9, last: 8 }).take(), None);
    }
}
