// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an experiment found, and the files made of it: `data.json`, `data.csv`, `figure.svg` and
//! `README.md`, a paragraph with the table and the claims.

use crate::error::Result;
use crate::process::write;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Something that is said, and whether the run bears it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Claim {
    /// What is said, with the figures.
    pub(crate) text: String,
    /// Whether it holds.
    pub(crate) met: bool,
}

impl Claim {
    /// A claim.
    pub(crate) fn new(text: impl Into<String>, met: bool) -> Self {
        Self { text: text.into(), met }
    }
}

/// What an experiment found.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    /// One line.
    pub(crate) title: &'static str,
    /// What was done and what came of it.
    pub(crate) paragraph: String,
    /// Names of the table's columns.
    pub(crate) columns: Vec<&'static str>,
    /// Its rows.
    pub(crate) rows: Vec<Vec<String>>,
    /// What is claimed.
    pub(crate) claims: Vec<Claim>,
    /// The drawing.
    pub(crate) figure: String,
    /// Everything that was measured.
    pub(crate) data: Value,
}

impl Findings {
    /// Whether all claims are met.
    pub(crate) fn good(&self) -> bool {
        self.claims.iter().all(|claim| claim.met)
    }

    /// Table and claims for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut all: Vec<Vec<&str>> = vec![self.columns.clone()];
        all.extend(self.rows.iter().map(|row| row.iter().map(String::as_str).collect()));
        let width = |at: usize| {
            let cells = all.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut text = String::new();
        for row in &all {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = width(at);
                let _ = match at {
                    0 => write!(line, "{cell:width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
        for claim in &self.claims {
            let _ =
                writeln!(text, "{} {}", if claim.met { "met   " } else { "FAILED" }, claim.text);
        }
        text
    }

    fn csv(&self) -> String {
        let cell = |text: &str| match text.contains([',', '"', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let line = |cells: Vec<&str>| cells.into_iter().map(cell).collect::<Vec<_>>().join(",");
        let mut text = line(self.columns.clone()) + "\n";
        for row in &self.rows {
            text += &(line(row.iter().map(String::as_str).collect()) + "\n");
        }
        text
    }

    fn page(&self, name: &str) -> String {
        let mut text =
            format!("# {}\n\n{}\n\n![{name}](figure.svg)\n\n", self.title, self.paragraph.trim());
        let row = |cells: Vec<&str>| {
            let cells: Vec<String> = cells.into_iter().map(cell_of_page).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        text += &row(self.columns.clone());
        text += &row(self.columns.iter().map(|_| "---").collect());
        for cells in &self.rows {
            text += &row(cells.iter().map(String::as_str).collect());
        }
        text.push('\n');
        for claim in &self.claims {
            let _ = writeln!(
                text,
                "* {}: {}",
                if claim.met { "met" } else { "**not met**" },
                claim.text
            );
        }
        let _ = write!(
            text,
            "\nMade by `cargo xtask lab {name}`; figures: [data.csv](data.csv), [data.json](data.json).\n"
        );
        text
    }

    /// Writes the files into a folder.
    ///
    /// # Errors
    ///
    /// With the file that could not be written.
    pub(crate) fn put(&self, name: &str, dir: &Path) -> Result<()> {
        let data = json!({
            "experiment": name,
            "kernel": std::env::var("TELESTEER_VM").ok(),
            "claims": self.claims,
            "data": self.data,
        });
        for (file, text) in [
            ("data.json", format!("{data:#}\n")),
            ("data.csv", self.csv()),
            ("figure.svg", self.figure.clone()),
            ("README.md", self.page(name)),
        ] {
            write(&dir.join(file), text)?;
        }
        Ok(())
    }
}

/// A cell of a table in Markdown has one line, and no bar of its own.
fn cell_of_page(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        Findings {
            title: "T",
            paragraph: "P.".into(),
            columns: vec!["a", "long"],
            rows: vec![vec!["x, y".into(), "1".into()]],
            claims: vec![Claim::new("c", true), Claim::new("d", false)],
            figure: "<svg/>".into(),
            data: json!([1]),
        }
    }

    #[test]
    fn one_claim_that_fails_is_enough() {
        let mut all = findings();
        assert!(!all.good());
        all.claims.pop();
        assert!(all.good());
    }

    #[test]
    fn the_files_of_a_run() {
        let dir = tempfile::tempdir().unwrap();
        findings().put("n", dir.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("data.csv"), "a,long\n\"x, y\",1\n");
        assert!(read("README.md").contains("| x, y | 1 |\n\n* met: c\n* **not met**: d\n"));
        let data: Value = serde_json::from_str(&read("data.json")).unwrap();
        assert_eq!(data["claims"][1], json!({"text": "d", "met": false}));
        assert_eq!(cell_of_page("two\nlines a|b"), "two lines a\\|b");
        assert_eq!(findings().text(), "a     long\nx, y     1\n\nmet    c\nFAILED d\n");
    }
}
