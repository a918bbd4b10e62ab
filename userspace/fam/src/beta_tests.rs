// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two days by hand: an alpha flow on the first puts its prefix flow into the table of the second.

use super::*;
use crate::aging::{Aging, Traffic, age};
use crate::day::read;
use crate::key::Width;
use crate::series::PairHistory;
use crate::testing::{ip, midnight, record};

const GB: u64 = 1_000_000_000;
const DAY: Day = Day(15_095);

fn tables(records: &[Record], policies: &[Policy], reading: &Reading) -> Vec<TableBeta> {
    let days = read(records, reading);
    let aged = policies
        .iter()
        .map(|policy| {
            let history = PairHistory::new(&days, policy.width);
            (*policy, age(&history, policy.aging, reading, &Traffic::new()))
        })
        .collect();
    let plan = Plan::new(&days, aged, reading);
    let mut pass = BetaPass::new(&plan);
    records.iter().for_each(|record| pass.observe(record));
    pass.finish()
}

fn never(width: Width) -> Policy {
    Policy { width, aging: Aging::Never }
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
    let policies = [never(Width::NET), never(Width::HOST)];
    let tables = tables(&records(), &policies, &Reading::default());
    let beta = |records, flows, bytes, exposed| Beta { records, flows, bytes, exposed };
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
    let carried = tables[0].loads.values().map(Load::bytes).collect::<Vec<_>>();
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
    let once = tables(&twice, &[never(Width::NET)], &Reading::default());
    assert_eq!(once[0].rows[1].beta2.bytes, 4050);
    assert_eq!(once[0].loads.len(), 1, "no LSP from where no alpha flow counts");
    let each = Reading { duplicates: Duplicates::Each, ..Reading::default() };
    assert_eq!(tables(&twice, &[never(Width::NET)], &each)[0].rows[1].beta2.bytes, 4050 + 4048);
}

#[test]
fn exposure_needs_the_same_lsp() {
    let mut elsewhere = records();
    elsewhere[3].out_if = 9;
    elsewhere[4].out_if = 9;
    let tables = tables(&elsewhere, &[never(Width::NET)], &Reading::default());
    let beta = tables[0].rows[1].beta2;
    assert_eq!((beta.bytes, beta.exposed), (4050, 0));
}
