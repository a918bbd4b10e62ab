// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two days by hand: an alpha flow on the first puts its prefix flow into the table of the second.

use super::*;
use crate::aging::{Aging, Traffic};
use crate::day::read;
use crate::reading::{Duplicates, Reading};
use crate::redirected::{Beta, BetaRow, Redirected, TableBeta};
use crate::series::{Days, PairHistory};
use crate::testing::{ip, midnight, record};
use crate::time::SECOND;
use crate::utilisation::Load;

const GB: u64 = 1_000_000_000;
const DAY: Day = Day(15_095);

type Kept = BTreeMap<Day, BetaDay>;
type Loads = Vec<(Lsp, Load)>;

fn plan<'d>(days: &'d Days, widths: &[Width], reading: &'d Reading) -> Plan<'d> {
    let histories: Vec<_> = widths.iter().map(|width| PairHistory::new(days, *width)).collect();
    Plan::new(days, &histories, &[Aging::Never], &Traffic::new(), reading)
}

fn pass(records: &[Record], plan: &Plan<'_>) -> Kept {
    let mut pass = BetaPass::new(plan);
    records.iter().for_each(|record| pass.observe(record));
    pass.finish()
}

fn found(plan: &Plan<'_>, beta: &Kept) -> (Vec<TableBeta>, Vec<Loads>) {
    let redirected = Redirected::new(plan, beta);
    let loads = |policy: &crate::aging::Policy| {
        let mut loads = Loads::new();
        redirected.for_loads(*policy, |lsp, load| loads.push((lsp, load.clone())));
        loads
    };
    (redirected.tables(), plan.policies().iter().map(loads).collect())
}

fn run(records: &[Record], widths: &[Width], reading: &Reading) -> (Vec<TableBeta>, Vec<Loads>) {
    let days = read(records, reading);
    let plan = plan(&days, widths, reading);
    found(&plan, &pass(records, &plan))
}

/// The second day: an alpha report of 60 s with a rest of 30 s; a small flow of the same hosts, half
/// of it during the alpha report; one of another host of the /24; one that goes elsewhere.
fn records() -> Vec<Record> {
    let t = midnight(DAY.plus(1));
    let mut same = record("192.0.2.7", "198.51.100.1", t + 40, t + 80, 4000);
    same.key.src_port = 1;
    vec![
        record("192.0.2.7", "198.51.100.1", t - 60, t - 1, 2 * GB),
        record("192.0.2.7", "198.51.100.1", t, t + 60, 2 * GB),
        record("192.0.2.7", "198.51.100.1", t + 60, t + 90, 600),
        same,
        record("192.0.2.8", "198.51.100.1", t + 59, t + 59, 50),
        record("192.0.3.7", "198.51.100.1", t, t + 1, 7),
    ]
}

#[test]
fn redirected_and_exposed() {
    let (tables, loads) = run(&records(), &[Width::NET, Width::HOST], &Reading::default());
    let beta =
        |records, flows, bytes, exposed| Beta { records, flows, bytes, exposed, views: bytes };
    let first = BetaRow { day: DAY, ..BetaRow::default() };
    let second = |beta1, beta2| BetaRow {
        day: DAY.plus(1),
        alpha: 2 * GB,
        beta1,
        beta2,
        all_beta1: 4657,
        all_beta2: 4057,
    };
    assert_eq!(tables[0].rows, [first, second(beta(3, 3, 4650, 2050), beta(2, 2, 4050, 2050))]);
    assert_eq!(tables[1].rows, [first, second(beta(2, 2, 4600, 2000), beta(1, 1, 4000, 2000))]);
    let carried: Vec<_> = loads[0].iter().map(|(_, load)| load.bytes()).collect();
    assert_eq!(carried, [(2 * GB, 4650)]);
}

/// The same traffic seen by a second router, a packet less of it.
#[test]
fn two_exporters_one_beta() {
    let mut twice = records();
    for record in records() {
        let octets = record.octets - 1;
        twice.push(Record { exporter: ip("10.0.0.1"), octets, ..record });
    }
    let (once, loads) = run(&twice, &[Width::NET], &Reading::default());
    assert_eq!(once[0].rows[1].beta2.bytes, 4050);
    assert_eq!(loads[0].len(), 1, "no LSP from where no alpha flow counts");
    let each = Reading { duplicates: Duplicates::Each, ..Reading::default() };
    assert_eq!(run(&twice, &[Width::NET], &each).0[0].rows[1].beta2.bytes, 4050 + 4048);
}

/// Of the beta traffic everything is redirected: all of it is, whoever sees it.
#[test]
fn a_share_is_of_what_it_is_taken_from() {
    let mut twice = records();
    twice.truncate(5);
    for record in twice.clone() {
        twice.push(Record { exporter: ip("10.0.0.1"), ..record });
    }
    for duplicates in [Duplicates::Once, Duplicates::Each] {
        let reading = Reading { duplicates, ..Reading::default() };
        let row = run(&twice, &[Width::NET], &reading).0[0].rows[1];
        assert_eq!((row.beta2.views, row.beta1.views), (row.all_beta2, row.all_beta1));
        assert_eq!(row.beta2.views, 2 * 4050);
    }
}

#[test]
fn exposure_needs_the_same_lsp() {
    let mut elsewhere = records();
    elsewhere[3].out_if = 9;
    elsewhere[4].out_if = 9;
    let (tables, _) = run(&elsewhere, &[Width::NET], &Reading::default());
    let beta = tables[0].rows[1].beta2;
    assert_eq!((beta.bytes, beta.exposed), (4050, 0));
}

