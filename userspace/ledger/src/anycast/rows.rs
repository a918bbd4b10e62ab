// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The rows as a table, and what they must show.

use super::Scene;
use super::row::Row;
use crate::claims::Claim;
use std::fmt::Write as _;

type Cell = fn(&Row) -> String;

const COLUMNS: [(&str, Cell); 9] = [
    ("hash", |r| r.mode.hash.clone()),
    ("group", |r| r.mode.group.clone()),
    ("family", |r| r.family.clone()),
    ("moved by the withdrawal", |r| format!("{} of {}", r.moved_by_withdraw.len(), r.exporters)),
    ("not the leaver's", |r| r.others_moved_by_withdraw.to_string()),
    ("moved by the return", |r| format!("{} of {}", r.moved_by_return.len(), r.exporters)),
    ("sessions reset by the withdrawal", |r| {
        let others = r.others_reset_by_withdraw;
        let others = if others == 0 { String::new() } else { format!(" ({others} others)") };
        format!("{} of {}{others}", r.reset_by_withdraw.len(), r.sessions)
    }),
    ("reset by the return", |r| format!("{} of {}", r.reset_by_return.len(), r.sessions_at_return)),
    ("routers split", |r| format!("{} of {}", r.routers_split, r.routers)),
];

/// The table for a terminal.
pub fn text(rows: &[Row]) -> String {
    let mut lines = vec![COLUMNS.map(|(name, _)| name.to_string())];
    lines.extend(rows.iter().map(|row| COLUMNS.map(|(_, cell)| cell(row))));
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(column, cell)| match column {
                0..3 => format!("{cell:<0$}", width(column)),
                _ => format!("{cell:>0$}", width(column)),
            })
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

/// The table for a page.
pub fn markdown(scene: &Scene, rows: &[Row]) -> String {
    let mut out = format!(
        "{} servers behind one address, server {} leaves and returns. Kernel {}, {}.\n\n",
        scene.servers, scene.leaves, scene.kernel, scene.accel
    );
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&line(COLUMNS.iter().map(|(name, _)| (*name).to_string()).collect()));
    out.push_str(&line(COLUMNS.iter().map(|_| "---".to_string()).collect()));
    for row in rows {
        out.push_str(&line(COLUMNS.iter().map(|(_, cell)| cell(row)).collect()));
    }
    out
}

/// What the bench is run to show.
pub fn judge(scene: &Scene, rows: &[Row], exporters: u64, sessions: u64) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut put = |phase: &str, claim: &str, met: bool, found: String| {
        claims.push(Claim { phase: phase.to_string(), claim: claim.to_string(), met, found });
    };
    put("", "the bench came to its end", scene.complete, String::new());
    let ways = scene.modes.len() * 2;
    put("", "every way was played", rows.len() == ways, format!("{} of {ways} rows", rows.len()));
    for r in rows {
        let name = format!("{} {}", r.mode.name, r.family);
        let mut put = |claim: &str, met, found| put(&name, claim, met, found);
        put("enough exporters", r.exporters >= exporters, format!("{}", r.exporters));
        put("enough sessions", r.sessions >= sessions, format!("{}", r.sessions));
        put("the captures lost no packet", r.capture_drops == 0, r.capture_drops.to_string());
        put("no exporter falls silent", r.silent == 0, r.silent.to_string());
        put("no datagram is lost", r.datagrams_lost == 0, r.datagrams_lost.to_string());
        put("nothing is reset without cause", r.reset_in_between == 0, String::new());
        let left = r.moved_by_withdraw.len() as u64 - r.others_moved_by_withdraw;
        put(
            "nobody stays on the server that left",
            r.exporters_of_leaver > 0 && left == r.exporters_of_leaver,
            format!("{left} of {}", r.exporters_of_leaver),
        );
        match r.mode.group.as_str() {
            "resilient" => {
                let others = r.others_moved_by_withdraw;
                put("the withdrawal moves no other exporter", others == 0, others.to_string());
                let others = r.others_reset_by_withdraw;
                put("the withdrawal resets no other session", others == 0, others.to_string());
                let moved = r.moved_by_return.len();
                put("the return moves no busy exporter", moved == 0, moved.to_string());
                let reset = r.reset_by_return.len();
                put("the return resets no session", reset == 0, reset.to_string());
            }
            // A lone next hop in a resilient group: IPv6 keeps its exporters, IPv4 does not.
            "resilient-bare" if r.family == "ipv6" => {}
            _ => {
                let moved = r.moved_by_return.len();
                put("without buckets the return hurts", moved > 0, moved.to_string());
            }
        }
        if r.mode.hash == "addresses" {
            let split = r.routers_split;
            put("a router's session and datagrams meet", split == 0, split.to_string());
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anycast::Mode;

    fn row(group: &str) -> Row {
        let address = [10, 8, 0, 1].into();
        Row {
            mode: Mode { name: "x".into(), hash: "addresses".into(), group: group.into() },
            family: "ipv4".into(),
            exporters: 2,
            exporters_of_leaver: 1,
            moved_by_withdraw: vec![address],
            moved_by_return: if group == "plain" { vec![address] } else { Vec::new() },
            sessions: 2,
            ..Row::default()
        }
    }

    fn failed(rows: &[Row]) -> Vec<String> {
        let modes = vec![Mode::default(); rows.len() / 2];
        let scene = Scene { complete: true, modes, ..Scene::default() };
        let claims = judge(&scene, rows, 2, 2);
        claims.into_iter().filter(|claim| !claim.met).map(|claim| claim.claim).collect()
    }

    #[test]
    fn each_claim_can_fail() {
        assert_eq!(failed(&[row("plain"), row("resilient")]), Vec::<String>::new());
        type Change = fn(&mut Row);
        let twins: [(&str, &str, Change); 11] = [
            ("plain", "enough exporters", |r| r.exporters = 1),
            ("plain", "enough sessions", |r| r.sessions = 1),
            ("plain", "the captures lost no packet", |r| r.capture_drops = 1),
            ("plain", "no exporter falls silent", |r| r.silent = 1),
            ("plain", "no datagram is lost", |r| r.datagrams_lost = 1),
            ("plain", "nobody stays on the server that left", |r| r.exporters_of_leaver = 2),
            ("plain", "without buckets the return hurts", |r| r.moved_by_return.clear()),
            ("resilient", "the return moves no busy exporter", |r| {
                r.moved_by_return = r.moved_by_withdraw.clone();
            }),
            ("resilient", "the return resets no session", |r| {
                r.reset_by_return = r.moved_by_withdraw.clone();
            }),
            ("resilient", "the withdrawal resets no other session", |r| {
                r.others_reset_by_withdraw = 1;
            }),
            ("plain", "a router's session and datagrams meet", |r| r.routers_split = 1),
        ];
        for (group, claim, change) in twins {
            let mut rows = [row(group), row(group)];
            change(&mut rows[0]);
            assert_eq!(failed(&rows), [claim]);
        }
    }

    #[test]
    fn both_tables_hold_every_row() {
        let rows = [row("plain"), row("resilient")];
        let text = text(&rows);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("1 of 2"), "{text}");
        let page = markdown(&Scene::default(), &rows);
        assert!(page.contains("| addresses | resilient | ipv4 | 1 of 2 |"), "{page}");
    }
}
