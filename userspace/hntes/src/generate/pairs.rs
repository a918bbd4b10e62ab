// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Prefix flows of the workload: who talks to whom, through which egress, on which days.

use crate::rng::Rng;
use std::collections::BTreeSet;

/// Days of the workload: May to November 2011.
pub const DAYS: u16 = 214;

/// Last day of each month, counted from 1.
pub const MONTH_ENDS: [u16; 7] = [31, 61, 92, 123, 153, 184, 214];

/// Egress routers by the month of their first alpha flow.
const EGRESS_BY_MONTH: [usize; 7] = [13, 2, 1, 0, 2, 0, 0];

/// How often a prefix flow has alpha flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nearly every day.
    Core,
    /// Now and then.
    Regular,
    /// A few days in all.
    Rare,
}

/// A /24 prefix flow.
#[derive(Clone, Debug)]
pub struct Pair {
    /// How often.
    pub class: Class,
    /// Which egress router, from 0.
    pub egress: usize,
    /// Days with alpha flows, from 1, sorted.
    pub days: Vec<u16>,
}

/// Month of a day, from 0.
pub fn month(day: u16) -> usize {
    MONTH_ENDS.partition_point(|end| *end < day)
}

/// First day of a month.
fn month_start(month: usize) -> u16 {
    if month == 0 { 1 } else { MONTH_ENDS[month - 1] + 1 }
}

/// A number of days drawn from ranges with a percentage each.
fn gap(rng: &mut Rng, mixture: &[(u64, u64, u64)]) -> u16 {
    let mut at = rng.below(100);
    for (percent, low, high) in mixture {
        if at < *percent {
            return rng.range(*low, *high) as u16;
        }
        at -= percent;
    }
    1
}

const CORE: [(u64, u64, u64); 3] = [(62, 1, 1), (31, 2, 4), (7, 5, 11)];
const REGULAR: [(u64, u64, u64); 5] =
    [(33, 1, 1), (39, 2, 7), (14, 8, 14), (10, 15, 30), (4, 31, 69)];
const RARE: [(u64, u64, u64); 4] = [(30, 1, 7), (20, 8, 14), (25, 15, 30), (25, 31, 80)];

fn active_days(rng: &mut Rng, class: Class, arrival: u16) -> Vec<u16> {
    let (mixture, most): (&[_], u64) = match class {
        Class::Core => (&CORE, u64::MAX),
        Class::Regular => (&REGULAR, u64::MAX),
        Class::Rare => (&RARE, if rng.below(10) == 0 { rng.range(5, 9) } else { rng.range(1, 4) }),
    };
    let mut days = vec![arrival];
    let mut day = arrival;
    while (days.len() as u64) < most {
        day += gap(rng, mixture);
        if day > DAYS {
            break;
        }
        days.push(day);
    }
    days
}

/// 125 prefix flows over 18 egress routers: 20 core, 35 regular, 70 rare, half of them there within
/// ten days. Of each egress router one core prefix flow is active in every month from its first, so
/// that the LSP matrix is the same by either reading. On `busy_days` the first prefix flow is active.
pub fn pairs(rng: &mut Rng, busy_days: &[u16]) -> Vec<Pair> {
    let first_months: Vec<usize> =
        EGRESS_BY_MONTH.iter().enumerate().flat_map(|(m, n)| std::iter::repeat_n(m, *n)).collect();
    let mut pairs = Vec::with_capacity(125);
    for (egress, month) in first_months.iter().copied().enumerate() {
        let start = month_start(month);
        let arrival = start + rng.below(if month == 0 { 10 } else { 20 }) as u16;
        let mut days: BTreeSet<u16> = active_days(rng, Class::Core, arrival).into_iter().collect();
        for (month, end) in MONTH_ENDS.iter().copied().enumerate().skip(month) {
            let start = month_start(month).max(arrival);
            if days.range(start..=end).next().is_none() {
                days.insert(rng.range(start.into(), end.into()) as u16);
            }
        }
        if egress == 0 {
            days.extend(busy_days);
        }
        pairs.push(Pair { class: Class::Core, egress, days: days.into_iter().collect() });
    }
    for index in pairs.len()..125 {
        let class = match index {
            0..20 => Class::Core,
            20..55 => Class::Regular,
            _ => Class::Rare,
        };
        // 13 anchors and 49 of these are there within ten days; spread over the classes.
        let early = class == Class::Core || (index * 47) % 105 < 47;
        let arrival = if early { rng.range(1, 10) } else { rng.range(11, 208) } as u16;
        let open: Vec<usize> =
            (0..first_months.len()).filter(|e| first_months[*e] <= month(arrival)).collect();
        let egress = open[rng.below(open.len() as u64) as usize];
        pairs.push(Pair { class, egress, days: active_days(rng, class, arrival) });
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_egress_is_there_in_every_month_from_its_first() {
        for seed in 100..120 {
            let pairs = pairs(&mut Rng::new(seed, 0), &[89, 137]);
            assert_eq!(pairs.len(), 125);
            let mut total = Vec::new();
            for month_now in 0..7 {
                let active = |pair: &&Pair| pair.days.iter().any(|day| month(*day) == month_now);
                let egress: BTreeSet<_> = pairs.iter().filter(active).map(|p| p.egress).collect();
                total.push(egress.len());
            }
            assert_eq!(total, [13, 15, 16, 16, 18, 18, 18]);
            let early = pairs.iter().filter(|pair| pair.days[0] <= 10).count();
            assert!((58..=66).contains(&early), "{early}");
            assert!(pairs[0].days.contains(&89) && pairs[0].days.contains(&137));
            assert!(pairs.iter().all(|p| p.days.is_sorted_by(|a, b| a < b)));
            assert!(pairs.iter().all(|p| p.days.iter().all(|d| (1..=DAYS).contains(d))));
        }
    }
}
