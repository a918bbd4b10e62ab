// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The order reports come in changes nothing, within the lateness they may have.

use crate::reports::{SETTING, feed, key, parts, run};
use proptest::prelude::*;
use std::collections::BTreeSet;
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_online::clock::Clock;
use telesteer_online::hold::Hold;
use telesteer_online::{Detector, Event, Report, What};

/// Some flows' reports by time.
fn reports(flows: &[Vec<(i64, i64, u64)>]) -> Vec<Report> {
    let flows = flows.iter().enumerate();
    let mut all: Vec<Report> = flows.flat_map(|(n, parts)| run(n as u32, parts)).collect();
    all.sort_unstable();
    all
}

/// The same, each late by up to `lateness`: by when it comes.
fn late(reports: &[Report], by: &[Ns]) -> Vec<Report> {
    let delays = by.iter().cycle();
    let mut coming: Vec<(Ns, usize, Report)> = reports
        .iter()
        .zip(delays)
        .enumerate()
        .map(|(n, (report, delay))| (report.last + delay, n, *report))
        .collect();
    coming.sort_unstable_by_key(|(at, n, _)| (*at, std::cmp::Reverse(*n)));
    coming.into_iter().map(|(_, _, report)| report).collect()
}

/// All events of reports that are held for `by`.
fn held(reports: &[Report], by: Ns) -> Vec<Event> {
    let mut detector = Detector::new(SETTING, None).unwrap();
    let mut hold = Hold::new(by, 100_000, Clock::new(Ns::MAX));
    let mut out = Vec::new();
    for report in reports {
        hold.push(*report, |report, now| detector.observe(report, now, &mut out));
    }
    hold.finish(|report, now| detector.observe(report, now, &mut out));
    assert_eq!((hold.late, hold.crowded), (0, 0));
    detector.finish(&mut out);
    out
}

/// Flows found alpha, without holding anything.
fn alpha(reports: &[Report]) -> BTreeSet<FiveTuple> {
    let mut setting = SETTING;
    setting.idle = Ns::MAX;
    let mut detector = Detector::new(setting, None).unwrap();
    let events = feed(&mut detector, reports);
    assert_eq!(detector.counters().late, 0);
    events.iter().filter(|event| event.what == What::Alpha).map(|event| event.key).collect()
}

fn delays() -> impl Strategy<Value = Vec<Ns>> {
    prop::collection::vec(0..=SETTING.lateness, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Held for as long as they may be late, reports give the same events to the last field.
    #[test]
    fn held_reports_give_the_same_events(
        flows in prop::collection::vec(parts(0..=300), 1..5),
        by in delays(),
    ) {
        let reports = reports(&flows);
        let late = late(&reports, &by);
        prop_assert_eq!(held(&reports, SETTING.lateness), held(&late, SETTING.lateness));
    }

    /// Without holding, the same flows are found alpha; when, depends on what had come.
    #[test]
    fn late_reports_find_the_same_flows(
        flows in prop::collection::vec(parts(51..=100), 1..5),
        by in delays(),
    ) {
        let reports = reports(&flows);
        prop_assert_eq!(alpha(&reports), alpha(&late(&reports, &by)));
    }
}

/// Orders that the laws above tell apart exist: without holding, the event of a late report differs.
#[test]
fn without_holding_events_differ() {
    let reports = run(7, &[(0, 100, 600), (0, 100, 600), (0, 100, 600)]);
    let late = [reports[0], reports[2], reports[1]];
    let at =
        |reports: &[Report]| held(reports, 0).iter().map(|e| e.at / SECOND).collect::<Vec<_>>();
    assert_ne!(at(&reports), at(&late));
    assert_eq!(alpha(&late), BTreeSet::from([key(7)]));
}
