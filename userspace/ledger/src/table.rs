// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The phases side by side, and the claims, as text.

use crate::claims::Claim;
use crate::members;
use crate::phase::Phase;
use std::fmt::Write as _;

type Cell = fn(&Phase) -> String;

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |ms| format!("{ms:.1}"))
}

const ROWS: [(&str, Cell); 37] = [
    ("BMP sessions at the kill", |p| p.bmp_sessions.to_string()),
    ("  of the dead collector", |p| p.sessions_of_dead.to_string()),
    ("  with unread bytes", |p| p.sessions_with_unread_bytes_at_kill.to_string()),
    ("  ending inside a message", |p| p.sessions_mid_message_at_kill.to_string()),
    ("BMP sessions reset", |p| p.bmp_sessions_reset.to_string()),
    ("RST / FIN from the collectors", |p| format!("{} / {}", p.rst_seen, p.fin_seen)),
    ("BMP messages sent", |p| p.bmp_messages_sent.to_string()),
    ("  delivered", |p| p.bmp_messages_delivered.to_string()),
    ("  lost", |p| p.bmp_messages_lost.to_string()),
    ("  written twice (before dedup)", |p| p.bmp_messages_duplicated.to_string()),
    ("streams byte-identical after dedup", |p| {
        format!("{} of {}", p.bmp_streams_identical, p.bmp_streams)
    }),
    ("takeover, ms p50 / p99", |p| {
        format!("{} / {}", ms(p.takeover_ms_p50), ms(p.takeover_ms_p99))
    }),
    ("  by the drain, ms p50 / p99", |p| {
        format!("{} / {}", ms(p.drain_takeover_ms_p50), ms(p.drain_takeover_ms_p99))
    }),
    ("exporters", |p| p.exporters.to_string()),
    ("  of the dead collector", |p| p.exporters_of_dead.to_string()),
    ("  moved by the crash", |p| p.exporters_moved_by_crash.to_string()),
    ("    that were not the dead one's", |p| p.exporters_moved_by_crash_not_of_dead.to_string()),
    ("  moved by the return", |p| p.exporters_moved_by_return.to_string()),
    ("    elsewhere than back", |p| p.exporters_moved_by_return_elsewhere.to_string()),
    ("  flows moved as it returns, before the deadline", |p| match p.policy_deadline_ms {
        0 => "-".to_string(),
        _ => p.flows_kept_elsewhere.to_string(),
    }),
    ("  flows elsewhere once it is back", |p| p.flows_mapped_elsewhere.to_string()),
    ("  moved by the drain", |p| p.exporters_moved_by_drain.to_string()),
    ("    that were not the drained one's", |p| {
        p.exporters_moved_by_drain_not_of_drained.to_string()
    }),
    ("  refused", |p| p.exporters_refused.to_string()),
    ("  silent after the crash", |p| p.exporters_silent_after_crash.to_string()),
    ("datagrams sent", |p| p.datagrams_sent.to_string()),
    ("  received", |p| p.datagrams_received.to_string()),
    ("  lost in steady state", |p| p.datagrams_lost_steady.to_string()),
    ("  lost by the crash", |p| p.datagrams_lost_by_crash.to_string()),
    ("    died unread with the collector", |p| p.datagrams_died_unread.to_string()),
    ("  lost by the drain", |p| p.datagrams_lost_by_drain.to_string()),
    ("flow records sent", |p| p.records_sent.to_string()),
    ("  received, never decoded", |p| p.records_undecodable.to_string()),
    ("packets captured", |p| p.capture_packets.to_string()),
    ("  lost by the capture", |p| p.capture_drops.to_string()),
    ("policy, by getsockopt", |p| members::policy(&p.members)),
    ("steering", |p| p.policy.clone()),
];

/// The table, one column a phase.
pub fn phases(phases: &[Phase]) -> String {
    let label = ROWS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = String::new();
    let columns: Vec<Vec<String>> = phases
        .iter()
        .map(|phase| {
            let cells = ROWS.iter().map(|(_, cell)| cell(phase));
            std::iter::once(phase.name.clone()).chain(cells).collect()
        })
        .collect();
    let widths: Vec<usize> =
        columns.iter().map(|c| c.iter().map(String::len).max().unwrap_or(0)).collect();
    for (row, name) in std::iter::once("").chain(ROWS.iter().map(|(name, _)| *name)).enumerate() {
        let _ = write!(out, "{name:label$}");
        for (column, width) in columns.iter().zip(&widths) {
            let _ = write!(out, "  {:>width$}", column[row]);
        }
        out.push('\n');
    }
    out
}

/// The claims, one a line.
pub fn claims(claims: &[Claim]) -> String {
    let mut out = String::new();
    for claim in claims {
        let verdict = if claim.met { "ok    " } else { "FAILED" };
        let phase = if claim.phase.is_empty() { "scene" } else { &claim.phase };
        let _ = write!(out, "{verdict}  {phase:10}  {}", claim.claim);
        if !claim.found.is_empty() {
            let _ = write!(out, " ({})", claim.found);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |name: &str| Phase { name: name.into(), ..Phase::default() };
        let text = phases(&[row("stock"), row("telesteer")]);
        let widths: std::collections::BTreeSet<_> = text.lines().map(str::len).collect();
        assert_eq!(widths.len(), 1, "{text}");
    }
}
