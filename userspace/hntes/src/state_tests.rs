// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Folders of days by hand.

use super::*;
use telesteer_fam::aging::{Aging, Traffic};
use telesteer_fam::plan::Plan;
use telesteer_fam::reading::Gap;
use telesteer_fam::series::PairHistory;
use telesteer_fam::time::Step;
use telesteer_fam::{Sampling, Width};

const DAY: Day = Day(15_095);

fn basis(reading: &Reading) -> Basis {
    Basis::new(reading, "UTC", &Assume::default())
}

fn day_of(records: u64, negative: u64) -> Days {
    let mut alpha = AlphaDay::default();
    (alpha.totals.records, alpha.totals.negative) = (records, negative);
    Days::from([(DAY, alpha)])
}

#[test]
fn keeps_days_under_their_reading() {
    let dir = tempfile::tempdir().unwrap();
    let reading = Reading::default();
    let days = day_of(7, 0);
    let state = State::open(dir.path(), &basis(&reading)).unwrap();
    assert_eq!(state.store(&days, &reading, false).unwrap(), []);
    // What does not change days may change.
    let other = Reading { gap: Gap::Under, ..Reading::default() };
    let state = State::open(dir.path(), &basis(&other)).unwrap();
    assert_eq!(state.load(&other, |_| false).unwrap(), days);
    state.store(&days, &reading, false).unwrap();
    assert_eq!(state.load(&reading, |_| false).unwrap(), days);
    let hourly = Calendar { step: Step::Hour, ..Calendar::default() };
    for other in
        [Reading { h: 5, ..Reading::default() }, Reading { calendar: hourly, ..Reading::default() }]
    {
        let error = State::open(dir.path(), &basis(&other)).unwrap_err().to_string();
        assert!(error.contains("another reading (other switches)"), "{error}");
    }
    fs::write(dir.path().join("2011-05-02.day.json"), "{").unwrap();
    let error = format!("{:#}", state.load(&reading, |_| false).unwrap_err());
    assert!(error.contains("2011-05-02.day.json"), "{error}");
}

/// Those left out count: they were read too.
#[test]
fn fewer_records_do_not_replace_more() {
    let dir = tempfile::tempdir().unwrap();
    let reading = Reading::default();
    let state = State::open(dir.path(), &basis(&reading)).unwrap();
    state.store(&day_of(7, 3), &reading, false).unwrap();
    let stayed = state.store(&day_of(9, 0), &reading, false).unwrap();
    assert_eq!(stayed, [Kept { day: DAY, kept: 10, read: 9 }]);
    assert_eq!(state.load(&reading, |_| false).unwrap(), day_of(7, 3));
    for (days, replace) in [(day_of(10, 0), false), (day_of(12, 0), false), (day_of(1, 0), true)] {
        assert_eq!(state.store(&days, &reading, replace).unwrap(), []);
        assert_eq!(state.load(&reading, |_| false).unwrap(), days);
    }
    // A damaged day is not lost by the way.
    fs::write(dir.path().join("2011-05-01.day.json"), "{").unwrap();
    let error = format!("{:#}", state.store(&day_of(9, 0), &reading, false).unwrap_err());
    assert!(error.contains("2011-05-01.day.json") && error.contains("--replace"), "{error}");
    state.store(&day_of(9, 0), &reading, true).unwrap();
}

#[test]
fn what_was_assumed_belongs_to_the_days() {
    let dir = tempfile::tempdir().unwrap();
    let reading = Reading::default();
    let assume = Assume {
        exporter: Some("10.0.0.9".parse().unwrap()),
        sampling_of: [("10.0.0.1".parse().unwrap(), Sampling::NONE)].into(),
        sampling: Sampling::one_in(7),
    };
    let own = Basis::new(&reading, "UTC", &assume);
    let state = State::open(dir.path(), &own).unwrap();
    // Nothing is kept yet that could be wrong.
    State::open(dir.path(), &basis(&reading)).unwrap();
    State::open(dir.path(), &own).unwrap();
    state.store(&day_of(7, 0), &reading, false).unwrap();
    State::open(dir.path(), &own).unwrap();
    for other in [Assume::default(), Assume { sampling: Sampling::one_in(8), ..assume }] {
        let error = State::open(dir.path(), &Basis::new(&reading, "UTC", &other)).unwrap_err();
        assert!(error.to_string().contains("--assume-sampling"), "{error}");
    }
}

