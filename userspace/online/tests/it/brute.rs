// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The window detector against one that adds everything up again for every window.

use crate::reports::{SETTING, feed, parts, run};
use proptest::prelude::*;
use telesteer_fam::detect::{self, mark};
use telesteer_fam::lsp::Egress;
use telesteer_fam::reading::Detector as Offline;
use telesteer_fam::{Ns, Reading};
use telesteer_online::{Detector, Report, Setting, What};

/// The first report that ends a window of `t` with more than H.
fn brute(reports: &[Report], t: Ns, h: u64) -> Option<usize> {
    (0..reports.len()).find(|end| {
        let inside = |report: &&Report| report.first >= reports[*end].last - t;
        reports[..=*end].iter().filter(inside).map(|report| report.bytes).sum::<u64>() > h
    })
}

/// The number of the report with which the detector found the flow, its reports fed one by one.
fn found(reports: &[Report], setting: Setting) -> Option<usize> {
    let mut detector = Detector::new(setting, None).unwrap();
    reports.iter().position(|report| {
        feed(&mut detector, &[*report]).iter().any(|event| event.what == What::Alpha)
    })
}

/// Whether the offline window detector finds the flow.
fn offline(reports: &[Report], setting: &Setting) -> bool {
    let reading =
        Reading { h: setting.h, t: setting.t, detector: Offline::Window, ..Reading::default() };
    let told = |report: &Report| {
        let Report { first, last, bytes, .. } = *report;
        detect::Report { first, last, bytes, egress: Egress::Unknown, alpha: false }
    };
    let mut reports: Vec<detect::Report> = reports.iter().map(told).collect();
    mark(&mut reports, &reading);
    reports.iter().any(|report| report.alpha)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Reports of more than half a slot share none, so the detector sees exactly what there is. Flows
    /// are not ended here by silence: a window does not know of ends.
    #[test]
    fn the_same_report_as_by_brute_force(parts in parts(51..=100)) {
        let reports = run(1, &parts);
        let setting = Setting { idle: Ns::MAX, ..SETTING };
        let found = found(&reports, setting);
        prop_assert_eq!(found, brute(&reports, setting.t, setting.h));
        prop_assert_eq!(found.is_some(), offline(&reports, &setting));
    }

    /// Shorter ones share slots: then no window shows more than there was, and what is above H in a
    /// window two slots shorter is found.
    #[test]
    fn short_reports_are_found_within_two_slots(parts in parts(0..=40)) {
        let reports = run(1, &parts);
        let setting = Setting { idle: Ns::MAX, ..SETTING };
        let (found, exact) = (found(&reports, setting), brute(&reports, setting.t, setting.h));
        let narrow = brute(&reports, setting.t - 2 * setting.slot, setting.h);
        let never = usize::MAX;
        prop_assert!(exact.unwrap_or(never) <= found.unwrap_or(never));
        prop_assert!(found.unwrap_or(never) <= narrow.unwrap_or(never));
        prop_assert!(found.is_none() || offline(&reports, &setting));
    }

    /// The early rule by its words: the last k reports, each of a whole slot, running, each with a rate
    /// that makes more than H in T.
    #[test]
    fn the_early_rule_by_its_words(parts in parts(100..=100), k in 1..4u32) {
        let reports = run(1, &parts);
        let setting = Setting { idle: Ns::MAX, early: k, ..SETTING };
        let running = reports.windows(k as usize).position(|last| {
            let enough = |report: &Report| report.bytes * 6 > setting.h;
            let runs = last.windows(2).all(|two| two[1].first - two[0].last <= setting.slot);
            runs && last.iter().all(enough)
        });
        let mut detector = Detector::new(setting, None).unwrap();
        let named = reports.iter().position(|report| {
            // No event where the window rule was first.
            feed(&mut detector, &[*report]);
            detector.counters().early > 0
        });
        prop_assert_eq!(named, running.map(|at| at + k as usize - 1));
    }
}

/// A detector that sums bytes since ever is not the same: the law can fail.
#[test]
fn a_sum_without_a_window_is_caught() {
    let reports = run(1, &[(0, 100, 600), (700, 100, 600)]);
    let twin = Setting { t: 600 * SETTING.slot, idle: Ns::MAX, ..SETTING };
    assert_eq!(brute(&reports, SETTING.t, SETTING.h), None);
    assert_eq!(found(&reports, twin), Some(1));
}
