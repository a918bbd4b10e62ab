// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parquet with the schema's columns: what `telesteer collect --parquet` stores, or anyone else
//! under these names.
//!
//! A row that is no record is counted as a line of CSV would be, with the same reason. What is wrong
//! further in costs the rows behind it: they are not known, those before it are analysed.

use super::columns::{Cell, Wanted, cell};
use super::csv::{OPTIONAL, sampling};
use super::{Assume, FileReport, Format};
use crate::schema::{COLUMNS, SAMPLING_TAKEN};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use anyhow::{Context, Result, bail};
use arrow_array::{ArrayRef, RecordBatch};
use std::fs::File;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use telesteer_fam::{FiveTuple, Record, Sampling};

/// What a Parquet file begins and ends with.
pub(super) const MAGIC: [u8; 4] = *b"PAR1";

/// The column of when a record was exported, seconds since 1970; few files have it.
const EXPORT: &str = "export_s";

/// Rows read at a time.
const BATCH: usize = 8192;

/// The schema's columns as their types may be, and [`SAMPLING_TAKEN`].
const WANTED: [Wanted; 16] = [
    Wanted::Address,
    Wanted::Instant,
    Wanted::Instant,
    Wanted::Address,
    Wanted::Address,
    Wanted::Number,
    Wanted::Number,
    Wanted::Number,
    Wanted::Number,
    Wanted::Number,
    Wanted::Address,
    Wanted::Number,
    Wanted::Number,
    Wanted::Number,
    Wanted::Sampling,
    Wanted::Number,
];

/// Hands every record of a file to `each`.
pub(super) fn read(
    path: &Path,
    file: File,
    assume: &Assume,
    mut each: impl FnMut(&Record),
) -> Result<FileReport> {
    let at = || format!("reading {}", path.display());
    // A schema in the file's metadata may ask for other types; the columns themselves decide.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let open = || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    let builder = guarded(open).with_context(at)?;
    let positions = positions(builder.schema()).with_context(at)?;
    let export =
        builder.schema().column_with_name(EXPORT).filter(|(_, f)| f.data_type().is_integer());
    let roots = positions.iter().flatten().copied().chain(export.map(|(position, _)| position));
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let rows = builder.metadata().file_metadata().num_rows();
    let build = || builder.with_projection(mask).with_batch_size(BATCH).build();
    let mut reader = guarded(build).with_context(at)?;

    let mut report = FileReport::new(path);
    report.format = Some(Format::Parquet);
    let mut number = 0;
    loop {
        let batch = match guarded(|| reader.next().transpose()) {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                let (path, from) = (path.display(), number + 1);
                let error = error.context(format!("{path}: rows {from} to {rows} cannot be read"));
                report.failed = Some(format!("{error:#}"));
                break;
            }
        };
        let table = Table::of(&batch);
        let export = batch.column_by_name(EXPORT);
        let export = |row| export.and_then(|column| cell(column, row).number::<i64>());
        for row in 0..batch.num_rows() {
            number += 1;
            match table.record(row, assume) {
                Ok(record) => {
                    report.records += 1;
                    let life = (record.first, record.last);
                    report.notes.look(number, life, record.sampling, export(row));
                    each(&record);
                }
                Err(reason) => report.count(&reason, number),
            }
        }
    }
    Ok(report)
}

/// A step of the decoder, which panics at some kinds of damage where it should say an error. What
/// it leaves behind is not used any more.
fn guarded<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<T>
where
    anyhow::Error: From<E>,
{
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => Ok(outcome?),
        Err(_) => bail!("it is damaged, the decoder gave up"),
    }
}

/// Where the columns are; fails if one is missing that must be there, or cannot be what it is.
fn positions(schema: &arrow_schema::Schema) -> Result<[Option<usize>; 16]> {
    let mut positions = [None; 16];
    for (column, name) in names().enumerate() {
        let Some((position, field)) = schema.column_with_name(name) else {
            if column < COLUMNS.len() && !OPTIONAL.contains(&column) {
                bail!("no column {name}");
            }
            continue;
        };
        let (wanted, kind) = (WANTED[column], field.data_type());
        if !wanted.takes(kind) {
            bail!("column {name} is {kind}, which is not {}", wanted.name());
        }
        positions[column] = Some(position);
    }
    Ok(positions)
}

fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().chain([SAMPLING_TAKEN])
}

/// The columns of a batch.
struct Table<'b>([Option<&'b ArrayRef>; 16]);

impl<'b> Table<'b> {
    fn of(batch: &'b RecordBatch) -> Self {
        let mut columns = [None; 16];
        for (column, name) in columns.iter_mut().zip(names()) {
            *column = batch.column_by_name(name);
        }
        Self(columns)
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'b> {
        self.0[column].map_or(Cell::None, |values| cell(values, row))
    }

    fn record(&self, row: usize, assume: &Assume) -> Result<Record, String> {
        let field = |column: usize| self.cell(column, row);
        let bad = |column: usize| format!("bad {}", COLUMNS[column]);
        let address = |column: usize| field(column).address().ok_or_else(|| bad(column));
        let host = |column: usize| address(column).map(|addr: IpAddr| addr.to_canonical());
        let exporter = match (field(0).is_none(), assume.exporter) {
            (true, Some(exporter)) => exporter,
            _ => host(0)?,
        };
        macro_rules! number {
            ($column:expr) => {
                field($column).number().ok_or_else(|| bad($column))?
            };
        }
        macro_rules! or_zero {
            ($column:expr) => {
                if field($column).is_none() { 0 } else { number!($column) }
            };
        }
        let next_hop = if field(10).is_none() { None } else { Some(host(10)?) };
        Ok(Record {
            exporter,
            first: number!(1),
            last: number!(2),
            key: FiveTuple {
                src: host(3)?,
                dst: host(4)?,
                proto: number!(5),
                src_port: number!(6),
                dst_port: number!(7),
            },
            in_if: or_zero!(8),
            out_if: or_zero!(9),
            next_hop,
            tos: or_zero!(11),
            octets: number!(12),
            packets: or_zero!(13),
            sampling: assume.sampling(self.sampling(row)?, exporter),
        })
    }

    /// The rate as a pair of columns, or as text; nothing or 0 is unknown.
    fn sampling(&self, row: usize) -> Result<Option<Sampling>, String> {
        let bad = || "bad sampling".to_owned();
        let observed = match self.cell(14, row) {
            Cell::None => return Ok(None),
            Cell::Text(text) => return sampling(text),
            cell => cell.number::<u32>().ok_or_else(bad)?,
        };
        let taken = match self.cell(15, row) {
            Cell::None => 1,
            cell => cell.number::<u32>().ok_or_else(bad)?,
        };
        if observed == 0 {
            return Ok(None);
        }
        Sampling::from_ratio(observed, taken).map(Some).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/parquet.md`, which the collector's schema is held to as well.
    #[test]
    fn the_document_has_what_is_read() {
        let document = include_str!("../../../../docs/parquet.md");
        let told: Vec<&str> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .filter(|name| !name.starts_with("parquet_"))
            .collect();
        assert_eq!(told[..16], names().collect::<Vec<_>>());
    }
}
