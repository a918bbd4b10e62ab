// SPDX-License-Identifier: Apache-2.0 OR MIT
//! More flows than there is room for: memory keeps its bound, and heavy flows are found.

use crate::reports::{SETTING, key, report};
use proptest::prelude::*;
use telesteer_fam::time::SECOND;
use telesteer_fam::{Prefix, PrefixFlow};
use telesteer_online::{Detector, End, Gate, Setting, What};

const FLOODED: Setting = Setting { flows: 50, rest: 40, early: 1, ..SETTING };

/// A gate for flow `number` alone.
fn gate(number: u32) -> Gate {
    let key = key(number);
    let (src, dst) = (Prefix::new(key.src, 32), Prefix::new(key.dst, 32));
    Gate::new([PrefixFlow { src, dst }], true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any flood: of flows in the table or outside, ended or not.
    #[test]
    fn bounds_hold_under_any_flood(
        flood in prop::collection::vec(
            (0..100_000u32, 0..2000u64, any::<bool>(), 0..3i64), 1..3000),
        gated in any::<bool>(),
    ) {
        let mut detector = Detector::new(FLOODED, gated.then(|| gate(1))).unwrap();
        let mut out = Vec::new();
        let mut at = 0;
        for (number, bytes, fin, step) in flood {
            at += step * SECOND;
            let mut report = report(number, at, at, bytes);
            report.fin = fin;
            detector.observe(&report, at, &mut out);
            let (exact, rest) = detector.flows();
            prop_assert!(exact <= FLOODED.flows && rest <= FLOODED.rest);
            prop_assert!(detector.entered() <= exact + rest);
        }
        let counters = detector.counters();
        // Every flow that began has ended or is there.
        let (exact, _) = detector.flows();
        let before = counters.ended_idle + counters.ended_fin + counters.displaced;
        prop_assert!(before + exact as u64 <= counters.flows);
        detector.finish(&mut out);
        prop_assert_eq!(detector.entered(), 0);
        let ends = out.iter().filter(|event| matches!(event.what, What::Ended(_)));
        // Whoever was told of a flow is told of its end, once.
        let told = out.iter().filter(|event| !matches!(event.what, What::Ended(_)));
        let mut told: Vec<_> = told.map(|event| event.key).collect();
        let mut ended: Vec<_> = ends.map(|event| event.key).collect();
        let score = detector.score();
        // Named twice; what is alpha is not named early any more.
        let both = score.before + score.same;
        prop_assert_eq!(told.len() as u64, ended.len() as u64 + both);
        told.sort_unstable();
        told.dedup();
        ended.sort_unstable();
        ended.dedup();
        prop_assert_eq!(told, ended);
    }
}

/// 1. Flow 0 is in the table, flow 1 is not. Both send 300 bytes every 10 s among 2000 mice a second
///    of one byte each; 400 counters are enough for what has more than 5 bytes a second.
/// 2. The first is found exactly; the second too, since it is heavier than the mice; and it says what
///    it may have missed.
/// 3. The table's flow has room of its own: no mouse comes near it.
#[test]
fn heavy_flows_are_found_among_mice() {
    let setting = Setting { rest: 400, ..FLOODED };
    let mut detector = Detector::new(setting, Some(gate(0))).unwrap();
    let mut out = Vec::new();
    let mut mouse = 1000;
    for second in 0..120 {
        let at = second * SECOND;
        for _ in 0..2000 {
            mouse += 1;
            detector.observe(&report(mouse, at, at, 1), at, &mut out);
        }
        if second % 10 == 9 {
            for number in [0, 1] {
                let report = report(number, at - 9 * SECOND, at, 300);
                detector.observe(&report, at, &mut out);
            }
        }
    }
    let found = |number| out.iter().find(|e| e.key == key(number) && e.what == What::Alpha);
    let (gated, outside) = (found(0).unwrap(), found(1).unwrap());
    assert_eq!((gated.at, gated.missed, gated.gated), (39 * SECOND, 0, true));
    assert!(!outside.gated && outside.missed > 0);
    assert_eq!(detector.flows(), (1, 400));
    let counters = detector.counters();
    assert_eq!((counters.alpha, counters.would_have_been_seen), (2, 1));
    assert_eq!(counters.spilled, 0, "mice are outside the table");
    assert!(counters.displaced > 200_000);
    // At most 240 000 bytes of the last two T in 400 counters, twice for the T that was halved.
    assert!(detector.rest_bound() <= 2 * 240_000 / 400 + 2, "{}", detector.rest_bound());
    let mut rest = Vec::new();
    detector.finish(&mut rest);
    assert_eq!(rest.last().map(|event| event.what), Some(What::Ended(End::Stop)));
}
