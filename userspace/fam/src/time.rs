// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Instants, time zones and aggregation intervals.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Nanoseconds since 1970-01-01 00:00 UTC.
pub type Ns = i64;

/// One second.
pub const SECOND: Ns = 1_000_000_000;

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;

/// An aggregation interval: the local day number since 1970-01-01, or the UTC hour number since
/// then, as [`Step`] says.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub i32);

impl Day {
    /// The interval `count` later.
    #[must_use]
    pub fn plus(self, count: i32) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// Intervals from `earlier` to this one.
    pub fn since(self, earlier: Self) -> i64 {
        i64::from(self.0) - i64::from(earlier.0)
    }
}

/// A calendar month, counted from January of year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(pub i32);

impl Month {
    /// `2011-05`.
    pub fn label(self) -> String {
        format!("{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// Length of an aggregation interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A day of the zone; shorter or longer than 24 hours where its clock is set.
    #[default]
    Day,
    /// An hour of UTC whatever the zone, so that no hour of a zone's autumn exists twice.
    Hour,
}

/// A zone's offsets from UTC. Names of zones are the caller's business: reading them is I/O.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Offset in seconds before the first change.
    before_s: i32,
    /// Instants from which another offset holds, in order.
    changes: Vec<(Ns, i32)>,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self::default()
    }

    /// Always `offset_s` seconds ahead of UTC.
    pub fn fixed(offset_s: i32) -> Self {
        Self { before_s: offset_s, changes: Vec::new() }
    }

    /// `before_s` until the first of `changes`, each an instant and the offset that holds from it.
    pub fn new(before_s: i32, mut changes: Vec<(Ns, i32)>) -> Self {
        changes.sort_unstable();
        Self { before_s, changes }
    }

    /// Seconds of every change since 1970, rounded down, and every offset.
    pub fn instants_s(&self) -> impl Iterator<Item = i64> + use<'_> {
        let changes = self.changes.iter();
        let changes = changes.flat_map(|(at, offset)| [at.div_euclid(SECOND), i64::from(*offset)]);
        changes.chain([i64::from(self.before_s)])
    }

    /// Seconds ahead of UTC at `at`.
    pub fn offset_s(&self, at: Ns) -> i32 {
        match self.changes.partition_point(|(from, _)| *from <= at) {
            0 => self.before_s,
            n => self.changes[n - 1].1,
        }
    }

    /// What is left of it between two instants: two zones of which the same is left give the same
    /// days there.
    #[must_use]
    pub fn within(&self, from: Ns, until: Ns) -> Self {
        let mut left = Self::fixed(self.offset_s(from));
        for change in self.changes.iter().filter(|(at, _)| from < *at && *at < until) {
            if left.offset_s(change.0) != change.1 {
                left.changes.push(*change);
            }
        }
        left
    }
}

/// How instants fall into aggregation intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// The zone whose days count.
    pub zone: Zone,
    /// Length of an interval.
    pub step: Step,
}

impl Calendar {
    /// The interval `at` lies in.
    pub fn day(&self, at: Ns) -> Day {
        let second = at.div_euclid(SECOND);
        let number = match self.step {
            Step::Day => (second + i64::from(self.zone.offset_s(at))).div_euclid(DAY_S),
            Step::Hour => second.div_euclid(HOUR_S),
        };
        // 2^63 ns are 106 752 days or 2 562 048 hours.
        Day(number as i32)
    }

    /// Instants around `at`, it among them, that all lie in its interval: from the first to before the
    /// second. Ends at a change of the zone too, so that a day may have several such parts.
    pub fn around(&self, at: Ns) -> (Ns, Ns) {
        let (length_s, offset_s, from, until) = match self.step {
            Step::Hour => (HOUR_S, 0, Ns::MIN, Ns::MAX),
            Step::Day => {
                let next = self.zone.changes.partition_point(|(from, _)| *from <= at);
                let from = next.checked_sub(1).map_or(Ns::MIN, |last| self.zone.changes[last].0);
                let until = self.zone.changes.get(next).map_or(Ns::MAX, |(from, _)| *from);
                (DAY_S, i64::from(self.zone.offset_s(at)), from, until)
            }
        };
        let second = at.div_euclid(SECOND);
        let begin_s = (second + offset_s).div_euclid(length_s) * length_s - offset_s;
        let begin = begin_s.saturating_mul(SECOND);
        (from.max(begin), until.min((begin_s + length_s).saturating_mul(SECOND)))
    }

    /// The local day number of the interval.
    fn local_day(&self, day: Day) -> i64 {
        match self.step {
            Step::Day => i64::from(day.0),
            Step::Hour => {
                let second = i64::from(day.0) * HOUR_S;
                let at = second.saturating_mul(SECOND);
                (second + i64::from(self.zone.offset_s(at))).div_euclid(DAY_S)
            }
        }
    }

    /// The month the interval lies in, in the zone.
    pub fn month(&self, day: Day) -> Month {
        let (year, month, _) = civil(self.local_day(day));
        Month((year * 12 + i64::from(month) - 1) as i32)
    }

    /// `2011-05-01`, or `2011-05-01T13Z` for an hour.
    pub fn label(&self, day: Day) -> String {
        let (days, hour) = match self.step {
            Step::Day => (i64::from(day.0), None),
            Step::Hour => (i64::from(day.0).div_euclid(24), Some(i64::from(day.0).rem_euclid(24))),
        };
        let (year, month, date) = civil(days);
        let mut label = format!("{year:04}-{month:02}-{date:02}");
        if let Some(hour) = hour {
            // Writing into a String cannot fail.
            let _ = write!(label, "T{hour:02}Z");
        }
        label
    }

