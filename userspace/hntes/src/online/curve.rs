// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The delay curve of recorded alpha flows.

use crate::online::point::Point;
use crate::tables::{Cell, Table};
use telesteer_fam::aging::InForce;
use telesteer_fam::day::RawFlow;
use telesteer_fam::detect::Report;
use telesteer_fam::series::Days;
use telesteer_fam::{Ns, PrefixFlow, Width};
use telesteer_online::Setting;
use telesteer_online::delay::{Profile, Share};

/// An alpha flow.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it sent and when.
    pub profile: Profile,
    /// Whether the table had an entry for it.
    pub in_table: bool,
}

/// The alpha flows of all days. A raw flow that was silent for longer than `idle` is two of them, and
/// those count that have an alpha report.
pub fn flows(days: &Days, table: &InForce, width: Width, idle: Ns) -> Vec<Known> {
    let mut found = Vec::new();
    for (day, alpha) in days {
        for flow in &alpha.flows {
            let in_table = table.has(&PrefixFlow::of(&flow.key, width), *day);
            let profiles = stays(flow, idle).into_iter();
            found.extend(profiles.map(|profile| Known { profile, in_table }));
        }
    }
    found
}

fn stays(flow: &RawFlow, idle: Ns) -> Vec<Profile> {
    let mut stays: Vec<Vec<&Report>> = Vec::new();
    let mut last = Ns::MIN;
    for report in &flow.reports {
        match stays.last_mut() {
            Some(stay) if report.first.saturating_sub(last) <= idle => stay.push(report),
            _ => stays.push(vec![report]),
        }
        last = last.max(report.last);
    }
    stays.retain(|stay| stay.iter().any(|report| report.alpha));
    let spans = |stay: Vec<&Report>| {
        stay.into_iter().map(|report| ((report.first, report.last), report.bytes)).collect()
    };
    stays.into_iter().map(|stay| Profile::new(spans(stay))).collect()
}

/// A rule's name: k of the early rule, or 0 for the window rule.
pub fn rule(early: u32) -> String {
    match early {
        0 => "window".to_owned(),
        k => format!("early {k}"),
    }
}

/// A row for each point and rule; `setting` has H and T.
pub fn curve(flows: &[Known], points: &[Point], rules: &[u32], setting: &Setting) -> Table {
    let columns = [
        "point",
        "reporting",
        "install_s",
        "rule",
        "flows",
        "found",
        "mean_wait_s",
        "redirected_flows",
        "online_percent",
        "gated_percent",
        "with_table_percent",
        "table_alone_percent",
    ];
    let title =
        "alpha bytes that are left to redirect, by how flows are reported and routes are set";
    let mut table = Table::new("delay_curve", title, &columns);
    for point in points {
        for early in rules {
            let setting = Setting { early: *early, ..*setting };
            let mut share = Share::default();
            for Known { profile, in_table } in flows {
                share.add(profile, *in_table, point.reporting, point.install, &setting);
            }
            let percent = |part| Cell::real(share.percent(part), 1);
            table.push([
                point.to_string().into(),
                point.reporting_name().into(),
                Cell::Real(point.install as f64 / 1e9, 2),
                rule(*early).into(),
                share.flows.into(),
                share.found.into(),
                Cell::real(share.mean_wait_s(), 2),
                share.redirected_flows.into(),
                percent(share.online),
                percent(share.gated),
                percent(share.with_table),
                percent(share.table),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::lsp::Egress;
    use telesteer_fam::time::SECOND;

    #[test]
    fn a_silent_flow_is_two() {
        let report = |first: i64, last: i64, alpha| Report {
            first: first * SECOND,
            last: last * SECOND,
            bytes: 5,
            egress: Egress::Unknown,
            alpha,
        };
        let ip = |text: &str| text.parse().unwrap();
        let flow = RawFlow {
            key: telesteer_fam::FiveTuple {
                src: ip("192.0.2.1"),
                dst: ip("192.0.2.2"),
                proto: 6,
                src_port: 1,
                dst_port: 2,
            },
            exporter: ip("10.0.0.1"),
            others: 0,
            approx: false,
            reports: vec![
                report(0, 60, true),
                report(60, 90, false),
                report(161, 200, false),
                report(300, 360, true),
            ],
        };
        let found = stays(&flow, 70 * SECOND);
        let spans: Vec<_> = found.iter().map(Profile::span).collect();
        assert_eq!(spans, [(0, 90 * SECOND), (300 * SECOND, 360 * SECOND)]);
        assert_eq!(stays(&flow, 100 * SECOND).len(), 1);
    }
}
