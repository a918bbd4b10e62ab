// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files an engine may take: Parquet as `telesteer collect` stores it, known by its footer.
//!
//! An engine does not look at every value, so it takes only files whose writer is known to have
//! checked them: made by telesteer, of the schema's very types, without a null where a record needs a
//! value. All others are read row by row, as ever.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::Result as Outcome;
use parquet::file::metadata::PageIndexPolicy;
use telesteer_fam::time::SECOND;
use telesteer_fam::{Ns, Record};
use telesteer_flowfile::layout::WRITER;
use telesteer_flowfile::{COLUMNS, Row};

/// Columns without which a record is one; of all others an engine takes no null.
const NULLS: [&str; 3] = ["bgp_next_hop", "sampling", "sampling_taken"];
/// What the version column of a record says that no collector stored: IPFIX.
const VERSION: u8 = 10;

/// A file an engine may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it is.
    pub path: PathBuf,
    /// Rows, which are all records.
    pub rows: u64,
    /// The highest `sampling` of its rows, 0 if none tells any.
    pub highest: u64,
    /// Rows of its row groups, each a piece that a worker takes.
    pub(crate) groups: Vec<u64>,
}

/// Looks at a file's end; the reason why it has to be read row by row is for who wonders.
pub fn look(path: &Path) -> Result<Stored, String> {
    footer(path, PageIndexPolicy::Skip).map(|(stored, _)| stored)
}

impl Stored {
    /// The footer with the page index. Nobody keeps it: all footers together grow with the records.
    pub(crate) fn footer(&self) -> Result<ArrowReaderMetadata, String> {
        let (again, meta) = footer(&self.path, PageIndexPolicy::Optional)?;
        if again == *self { Ok(meta) } else { Err("it is not what it was".to_owned()) }
    }
}

fn footer(path: &Path, index: PageIndexPolicy) -> Result<(Stored, ArrowReaderMetadata), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let options =
        ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_page_index_policy(index);
    let meta = crate::bare::guarded(|| ArrowReaderMetadata::load(&file, options))?;
    let about = meta.metadata().file_metadata();
    if !about.created_by().is_some_and(|by| by.starts_with(WRITER)) {
        return Err("another program made it".to_owned());
    }
    for (name, kind, _) in &COLUMNS {
        let field = meta.schema().column_with_name(name).map(|(_, field)| field);
        if field.is_none_or(|field| field.data_type() != kind) {
            return Err(format!("column {name} is not {kind}"));
        }
        if !NULLS.contains(name) && nulls(&meta, name).map_err(|error| error.to_string())? {
            return Err(format!("column {name} has nulls"));
        }
    }
    let whole = |rows: i64| u64::try_from(rows).map_err(|_| "negative rows".to_owned());
    let groups = meta.metadata().row_groups().iter().map(|group| whole(group.num_rows()));
    let stored = Stored {
        path: path.to_owned(),
        rows: whole(about.num_rows())?,
        highest: highest(&meta).map_err(|error| error.to_string())?,
        groups: groups.collect::<Result<_, _>>()?,
    };
    let meta = views(&meta).map_err(|error| error.to_string())?;
    Ok((stored, meta))
}

/// The same footer, text to be read as views into the pages instead of copies of it.
fn views(meta: &ArrowReaderMetadata) -> Outcome<ArrowReaderMetadata> {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => field.as_ref().clone(),
    };
    let schema = Schema::new(meta.schema().fields().iter().map(view).collect::<Vec<_>>());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(meta.metadata()), options)
}

/// Whether a column may have nulls, by the statistics of its row groups.
fn nulls(meta: &ArrowReaderMetadata, name: &str) -> Outcome<bool> {
    let statistics = StatisticsConverter::try_new(name, meta.schema(), meta.parquet_schema())?
        .with_missing_null_counts_as_zero(false);
    let counts = statistics.row_group_null_counts(meta.metadata().row_groups())?;
    Ok(counts.iter().any(|count| count != Some(0)))
}

/// The highest sampling rate; without statistics the highest there could be.
fn highest(meta: &ArrowReaderMetadata) -> Outcome<u64> {
    let statistics =
        StatisticsConverter::try_new("sampling", meta.schema(), meta.parquet_schema())?;
    let groups = meta.metadata().row_groups();
    let maxes = statistics.row_group_maxes(groups)?;
    let nulls = statistics.row_group_null_counts(groups)?;
    let maxes = maxes.as_primitive::<UInt32Type>();
    let of_group = |(index, max): (usize, Option<u32>)| match max {
        Some(max) => u64::from(max),
        // All null, or nothing is known.
        None => {
            let all = nulls.iter().nth(index).flatten() == Some(groups[index].num_rows() as u64);
            if all { 0 } else { u64::from(u32::MAX) }
        }
    };
    Ok(maxes.iter().enumerate().map(of_group).max().unwrap_or(0))
}

/// A record as it is stored where no collector did it: domain and instance are 0, it was exported in
/// the second after its end.
pub fn row(record: &Record) -> Row {
    Row {
        exporter: record.exporter,
        first_ns: record.first,
        last_ns: record.last,
        src: record.key.src,
        dst: record.key.dst,
        proto: Some(record.key.proto),
        src_port: record.key.src_port,
        dst_port: record.key.dst_port,
        in_if: record.in_if,
        out_if: record.out_if,
        bgp_next_hop: record.next_hop,
        tos: record.tos,
        octets: record.octets,
        packets: record.packets,
        sampling: record.sampling.map(|sampling| sampling.ratio()),
        domain: 0,
        version: VERSION,
        export_s: export_s(record.last),
        instance: 0,
    }
}

/// The second of a message whose latest record ended then.
pub fn export_s(last: Ns) -> i64 {
    last.div_euclid(SECOND) + i64::from(last.rem_euclid(SECOND) > 0)
}

/// Writes records as such a file.
pub struct Writer(telesteer_flowfile::Writer<File>);

impl Writer {
    /// Makes the file; one that exists is replaced.
    pub fn create(path: &Path) -> Outcome<Self> {
        telesteer_flowfile::Writer::new(File::create(path)?).map(Self)
    }

    /// Adds a record.
    pub fn write(&mut self, record: &Record) -> Outcome<()> {
        self.0.push(&row(record))
    }

    /// Ends the file.
    pub fn close(self) -> Outcome<()> {
        self.0.finish().map(|_| ())
    }
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