    /// Reads what [`Self::label`] writes.
    pub fn parse(&self, label: &str) -> Option<Day> {
        let (date, hour) = match self.step {
            Step::Day => (label, 0),
            Step::Hour => {
                let (date, hour) = label.split_once('T')?;
                (date, hour.strip_suffix('Z')?.parse::<i64>().ok().filter(|h| *h < 24)?)
            }
        };
        let mut parts = date.splitn(3, '-');
        let year: i64 = parts.next()?.parse().ok()?;
        let month: u8 = parts.next()?.parse().ok()?;
        let date: u8 = parts.next()?.parse().ok()?;
        let days = day_number(year, month, date);
        if civil(days) != (year, month, date) {
            return None;
        }
        let number = match self.step {
            Step::Day => days,
            Step::Hour => days * 24 + hour,
        };
        i32::try_from(number).ok().map(Day)
    }

    /// Nominal length of an interval in nanoseconds.
    pub fn length(&self) -> u64 {
        (match self.step {
            Step::Day => DAY_S,
            Step::Hour => HOUR_S,
        } * SECOND) as u64
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years are taken to begin in March,
/// so that the leap day is the last of its year.
pub fn day_number(year: i64, month: u8, date: u8) -> i64 {
    let (year, month) = match month {
        0..=2 => (year - 1, i64::from(month) + 9),
        _ => (year, i64::from(month) - 3),
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719 468 days from 0000-03-01 to 1970-01-01; months from March have 153 days in every five.
    year * 365 + leaps + (153 * month + 2) / 5 + i64::from(date) - 1 - 719_468
}

/// Year, month and date of a day number.
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (year + era * 400, month + 3),
        _ => (year + era * 400 + 1, month - 9),
    };
    (year, month as u8, date as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_as_the_calendar_does() {
        assert_eq!(day_number(1970, 1, 1), 0);
        assert_eq!(day_number(2011, 5, 1), 15_095);
        assert_eq!(day_number(2011, 12, 1) - day_number(2011, 5, 1), 214);
        for days in [-800_000, -1, 0, 58, 59, 60, 789, 11_016, 11_017, 20_000, 900_000] {
            let (year, month, date) = civil(days);
            assert_eq!(day_number(year, month, date), days);
        }
        assert_eq!(civil(day_number(2012, 2, 29)), (2012, 2, 29));
        let calendar = Calendar::default();
        assert_eq!(calendar.label(Day(15_095)), "2011-05-01");
        assert_eq!(calendar.parse("2011-05-01"), Some(Day(15_095)));
        assert_eq!(calendar.parse("2011-02-29"), None);
        assert_eq!(calendar.month(Day(15_095)).label(), "2011-05");
    }

    #[test]
    fn a_day_is_the_zones() {
        let midnight = day_number(2011, 5, 2) * DAY_S * SECOND;
        let day = |zone| Calendar { zone, step: Step::Day }.day(midnight);
        assert_eq!(day(Zone::utc()), Day(15_096));
        assert_eq!(day(Zone::fixed(-1)), Day(15_095), "a second west it is still the day before");
        assert_eq!(day(Zone::fixed(3600)), Day(15_096));
        // The clock goes from +1 h to +2 h half an hour before.
        let summer = Zone::new(3600, vec![(midnight - 1800 * SECOND, 7200)]);
        let calendar = Calendar { zone: summer, step: Step::Day };
        assert_eq!(calendar.day(midnight - 3601 * SECOND), Day(15_095));
        assert_eq!(calendar.day(midnight - 3600 * SECOND), Day(15_096));
        assert_eq!(calendar.day(midnight - 1), Day(15_096));
    }

    #[test]
    fn what_is_around_an_instant_is_in_its_interval() {
        let midnight = day_number(2011, 5, 2) * DAY_S * SECOND;
        let zones = [
            Zone::utc(),
            Zone::fixed(-12_600),
            Zone::new(3600, vec![(midnight - 1800 * SECOND, 7200), (midnight + 60 * SECOND, 1)]),
        ];
        for (zone, step) in
            zones.into_iter().flat_map(|z| [(z.clone(), Step::Day), (z, Step::Hour)])
        {
            let calendar = Calendar { zone, step };
            let mut at = midnight - 2 * DAY_S * SECOND;
            let mut parts = 0;
            while at < midnight + DAY_S * SECOND {
                let (from, until) = calendar.around(at);
                assert!(from <= at && at < until);
                assert_eq!(calendar.day(from), calendar.day(until - 1), "{calendar:?} at {at}");
                assert_eq!(calendar.around(until - 1), (from, until));
                (at, parts) = (until, parts + 1);
            }
            assert!(parts <= 75, "{parts} parts of three days");
        }
        let ends = Calendar::default();
        assert_eq!(ends.around(Ns::MAX).1, Ns::MAX);
        assert_eq!(ends.around(Ns::MIN).0, Ns::MIN);
    }

    #[test]
    fn hours_are_utc_hours() {
        let calendar = Calendar { zone: Zone::fixed(1800), step: Step::Hour };
        let at = (day_number(2011, 5, 1) * DAY_S + 13 * HOUR_S) * SECOND;
        let hour = calendar.day(at);
        assert_eq!(calendar.label(hour), "2011-05-01T13Z");
        assert_eq!(calendar.parse("2011-05-01T13Z"), Some(hour));
        assert_eq!(calendar.day(at - 1), hour.plus(-1));
        assert_eq!(hour.since(hour.plus(-1)), 1);
        assert_eq!(calendar.month(hour).label(), "2011-05");
    }
}
