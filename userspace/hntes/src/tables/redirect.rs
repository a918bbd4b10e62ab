// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PBR tables: how large, how effective, how often something new.

use super::{Cell, Table};
use telesteer_fam::Reading;
use telesteer_fam::aging::{Aged, AgedRow, Policy, effectiveness};
use telesteer_fam::reading::Directions;

/// The share of alpha bytes each table redirected.
pub fn effect(aged: &[(Policy, Aged)], reading: &Reading) -> Table {
    let columns = ["width", "aging", "matched_bytes", "total_bytes", "effectiveness_percent"];
    let mut table = Table::new("effectiveness", "alpha bytes that tables redirected", &columns);
    for (policy, aged) in aged {
        let effect = effectiveness(&aged.rows, reading);
        table.push([
            policy.width.label().into(),
            policy.aging.to_string().into(),
            effect.matched.into(),
            effect.total.into(),
            Cell::real(effect.percent, 2),
        ]);
    }
    table
}

/// A way to count the entries of a day.
type Count = fn(&AgedRow) -> u64;

/// Without reverses, and with them.
const ONE_WAY: Count = |row| row.size;
const BOTH_WAYS: Count = |row| row.both_ways;

/// How the reading counts.
fn counted(reading: &Reading) -> Count {
    match reading.directions {
        Directions::OneWay => ONE_WAY,
        Directions::Both => BOTH_WAYS,
    }
}

/// Mean, largest and last of the days.
fn figures(rows: &[AgedRow], of: Count) -> [Cell; 3] {
    let sum: u64 = rows.iter().map(of).sum();
    let mean = (!rows.is_empty()).then(|| sum as f64 / rows.len() as f64);
    let largest = rows.iter().map(of).max().unwrap_or(0);
    [Cell::real(mean, 1), largest.into(), rows.last().map_or(0, of).into()]
}

/// The sizes in a row per table: as the reading counts, and both ways.
pub fn sizes(aged: &[(Policy, Aged)], reading: &Reading) -> Table {
    let columns = [
        "width",
        "aging",
        "mean",
        "largest",
        "last",
        "mean_one_way",
        "largest_one_way",
        "last_one_way",
        "mean_both_ways",
        "largest_both_ways",
        "last_both_ways",
    ];
    let title = match reading.directions {
        Directions::OneWay => "entries in force, one way, as the slides count; and with reverses",
        Directions::Both => "entries in force with their reverses; and one way",
    };
    let mut table = Table::new("table_sizes", title, &columns);
    for (policy, Aged { rows, .. }) in aged {
        let head = [policy.width.label(), policy.aging.to_string()].map(Cell::from);
        let counts = [counted(reading), ONE_WAY, BOTH_WAYS].map(|of| figures(rows, of));
        table.push(head.into_iter().chain(counts.into_iter().flatten()));
    }
    table
}

/// Every table on every day.
pub fn days(aged: &[(Policy, Aged)], reading: &Reading) -> Table {
    let columns = [
        "width",
        "aging",
        "day",
        "size",
        "one_way",
        "both_ways",
        "matched_bytes",
        "total_bytes",
        "new_ever",
        "new_install",
    ];
    let mut table = Table::new("table_days", "each table on each day", &columns).long();
    for (policy, aged) in aged {
        for row in &aged.rows {
            let head =
                [policy.width.label(), policy.aging.to_string(), reading.calendar.label(row.day)];
            let sizes = [counted(reading), ONE_WAY, BOTH_WAYS].map(|of| of(row));
            let counts = [row.matched, row.total, row.new_ever, row.new_install];
            let counts = sizes.into_iter().chain(counts);
            table.push(head.into_iter().map(Cell::from).chain(counts.map(Cell::from)));
        }
    }
    table
}

/// On how many days how many prefix flows were new.
pub fn new_flows(aged: &[(Policy, Aged)]) -> Table {
    let columns = ["width", "aging", "new", "days_0", "days_1", "days_2_or_more", "in_all"];
    let mut table = Table::new("new_prefix_flows", "days by number of new prefix flows", &columns);
    let mut put = |policy: &Policy, aging: String, kind: &str, counts: Vec<u64>| {
        let days = |of: fn(u64) -> bool| counts.iter().filter(|count| of(**count)).count();
        table.push([
            policy.width.label().into(),
            aging.into(),
            kind.into(),
            days(|n| n == 0).into(),
            days(|n| n == 1).into(),
            days(|n| n > 1).into(),
            counts.iter().sum::<u64>().into(),
        ]);
    };
    let mut done = Vec::new();
    for (policy, Aged { rows, .. }) in aged {
        // Whether a prefix flow was ever seen has nothing to do with age.
        if !done.contains(&policy.width) {
            done.push(policy.width);
            put(policy, "-".into(), "ever", rows.iter().map(|row| row.new_ever).collect());
        }
        let installs = rows.iter().map(|row| row.new_install).collect();
        put(policy, policy.aging.to_string(), "install", installs);
    }
    table
}
