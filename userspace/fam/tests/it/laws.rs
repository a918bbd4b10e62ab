// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What must hold between results, and a second, slower way to the same table.

use crate::records::{H, workload};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeSet;
use telesteer_fam::aging::{Aged, Aging, Traffic, age, effectiveness};
use telesteer_fam::day::{RawFlow, read};
use telesteer_fam::detect::Report;
use telesteer_fam::gaps::Gaps;
use telesteer_fam::reading::{Bytes, Credit, Detector, Directions, Duplicates, Gap, Mean, Refresh};
use telesteer_fam::series::{PairHistory, lsps_by_month, series};
use telesteer_fam::traffic::TrafficPass;
use telesteer_fam::{PrefixFlow, Reading, Width, lsp};

/// Of a workload of nine days: none of them is as good as never.
const AGES: [Aging; 6] = [
    Aging::After(0),
    Aging::After(1),
    Aging::After(2),
    Aging::After(4),
    Aging::After(6),
    Aging::Never,
];

fn reading() -> Reading {
    Reading { h: H, ..Reading::default() }
}

fn switches() -> impl Strategy<Value = Reading> {
    let gap = prop_oneof![Just(Gap::UpTo), Just(Gap::Under), Just(Gap::OneMore)];
    let mean = prop_oneof![Just(Mean::RatioOfSums), Just(Mean::OfDays)];
    let bytes = prop_oneof![Just(Bytes::AlphaReports), Just(Bytes::WholeFlows)];
    let credit = prop_oneof![Just(Credit::NextDay), Just(Credit::SameDay)];
    let detector = prop_oneof![Just(Detector::Report), Just(Detector::Window)];
    let duplicates = prop_oneof![Just(Duplicates::Once), Just(Duplicates::Each)];
    (gap, mean, bytes, credit, detector, duplicates, 0..3u32).prop_map(
        |(gap, mean, bytes, credit, detector, duplicates, warm_up)| Reading {
            gap,
            mean,
            bytes,
            credit,
            detector,
            duplicates,
            warm_up,
            ..reading()
        },
    )
}

fn percent(aged: &Aged, reading: &Reading) -> f64 {
    effectiveness(&aged.rows, reading).percent.unwrap_or(0.0)
}

