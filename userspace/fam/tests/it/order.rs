// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The order of records and the way they are split between workers change nothing; a day read
//! alone, or twice, is the same day.

use crate::records::{H, workload};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::aging::{Aging, Traffic};
use telesteer_fam::beta::{BetaDay, BetaPass};
use telesteer_fam::day::{Gather, join, read};
use telesteer_fam::dimension::{Limits, Shape, dimensions};
use telesteer_fam::lsp::Lsp;
use telesteer_fam::plan::Plan;
use telesteer_fam::reading::{Detector, Directions, Duplicates, Refresh};
use telesteer_fam::redirected::{Redirected, TableBeta};
use telesteer_fam::series::{Days, PairHistory};
use telesteer_fam::simultaneous::meetings;
use telesteer_fam::suspects::Suspects;
use telesteer_fam::traffic::TrafficPass;
use telesteer_fam::utilisation::Load;
use telesteer_fam::{Day, Reading, Record, Width};

type Kept = BTreeMap<Day, BetaDay>;
/// What each policy's table redirected, and what each LSP carried under it.
type Beta = Vec<(TableBeta, Vec<(Lsp, Load)>)>;

fn reading(window: bool, each: bool, any_traffic: bool, both: bool) -> Reading {
    Reading {
        directions: if both { Directions::Both } else { Directions::OneWay },
        refresh: if any_traffic { Refresh::AnyTraffic } else { Refresh::AlphaFlows },
        h: H,
        detector: if window { Detector::Window } else { Detector::Report },
        duplicates: if each { Duplicates::Each } else { Duplicates::Once },
        suspect_buckets: 8,
        suspect_reports: 30,
        ..Reading::default()
    }
}

fn plan<'d>(days: &'d Days, traffic: &Traffic, reading: &'d Reading) -> Plan<'d> {
    let histories = [Width::NET, Width::HOST].map(|width| PairHistory::new(days, width));
    Plan::new(days, &histories, &[Aging::After(3), Aging::Never], traffic, reading)
}

fn found(plan: &Plan<'_>, beta: &Kept) -> Beta {
    let redirected = Redirected::new(plan, beta);
    let with_loads = |table: TableBeta| {
        let mut loads = Vec::new();
        redirected.for_loads(table.policy, |lsp, load| loads.push((lsp, load.clone())));
        (table, loads)
    };
    redirected.tables().into_iter().map(with_loads).collect()
}

/// All passes, the records dealt out to workers whose states are merged in turn.
fn run(records: &[Record], workers: usize, reading: &Reading) -> (Days, Traffic, Beta) {
    let dealt = |worker: usize| records.iter().skip(worker).step_by(workers);
    let mut suspects = Suspects::new(reading);
    for worker in (0..workers).rev() {
        let mut own = Suspects::new(reading);
        dealt(worker).for_each(|record| own.observe(record));
        suspects.merge(own);
    }
    let mut days = Days::new();
    for (number, round) in suspects.rounds().into_iter().enumerate() {
        let mut gather = Gather::new(&suspects, round.clone());
        for worker in 0..workers {
            let mut own = Gather::new(&suspects, round.clone());
            dealt(worker).for_each(|record| match number {
                0 => own.observe(record),
                _ => own.observe_counted(record),
            });
            gather.merge(own);
        }
        join(&mut days, gather.finish());
    }
    let mut traffic = TrafficPass::new(&days, reading);
    for worker in (0..workers).rev() {
        let mut own = TrafficPass::new(&days, reading);
        dealt(worker).for_each(|record| own.observe(record));
        traffic.merge(own);
    }
    let traffic = traffic.finish();
    let plan = plan(&days, &traffic, reading);
    let mut beta = BetaPass::new(&plan);
    for worker in 0..workers {
        let mut own = BetaPass::new(&plan);
        dealt(worker).for_each(|record| own.observe(record));
        beta.merge(own);
    }
    let tables = found(&plan, &beta.finish());
    (days, traffic, tables)
}

