// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Workloads of many seeds: "any" is more than a test can try, so these are many and odd.

use crate::program::fresh_seed;
use hntes::generate::plan::{
    BUSIEST_DAY, BUSIEST_FLOWS, LARGEST_BYTES, LARGEST_DAY, LARGEST_TIME_MS, RAW_FLOWS, plan,
};

/// How many fresh seeds are tried.
const SEEDS: u64 = 48;

#[test]
fn every_seed_has_a_workload() {
    let fresh = fresh_seed();
    let odd = [0, 1, 2, u64::MAX, u64::MAX / 2, 1 << 32, (1 << 32) - 1, 0x9e37_79b9_7f4a_7c15];
    for seed in (fresh..fresh + SEEDS).chain(odd) {
        let plan = plan(seed).unwrap_or_else(|| panic!("no workload for seed {seed}"));
        assert_eq!(plan.sessions.len(), RAW_FLOWS, "seed {seed}");
        let (mut bytes, mut time, mut busiest) = (0, 0, 0);
        for session in &plan.sessions {
            let cell = &plan.cells[session.cell];
            let alpha = || session.cuts.iter().filter(|cut| cut.alpha());
            assert!(alpha().next().is_some(), "seed {seed}");
            assert!(session.start_ms + session.length_ms() < 86_400_000, "seed {seed}");
            if cell.day == LARGEST_DAY {
                bytes += alpha().map(|cut| cut.bytes).sum::<u64>();
                time += alpha().map(|cut| cut.length_ms).sum::<u64>();
            }
            busiest += usize::from(cell.day == BUSIEST_DAY && cell.pair == 0);
        }
        let marks = (LARGEST_BYTES, LARGEST_TIME_MS, BUSIEST_FLOWS);
        assert_eq!((bytes, time, busiest), marks, "seed {seed}");
    }
}
