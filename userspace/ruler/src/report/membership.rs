// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes of the members, by steering and size of the group.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Report, UNPATCHED, cell};
use crate::membership::{Row, Run};
use crate::svg::{self, Panel};

/// Sets the runs side by side; there is nothing to claim.
pub fn report(runs: &[Run]) -> Report {
    let name = |run: &Run, row: &Row| {
        if run.kernel == UNPATCHED {
            format!("{}, unpatched", row.steering)
        } else {
            row.steering.to_string()
        }
    };
    let rows = || runs.iter().flat_map(|run| run.rows.iter().map(move |row| (run, row)));
    let mut table =
        format!("{:28} {:>6} {:>10} {:>10} {:>10}\n", "", "N", "join", "leave", "drain");
    for (run, row) in rows() {
        let _ = writeln!(
            table,
            "{:28} {:>6} {:>10} {:>10} {:>10}",
            name(run, row),
            row.members,
            cell(Some(row.join.least)),
            cell(Some(row.leave.least)),
            cell(row.drain.map(|drain| drain.least)),
        );
    }
    table += "Instructions of the calls, UDP over IPv4: join is bind and, for BPF, the updates of the\n\
              maps; leave is close; drain is the call that takes a member out while its socket stays\n\
              open, without the wait for a grace period.\n";
    let sizes: BTreeSet<usize> = rows().map(|(_, row)| row.members).collect();
    let names: Vec<String> = rows().fold(Vec::new(), |mut names, (run, row)| {
        if !names.contains(&name(run, row)) {
            names.push(name(run, row));
        }
        names
    });
    let panel = |title: &str, value: fn(&Row) -> Option<f64>| Panel {
        title: format!("instructions of a {title}, by members"),
        places: sizes.iter().map(usize::to_string).collect(),
        lines: names
            .iter()
            .map(|line| {
                let at = |size: &usize| {
                    rows()
                        .find(|(run, row)| name(run, row) == *line && row.members == *size)
                        .and_then(|(_, row)| value(row))
                };
                (line.clone(), sizes.iter().map(at).collect())
            })
            .collect(),
    };
    let panels = [
        panel("join", |row| Some(row.join.least)),
        panel("leave", |row| Some(row.leave.least)),
        panel("drain", |row| row.drain.map(|drain| drain.least)),
    ];
    Report { table, svg: svg::draw(&panels), claims: Vec::new() }
}
