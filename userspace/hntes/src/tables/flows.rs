// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Alpha raw flows: by day, by prefix flow, by LSP.

use super::{Cell, Table};
use telesteer_fam::day::RawFlow;
use telesteer_fam::doors::{Door, compare};
use telesteer_fam::lsp::month_matrix;
use telesteer_fam::series::{Days, PairHistory, lsps_by_month, series};
use telesteer_fam::simultaneous::meetings;
use telesteer_fam::{Reading, Width};

/// Everything in a few lines.
pub fn summary(days: &Days, reading: &Reading) -> Table {
    let rows = series(days, reading);
    let mut table = Table::new("summary", "the whole period", &["figure", "value"]);
    let mut put = |name: &str, value: Cell| table.push([name.into(), value]);
    let sum = |of: fn(&telesteer_fam::series::SeriesRow) -> u64| rows.iter().map(of).sum::<u64>();
    put("days", rows.len().into());
    put("days_missing", rows.iter().filter(|row| row.missing).count().into());
    put("records", days.values().map(|day| day.totals.records).sum::<u64>().into());
    put("bytes", days.values().map(|day| day.totals.bytes).sum::<u64>().into());
    put("raw_flows", sum(|row| row.raw_flows).into());
    let flows = || days.values().flat_map(|day| &day.flows);
    put("raw_flows_approximate", flows().filter(|flow| flow.approx).count().into());
    put("raw_flows_of_several_exporters", flows().filter(|flow| flow.others > 0).count().into());
    put("alpha_bytes", sum(|row| row.alpha_bytes).into());
    put("alpha_time_sum_h", Cell::hours(sum(|row| row.alpha_time_sum)));
    put("alpha_time_union_h", Cell::hours(sum(|row| row.alpha_time_union)));
    let mut most = |name: &str, of: fn(&telesteer_fam::series::SeriesRow) -> u64| {
        // The first day among equals.
        if let Some(row) = rows.iter().rev().max_by_key(|row| of(row)) {
            let number = row.day.since(rows[0].day) + 1;
            put(name, format!("{} (day {number})", reading.calendar.label(row.day)).into());
        }
    };
    most("day_of_most_alpha_bytes", |row| row.alpha_bytes);
    most("day_of_most_alpha_time", |row| row.alpha_time_sum);
    most("day_of_most_flows_of_one_prefix_flow", |row| row.most_of_one);
    put("most_alpha_bytes", rows.iter().map(|row| row.alpha_bytes).max().unwrap_or(0).into());
    put("most_alpha_time_h", Cell::hours(rows.iter().map(|r| r.alpha_time_sum).max().unwrap_or(0)));
    put("most_of_one", rows.iter().map(|row| row.most_of_one).max().unwrap_or(0).into());
    table
}

/// The day series.
pub fn day_series(days: &Days, reading: &Reading) -> Table {
    let columns = [
        "day",
        "missing",
        "records",
        "raw_flows",
        "alpha_bytes",
        "whole_bytes",
        "alpha_time_sum_s",
        "alpha_time_union_s",
        "most_of_one",
    ];
    let mut table = Table::new("series", "alpha flows of each day", &columns).long();
    for row in series(days, reading) {
        table.push([
            reading.calendar.label(row.day).into(),
            row.missing.into(),
            days.get(&row.day).map_or(0, |day| day.totals.records).into(),
            row.raw_flows.into(),
            row.alpha_bytes.into(),
            row.whole_bytes.into(),
            Cell::seconds(row.alpha_time_sum),
            Cell::seconds(row.alpha_time_union),
            row.most_of_one.into(),
        ]);
    }
    table
}

/// Prefix flows by width, and how regular they are.
pub fn prefix_flows(histories: &[PairHistory]) -> Table {
    let columns =
        ["width", "prefix_flows", "both_ways", "on_one_day_only", "on_over_a_quarter_of_days"];
    let mut table = Table::new("prefix_flows", "prefix flows with alpha flows", &columns);
    for history in histories {
        let quarter = history.days.len() as u64 / 4;
        let active = history.active_days();
        let often = active.iter().filter(|(days, _)| **days > quarter).map(|(_, n)| n);
        let all = history.all();
        let reverses = all.iter().filter(|pair| !all.contains(&pair.reverse())).count();
        table.push([
            history.width.label().into(),
            all.len().into(),
            (all.len() + reverses).into(),
            active.get(&1).copied().unwrap_or(0).into(),
            often.sum::<u64>().into(),
        ]);
    }
    table
}

