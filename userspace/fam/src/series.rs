// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The day series, and all days of one width of prefix flow.

use crate::day::{AlphaDay, PairDay, RawFlow};
use crate::key::{PrefixFlow, Width};
use crate::lsp::Lsp;
use crate::reading::Reading;
use crate::time::{Day, Month};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// All days read so far.
pub type Days = BTreeMap<Day, AlphaDay>;

/// From the first day to the last, days without records included.
pub fn range(days: &Days) -> impl Iterator<Item = Day> + use<> {
    let first = days.keys().next().map_or(0, |day| day.0);
    let last = days.keys().next_back().map_or(-1, |day| day.0);
    (first..=last).map(Day)
}

/// One day of the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeriesRow {
    /// The day.
    pub day: Day,
    /// Whether there is no record of it at all.
    pub missing: bool,
    /// Alpha raw flows.
    pub raw_flows: u64,
    /// Bytes of their alpha reports.
    pub alpha_bytes: u64,
    /// All their bytes.
    pub whole_bytes: u64,
    /// Nanoseconds of alpha reports, one after the other.
    pub alpha_time_sum: u64,
    /// Nanoseconds with at least one alpha report.
    pub alpha_time_union: u64,
    /// Most raw flows of one prefix flow of the first width of the reading.
    pub most_of_one: u64,
}

/// The day series.
pub fn series(days: &Days, reading: &Reading) -> Vec<SeriesRow> {
    let width = reading.widths.first().copied().unwrap_or(Width::NET);
    range(days)
        .map(|day| match days.get(&day) {
            None => SeriesRow { day, missing: true, ..SeriesRow::default() },
            Some(alpha) => {
                let total = |of: fn(&RawFlow) -> u64| {
                    alpha.flows.iter().fold(0u64, |sum, flow| sum.saturating_add(of(flow)))
                };
                SeriesRow {
                    day,
                    missing: false,
                    raw_flows: alpha.flows.len() as u64,
                    alpha_bytes: total(RawFlow::alpha_bytes),
                    whole_bytes: total(RawFlow::whole_bytes),
                    alpha_time_sum: total(RawFlow::alpha_time),
                    alpha_time_union: alpha.alpha_union(),
                    most_of_one: alpha.pairs(width).values().map(|p| p.flows).max().unwrap_or(0),
                }
            }
        })
        .collect()
}

/// All days by the prefix flows of one width.
#[derive(Clone, Debug)]
pub struct PairHistory {
    /// The width.
    pub width: Width,
    /// Every day of the range, in order.
    pub days: Vec<(Day, BTreeMap<PrefixFlow, PairDay>)>,
}

impl PairHistory {
    /// Sums the days up.
    pub fn new(days: &Days, width: Width) -> Self {
        let pairs = |day| days.get(&day).map(|alpha| alpha.pairs(width)).unwrap_or_default();
        Self { width, days: range(days).map(|day| (day, pairs(day))).collect() }
    }

    /// Every prefix flow with an alpha raw flow on any day.
    pub fn all(&self) -> BTreeSet<PrefixFlow> {
        self.days.iter().flat_map(|(_, pairs)| pairs.keys().copied()).collect()
    }

    /// For how many prefix flows there are alpha flows on how many days: days to prefix flows.
    pub fn active_days(&self) -> BTreeMap<u64, u64> {
        let mut days: BTreeMap<PrefixFlow, u64> = BTreeMap::new();
        for (_, pairs) in &self.days {
            for pair in pairs.keys() {
                *days.entry(*pair).or_default() += 1;
            }
        }
        let mut histogram = BTreeMap::new();
        for count in days.into_values() {
            *histogram.entry(count).or_default() += 1;
        }
        histogram
    }
}

/// The LSPs that had alpha flows in each month.
pub fn lsps_by_month(days: &Days, reading: &Reading) -> BTreeMap<Month, BTreeSet<Lsp>> {
    let mut months: BTreeMap<Month, BTreeSet<Lsp>> = BTreeMap::new();
    for (day, alpha) in days {
        // A month with records has a row even if none of them is alpha.
        let month = months.entry(reading.calendar.month(*day)).or_default();
        month.extend(alpha.flows.iter().map(RawFlow::lsp));
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::read;
    use crate::testing::{midnight, record};
    use crate::time::SECOND;

    #[test]
    fn a_missing_day_is_a_row() {
        let day = Day(15_095);
        let t = midnight(day);
        let records = [
            record("192.0.2.7", "198.51.100.1", t, t + 60, 2_000_000_000),
            record("192.0.2.8", "198.51.100.1", t + 10, t + 60, 2_000_000_000),
            record("192.0.2.8", "198.51.101.1", t + 10, t + 60, 3_000_000_000),
            record("192.0.2.7", "198.51.100.1", t + 2 * 86_400, t + 2 * 86_400, 5),
        ];
        let reading = Reading::default();
        let days = read(&records, &reading);
        let rows = series(&days, &reading);
        let seconds = SECOND as u64;
        let first = SeriesRow {
            day,
            missing: false,
            raw_flows: 3,
            alpha_bytes: 7_000_000_000,
            whole_bytes: 7_000_000_000,
            alpha_time_sum: 160 * seconds,
            alpha_time_union: 60 * seconds,
            most_of_one: 2,
        };
        let missing = SeriesRow { day: day.plus(1), missing: true, ..SeriesRow::default() };
        let quiet = SeriesRow { day: day.plus(2), ..SeriesRow::default() };
        assert_eq!(rows, [first, missing, quiet]);
        assert_eq!(PairHistory::new(&days, Width::HOST).all().len(), 3);
        let nets = PairHistory::new(&days, Width::NET);
        assert_eq!((nets.all().len(), nets.days.len()), (2, 3));
        assert_eq!(nets.active_days(), [(1, 2)].into());
        assert_eq!(lsps_by_month(&days, &reading).len(), 1);
        assert!(series(&Days::new(), &reading).is_empty());
    }
}
