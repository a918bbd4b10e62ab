// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tables as figures read them: by the names of tables, columns and keys. What is not there is
//! `None`, never a zero.

use crate::tables::{Cell, Table};

/// All tables of an analysis.
#[derive(Clone, Copy, Debug)]
pub struct View<'t> {
    tables: &'t [Table],
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'t> {
    /// It.
    pub table: &'t Table,
}

/// One row of it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'t> {
    table: &'t Table,
    cells: &'t [Cell],
}

impl<'t> View<'t> {
    /// Reads these.
    pub fn new(tables: &'t [Table]) -> Self {
        Self { tables }
    }

    /// The table of this name, if it has any row.
    pub fn sheet(&self, name: &str) -> Option<Sheet<'t>> {
        let table = self.tables.iter().find(|table| table.name == name)?;
        (!table.rows.is_empty()).then_some(Sheet { table })
    }

    /// `day` or `hour`: what the interval of this analysis is.
    pub fn interval(&self) -> &'static str {
        let first = self.sheet("series").and_then(|sheet| sheet.lines().next());
        if first.is_some_and(|line| line.text("day").contains('T')) { "hour" } else { "day" }
    }

    /// A value of the summary.
    pub fn figure(&self, name: &str) -> Option<&'t Cell> {
        let sheet = self.sheet("summary")?;
        sheet.lines().find(|line| line.text("figure") == name)?.cell("value")
    }
}

impl<'t> Sheet<'t> {
    /// Its rows.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'t>> + use<'t> {
        let table = self.table;
        table.rows.iter().map(move |cells| Line { table, cells })
    }

    /// The rows in which each of these columns has this text.
    pub fn with(&self, keys: &[(&str, &str)]) -> Vec<Line<'t>> {
        let same = |line: &Line<'t>| keys.iter().all(|(name, text)| line.text(name) == *text);
        self.lines().filter(same).collect()
    }

    /// The texts of a column, each once, in the order they come.
    pub fn texts(&self, column: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for line in self.lines() {
            let text = line.text(column);
            if !found.contains(&text) {
                found.push(text);
            }
        }
        found
    }
}

impl<'t> Line<'t> {
    /// A cell.
    pub fn cell(&self, column: &str) -> Option<&'t Cell> {
        let at = self.table.columns.iter().position(|name| *name == column)?;
        self.cells.get(at)
    }

    /// A number.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.cell(column)?.number()
    }

    /// A text; empty if there is none.
    pub fn text(&self, column: &str) -> String {
        self.cell(column).map_or_else(String::new, Cell::text)
    }
}

/// A table of these columns of these rows.
pub fn part(
    (name, title): (&'static str, &'static str),
    columns: &[&'static str],
    lines: &[Line<'_>],
) -> Table {
    let mut table = Table::new(name, title, columns);
    for line in lines {
        let cell = |column: &&str| line.cell(column).cloned().unwrap_or(Cell::None);
        table.push(columns.iter().map(cell));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_by_name_and_makes_no_zeros() {
        let mut table = Table::new("t", "", &["width", "n"]);
        table.push(["/24".into(), 7u64.into()]);
        table.push(["/32".into(), Cell::None]);
        let tables = [table, Table::new("empty", "", &["n"])];
        let view = View::new(&tables);
        let sheet = view.sheet("t").unwrap();
        assert_eq!(sheet.texts("width"), ["/24", "/32"]);
        assert_eq!(sheet.with(&[("width", "/24")])[0].number("n"), Some(7.0));
        assert_eq!(sheet.with(&[("width", "/32")])[0].number("n"), None);
        assert_eq!(sheet.with(&[("width", "/32")])[0].number("none"), None);
        assert!(view.sheet("empty").is_none() && view.sheet("none").is_none());
        let part = part(("p", ""), &["n", "none"], &sheet.lines().collect::<Vec<_>>());
        assert_eq!(part.rows[0], [Cell::Count(7), Cell::None]);
    }
}
