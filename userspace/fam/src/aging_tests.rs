// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The golden fixture, and one day fixture for each switch.

use super::*;
use crate::day::PairDay;
use crate::key::Prefix;

fn pair(src: &str, dst: &str) -> PrefixFlow {
    let prefix = |text: &str| text.parse::<Prefix>().unwrap();
    PrefixFlow { src: prefix(src), dst: prefix(dst) }
}

fn key() -> PrefixFlow {
    pair("192.0.2.0/24", "198.51.100.0/24")
}

fn bytes(alpha_bytes: u64) -> PairDay {
    PairDay { flows: 1, alpha_bytes, whole_bytes: alpha_bytes, ..PairDay::default() }
}

/// A history of days 1 to 7.
fn week(of: impl Fn(i32) -> BTreeMap<PrefixFlow, PairDay>) -> PairHistory {
    PairHistory { width: Width::NET, days: (1..=7).map(|day| (Day(day), of(day))).collect() }
}

/// One key, 10 bytes on days 1, 2, 4 and 7.
fn golden() -> PairHistory {
    week(|day| if [1, 2, 4, 7].contains(&day) { [(key(), bytes(10))].into() } else { [].into() })
}

fn run(history: &PairHistory, aging: Aging, reading: &Reading) -> (Aged, Effect) {
    let aged = age(history, aging, reading, &Traffic::new());
    let effect = effectiveness(&aged.rows, reading);
    (aged, effect)
}

fn column(aged: &Aged, of: fn(&AgedRow) -> u64) -> Vec<u64> {
    aged.rows.iter().map(of).collect()
}

fn days_in_force(aged: &Aged) -> Vec<i32> {
    (0..=9).filter(|day| aged.in_force.has(&key(), Day(*day))).collect()
}

fn percent(history: &PairHistory, aging: Aging, reading: &Reading) -> f64 {
    run(history, aging, reading).1.percent.unwrap()
}

