// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lives of flows, by hand.

use super::*;
use crate::testing::{exporter, key, report};
use telesteer_fam::PrefixFlow;
use telesteer_fam::time::SECOND;

const SETTING: Setting = Setting {
    h: 1000,
    t: 60 * SECOND,
    slot: 10 * SECOND,
    grace: 0,
    lateness: 10 * SECOND,
    idle: 70 * SECOND,
    early: 0,
    flows: 100,
    rest: 4,
};

/// Feeds reports, each known as it ends; returns the events as (what, seconds, port, bytes).
fn feed(detector: &mut Detector, reports: &[Report]) -> Vec<(&'static str, i64, u16, u64)> {
    let mut out = Vec::new();
    for report in reports {
        detector.observe(report, report.last, &mut out);
    }
    out.iter().map(told).collect()
}

fn told(event: &Event) -> (&'static str, i64, u16, u64) {
    let name = match event.what {
        What::Ended(why) => why.name(),
        what => what.name(),
    };
    (name, event.at / SECOND, event.key.src_port, event.bytes)
}

fn finish(detector: &mut Detector) -> Vec<(&'static str, i64, u16, u64)> {
    let mut out = Vec::new();
    detector.finish(&mut out);
    out.iter().map(told).collect()
}

#[test]
fn a_flow_becomes_alpha_once_and_ends() {
    let mut detector = Detector::new(SETTING, None).unwrap();
    let reports: Vec<Report> = (0..6).map(|n| report(1, n * 10, n * 10 + 10, 400)).collect();
    assert_eq!(feed(&mut detector, &reports), [("alpha", 30, 1, 1200)]);
    // Another flow's reports show that this one is silent.
    assert_eq!(feed(&mut detector, &[report(2, 120, 129, 1)]), []);
    let ended = [("idle", 60, 1, 2400)];
    assert_eq!(feed(&mut detector, &[report(2, 129, 130, 1)]), ended);
    // Its 5-tuple comes again: another flow.
    let again = [report(1, 130, 140, 1001)];
    assert_eq!(feed(&mut detector, &again), [("alpha", 140, 1, 1001)]);
    let mut fin = report(1, 140, 141, 5);
    fin.fin = true;
    assert_eq!(feed(&mut detector, &[fin]), [("fin", 141, 1, 1006)]);
    assert_eq!(finish(&mut detector), []);
    let counters = detector.counters();
    assert_eq!((counters.flows, counters.alpha), (3, 2));
    assert_eq!((counters.ended_idle, counters.ended_fin), (1, 1));
    assert_eq!(detector.entered(), 0);
}

#[test]
fn what_a_report_may_have_wrong() {
    let setting = Setting { idle: 200 * SECOND, ..SETTING };
    let mut detector = Detector::new(setting, None).unwrap();
    let mut others = report(1, 0, 10, 5000);
    others.exporter = exporter(2);
    let reports = [
        report(1, 0, 10, 600),
        others,
        report(1, 20, 19, 5000),
        // 300 of its bytes were sent in each 10 s: with the first 600 more than 1000 at 50.
        report(1, 30, 70, 1200),
    ];
    assert_eq!(feed(&mut detector, &reports), [("alpha", 50, 1, 1800)]);
    let counters = detector.counters();
    assert_eq!((counters.other_exporter, counters.backward, counters.spread), (1, 1, 1));
    // Once the first exporter has been silent for T and a slot, the other one counts.
    for (now, changed) in [(140, 0), (141, 1)] {
        (others.first, others.last) = ((now - 5) * SECOND, now * SECOND);
        detector.observe(&others, now * SECOND, &mut Vec::new());
        assert_eq!(detector.counters().exporter_changed, changed);
    }
}

#[test]
fn early_names_and_is_judged() {
    let setting = Setting { early: 2, ..SETTING };
    let mut detector = Detector::new(setting, None).unwrap();
    let rates = |port, bytes: &[u64]| -> Vec<Report> {
        let slots = bytes.iter().enumerate();
        slots.map(|(n, bytes)| report(port, n as i64 * 10, n as i64 * 10 + 10, *bytes)).collect()
    };
    // Keeps its rate: named at 20, alpha at 60.
    let events = feed(&mut detector, &rates(1, &[170; 6]));
    assert_eq!(events, [("early", 20, 1, 340), ("alpha", 60, 1, 1020)]);
    // Does not: a false alarm.
    assert_eq!(feed(&mut detector, &rates(2, &[170, 170, 1])), [("early", 20, 2, 340)]);
    // Alpha at once, named one later; alpha and never named; neither.
    let events = feed(&mut detector, &rates(3, &[1001, 170]));
    assert_eq!(events, [("alpha", 10, 3, 1001)]);
    assert_eq!(feed(&mut detector, &rates(4, &[1001, 1])), [("alpha", 10, 4, 1001)]);
    assert_eq!(feed(&mut detector, &rates(5, &[1, 170])), []);
    let ends = finish(&mut detector);
    let ports: Vec<u16> = ends.iter().map(|(_, _, port, _)| *port).collect();
    assert_eq!(ports, [1, 2, 3, 4]);
    let score = detector.score();
    assert_eq!((score.before, score.later, score.missed), (1, 1, 1));
    assert_eq!((score.false_alarms, score.rightly_silent), (1, 1));
    assert_eq!(score.mean_lead(), Some(40e9));
}

