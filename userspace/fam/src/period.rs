// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which days with records are the period, and which are there because some clock is wrong.
//!
//! A router that never learnt the time sends records of 1970, 1993 or 2000; one whose uptime ran over
//! (32 bits of milliseconds) is 49.7 days off. Were such a day believed, the period would have thousands
//! of days without records, in which every table ages. Days are therefore taken in groups: no more than
//! [`Reading::far`] days without a record lie between neighbours in one. The group with most records is
//! the bulk. Another one, which is farther than that from it, is left out if it has few records or is
//! very far: an outage of some months stays a gap in one period. The rule is ours.

use crate::reading::Reading;
use crate::time::{Day, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A group is very far from the bulk at more than so many times [`Reading::far`]: with the 31 days of
/// the default, at more than a year.
pub const VERY_FAR: i64 = 12;

/// A group has few records if it has fewer than a mean day of the bulk divided by this.
pub const FEW: u128 = 100;

#[derive(Debug)]
struct Group {
    first: Day,
    last: Day,
    days: u64,
    records: u64,
}

/// Intervals between two days, neither of them included.
fn empty(earlier: Day, later: Day) -> i64 {
    later.since(earlier) - 1
}

/// The days of `counts`, which has the records of each day, that do not count: a day's records are all
/// that begin on it, those left out for another fault too. Empty if the reading believes every day.
pub fn far(counts: &BTreeMap<Day, u64>, reading: &Reading) -> BTreeSet<Day> {
    let Some(most) = reading.far else { return BTreeSet::new() };
    let most = i64::from(most)
        * match reading.calendar.step {
            Step::Day => 1,
            Step::Hour => 24,
        };
    let mut groups: Vec<Group> = Vec::new();
    for (day, records) in counts {
        match groups.last_mut() {
            Some(group) if empty(group.last, *day) <= most => {
                group.last = *day;
                group.days += 1;
                group.records = group.records.saturating_add(*records);
            }
            _ => groups.push(Group { first: *day, last: *day, days: 1, records: *records }),
        }
    }
    // The first among equals.
    let Some(bulk) = groups.iter().rev().max_by_key(|group| group.records) else {
        return BTreeSet::new();
    };
    let believed = |group: &Group| {
        let between = match group.first < bulk.first {
            true => empty(group.last, bulk.first),
            false => empty(bulk.last, group.first),
        };
        let many =
            u128::from(group.records) * u128::from(bulk.days) * FEW >= u128::from(bulk.records);
        between < 0 || (many && between <= most.saturating_mul(VERY_FAR))
    };
    let left = groups.iter().filter(|group| !believed(group));
    left.flat_map(|group| counts.range(group.first..=group.last).map(|(day, _)| *day)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Calendar;

    const NONE: [i32; 0] = [];

    /// (first day, days, records of each)
    fn left(groups: &[(i32, i32, u64)], far: Option<u32>) -> Vec<i32> {
        let days = |(first, days, records): &(i32, i32, u64)| {
            let records = *records;
            (*first..first + days).map(move |day| (Day(day), records))
        };
        let counts = groups.iter().flat_map(days).collect();
        let reading = Reading { far, ..Reading::default() };
        super::far(&counts, &reading).into_iter().map(|day| day.0).collect()
    }

    #[test]
    fn one_record_of_1970_is_no_day() {
        let year = (15_000, 200, 1000);
        assert_eq!(left(&[year], Some(31)), NONE);
        assert_eq!(left(&[(0, 1, 1), year], Some(31)), [0]);
        assert_eq!(left(&[(0, 1, 1), year], None), NONE);
        // A router full of them.
        assert_eq!(left(&[(0, 2, 900), year], Some(31)), [0, 1]);
    }

    /// Bulk of ten days from 1000 to 1009, 1000 records each: ten are a hundredth of its mean day.
    #[test]
    fn limits_themselves_are_believed() {
        let with = |other| left(&[(1000, 10, 1000), other], Some(31));
        assert_eq!(with((1041, 1, 1)), NONE, "31 days without a record");
        assert_eq!(with((1042, 1, 9)), [1042], "32, and few");
        assert_eq!(with((1042, 1, 10)), NONE, "an outage of a month");
        assert_eq!(with((1010 + 372, 1, 1000)), NONE);
        assert_eq!(with((1010 + 373, 1, 1000)), [1383]);
        assert_eq!(with((965, 3, 3)), [965, 966, 967], "before it too");
        assert_eq!(left(&[(5, 1, 7), (900, 1, 7)], Some(31)), [900], "the first among equals");
        assert_eq!(left(&[], Some(31)), NONE);
    }

    #[test]
    fn days_are_days_of_hours_too() {
        let counts = BTreeMap::from([(Day(0), 1), (Day(24 * 31 + 1), 500), (Day(90_000), 500)]);
        let calendar = Calendar { step: Step::Hour, ..Calendar::default() };
        let reading = Reading { calendar, ..Reading::default() };
        assert_eq!(far(&counts, &reading), [Day(90_000)].into());
    }
}
