// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How old the entry of a prefix flow is on a day, whatever the aging: what all policies share.
//!
//! [`crate::aging::age`] runs a table for one aging. Passes that serve several tables at once ask here
//! instead, once for each record, and sort what they find by [`Levels`]: of two agings the shorter one's
//! table is a part of the longer one's.

use crate::aging::{Policy, Traffic};
use crate::key::PrefixFlow;
use crate::reading::{Directions, Reading, Refresh};
use crate::series::PairHistory;
use crate::time::Day;
use std::collections::HashMap;

/// The longest gap that every prefix flow of one width has had, by day. Memory: O(days with alpha flows
/// of each prefix flow).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Days that keep an entry young, in order, and the longest gap before each since the last alpha
    /// flow.
    marks: HashMap<PrefixFlow, Vec<(Day, u32)>>,
    /// Whether the reverse of each entry is in force with it.
    both: bool,
}

fn between(earlier: Day, later: Day) -> u32 {
    u32::try_from(later.since(earlier)).unwrap_or(0)
}

impl Gaps {
    /// Of the days of `history`. `traffic` matters for [`Refresh::AnyTraffic`] only.
    pub fn new(history: &PairHistory, traffic: &Traffic, reading: &Reading) -> Self {
        let mut marks: HashMap<PrefixFlow, Vec<(Day, u32)>> = HashMap::new();
        for (day, pairs) in &history.days {
            if reading.refresh == Refresh::AnyTraffic
                && let Some(seen) = traffic.get(day)
            {
                for pair in seen {
                    // Traffic keeps an entry; it makes none.
                    if let Some(marks) = marks.get_mut(pair)
                        && let Some((at, longest)) = marks.last().copied()
                    {
                        marks.push((*day, longest.max(between(at, *day))));
                    }
                }
            }
            for pair in pairs.keys() {
                let marks = marks.entry(*pair).or_default();
                marks.pop_if(|last| last.0 == *day);
                marks.push((*day, 0));
            }
        }
        Self { marks, both: reading.directions == Directions::Both }
    }

    /// The longest time in intervals that an entry for `pair` went without what keeps it young, up to
    /// `day`: an entry is in force if its aging holds that gap. Where entries stand for both directions
    /// that of the reverse is one too, and the younger of the two counts. `None` before the first alpha
    /// flow.
    pub fn gap(&self, pair: &PrefixFlow, day: Day) -> Option<u32> {
        let own = self.learnt(pair, day);
        let reverse = if self.both { self.learnt(&pair.reverse(), day) } else { None };
        own.into_iter().chain(reverse).min()
    }

    /// The gap of the entry learnt from alpha flows of `pair` itself.
    fn learnt(&self, pair: &PrefixFlow, day: Day) -> Option<u32> {
        let marks = self.marks.get(pair)?;
        let last = marks.partition_point(|mark| mark.0 < day).checked_sub(1)?;
        let (at, longest) = marks[last];
        Some(longest.max(between(at, day)))
    }

    /// Every prefix flow that ever has an entry, in no order: each that had an alpha flow, and its
    /// reverse if entries stand for both directions.
    pub fn pairs(&self) -> impl Iterator<Item = PrefixFlow> {
        let reverse = |pair: &PrefixFlow| Some(pair.reverse()).filter(|_| self.both);
        let back = self.marks.keys().filter_map(reverse);
        let back = back.filter(|pair| !self.marks.contains_key(pair));
        self.marks.keys().copied().chain(back)
    }
}

/// The longest gaps that the agings of some policies hold, in order: a gap is as good as the next of
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels(Vec<u32>);

impl Levels {
    /// Of `policies`.
    pub fn new(policies: &[Policy], reading: &Reading) -> Self {
        let longest = policies.iter().filter_map(|policy| policy.aging.longest(reading.gap));
        let mut levels: Vec<u32> = longest.collect();
        levels.sort_unstable();
        levels.dedup();
        Self(levels)
    }

    /// The least level that holds `gap`; `None` if no table does.
    pub fn of(&self, gap: u32) -> Option<u32> {
        self.0.get(self.0.partition_point(|level| *level < gap)).copied()
    }

    /// All of them.
    pub fn all(&self) -> &[u32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aging::Aging;
    use crate::day::PairDay;
    use crate::key::Width;
    use crate::reading::Gap;
    use std::collections::{BTreeMap, HashSet};

    fn pair() -> PrefixFlow {
        let prefix = |text: &str| text.parse().unwrap();
        PrefixFlow { src: prefix("192.0.2.0/24"), dst: prefix("198.51.100.0/24") }
    }

    /// Alpha flows on days 1 and 8; any traffic on 0, 2, 5 and 8.
    fn gaps(refresh: Refresh) -> Vec<Option<u32>> {
        let seen = |day| match day {
            1 | 8 => BTreeMap::from([(pair(), PairDay::default())]),
            _ => BTreeMap::new(),
        };
        let days = (0..10).map(|day| (Day(day), seen(day))).collect();
        let history = PairHistory { width: Width::NET, days };
        let traffic = [0, 2, 5, 8].map(|day| (Day(day), HashSet::from([pair()]))).into();
        let gaps = Gaps::new(&history, &traffic, &Reading { refresh, ..Reading::default() });
        (0..11).map(|day| gaps.gap(&pair(), Day(day))).collect()
    }

    #[test]
    fn by_hand() {
        let of =
            |gaps: [u32; 9]| [None, None].into_iter().chain(gaps.map(Some)).collect::<Vec<_>>();
        assert_eq!(gaps(Refresh::AlphaFlows), of([1, 2, 3, 4, 5, 6, 7, 1, 2]));
        assert_eq!(gaps(Refresh::AnyTraffic), of([1, 1, 2, 3, 3, 3, 3, 1, 2]));
    }

    #[test]
    fn levels_are_what_agings_hold() {
        let policy = |aging| Policy { width: Width::NET, aging };
        let policies =
            [Aging::After(7), Aging::Never, Aging::After(0), Aging::After(7)].map(policy);
        let levels = |gap| Levels::new(&policies, &Reading { gap, ..Reading::default() });
        assert_eq!(levels(Gap::UpTo).all(), [0, 7, u32::MAX]);
        assert_eq!(levels(Gap::Under).all(), [6, u32::MAX]);
        assert_eq!(levels(Gap::OneMore).all(), [1, 8, u32::MAX]);
        let up_to = levels(Gap::UpTo);
        assert_eq!([1, 7, 8].map(|gap| up_to.of(gap)), [Some(7), Some(7), Some(u32::MAX)]);
        assert_eq!(Levels::new(&policies[2..3], &Reading::default()).of(1), None);
    }
}