/// Rules of a zone may change before and after the days kept, not among them.
#[test]
fn a_zone_may_change_at_other_times() {
    let dir = tempfile::tempdir().unwrap();
    let noon = |day: i64| (day * 86_400 + 43_200) * SECOND;
    let of = |changes: &[(i64, i32)]| {
        let changes = changes.iter().map(|(day, offset)| (noon(*day), *offset)).collect();
        let calendar = Calendar { zone: Zone::new(3600, changes), ..Calendar::default() };
        Reading { calendar, ..Reading::default() }
    };
    let (first, last) = (i64::from(DAY.0), i64::from(DAY.0) + 9);
    let made = of(&[(first - 40, 7200), (first + 4, 3600), (last + 40, 7200)]);
    let named = |reading: &Reading| Basis::new(reading, "Here/There", &Assume::default());
    let state = State::open(dir.path(), &named(&made)).unwrap();
    let mut days = day_of(7, 0);
    days.insert(DAY.plus(9), AlphaDay::default());
    state.store(&days, &made, false).unwrap();
    for same in [
        of(&[(first - 80, 0), (first - 41, 7200), (first + 4, 3600)]),
        of(&[(first - 40, 7200), (first + 4, 3600), (first + 5, 3600), (last + 3, 0)]),
        made,
    ] {
        State::open(dir.path(), &named(&same)).unwrap();
    }
    for other in [of(&[(first - 40, 7200), (first + 5, 3600)]), of(&[(first - 40, 7200)])] {
        let error = State::open(dir.path(), &named(&other)).unwrap_err().to_string();
        assert!(error.contains("Here/There"), "{error}");
    }
}

/// Beta traffic comes back while it is held against the same, and not when an earlier day has become
/// known; a file that is none is named.
#[test]
fn beta_traffic_is_kept_under_its_needs() {
    let dir = tempfile::tempdir().unwrap();
    let reading = Reading::default();
    let state = State::open(dir.path(), &basis(&reading)).unwrap();
    let plan_of = |days: &Days| {
        let needs = |aging| {
            let history = PairHistory::new(days, Width::NET);
            let plan = Plan::new(days, &[history], &[aging], &Traffic::new(), &reading);
            let needs = plan.needs();
            let names = needs.iter().map(|(day, needs)| (*day, name(needs).unwrap()));
            names.collect::<BTreeMap<_, _>>()
        };
        (needs(Aging::Never), needs(Aging::After(7)))
    };
    let days = day_of(7, 0);
    let (never, seven) = plan_of(&days);
    assert_ne!(never, seven);
    assert_ne!(never, plan_of(&day_of(8, 0)).0, "another day");

    let history = PairHistory::new(&days, Width::NET);
    let plan = Plan::new(&days, &[history], &[Aging::Never], &Traffic::new(), &reading);
    let beta = BTreeMap::from([(DAY, BetaDay { bytes: 5, ..BetaDay::default() })]);
    state.store_beta(&beta, &plan.needs(), &reading).unwrap();
    let load = |plan: &Plan<'_>| {
        let mut found = BTreeMap::new();
        state.load_beta(&mut found, &plan.needs(), &reading).map(|()| found)
    };
    assert_eq!(load(&plan).unwrap(), beta);
    let history = PairHistory::new(&days, Width::NET);
    let other = Plan::new(&days, &[history], &[Aging::After(7)], &Traffic::new(), &reading);
    assert_eq!(load(&other).unwrap(), BTreeMap::new());
    assert_eq!(state.load(&reading, |_| false).unwrap(), Days::new(), "beta files are no days");
    fs::write(dir.path().join("2011-05-01.beta.json"), "{").unwrap();
    let error = format!("{:#}", load(&plan).unwrap_err());
    assert!(error.contains("2011-05-01.beta.json"), "{error}");
}