#[test]
fn golden_fixture() {
    let reading = Reading::default();
    let (two, effect) = run(&golden(), Aging::After(2), &reading);
    assert_eq!(column(&two, |row| row.size), [0, 1, 1, 1, 1, 1, 0]);
    assert_eq!(column(&two, |row| row.both_ways), [0, 2, 2, 2, 2, 2, 0]);
    assert_eq!(column(&two, |row| row.matched), [0, 10, 0, 10, 0, 0, 0]);
    assert_eq!(column(&two, |row| row.new_ever), [1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(column(&two, |row| row.new_install), [1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(days_in_force(&two), [2, 3, 4, 5, 6, 8], "8: what to install after the week");
    assert_eq!((effect.matched, effect.total, effect.percent), (20, 40, Some(50.0)));

    let (one, effect) = run(&golden(), Aging::After(1), &reading);
    assert_eq!(days_in_force(&one), [2, 3, 5, 8]);
    assert_eq!(column(&one, |row| row.matched), [0, 10, 0, 0, 0, 0, 0]);
    assert_eq!(effect.percent, Some(25.0));

    for aging in [Aging::After(3), Aging::Never] {
        let (aged, effect) = run(&golden(), aging, &reading);
        assert_eq!(column(&aged, |row| row.matched), [0, 10, 0, 10, 0, 0, 10]);
        assert_eq!(effect.percent, Some(75.0));
    }
    let (zero, effect) = run(&golden(), Aging::After(0), &reading);
    assert_eq!((days_in_force(&zero), effect.percent), (vec![], Some(0.0)));
}

#[test]
fn the_gap_by_one_less_or_more() {
    let with = |gap| Reading { gap, ..Reading::default() };
    assert_eq!(percent(&golden(), Aging::After(2), &with(Gap::Under)), 25.0);
    assert_eq!(percent(&golden(), Aging::After(2), &with(Gap::OneMore)), 75.0);
    assert_eq!(percent(&golden(), Aging::After(1), &with(Gap::OneMore)), 50.0);
}

/// Day 1: 30 bytes, day 2: 10 bytes. Sums: 10 of 40; days: 0 % and 100 %.
#[test]
fn the_mean_of_days_and_the_warm_up() {
    let history = week(|day| match day {
        1 => [(key(), bytes(30))].into(),
        2 => [(key(), bytes(10))].into(),
        _ => [].into(),
    });
    let reading = Reading::default();
    assert_eq!(percent(&history, Aging::Never, &reading), 25.0);
    let days = Reading { mean: Mean::OfDays, ..Reading::default() };
    assert_eq!(percent(&history, Aging::Never, &days), 50.0, "days without alpha do not count");
    let warm = Reading { warm_up: 1, ..Reading::default() };
    assert_eq!(percent(&history, Aging::Never, &warm), 100.0);
    let all = Reading { warm_up: 99, ..Reading::default() };
    assert_eq!(run(&history, Aging::Never, &all).1.percent, None);
}

/// Day 1: two reports of which the second is credited the same day; day 2: half alpha.
#[test]
fn whole_flows_and_credit_on_the_same_day() {
    let history = week(|day| match day {
        1 => {
            let later = PairDay { later_alpha: 4, later_whole: 5, ..bytes(10) };
            [(key(), PairDay { whole_bytes: 20, ..later })].into()
        }
        2 => [(key(), PairDay { whole_bytes: 60, ..bytes(30) })].into(),
        _ => [].into(),
    });
    let matched = |reading: Reading| {
        let effect = run(&history, Aging::Never, &reading).1;
        (effect.matched, effect.total)
    };
    let reading = Reading::default;
    assert_eq!(matched(reading()), (30, 40));
    assert_eq!(matched(Reading { bytes: Bytes::WholeFlows, ..reading() }), (60, 80));
    let credit = Credit::SameDay;
    assert_eq!(matched(Reading { credit, ..reading() }), (34, 40));
    assert_eq!(matched(Reading { credit, bytes: Bytes::WholeFlows, ..reading() }), (65, 80));
}

/// Small traffic on day 3 keeps the entry for day 5; on day 6 the entry is gone already.
#[test]
fn any_traffic_refreshes_what_is_in_force() {
    let history = week(|day| if day == 1 { [(key(), bytes(10))].into() } else { [].into() });
    let traffic: Traffic =
        [3, 6].into_iter().map(|day| (Day(day), HashSet::from([key()]))).collect();
    let days = |refresh| {
        let reading = Reading { refresh, ..Reading::default() };
        days_in_force(&age(&history, Aging::After(2), &reading, &traffic))
    };
    assert_eq!(days(Refresh::AlphaFlows), [2, 3]);
    assert_eq!(days(Refresh::AnyTraffic), [2, 3, 4, 5]);
}

#[test]
fn a_pair_of_both_directions_needs_no_more_reverses() {
    let history = week(|day| match day {
        1 => [(key(), bytes(1)), (key().reverse(), bytes(1))].into(),
        2 => [(pair("192.0.2.0/24", "192.0.2.0/24"), bytes(1))].into(),
        _ => [].into(),
    });
    let (aged, _) = run(&history, Aging::Never, &Reading::default());
    assert_eq!(column(&aged, |row| row.size)[..3], [0, 2, 3]);
    assert_eq!(column(&aged, |row| row.both_ways)[..3], [0, 2, 3]);
    assert_eq!(aged.in_force.table(Day(2)), [key(), key().reverse()].into());
}

/// Out on day 1, back on days 2 and 4: one way the way back is learnt on day 2, both ways it is in
/// force with the way out.
#[test]
fn an_entry_of_both_directions_redirects_the_way_back() {
    let history = week(|day| match day {
        1 => [(key(), bytes(10))].into(),
        2 | 4 => [(key().reverse(), bytes(10))].into(),
        _ => [].into(),
    });
    let of = |directions| {
        let reading = Reading { directions, ..Reading::default() };
        run(&history, Aging::After(2), &reading)
    };
    let (one, effect) = of(Directions::OneWay);
    assert_eq!(column(&one, |row| row.matched), [0, 0, 0, 10, 0, 0, 0]);
    assert_eq!(column(&one, |row| row.new_install), [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!((effect.matched, days_in_force(&one)), (10, vec![2, 3]));
    let (both, effect) = of(Directions::Both);
    assert_eq!(column(&both, |row| row.matched), [0, 10, 0, 10, 0, 0, 0]);
    assert_eq!(column(&both, |row| row.new_install), [1, 0, 0, 0, 0, 0, 0]);
    assert_eq!((effect.matched, days_in_force(&both)), (20, vec![2, 3, 4, 5, 6]));
    // Sizes are told both ways whatever is in force.
    let counts: [fn(&AgedRow) -> u64; 3] =
        [|row| row.size, |row| row.both_ways, |row| row.new_ever];
    for of in counts {
        assert_eq!(column(&one, of), column(&both, of));
    }
    assert_eq!(column(&both, |row| row.size), [0, 1, 2, 1, 1, 1, 0]);
    let (day, forward) = (Day(2), key());
    assert_eq!(one.in_force.table(day), [forward].into());
    assert_eq!(both.in_force.table(day), [forward, forward.reverse()].into());
    assert!(both.in_force.learnt(&forward, day) && !both.in_force.learnt(&forward.reverse(), day));
}

#[test]
fn ages_have_names() {
    assert_eq!("never".parse(), Ok(Aging::Never));
    assert_eq!("30".parse(), Ok(Aging::After(30)));
    assert!("-1".parse::<Aging>().is_err());
    assert_eq!(format!("{} {}", Aging::After(7), Aging::Never), "7 never");
}
