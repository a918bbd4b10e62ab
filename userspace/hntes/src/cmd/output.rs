// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How tables are printed and written.

use crate::cmd::fam::Outcome;
use crate::tables::{self, Table};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Which tables are wanted, and in what form.
#[derive(clap::Args, Debug)]
pub(crate) struct Output {
    /// Print all tables as one JSON object: {"version":1,"tables":{NAME:[ROW,...]}}; of each router alone,
    /// if asked for, under "exporters", by address.
    #[arg(long)]
    json: bool,
    /// Write every table as NAME.csv; of each router alone, if asked for, in exporter-ADDR.
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
    /// Print only these tables, long ones too. A name that does not exist lists all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    table: Vec<String>,
}

/// Writes every table as CSV.
pub(super) fn write_csv(outcome: &Outcome, dir: &Path) -> Result<()> {
    let write = |tables: &[Table], dir: &Path| {
        tables::write_csv(tables, dir).with_context(|| format!("writing to {}", dir.display()))
    };
    write(&outcome.tables, dir)?;
    let folder = |exporter: &IpAddr| dir.join(format!("exporter-{exporter}"));
    let mut each = outcome.each.iter();
    each.try_for_each(|(exporter, tables)| write(tables, &folder(exporter)))
}

impl Output {
    /// Whether tables shall be printed or written apart.
    pub(crate) fn wants_tables(&self) -> bool {
        self.json || self.csv.is_some() || !self.table.is_empty()
    }

    /// Prints the tables as asked for.
    pub(crate) fn print(&self, outcome: &Outcome) -> Result<()> {
        if let Some(dir) = &self.csv {
            write_csv(outcome, dir)?;
        }
        let all = &outcome.tables;
        if let Some(name) = self.table.iter().find(|name| all.iter().all(|t| t.name != **name)) {
            let names: Vec<_> = all.iter().map(|table| table.name).collect();
            bail!("--table {name}: no such table; there are {}", names.join(", "));
        }
        let text = if self.json { self.as_json(outcome) } else { self.as_text(outcome) };
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            // Whoever read had enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("writing to standard output"),
        }
    }

    fn asked(&self, table: &Table) -> bool {
        self.table.iter().any(|name| name == table.name)
    }

    fn as_json(&self, outcome: &Outcome) -> String {
        let picked = |tables: &[Table]| -> Vec<Table> {
            let wanted = |table: &&Table| self.table.is_empty() || self.asked(table);
            tables.iter().filter(wanted).cloned().collect()
        };
        let each: Vec<(IpAddr, Vec<Table>)> =
            outcome.each.iter().map(|(exporter, tables)| (*exporter, picked(tables))).collect();
        format!("{}\n", tables::to_json_of_each(&picked(&outcome.tables), &each))
    }

    fn as_text(&self, outcome: &Outcome) -> String {
        let text = |tables: &[Table]| {
            let short = |table: &Table| !table.long && !table.rows.is_empty();
            let picked = tables.iter().filter(|table| match self.table.is_empty() {
                true => short(table),
                false => self.asked(table),
            });
            picked.map(Table::to_text).collect::<Vec<_>>().join("\n")
        };
        let mut out = text(&outcome.tables);
        for (exporter, tables) in &outcome.each {
            // Writing into a String cannot fail.
            let _ = write!(out, "\n== exporter {exporter} alone ==\n\n{}", text(tables));
        }
        out
    }
}
