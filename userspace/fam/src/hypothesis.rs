// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hypothesis that a table learnt from the past rests on: hosts that send alpha flows keep their
//! addresses, so that few prefix flows are new on any day.
//!
//! Nobody has published a limit at which it would be false. Ours, chosen before any data was held
//! against them: of the alpha bytes most belong to prefix flows that come again after a month, and
//! of the prefix flows of a day at most one in ten was never seen before.

use crate::key::PrefixFlow;
use crate::series::PairHistory;
use crate::time::{Calendar, Day, Step};
use serde::Serialize;
use std::collections::BTreeMap;

/// Days between the first and the last alpha flow from which on a prefix flow has stayed. Also the
/// days at the beginning of which nothing is said: there everything is new.
pub const HORIZON_DAYS: u32 = 30;

/// Least percent of alpha bytes that prefix flows which stay must have.
pub const STABLE_PERCENT_LEAST: f64 = 50.0;

/// Most percent of the prefix flows of a day that may be new.
pub const NEW_PERCENT_MOST: f64 = 10.0;

/// From its first alpha flow to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// Interval of the first.
    pub first: Day,
    /// Interval of the last.
    pub last: Day,
    /// Bytes of alpha reports.
    pub alpha_bytes: u64,
}

impl Life {
    /// Intervals from the first to the last; 0 if there was one only.
    pub fn span(&self) -> u64 {
        self.last.since(self.first).max(0) as u64
    }
}

/// The life of every prefix flow of `history`.
pub fn lives(history: &PairHistory) -> BTreeMap<PrefixFlow, Life> {
    let mut lives: BTreeMap<PrefixFlow, Life> = BTreeMap::new();
    for (day, pairs) in &history.days {
        for (pair, seen) in pairs {
            let new = Life { first: *day, last: *day, alpha_bytes: 0 };
            let life = lives.entry(*pair).or_insert(new);
            life.last = *day;
            life.alpha_bytes = life.alpha_bytes.saturating_add(seen.alpha_bytes);
        }
    }
    lives
}

/// What is to be said of the hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both figures are within their limits.
    Holds,
    /// One is not.
    False,
    /// Too few intervals to say, or no alpha flow to say it of.
    Open,
}

/// The figures the verdict is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Intervals read, missing ones included.
    pub intervals: u64,
    /// [`HORIZON_DAYS`] in intervals.
    pub horizon: u64,
    /// Prefix flows first seen early enough that they could stay.
    pub candidates: u64,
    /// Alpha bytes of those.
    pub candidate_bytes: u64,
    /// Those that stayed.
    pub stable: u64,
    /// Alpha bytes of those.
    pub stable_bytes: u64,
    /// Prefix flows of each interval after the first horizon, added up.
    pub late: u64,
    /// Those of them that were never seen before.
    pub late_new: u64,
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

impl Evidence {
    /// Address stability: percent of the candidates' alpha bytes that those which stayed have.
    pub fn stable_percent(&self) -> Option<f64> {
        percent(self.stable_bytes, self.candidate_bytes)
    }

    /// Share of new prefix flows in percent.
    pub fn new_percent(&self) -> Option<f64> {
        percent(self.late_new, self.late)
    }

    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        if self.intervals < 2 * self.horizon {
            return Verdict::Open;
        }
        match (self.stable_percent(), self.new_percent()) {
            (Some(stable), Some(new)) => {
                match stable >= STABLE_PERCENT_LEAST && new <= NEW_PERCENT_MOST {
                    true => Verdict::Holds,
                    false => Verdict::False,
                }
            }
            _ => Verdict::Open,
        }
    }
}

