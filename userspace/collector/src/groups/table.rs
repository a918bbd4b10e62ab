// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups as text for people.

use std::fmt::{Display, Write};

use super::{Group, Member};

/// Column heads; the last one is flush left.
const HEADS: [&str; 8] =
    ["ID", "WEIGHT", "FLAGS", "SELECTIONS", "EXPORTERS", "SESSIONS", "QUEUE", "PROCESS"];

/// A line for each group and one for each of its members.
pub fn render(groups: &[Group]) -> String {
    let mut text = String::new();
    for (index, group) in groups.iter().enumerate() {
        // Writing into a String cannot fail.
        if index > 0 {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", title(group));
        let rows: Vec<[String; 8]> = std::iter::once(HEADS.map(str::to_owned))
            .chain(group.members.iter().map(|member| row(group, member)))
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            let last = HEADS.len() - 1;
            for (cell, width) in row[..last].iter().zip(&widths) {
                let _ = write!(line, "  {cell:>width$}");
            }
            let _ = writeln!(text, "{line}  {}", row[last]);
        }
    }
    text
}

fn title(group: &Group) -> String {
    let mut title = format!("{} {}", group.protocol, group.local);
    match (group.group, &group.policy) {
        (Some(number), Some(policy)) => {
            let _ = write!(title, "  group {number}, policy {policy}");
        }
        (Some(number), None) => {
            let _ = write!(title, "  group {number}, no policy");
        }
        (None, _) => title.push_str("  by its address"),
    }
    let _ = write!(title, ", {} members", group.sockets);
    if group.unaccepted > 0 {
        let _ = write!(title, ", {} sessions not accepted", group.unaccepted);
    }
    title
}

fn row(group: &Group, member: &Member) -> [String; 8] {
    let flags = match (group.group, member.draining) {
        (_, Some(true)) => "drain",
        (_, Some(false)) | (None, None) => "-",
        (Some(_), None) => "no-handle",
    };
    let processes: Vec<String> = member
        .processes
        .iter()
        .map(|process| format!("{} {}", process.pid, process.comm))
        .collect();
    [
        cell(member.id),
        cell(member.weight),
        flags.to_owned(),
        cell(member.selections),
        cell(member.exporters),
        cell(member.sessions),
        member.queue.to_string(),
        if processes.is_empty() { "-".to_owned() } else { processes.join(", ") },
    ]
}

fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