proptest! {
    /// More patience never redirects less, nor makes a smaller table; neither do wider entries
    /// redirect less, nor make a larger one.
    #[test]
    fn grows_with_age_and_width(records in workload(), reading in switches()) {
        let days = read(&records, &reading);
        let histories = [Width::NET, Width::HOST].map(|width| PairHistory::new(&days, width));
        let [nets, hosts] = histories.each_ref().map(|history| {
            AGES.map(|aging| age(history, aging, &reading, &Traffic::new()))
        });
        for (net, host) in nets.iter().zip(&hosts) {
            prop_assert!(percent(net, &reading) >= percent(host, &reading) - 1e-9);
            for (net, host) in net.rows.iter().zip(&host.rows) {
                prop_assert!(net.size <= host.size && host.size <= host.both_ways);
                prop_assert!(net.matched >= host.matched && net.total == host.total);
                prop_assert!(host.both_ways <= 2 * host.size);
            }
        }
        for tables in [&nets, &hosts] {
            for pair in tables.windows(2) {
                prop_assert!(percent(&pair[0], &reading) <= percent(&pair[1], &reading) + 1e-9);
                for (younger, older) in pair[0].rows.iter().zip(&pair[1].rows) {
                    prop_assert!(younger.size <= older.size && younger.matched <= older.matched);
                    prop_assert!(younger.new_install >= older.new_install);
                    prop_assert_eq!(younger.new_ever, older.new_ever);
                }
            }
        }
        // The table that never forgets holds every key of the days before.
        for (history, tables) in histories.iter().zip([&nets, &hosts]) {
            let mut seen: BTreeSet<PrefixFlow> = BTreeSet::new();
            for ((day, pairs), row) in history.days.iter().zip(&tables[5].rows) {
                prop_assert_eq!(&tables[5].in_force.table(*day), &seen);
                prop_assert_eq!(row.size, seen.len() as u64);
                prop_assert_eq!(row.new_ever, row.new_install);
                seen.extend(pairs.keys());
            }
            prop_assert_eq!(history.all(), seen);
        }
    }

    /// In force on a day: the last alpha day before it is at most A days ago.
    #[test]
    fn a_table_by_looking_back(records in workload(), a in 0..6u32, net in any::<bool>()) {
        let reading = reading();
        let width = if net { Width::NET } else { Width::HOST };
        let history = PairHistory::new(&read(&records, &reading), width);
        let aged = age(&history, Aging::After(a), &reading, &Traffic::new());
        for (index, (day, pairs)) in history.days.iter().enumerate() {
            let in_force = |pair: &&PrefixFlow| {
                let before = history.days[..index].iter().rev();
                let gap = before.take(a as usize).position(|(_, seen)| seen.contains_key(*pair));
                gap.is_some()
            };
            let keys = history.all();
            let table: BTreeSet<_> = keys.iter().filter(in_force).copied().collect();
            let matched: u64 = pairs
                .iter()
                .filter(|(pair, _)| table.contains(*pair))
                .map(|(_, seen)| seen.alpha_bytes)
                .sum();
            prop_assert_eq!(aged.rows[index].matched, matched);
            prop_assert_eq!(aged.in_force.table(*day), table);
        }
    }

    /// One gap for each prefix flow and day says what every table has, whatever keeps entries young.
    #[test]
    fn gaps_are_tables(
        records in workload(),
        switched in switches(),
        (any, both) in any::<(bool, bool)>(),
    ) {
        let refresh = if any { Refresh::AnyTraffic } else { Refresh::AlphaFlows };
        let directions = if both { Directions::Both } else { Directions::OneWay };
        let reading = Reading { refresh, directions, ..switched };
        let days = read(&records, &reading);
        let mut traffic = TrafficPass::new(&days, &reading);
        records.iter().for_each(|record| traffic.observe(record));
        let traffic = traffic.finish();
        for width in [Width::NET, Width::HOST] {
            let history = PairHistory::new(&days, width);
            let gaps = Gaps::new(&history, &traffic, &reading);
            let last = history.days.last().map(|(day, _)| day.plus(1));
            let all = history.all();
            let ways = |pair: &PrefixFlow| [*pair, pair.reverse()];
            let keys: BTreeSet<PrefixFlow> = all.iter().flat_map(ways).collect();
            let mut pairs: Vec<PrefixFlow> = gaps.pairs().collect();
            pairs.sort_unstable();
            let expected = if both { &keys } else { &all };
            prop_assert!(pairs.iter().eq(expected));
            for aging in AGES {
                let aged = age(&history, aging, &reading, &traffic);
                for day in history.days.iter().map(|(day, _)| *day).chain(last) {
                    for pair in &keys {
                        let gap = gaps.gap(pair, day);
                        let held = gap.is_some_and(|gap| aging.holds(gap.into(), reading.gap));
                        prop_assert_eq!(held, aged.in_force.has(pair, day));
                        let longest = aging.longest(reading.gap);
                        prop_assert_eq!(held, gap.zip(longest).is_some_and(|(gap, a)| gap <= a));
                    }
                }
            }
        }
    }

    /// What one report shows, the window sees too: of each view of a flow the same reports, and its
    /// alpha reports among the window's. Of a flow that counts once the window may prefer another
    /// view, which then has as many bytes.
    #[test]
    fn the_window_holds_the_reports(records in workload()) {
        let by = |detector, duplicates| {
            read(&records, &Reading { detector, duplicates, ..reading() })
        };
        let [report, window] =
            [Detector::Report, Detector::Window].map(|detector| by(detector, Duplicates::Each));
        for (day, alpha) in &report {
            for flow in &alpha.flows {
                let same = |other: &&RawFlow| (other.key, other.exporter) == (flow.key, flow.exporter);
                let found = window[day].flows.iter().find(same);
                prop_assert!(found.is_some());
                let plain = |report: &Report| Report { alpha: false, ..*report };
                let reports = |flow: &RawFlow| -> Vec<Report> {
                    flow.reports.iter().map(plain).collect()
                };
                prop_assert_eq!(found.map(reports), Some(reports(flow)));
                let marks = found.into_iter().flat_map(|found| &found.reports).map(|r| r.alpha);
                for (report, mark) in flow.reports.iter().zip(marks) {
                    prop_assert!(mark || !report.alpha);
                }
            }
        }
        let [report, window] =
            [Detector::Report, Detector::Window].map(|detector| by(detector, Duplicates::Once));
        for (day, alpha) in &report {
            for flow in &alpha.flows {
                let same = |other: &&RawFlow| other.key == flow.key;
                let found = window[day].flows.iter().find(same);
                prop_assert!(found.map(RawFlow::alpha_bytes) >= Some(flow.alpha_bytes()));
            }
        }
    }

    /// Sums over days, flows and months agree with each other.
    #[test]
    fn figures_agree(records in workload(), reading in switches()) {
        let days = read(&records, &reading);
        let rows = series(&days, &reading);
        for (row, alpha) in rows.iter().filter_map(|row| Some((row, days.get(&row.day)?))) {
            for width in [Width::NET, Width::HOST] {
                let pairs = alpha.pairs(width);
                prop_assert_eq!(pairs.values().map(|p| p.flows).sum::<u64>(), row.raw_flows);
                prop_assert_eq!(pairs.values().map(|p| p.alpha_bytes).sum::<u64>(), row.alpha_bytes);
            }
            prop_assert!(row.alpha_time_union <= row.alpha_time_sum);
            prop_assert!(row.alpha_bytes <= row.whole_bytes);
            prop_assert!(row.whole_bytes <= alpha.totals.bytes);
        }
        let matrix = lsp::month_matrix(&lsps_by_month(&days, &reading));
        for row in &matrix {
            prop_assert_eq!(row.total, row.repeated + row.new);
            prop_assert!(row.active >= row.new && row.active <= row.total);
        }
        for pair in matrix.windows(2) {
            prop_assert_eq!(pair[0].total, pair[1].repeated);
        }
    }
}

/// The laws of ages would hold for ages that are all the same; in a workload of few and large records
/// each age has another table.
#[test]
fn ages_are_not_the_same() {
    let mut seen = BTreeSet::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut differ = [false; AGES.len() - 1];
    for _ in 0..64 {
        let records = workload().new_tree(&mut runner).unwrap().current();
        let history = PairHistory::new(&read(&records, &reading()), Width::HOST);
        let sizes = AGES.map(|aging| {
            let aged = age(&history, aging, &reading(), &Traffic::new());
            aged.rows.iter().map(|row| row.size).sum::<u64>()
        });
        for (differ, pair) in differ.iter_mut().zip(sizes.windows(2)) {
            *differ |= pair[0] < pair[1];
        }
        seen.insert(sizes);
    }
    assert!(differ.iter().all(|differ| *differ), "{differ:?}");
    assert!(seen.len() > 10);
}