proptest! {
    #[test]
    fn order_and_split_do_not_matter(
        (records, shuffled) in workload().prop_flat_map(|records| {
            (Just(records.clone()), Just(records).prop_shuffle())
        }),
        workers in 1..5usize,
        (window, each, any_traffic, both) in any::<(bool, bool, bool, bool)>(),
    ) {
        let reading = reading(window, each, any_traffic, both);
        let one = run(&records, 1, &reading);
        prop_assert_eq!(&one, &run(&shuffled, workers, &reading));
        // The loads hold all that was redirected onto an LSP with an alpha history.
        for (table, loads) in &one.2 {
            let alpha: u64 = table.rows.iter().map(|row| row.alpha).sum();
            prop_assert_eq!(loads.iter().map(|(_, load)| load.bytes().0).sum::<u64>(), alpha);
        }
        prop_assert_eq!(meetings(&one.0, &reading), meetings(&read(&shuffled, &reading), &reading));

        let shapes = |days: &Days| -> Vec<Shape> {
            let flows = days.values().flat_map(|day| &day.flows);
            flows.filter_map(|flow| Shape::of_reports(&flow.reports)).collect()
        };
        let (forth, mut back) = (shapes(&one.0), shapes(&one.0));
        back.reverse();
        let table = |shapes: &[Shape]| dimensions(shapes, Limits::of(shapes, 3.0));
        prop_assert_eq!(table(&forth), table(&back));
    }

    /// Traffic keeps entries only in the table: more of them, and none that was not there.
    #[test]
    fn traffic_only_keeps(records in workload(), both in any::<bool>()) {
        let [alpha, any] =
            [false, true].map(|any| run(&records, 2, &reading(false, false, any, both)));
        prop_assert_eq!(&alpha.0, &any.0);
        for ((alpha, _), (any, _)) in alpha.2.iter().zip(&any.2) {
            for (alpha, any) in alpha.rows.iter().zip(&any.rows) {
                prop_assert!(alpha.alpha <= any.alpha && alpha.beta2.bytes <= any.beta2.bytes);
            }
        }
    }

    #[test]
    fn a_day_is_its_own(records in workload(), window in any::<bool>()) {
        let reading = reading(window, false, false, false);
        let all = read(&records, &reading);
        let mut replayed = all.clone();
        for day in all.keys() {
            let own = |record: &&Record| reading.calendar.day(record.first) == *day;
            let records: Vec<_> = records.iter().filter(own).cloned().collect();
            let alone = read(&records, &reading);
            prop_assert_eq!(alone.len(), 1);
            replayed.extend(alone);
        }
        prop_assert_eq!(&replayed, &all);
        // What is kept of a day can be put away and taken out again.
        let kept: Days = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
        prop_assert_eq!(kept, all);
    }

    /// Days come in two runs, the first of which keeps what it found; after the second everything is as
    /// if all had been read at once, though records cross from the first to the second.
    #[test]
    fn beta_of_kept_days_is_as_read(
        records in workload(),
        cut in 0..9i32,
        (each, hourly, both) in any::<(bool, bool, bool)>(),
    ) {
        let mut reading = reading(false, each, false, both);
        if hourly {
            reading.calendar.step = telesteer_fam::time::Step::Hour;
        }
        let cut = (crate::records::START / 86_400) as i32 + cut;
        let cut = Day(if hourly { cut * 24 } else { cut });
        let is_early = |record: &&Record| reading.calendar.day(record.first) < cut;
        let early: Vec<Record> = records.iter().filter(is_early).cloned().collect();
        let none = Traffic::new();
        let (days, early_days) = (read(&records, &reading), read(&early, &reading));
        let pass = |records: &[Record], plan: &Plan<'_>| {
            let mut pass = BetaPass::new(plan);
            records.iter().for_each(|record| pass.observe(record));
            pass.finish()
        };
        let whole = plan(&days, &none, &reading);
        let first = plan(&early_days, &none, &reading).keeping();
        let mut kept = pass(&early, &first);
        for (day, needs) in first.needs() {
            prop_assert_eq!(&needs, &whole.needs()[&day]);
        }
        let late: BTreeSet<Day> = days.keys().filter(|day| **day >= cut).copied().collect();
        let second = plan(&days, &none, &reading).only(late);
        kept.extend(pass(&records, &second));
        prop_assert_eq!(found(&second, &kept), found(&whole, &pass(&records, &whole)));
    }
}