/// Gathers the figures of one width.
pub fn evidence(history: &PairHistory, calendar: &Calendar) -> Evidence {
    let horizon = u64::from(match calendar.step {
        Step::Day => HORIZON_DAYS,
        Step::Hour => HORIZON_DAYS * 24,
    });
    let mut found =
        Evidence { intervals: history.days.len() as u64, horizon, ..Evidence::default() };
    let (Some((begin, _)), Some((end, _))) = (history.days.first(), history.days.last()) else {
        return found;
    };
    let lives = lives(history);
    for life in lives.values().filter(|life| end.since(life.first) >= horizon as i64) {
        found.candidates += 1;
        found.candidate_bytes = found.candidate_bytes.saturating_add(life.alpha_bytes);
        if life.span() >= horizon {
            found.stable += 1;
            found.stable_bytes = found.stable_bytes.saturating_add(life.alpha_bytes);
        }
    }
    for (day, pairs) in history.days.iter().filter(|(day, _)| day.since(*begin) >= horizon as i64) {
        let new = |pair: &&PrefixFlow| lives.get(pair).is_some_and(|life| life.first == *day);
        found.late += pairs.len() as u64;
        found.late_new += pairs.keys().filter(new).count() as u64;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::PairDay;
    use crate::key::Width;

    /// One prefix flow per name, on the days and with the bytes listed.
    fn history(days: i32, flows: &[(&str, &[(i32, u64)])]) -> PairHistory {
        let mut all: Vec<_> = (0..days).map(|day| (Day(day), BTreeMap::new())).collect();
        for (dst, seen) in flows {
            let src = "192.0.2.0/24".parse().unwrap();
            let pair = PrefixFlow { src, dst: dst.parse().unwrap() };
            for (day, alpha_bytes) in *seen {
                let seen = PairDay { flows: 1, alpha_bytes: *alpha_bytes, ..PairDay::default() };
                all[*day as usize].1.insert(pair, seen);
            }
        }
        PairHistory { width: Width::NET, days: all }
    }

    /// Sixty days. a: days 0, 30, 59; b: 0 and 29, a day too short; c: first on day 29, with 30 days
    /// to go, and once more on day 59; d: first on day 30, too late to stay.
    #[test]
    fn figures_by_hand() {
        let flows: [(&str, &[(i32, u64)]); 4] = [
            ("198.51.100.0/24", &[(0, 10), (30, 20), (59, 30)]),
            ("198.51.101.0/24", &[(0, 5), (29, 5)]),
            ("198.51.102.0/24", &[(29, 20), (59, 10)]),
            ("198.51.103.0/24", &[(30, 1000)]),
        ];
        let found = evidence(&history(60, &flows), &Calendar::default());
        let expected = Evidence {
            intervals: 60,
            horizon: 30,
            candidates: 3,
            candidate_bytes: 100,
            stable: 2,
            stable_bytes: 90,
            late: 4,
            late_new: 1,
        };
        assert_eq!(found, expected);
        assert_eq!((found.stable_percent(), found.new_percent()), (Some(90.0), Some(25.0)));
        assert_eq!(found.verdict(), Verdict::False, "a quarter of the late prefix flows is new");
    }

    #[test]
    fn limits_themselves_are_good_enough() {
        let at = |stable_bytes, late_new| Evidence {
            intervals: 60,
            horizon: 30,
            candidate_bytes: 100,
            stable_bytes,
            late: 100,
            late_new,
            ..Evidence::default()
        };
        assert_eq!(at(50, 10).verdict(), Verdict::Holds);
        assert_eq!(at(49, 10).verdict(), Verdict::False);
        assert_eq!(at(50, 11).verdict(), Verdict::False);
    }

    #[test]
    fn too_little_is_open() {
        let short = history(59, &[("198.51.100.0/24", &[(0, 1), (40, 1)])]);
        assert_eq!(evidence(&short, &Calendar::default()).verdict(), Verdict::Open);
        let hourly = Calendar { step: Step::Hour, ..Calendar::default() };
        let found = evidence(&history(60, &[("198.51.100.0/24", &[(0, 1), (59, 1)])]), &hourly);
        assert_eq!((found.horizon, found.verdict()), (720, Verdict::Open));
        assert_eq!(evidence(&history(60, &[]), &Calendar::default()).verdict(), Verdict::Open);
        assert_eq!(
            evidence(&history(0, &[]), &Calendar::default()),
            Evidence { horizon: 30, ..Evidence::default() }
        );
    }
}
