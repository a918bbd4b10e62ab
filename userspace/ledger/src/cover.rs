// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which bytes of a stream have been delivered.

use std::collections::BTreeMap;

/// What a delivery added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// None of it was there before.
    New,
    /// All of it was there before.
    Duplicate,
    /// Some of it was there before: two deliveries disagree about message boundaries.
    Overlap,
}

/// A set of byte ranges, merged where they touch.
#[derive(Clone, Debug, Default)]
pub struct Cover {
    spans: BTreeMap<u64, u64>,
}

impl Cover {
    /// Adds `[start, end)`; an empty range is a duplicate.
    pub fn add(&mut self, start: u64, end: u64) -> Added {
        if start >= end || self.contains(start, end) {
            return Added::Duplicate;
        }
        let (mut from, mut to, mut overlap) = (start, end, false);
        if let Some((&s, &e)) = self.spans.range(..=start).next_back()
            && e >= start
        {
            overlap |= e > start;
            from = s;
            to = to.max(e);
            self.spans.remove(&s);
        }
        while let Some((&s, &e)) = self.spans.range(start..=end).next() {
            overlap |= s < end;
            to = to.max(e);
            self.spans.remove(&s);
        }
        self.spans.insert(from, to);
        if overlap { Added::Overlap } else { Added::New }
    }

    /// Whether all of `[start, end)` is there.
    pub fn contains(&self, start: u64, end: u64) -> bool {
        self.spans.range(..=start).next_back().is_some_and(|(_, e)| *e >= end)
    }

    /// Number of bytes from 0 that are there without a gap.
    pub fn prefix(&self) -> u64 {
        self.spans.get(&0).copied().unwrap_or(0)
    }

    /// Separate ranges held; 1 when there is no gap.
    pub fn pieces(&self) -> usize {
        self.spans.len()
    }

    /// Number of bytes that are there.
    pub fn bytes(&self) -> u64 {
        self.spans.iter().map(|(start, end)| end - start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_tells() {
        let mut cover = Cover::default();
        assert_eq!(cover.add(10, 20), Added::New);
        assert_eq!(cover.add(0, 10), Added::New);
        assert_eq!((cover.prefix(), cover.pieces()), (20, 1));
        assert_eq!(cover.add(5, 15), Added::Duplicate);
        assert_eq!(cover.add(15, 25), Added::Overlap);
        assert_eq!(cover.add(30, 40), Added::New);
        assert_eq!((cover.prefix(), cover.pieces(), cover.bytes()), (25, 2, 35));
        assert!(cover.contains(0, 25) && !cover.contains(20, 31) && !cover.contains(24, 26));
        assert_eq!(cover.add(25, 30), Added::New);
        assert_eq!((cover.prefix(), cover.pieces()), (40, 1));
    }

    #[test]
    fn agrees_with_a_bitmap() {
        let mut seed = 7u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let (mut cover, mut bits) = (Cover::default(), [false; 200]);
        for _ in 0..500 {
            let (a, b) = ((random() % 200) as usize, (random() % 200) as usize);
            let (start, end) = (a.min(b), a.max(b));
            let before = bits[start..end].iter().filter(|bit| **bit).count();
            let expected = match before {
                n if n == end - start => Added::Duplicate,
                0 => Added::New,
                _ => Added::Overlap,
            };
            assert_eq!(cover.add(start as u64, end as u64), expected);
            bits[start..end].fill(true);
            assert_eq!(cover.bytes(), bits.iter().filter(|bit| **bit).count() as u64);
        }
    }
}