/// Three days; on the last an alpha flow begins at midnight, when a beta record of the day before is
/// half over, on an LSP that had no alpha flow before.
fn three_days() -> Vec<Record> {
    let t = midnight(DAY.plus(2));
    let mut all = records();
    let mut across = record("192.0.2.8", "198.51.100.1", t - 30, t + 30, 6000);
    let mut alpha = record("192.0.2.7", "198.51.100.1", t, t + 60, 2 * GB);
    let mut earlier = record("192.0.2.9", "198.51.100.1", t - 90, t - 60, 300);
    for record in [&mut across, &mut alpha, &mut earlier] {
        record.out_if = 9;
    }
    all.extend([across, alpha, earlier]);
    all
}

/// 1. The first two days are analysed and their beta traffic kept, as JSON.
/// 2. The third day alone is read; with what was kept everything is as in a run over all days.
/// 3. Broken twins: what was made without [`Plan::keeping`], and a third day read on its own, differ.
#[test]
fn kept_days_are_as_good_as_read_ones() {
    let (all, reading) = (three_days(), Reading::default());
    let widths = [Width::NET, Width::HOST];
    let end = midnight(DAY.plus(2)) * SECOND;
    let early: Vec<Record> = all.iter().filter(|record| record.first < end).cloned().collect();
    let (days, first_days) = (read(&all, &reading), read(&early, &reading));
    let whole = plan(&days, &widths, &reading);
    let expected = found(&whole, &pass(&all, &whole));
    let last = || plan(&days, &widths, &reading).only([DAY.plus(2)].into());
    let with = |mut kept: Kept| {
        let plan = last();
        kept.extend(pass(&all, &plan));
        found(&plan, &kept)
    };
    let first = plan(&first_days, &widths, &reading);
    for day in [DAY, DAY.plus(1)] {
        assert_eq!(first.needs()[&day], whole.needs()[&day]);
    }
    let careless = pass(&early, &first);
    assert_ne!(with(careless), expected);
    let first = first.keeping();
    let text = serde_json::to_string(&pass(&early, &first)).unwrap();
    let kept: Kept = serde_json::from_str(&text).unwrap();
    assert_eq!(kept[&DAY.plus(1)].open.len(), 1);
    assert_eq!(with(kept), expected);
    assert_eq!(expected.0[0].rows[1].beta2.exposed, 2050 + 3000);

    let alone = last();
    let only = pass(&all, &alone);
    assert_eq!(only.keys().copied().collect::<Vec<_>>(), [DAY.plus(2)]);
    let redirected = Redirected::new(&alone, &only);
    assert_eq!(redirected.unknown(), [DAY, DAY.plus(1)]);
    assert_eq!(redirected.tables()[0].rows.len(), 1, "no row for what nobody knows");
}

/// What a day's beta traffic was held against is another thing when an earlier day becomes known, when
/// there is another aging, or when the day itself is another.
#[test]
fn needs_tell_when_kept_days_are_stale() {
    let (all, reading) = (three_days(), Reading::default());
    let days = read(&all, &reading);
    let [later, mut other] = [days.clone(), days.clone()];
    let later: Days = later.into_iter().skip(1).collect();
    other.get_mut(&DAY.plus(2)).unwrap().totals.records += 1;
    let own = plan(&days, &[Width::NET], &reading);
    let needs = own.needs();
    let without = plan(&later, &[Width::NET], &reading);
    assert_ne!(without.needs()[&DAY.plus(1)], needs[&DAY.plus(1)]);
    let changed = plan(&other, &[Width::NET], &reading);
    assert_eq!(changed.needs()[&DAY.plus(1)], needs[&DAY.plus(1)]);
    assert_ne!(changed.needs()[&DAY.plus(2)], needs[&DAY.plus(2)]);
    let histories = [PairHistory::new(&days, Width::NET)];
    let aged = Plan::new(&days, &histories, &[Aging::After(7)], &Traffic::new(), &reading);
    assert_ne!(aged.needs()[&DAY], needs[&DAY]);
}

/// Eight tables: 50 flows are held once, and each bin once a width.
#[test]
fn tables_share_what_is_held() {
    let mut all = records();
    let t = midnight(DAY.plus(1));
    for port in 0..50 {
        let mut small = record("192.0.2.7", "198.51.100.1", t + 1000, t + 1100, 9);
        small.key.src_port = 100 + port;
        all.push(small);
    }
    let reading = Reading::default();
    let days = read(&all, &reading);
    let histories = [Width::NET, Width::HOST].map(|width| PairHistory::new(&days, width));
    let agings = [1, 7, 14].map(Aging::After).into_iter().chain([Aging::Never]);
    let agings: Vec<Aging> = agings.collect();
    let plan = Plan::new(&days, &histories, &agings, &Traffic::new(), &reading);
    let mut pass = BetaPass::new(&plan);
    all[6..].iter().for_each(|record| pass.observe(record));
    let part = &pass.days[&DAY.plus(1)];
    assert_eq!((part.flows.len(), part.pairs.len()), (50, 2));
    let bins: usize = part.loads.values().flat_map(Bins::values).map(BTreeMap::len).sum();
    assert_eq!(bins, 2 * 10);
    let beta = pass.finish();
    for table in Redirected::new(&plan, &beta).tables() {
        assert_eq!((table.rows[1].beta2.flows, table.rows[1].beta2.bytes), (50, 450));
    }
}
