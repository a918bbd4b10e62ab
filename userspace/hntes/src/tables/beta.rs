// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Beta traffic in the tables, and how full the LSPs are.

use super::{Cell, Table};
use crate::capacities::Capacities;
use std::collections::BTreeSet;
use telesteer_fam::lsp::Lsp;
use telesteer_fam::redirected::{BetaRow, Redirected, TableBeta};
use telesteer_fam::{Day, Reading};

fn percent(part: u64, whole: u64) -> Cell {
    Cell::real((whole > 0).then(|| part as f64 * 100.0 / whole as f64), 4)
}

const COLUMNS: [&str; 17] = [
    "alpha_bytes",
    "beta1_bytes",
    "beta1_share_of_lsp_percent",
    "beta1_share_of_beta_percent",
    "beta1_records",
    "beta1_flows",
    "beta1_exposed_bytes",
    "beta1_views_bytes",
    "beta2_bytes",
    "beta2_share_of_lsp_percent",
    "beta2_share_of_beta_percent",
    "beta2_records",
    "beta2_flows",
    "beta2_exposed_bytes",
    "beta2_views_bytes",
    "all_beta1_bytes",
    "all_beta2_bytes",
];

fn cells(row: &BetaRow) -> Vec<Cell> {
    let mut cells = vec![row.alpha.into()];
    for (beta, all) in [(&row.beta1, row.all_beta1), (&row.beta2, row.all_beta2)] {
        cells.extend([
            beta.bytes.into(),
            percent(beta.bytes, row.alpha.saturating_add(beta.bytes)),
            // Both count every view: only then are they of the same records.
            percent(beta.views, all),
            beta.records.into(),
            beta.flows.into(),
            beta.exposed.into(),
            beta.views.into(),
        ]);
    }
    cells.extend([row.all_beta1, row.all_beta2].map(Cell::from));
    cells
}

fn add(sum: &mut BetaRow, row: &BetaRow) {
    sum.alpha += row.alpha;
    sum.all_beta1 += row.all_beta1;
    sum.all_beta2 += row.all_beta2;
    for (sum, row) in [(&mut sum.beta1, &row.beta1), (&mut sum.beta2, &row.beta2)] {
        sum.records += row.records;
        sum.flows += row.flows;
        sum.bytes += row.bytes;
        sum.exposed += row.exposed;
        sum.views += row.views;
    }
}

/// Kept days that nothing is known of under these tables.
pub fn unknown(unknown: &[Day], reading: &Reading) -> Table {
    let title = "kept days whose beta traffic is not known: they are not in beta, beta_days, lsp_utilisation";
    let mut table = Table::new("beta_unknown", title, &["day"]);
    unknown.iter().for_each(|day| table.push([reading.calendar.label(*day).into()]));
    table
}

/// What was redirected beside alpha reports: over the days known, and by day. A flow of several days
/// counts on each.
pub fn redirected(tables: &[TableBeta], reading: &Reading) -> [Table; 2] {
    let columns = |head: &[&'static str]| [head, &COLUMNS].concat();
    let title = "beta traffic on the LSPs: no alpha report (1), no part of an alpha flow (2)";
    let mut whole = Table::new("beta", title, &columns(&["width", "aging", "days"]));
    let mut days =
        Table::new("beta_days", "the same by day", &columns(&["width", "aging", "day"])).long();
    for table in tables {
        let head = || [table.policy.width.label(), table.policy.aging.to_string()].map(Cell::from);
        let mut sum = BetaRow::default();
        for row in &table.rows {
            add(&mut sum, row);
            let day = reading.calendar.label(row.day);
            days.push(head().into_iter().chain([day.into()]).chain(cells(row)));
        }
        let known = Cell::from(table.rows.len());
        whole.push(head().into_iter().chain([known]).chain(cells(&sum)));
    }
    [whole, days]
}

/// Utilisation of every LSP under every table, over the days known.
pub fn utilisation(
    redirected: &Redirected<'_>,
    tables: &[TableBeta],
    reading: &Reading,
    capacities: &Capacities,
) -> Table {
    let columns = [
        "width",
        "aging",
        "ingress",
        "egress",
        "bins",
        "busy_bins",
        "alpha_bytes",
        "beta_bytes",
        "mean_bps",
        "mean_alpha_bps",
        "mean_beta_bps",
        "p50_bps",
        "p95_bps",
        "p99_bps",
        "max_bps",
        "above_50_s",
        "above_80_s",
        "above_100_s",
        "capacity_bps",
        "mean_percent",
        "p95_percent",
        "max_percent",
    ];
    let mut out = Table::new("lsp_utilisation", "how full LSPs are", &columns).long();
    for table in tables {
        let period = reading.calendar.length().saturating_mul(table.rows.len() as u64);
        redirected.for_loads(table.policy, |lsp, load| {
            let capacity = capacities.of(&lsp);
            let usage = load.usage(period, reading.utilisation_bin, capacity);
            let head = [
                table.policy.width.label(),
                table.policy.aging.to_string(),
                lsp.ingress.to_string(),
                lsp.egress.to_string(),
            ];
            let counts = [
                usage.bins,
                usage.busy_bins,
                usage.alpha_bytes,
                usage.beta_bytes,
                usage.mean_bps,
                usage.mean_alpha_bps,
                usage.mean_beta_bps,
                usage.p50_bps,
                usage.p95_bps,
                usage.p99_bps,
                usage.max_bps,
            ];
            let above = match usage.above_50_80_100 {
                Some(times) => times.map(Cell::seconds),
                None => [Cell::None, Cell::None, Cell::None],
            };
            let share = |bps: u64| capacity.map_or(Cell::None, |capacity| percent(bps, capacity));
            let shares = [usage.mean_bps, usage.p95_bps, usage.max_bps].map(share);
            let counts = counts.map(Cell::from).into_iter().chain(above);
            let against = std::iter::once(capacity.map_or(Cell::None, Cell::from)).chain(shares);
            out.push(head.map(Cell::from).into_iter().chain(counts).chain(against));
        });
    }
    out
}

/// Capacities that were listed of LSPs without an alpha flow.
pub fn unused_capacities(capacities: &Capacities, known: &BTreeSet<Lsp>) -> Table {
    let title = "capacities listed of LSPs that no alpha flow asks for";
    let columns = ["ingress", "egress", "capacity_bps"];
    let mut table = Table::new("unused_capacities", title, &columns);
    for (Lsp { ingress, egress }, bps) in capacities.unused(known) {
        table.push([ingress.to_string().into(), egress.to_string().into(), bps.into()]);
    }
    table
}