#[test]
fn outside_the_table_flows_are_counted() {
    let pair: PrefixFlow = PrefixFlow {
        src: "192.0.2.0/24".parse().unwrap(),
        dst: "198.51.100.0/24".parse().unwrap(),
    };
    let mut detector = Detector::new(SETTING, Some(Gate::new([pair], true))).unwrap();
    let mut outside = report(9, 0, 10, 1500);
    outside.key = key("203.0.113.1", "198.51.100.9", 9);
    let mut out = Vec::new();
    detector.observe(&report(1, 0, 10, 1500), 0, &mut out);
    detector.observe(&outside, 0, &mut out);
    let gated: Vec<bool> = out.iter().map(|event| event.gated).collect();
    assert_eq!(gated, [true, false]);
    assert_eq!(detector.flows(), (1, 1));
    detector.tick(71 * SECOND, &mut out);
    assert_eq!(out.len(), 4);
    let counters = detector.counters();
    assert_eq!((counters.would_have_been_seen, counters.would_have_been_seen_bytes), (1, 1500));
    assert_eq!((counters.outside_reports, counters.outside_bytes), (1, 1500));
}

/// A new table, while flows live: one that is kept stays, one it lets in that was among the rest stays
/// there, and new ones are sorted by it.
#[test]
fn another_table_sorts_new_flows() {
    let pair = |src: &str| PrefixFlow {
        src: src.parse().unwrap(),
        dst: "198.51.100.0/24".parse().unwrap(),
    };
    let gate = |src| Some(Gate::new([pair(src)], false));
    let mut detector = Detector::new(SETTING, gate("192.0.2.0/24")).unwrap();
    let mut other = report(9, 0, 10, 400);
    other.key = key("203.0.113.1", "198.51.100.9", 9);
    let mut out = Vec::new();
    detector.observe(&report(1, 0, 10, 400), 0, &mut out);
    detector.observe(&other, 0, &mut out);
    assert_eq!(detector.flows(), (1, 1));
    detector.set_gate(gate("203.0.113.0/24"));
    detector.observe(&report(1, 10, 20, 1500), 20 * SECOND, &mut out);
    let mut next = Report { first: 10 * SECOND, last: 20 * SECOND, bytes: 1500, ..other };
    detector.observe(&next, 20 * SECOND, &mut out);
    next.key = key("203.0.113.2", "198.51.100.9", 9);
    detector.observe(&next, 20 * SECOND, &mut out);
    assert_eq!(detector.flows(), (2, 1));
    let found: Vec<_> = out.iter().map(|event| (event.key, event.gated)).collect();
    assert_eq!(found, [(report(1, 0, 10, 1).key, true), (other.key, false), (next.key, true)]);
}

/// Room for one flow and one among the rest.
#[test]
fn what_falls_off_is_counted() {
    let setting = Setting { flows: 1, rest: 1, ..SETTING };
    let mut detector = Detector::new(setting, None).unwrap();
    let reports =
        [report(1, 0, 1, 10), report(2, 0, 2, 1100), report(3, 0, 3, 10), report(2, 3, 4, 1100)];
    let expected = [("alpha", 2, 2, 1100), ("displaced", 2, 2, 1100), ("alpha", 4, 2, 1100)];
    assert_eq!(feed(&mut detector, &reports), expected);
    let counters = detector.counters();
    assert_eq!((counters.spilled, counters.displaced, counters.displaced_bytes), (3, 2, 1110));
    assert_eq!(detector.rest_bound(), 2 * 2210);
    assert_eq!(detector.score().unknown, 1);
    assert_eq!(detector.flows(), (1, 1));
    // Two T later the counts have been halved.
    detector.tick(125 * SECOND, &mut Vec::new());
    assert_eq!(detector.rest_bound(), 2 * 1105_u64.div_ceil(2));
}
