// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The PBR table that a site would have had, day by day, and what it would have redirected.

use crate::key::{PrefixFlow, Width};
use crate::reading::{Bytes, Credit, Directions, Gap, Mean, Reading, Refresh};
use crate::series::PairHistory;
use crate::time::Day;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

/// A: intervals without an alpha flow after which an entry is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aging {
    /// After this many.
    After(u32),
    /// Never.
    Never,
}

impl Aging {
    /// Whether an entry is in force `gap` intervals after its last alpha flow.
    pub fn holds(self, gap: i64, reading: Gap) -> bool {
        let Self::After(a) = self else { return true };
        let a = i64::from(a);
        match reading {
            Gap::UpTo => gap <= a,
            Gap::Under => gap < a,
            Gap::OneMore => gap <= a + 1,
        }
    }

    /// The longest gap that it holds; `None` if it holds none at all.
    pub fn longest(self, reading: Gap) -> Option<u32> {
        let Self::After(a) = self else { return Some(u32::MAX) };
        match reading {
            Gap::UpTo => Some(a),
            Gap::Under => a.checked_sub(1),
            Gap::OneMore => Some(a.saturating_add(1)),
        }
    }
}

impl fmt::Display for Aging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(a) => a.fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

impl FromStr for Aging {
    type Err = std::num::ParseIntError;

    /// Reads a number of intervals or `never`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" { Ok(Self::Never) } else { text.parse().map(Self::After) }
    }
}

/// One way to run a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// What an entry matches.
    pub width: Width,
    /// When it is withdrawn.
    pub aging: Aging,
}

/// One day of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgedRow {
    /// The day.
    pub day: Day,
    /// Entries in force, one way: as the slides count.
    pub size: u64,
    /// Entries with their reverses, each counted once.
    pub both_ways: u64,
    /// Bytes that entries in force matched.
    pub matched: u64,
    /// Bytes they could have matched.
    pub total: u64,
    /// Prefix flows never seen before.
    pub new_ever: u64,
    /// Prefix flows not in force: what is installed the next night.
    pub new_install: u64,
}

/// From when to when entries were in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    spans: HashMap<PrefixFlow, Vec<(Day, Day)>>,
    /// Whether the reverse of each entry is in force with it.
    both: bool,
}

impl InForce {
    /// Whether an entry matched `pair` on `day`: its own, or that of its reverse if it stands for both.
    pub fn has(&self, pair: &PrefixFlow, day: Day) -> bool {
        self.learnt(pair, day) || self.both && self.learnt(&pair.reverse(), day)
    }

    /// Whether an entry learnt from alpha flows of `pair` itself was in force on `day`.
    pub fn learnt(&self, pair: &PrefixFlow, day: Day) -> bool {
        let Some(spans) = self.spans.get(pair) else { return false };
        let next = spans.partition_point(|span| span.0 <= day);
        next > 0 && spans[next - 1].1 >= day
    }

    /// The table of `day`, sorted; with the reverses of its entries if they stand for both.
    pub fn table(&self, day: Day) -> BTreeSet<PrefixFlow> {
        let learnt = self.spans.keys().filter(|pair| self.learnt(pair, day)).copied();
        let reverse = |pair: PrefixFlow| self.both.then(|| pair.reverse());
        learnt.flat_map(|pair| std::iter::once(pair).chain(reverse(pair))).collect()
    }

    fn mark(&mut self, pair: PrefixFlow, day: Day) {
        let spans = self.spans.entry(pair).or_default();
        match spans.last_mut() {
            Some(span) if span.1.plus(1) == day => span.1 = day,
            _ => spans.push((day, day)),
        }
    }
}

/// A table's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aged {
    /// Every day of the history.
    pub rows: Vec<AgedRow>,
    /// Every entry, up to the day after the history: the table to install now.
    pub in_force: InForce,
}

/// Which prefix flows had any record on which day; needed for [`Refresh::AnyTraffic`] only.
pub type Traffic = BTreeMap<Day, HashSet<PrefixFlow>>;

/// Runs a table through the days of `history`.
pub fn age(history: &PairHistory, aging: Aging, reading: &Reading, traffic: &Traffic) -> Aged {
    let mut last: BTreeMap<PrefixFlow, Day> = BTreeMap::new();
    let mut ever: HashSet<PrefixFlow> = HashSet::new();
    let both = reading.directions == Directions::Both;
    let in_force = InForce { spans: HashMap::new(), both };
    let mut aged = Aged { rows: Vec::new(), in_force };
    for (day, pairs) in &history.days {
        last.retain(|_, seen| aging.holds(day.since(*seen), reading.gap));
        let reverses = last.keys().filter(|pair| !last.contains_key(&pair.reverse())).count();
        let mut row = AgedRow {
            day: *day,
            size: last.len() as u64,
            both_ways: (last.len() + reverses) as u64,
            ..AgedRow::default()
        };
        for pair in last.keys() {
            aged.in_force.mark(*pair, *day);
        }
        for (pair, seen) in pairs {
            let (all, later) = match reading.bytes {
                Bytes::AlphaReports => (seen.alpha_bytes, seen.later_alpha),
                Bytes::WholeFlows => (seen.whole_bytes, seen.later_whole),
            };
            let installed = last.contains_key(pair) || both && last.contains_key(&pair.reverse());
            let matched = match reading.credit {
                _ if installed => all,
                Credit::NextDay => 0,
                Credit::SameDay => later,
            };
            row.total = row.total.saturating_add(all);
            row.matched = row.matched.saturating_add(matched);
            row.new_ever += u64::from(ever.insert(*pair));
            row.new_install += u64::from(!installed);
        }
        if reading.refresh == Refresh::AnyTraffic
            && let Some(seen) = traffic.get(day)
        {
            for (pair, last) in &mut last {
                if seen.contains(pair) {
                    *last = *day;
                }
            }
        }
        last.extend(pairs.keys().map(|pair| (*pair, *day)));
        aged.rows.push(row);
    }
    if let Some((end, _)) = history.days.last() {
        let next = end.plus(1);
        last.retain(|_, seen| aging.holds(next.since(*seen), reading.gap));
        for pair in last.into_keys() {
            aged.in_force.mark(pair, next);
        }
    }
    aged
}

/// The share of alpha bytes that a table redirected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Bytes that entries in force matched.
    pub matched: u64,
    /// Bytes they could have matched.
    pub total: u64,
    /// The share in percent, as the reading means it; `None` without alpha bytes.
    pub percent: Option<f64>,
}

/// Sums a table's days up.
pub fn effectiveness(rows: &[AgedRow], reading: &Reading) -> Effect {
    let rows = &rows[rows.len().min(reading.warm_up as usize)..];
    let sum = |of: fn(&AgedRow) -> u64| rows.iter().fold(0u64, |s, row| s.saturating_add(of(row)));
    let (matched, total) = (sum(|row| row.matched), sum(|row| row.total));
    let percent = |matched: u64, total: u64| matched as f64 * 100.0 / total as f64;
    let days = rows.iter().filter(|row| row.total > 0);
    let count = days.clone().count();
    let percent = match reading.mean {
        _ if count == 0 => None,
        Mean::RatioOfSums => Some(percent(matched, total)),
        Mean::OfDays => {
            Some(days.map(|row| percent(row.matched, row.total)).sum::<f64>() / count as f64)
        }
    };
    Effect { matched, total, percent }
}

#[cfg(test)]
#[path = "aging_tests.rs"]
mod tests;
