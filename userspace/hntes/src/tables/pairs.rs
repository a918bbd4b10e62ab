// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Prefix flows and super-prefix flows one by one.

use super::Table;
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Reading;
use telesteer_fam::day::RawFlow;
use telesteer_fam::lsp::Lsp;
use telesteer_fam::series::{Days, PairHistory};
use telesteer_fam::{Day, PrefixFlow, Width};

/// What one prefix flow came to.
struct Sum {
    first: Day,
    last: Day,
    active: u64,
    flows: u64,
    bytes: u64,
}

/// Every prefix flow of every width.
pub fn prefix_flows(histories: &[PairHistory], reading: &Reading) -> Table {
    let columns =
        ["width", "src", "dst", "first", "last", "active_days", "raw_flows", "alpha_bytes"];
    let title = "prefix flows one by one";
    let mut table = Table::new("prefix_flow_list", title, &columns).long();
    for history in histories {
        let mut sums: BTreeMap<PrefixFlow, Sum> = BTreeMap::new();
        for (day, pairs) in &history.days {
            for (pair, seen) in pairs {
                let new = Sum { first: *day, last: *day, active: 0, flows: 0, bytes: 0 };
                let sum = sums.entry(*pair).or_insert(new);
                sum.last = *day;
                sum.active += 1;
                sum.flows += seen.flows;
                sum.bytes = sum.bytes.saturating_add(seen.alpha_bytes);
            }
        }
        for (pair, sum) in sums {
            table.push([
                history.width.label().into(),
                pair.src.to_string().into(),
                pair.dst.to_string().into(),
                reading.calendar.label(sum.first).into(),
                reading.calendar.label(sum.last).into(),
                sum.active.into(),
                sum.flows.into(),
                sum.bytes.into(),
            ]);
        }
    }
    table
}

/// Every super-prefix flow: what one LSP was needed for.
pub fn super_prefix_flows(days: &Days, reading: &Reading) -> Table {
    let columns =
        ["ingress", "egress", "first", "last", "prefix_flows", "raw_flows", "alpha_bytes"];
    let title = "super-prefix flows: alpha flows by ingress and egress router";
    let mut table = Table::new("super_prefix_flows", title, &columns);
    let width = reading.widths.first().copied().unwrap_or(Width::NET);
    let mut sums: BTreeMap<Lsp, (BTreeSet<PrefixFlow>, Sum)> = BTreeMap::new();
    for (day, alpha) in days {
        for flow in &alpha.flows {
            let new = Sum { first: *day, last: *day, active: 0, flows: 0, bytes: 0 };
            let (pairs, sum) = sums.entry(flow.lsp()).or_insert((BTreeSet::new(), new));
            pairs.insert(PrefixFlow::of(&flow.key, width));
            sum.last = *day;
            sum.flows += 1;
            sum.bytes = sum.bytes.saturating_add(RawFlow::alpha_bytes(flow));
        }
    }
    for (lsp, (pairs, sum)) in sums {
        table.push([
            lsp.ingress.to_string().into(),
            lsp.egress.to_string().into(),
            reading.calendar.label(sum.first).into(),
            reading.calendar.label(sum.last).into(),
            pairs.len().into(),
            sum.flows.into(),
            sum.bytes.into(),
        ]);
    }
    table
}
