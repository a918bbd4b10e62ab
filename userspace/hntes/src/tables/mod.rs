// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tables of results: one form for text, JSON and CSV.

pub mod beta;
pub mod burst;
pub mod dimension;
pub mod flows;
pub mod hypothesis;
pub mod input;
pub mod pairs;
pub mod redirect;
pub mod state;

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// A value in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A count.
    Count(u64),
    /// A number and its decimals in text.
    Real(f64, usize),
    /// Anything else.
    Text(String),
    /// No such value.
    None,
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::Count(value as u64)
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Count(u64::from(value))
    }
}

impl Cell {
    /// A real number with `decimals` in text; nothing where it is none.
    pub fn real(value: impl Into<Option<f64>>, decimals: usize) -> Self {
        value.into().map_or(Self::None, |value| Self::Real(value, decimals))
    }

    /// Nanoseconds as hours.
    pub fn hours(nanoseconds: u64) -> Self {
        Self::Real(nanoseconds as f64 / 3.6e12, 3)
    }

    /// Nanoseconds as seconds.
    pub fn seconds(nanoseconds: u64) -> Self {
        Self::Real(nanoseconds as f64 / 1e9, 3)
    }

    /// The number in it.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Count(value) => Some(*value as f64),
            Self::Real(value, _) => Some(*value),
            Self::Text(_) | Self::None => None,
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Self::Count(value) => value.to_string(),
            Self::Real(value, decimals) => format!("{value:.decimals$}"),
            Self::Text(text) => text.clone(),
            Self::None => "-".to_owned(),
        }
    }

    fn csv(&self) -> String {
        match self {
            Self::Count(value) => value.to_string(),
            Self::Real(value, _) => value.to_string(),
            Self::Text(text) if text.contains([',', '"', '\n']) => {
                format!("\"{}\"", text.replace('"', "\"\""))
            }
            Self::Text(text) => text.clone(),
            Self::None => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Count(value) => json!(value),
            Self::Real(value, _) => json!(value),
            Self::Text(text) => json!(text),
            Self::None => Value::Null,
        }
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name: a key in JSON, a file name for CSV.
    pub name: &'static str,
    /// What it shows, in a line.
    pub title: &'static str,
    /// Names of its columns, units in them.
    pub columns: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
    /// Too long for the overview: in text it is printed when asked for.
    pub long: bool,
}

impl Table {
    /// An empty table.
    pub fn new(name: &'static str, title: &'static str, columns: &[&'static str]) -> Self {
        Self { name, title, columns: columns.to_vec(), rows: Vec::new(), long: false }
    }

    /// The same, too long for the overview.
    #[must_use]
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().collect());
    }

    /// As text, columns aligned.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<Vec<String>> = vec![self.columns.iter().map(|c| (*c).into()).collect()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(Cell::text).collect()));
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|c| c.chars().count()).max()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(|c| width(c).unwrap_or(0)).collect();
        let left = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.clone().any(|cell| matches!(cell, Cell::Text(_))) || cells.count() == 0
        };
        let left: Vec<bool> = (0..self.columns.len()).map(left).collect();
        let mut text = format!("{}: {}\n", self.name, self.title);
        for line in lines {
            let mut row = String::new();
            for ((cell, width), left) in line.iter().zip(&widths).zip(&left) {
                // Writing into a String cannot fail.
                let _ = match left {
                    true => write!(row, "  {cell:<width$}"),
                    false => write!(row, "  {cell:>width$}"),
                };
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    /// As CSV with a header.
    pub fn to_csv(&self) -> String {
        let mut text = self.columns.join(",");
        text.push('\n');
        for row in &self.rows {
            text.push_str(&row.iter().map(Cell::csv).collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        text
    }

    /// As a list of objects.
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().zip(row);
            Value::Object(pairs.map(|(name, cell)| ((*name).to_owned(), cell.json())).collect())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }
}

fn by_name(tables: &[Table]) -> Value {
    let pairs = tables.iter().map(|table| (table.name.to_owned(), table.to_json()));
    Value::Object(pairs.collect())
}

/// All tables as one object.
pub fn to_json(tables: &[Table]) -> Value {
    json!({ "version": 1, "tables": by_name(tables) })
}

/// The same, with those of each exporter alone, if there are any.
pub fn to_json_of_each(tables: &[Table], each: &[(IpAddr, Vec<Table>)]) -> Value {
    let mut all = to_json(tables);
    if !each.is_empty() {
        let pairs = each.iter().map(|(exporter, tables)| (exporter.to_string(), by_name(tables)));
        all["exporters"] = Value::Object(pairs.collect());
    }
    all
}

/// Writes NAME.csv for each table.
pub fn write_csv(tables: &[Table], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    tables
        .iter()
        .try_for_each(|table| fs::write(dir.join(format!("{}.csv", table.name)), table.to_csv()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_faces_of_a_table() {
        let mut table = Table::new("t", "a test", &["name", "n", "share_percent"]);
        table.push(["a,\"b".into(), 7u64.into(), Cell::real(12.345, 1)]);
        table.push(["c".into(), Cell::Count(1234), Cell::real(None, 1)]);
        assert_eq!(
            table.to_text(),
            "t: a test\n  name     n  share_percent\n  a,\"b     7           12.3\n  c     1234              -\n"
        );
        assert_eq!(table.to_csv(), "name,n,share_percent\n\"a,\"\"b\",7,12.345\nc,1234,\n");
        assert_eq!(
            to_json(&[table])["tables"]["t"][1],
            json!({"name": "c", "n": 1234, "share_percent": null})
        );
    }
}