/// The LSP month matrix.
pub fn lsp_months(days: &Days, reading: &Reading) -> Table {
    let columns = ["month", "total", "repeated", "new", "active"];
    let mut table = Table::new("lsp_months", "LSPs by month, cumulative and active", &columns);
    for row in month_matrix(&lsps_by_month(days, reading)) {
        let month = row.month.label();
        let counts = [row.total, row.repeated, row.new, row.active].map(Cell::from);
        table.push(std::iter::once(month.into()).chain(counts));
    }
    table
}

/// Simultaneous alpha flows: a row for each LSP and number of flows.
pub fn simultaneous(days: &Days, reading: &Reading) -> [Table; 2] {
    let columns = ["ingress", "egress", "raw_flows", "most", "most_at_s", "busy_s", "peak_bps"];
    let mut table = Table::new("simultaneous", "alpha flows at the same time on an LSP", &columns);
    let columns = ["ingress", "egress", "at_least", "time_s", "share_of_busy_percent"];
    let mut times =
        Table::new("simultaneous_time", "time with at least so many alpha flows", &columns).long();
    for meeting in meetings(days, reading) {
        let name = || [meeting.lsp.ingress.to_string(), meeting.lsp.egress.to_string()];
        let busy = meeting.time_at_least.first().copied().unwrap_or(0);
        table.push(name().map(Cell::from).into_iter().chain([
            meeting.flows.into(),
            meeting.most.into(),
            Cell::real(meeting.most_at as f64 / 1e9, 3),
            Cell::seconds(busy),
            meeting.peak_bps.into(),
        ]));
        for (index, time) in meeting.time_at_least.iter().enumerate() {
            let share = (busy > 0).then(|| *time as f64 * 100.0 / busy as f64);
            times.push(name().map(Cell::from).into_iter().chain([
                (index + 1).into(),
                Cell::seconds(*time),
                Cell::real(share, 2),
            ]));
        }
    }
    [table, times]
}

/// Data doors: classes, undeclared hosts, doors never used.
pub fn doors(days: &Days, doors: &[Door], width: Width) -> [Table; 3] {
    let found = compare(days, doors, width);
    let columns = ["class", "raw_flows", "prefix_flows", "alpha_bytes"];
    let mut classes = Table::new("doors", "alpha flows by which ends are data doors", &columns);
    for (class, row) in &found.classes {
        let class = format!("{class:?}").to_lowercase();
        let flows = row.prefix_flows.len();
        classes.push([class.into(), row.raw_flows.into(), flows.into(), row.alpha_bytes.into()]);
    }
    let columns = ["host", "alpha_bytes"];
    let mut hosts = Table::new("undeclared_hosts", "hosts in no data door", &columns).long();
    for (host, bytes) in found.undeclared {
        hosts.push([host.to_string().into(), bytes.into()]);
    }
    let mut unseen = Table::new("unused_doors", "data doors without alpha flows", &["door"]);
    for name in found.unseen {
        unseen.push([name.into()]);
    }
    [classes, hosts, unseen]
}

/// Every alpha raw flow.
pub fn raw_flows(days: &Days, reading: &Reading) -> Table {
    let columns = [
        "day",
        "src",
        "dst",
        "proto",
        "src_port",
        "dst_port",
        "ingress",
        "egress",
        "first_ns",
        "last_ns",
        "reports",
        "alpha_reports",
        "alpha_bytes",
        "whole_bytes",
        "alpha_time_s",
        "approximate",
    ];
    let mut table = Table::new("raw_flows", "alpha raw flows", &columns).long();
    for (day, alpha) in days {
        for flow in &alpha.flows {
            let RawFlow { key, .. } = flow;
            let (lsp, span) = (flow.lsp(), flow.span());
            table.push([
                reading.calendar.label(*day).into(),
                key.src.to_string().into(),
                key.dst.to_string().into(),
                u64::from(key.proto).into(),
                u64::from(key.src_port).into(),
                u64::from(key.dst_port).into(),
                lsp.ingress.to_string().into(),
                lsp.egress.to_string().into(),
                span.0.to_string().into(),
                span.1.to_string().into(),
                flow.reports.len().into(),
                flow.alpha_reports().count().into(),
                flow.alpha_bytes().into(),
                flow.whole_bytes().into(),
                Cell::seconds(flow.alpha_time()),
                flow.approx.into(),
            ]);
        }
    }
    table
}
