// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Each router alone: the same analysis of one router's records after the other.
//!
//! Together a flow that several routers saw counts once; alone it counts for each that saw it. Days are
//! kept for each in a folder of its own, `exporter-ADDR` in that of all.

use crate::cmd::fam::Part;
use crate::tables::{Cell, Table};
use crate::work::Work;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use telesteer_fam::Reading;
use telesteer_fam::reading::Exporters;

/// Most routers of a run.
const EACH_MAX: usize = 256;

/// What names of folders of kept days begin with.
const FOLDER: &str = "exporter-";

/// Tables about files: they say nothing about a router.
const OF_FILES: [&str; 4] = ["files", "bad_lines", "notes", "far_records"];

/// Runs `analyse` for every router of which there is a record, or a folder of kept days.
pub(super) fn tables(
    work: &mut Work<'_>,
    reading: &Reading,
    state: Option<&Path>,
    analyse: impl Fn(&Work<'_>, &Reading, Part<'_>) -> Result<Vec<Table>>,
) -> Result<Vec<(IpAddr, Vec<Table>)>> {
    let mut exporters = work.try_all(Work::exporters)?;
    if let Some(dir) = state {
        exporters.extend(kept(dir)?);
    }
    exporters.retain(|exporter| alone(*exporter, reading).is_some());
    if exporters.len() > EACH_MAX {
        let many = exporters.len();
        bail!(
            "--each-exporter: {many} exporters, more than {EACH_MAX}; choose some with --exporter"
        );
    }
    let mut each = Vec::with_capacity(exporters.len());
    for exporter in exporters {
        let Some(reading) = alone(exporter, reading) else { continue };
        let state = state.map(|dir| dir.join(format!("{FOLDER}{exporter}")));
        let part = Part { state: state.as_deref(), alone: true };
        let mut tables = work.try_all(|work| analyse(work, &reading, part))?;
        tables.retain(|table| !OF_FILES.contains(&table.name));
        tables.iter_mut().filter(|table| table.name == "left_out").for_each(own);
        each.push((exporter, tables));
    }
    Ok(each)
}

/// The reading of one router's records; `None` if none of them count.
fn alone(exporter: IpAddr, reading: &Reading) -> Option<Reading> {
    let exporters = match &reading.exporters {
        Exporters::All => Exporters::Only(exporter),
        Exporters::Only(only) => return (*only == exporter).then(|| reading.clone()),
        Exporters::Ingress(edges) => {
            let own: BTreeSet<_> =
                edges.iter().filter(|edge| edge.0 == exporter).copied().collect();
            if own.is_empty() {
                return None;
            }
            Exporters::Ingress(own)
        }
    };
    Some(Reading { exporters, ..reading.clone() })
}

/// Routers that days are kept of.
fn kept(dir: &Path) -> Result<Vec<IpAddr>> {
    let at = || format!("reading {}", dir.display());
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(at)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.with_context(at)?.file_name();
        let address: Option<IpAddr> =
            name.to_str().and_then(|name| name.strip_prefix(FOLDER)?.parse().ok());
        found.extend(address);
    }
    Ok(found)
}

/// Leaves out days of which only other routers' records were left out.
fn own(left_out: &mut Table) {
    let other = left_out.columns.iter().position(|name| *name == "other_exporter");
    left_out.rows.retain(|row| {
        let counts = row.iter().enumerate().filter(|(at, _)| Some(*at) != other);
        counts.skip(1).any(|(_, cell)| cell.number().is_some_and(|count| count > 0.0))
    });
}

/// Figures of the summary that routers are put side by side by.
const FIGURES: [&str; 6] =
    ["records", "bytes", "raw_flows", "alpha_bytes", "alpha_time_sum_h", "alpha_time_union_h"];

/// Each router beside all of them together.
pub(super) fn beside(all: &[Table], each: &[(IpAddr, Vec<Table>)]) -> Table {
    let columns = [
        "exporter",
        "records",
        "bytes",
        "raw_flows",
        "alpha_bytes",
        "alpha_time_sum_h",
        "alpha_time_union_h",
        "prefix_flows",
        "effectiveness_percent",
    ];
    let title = "each router alone, and all together, where a flow that several saw counts once; \
                 effectiveness of the first table";
    let mut table = Table::new("exporters", title, &columns);
    let named = each.iter().map(|(exporter, tables)| (exporter.to_string(), tables.as_slice()));
    for (name, tables) in named.chain([("all".to_owned(), all)]) {
        let figures = FIGURES.map(|figure| {
            let row = |row: &&Vec<Cell>| row.first().is_some_and(|cell| cell.text() == figure);
            let summary = tables.iter().find(|table| table.name == "summary");
            let row = summary.and_then(|table| table.rows.iter().find(row));
            row.and_then(|row| row.get(1)).cloned().unwrap_or(Cell::None)
        });
        let rest = [
            first(tables, "prefix_flows", "prefix_flows"),
            first(tables, "effectiveness", "effectiveness_percent"),
        ];
        table.push(std::iter::once(name.into()).chain(figures).chain(rest));
    }
    table
}

/// The value of a column in the first row of a table.
fn first(tables: &[Table], name: &str, column: &str) -> Cell {
    let cell = || {
        let table = tables.iter().find(|table| table.name == name)?;
        let at = table.columns.iter().position(|name| *name == column)?;
        table.rows.first()?.get(at).cloned()
    };
    cell().unwrap_or(Cell::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_alone_keeps_its_own_edges() {
        let [a, b, c]: [IpAddr; 3] =
            ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| text.parse().unwrap());
        let of = |exporters| Reading { exporters, ..Reading::default() };
        let all = alone(a, &of(Exporters::All)).unwrap();
        assert_eq!(all.exporters, Exporters::Only(a));
        let edges = of(Exporters::Ingress([(a, 1), (a, 2), (b, 1)].into()));
        let own = alone(a, &edges).unwrap();
        assert_eq!(own.exporters, Exporters::Ingress([(a, 1), (a, 2)].into()));
        assert!(alone(c, &edges).is_none());
        assert!(alone(b, &of(Exporters::Only(a))).is_none());
    }

    #[test]
    fn days_of_others_are_no_days_of_ones_own() {
        let mut table =
            Table::new("left_out", "", &["day", "missing", "negative", "other_exporter"]);
        table.push(["1".into(), 0u64.into(), 0u64.into(), 9u64.into()]);
        table.push(["2".into(), 0u64.into(), 1u64.into(), 9u64.into()]);
        table.push(["3".into(), 1u64.into(), Cell::None, Cell::None]);
        own(&mut table);
        let days: Vec<String> = table.rows.iter().map(|row| row[0].text()).collect();
        assert_eq!(days, ["2", "3"]);
    }
}
