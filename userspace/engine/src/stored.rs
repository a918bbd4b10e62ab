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
use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        Int64Builder, StringBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
    },
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result as Outcome;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::WriterProperties;
use telesteer_fam::Record;

/// What `created_by` begins with in files whose values were checked by their writer.
const WRITER: &str = "telesteer ";
/// Rows of a row group and of a page of it, and octets of a dictionary, as the collector has them.
const GROUP: usize = 512 << 10;
const PAGE: usize = 4096;
const DICTIONARY: usize = 64 << 10;
/// Columns of numbers that hardly come again, as the collector has them.
const NUMBERS: [&str; 4] = ["first_ns", "last_ns", "octets", "packets"];
/// Rows turned into columns at a time.
const BATCH: usize = 4096;

/// Name, type, and whether a row may be without it: of `docs/parquet.md`, what the analysis reads.
pub const COLUMNS: [(&str, DataType, bool); 16] = [
    ("exporter", DataType::Utf8, false),
    ("first_ns", DataType::Int64, false),
    ("last_ns", DataType::Int64, false),
    ("src", DataType::Utf8, false),
    ("dst", DataType::Utf8, false),
    ("proto", DataType::UInt8, false),
    ("src_port", DataType::UInt16, false),
    ("dst_port", DataType::UInt16, false),
    ("in_if", DataType::UInt32, false),
    ("out_if", DataType::UInt32, false),
    ("bgp_next_hop", DataType::Utf8, true),
    ("tos", DataType::UInt8, false),
    ("octets", DataType::UInt64, false),
    ("packets", DataType::UInt64, false),
    ("sampling", DataType::UInt32, true),
    ("sampling_taken", DataType::UInt32, true),
];

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
    for (name, kind, null) in &COLUMNS {
        let field = meta.schema().column_with_name(name).map(|(_, field)| field);
        if field.is_none_or(|field| field.data_type() != kind) {
            return Err(format!("column {name} is not {kind}"));
        }
        if !null && nulls(&meta, name).map_err(|error| error.to_string())? {
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

/// Writes records as such a file. Values are written as they are; the reader of [`COLUMNS`] takes
/// them for checked.
pub struct Writer {
    out: ArrowWriter<File>,
    columns: Columns,
    schema: SchemaRef,
}

impl Writer {
    /// Makes the file; one that exists is replaced.
    pub fn create(path: &Path) -> Outcome<Self> {
        let schema = COLUMNS.map(|(name, kind, null)| Field::new(name, kind, null));
        let schema = Arc::new(Schema::new(schema.to_vec()));
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP))
            .set_data_page_row_count_limit(PAGE)
            .set_dictionary_page_size_limit(DICTIONARY)
            .set_created_by(concat!("telesteer ", env!("CARGO_PKG_VERSION")).to_owned());
        for name in NUMBERS {
            properties = properties
                .set_column_dictionary_enabled(name.into(), false)
                .set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
        }
        let properties = properties.build();
        let out = ArrowWriter::try_new(File::create(path)?, Arc::clone(&schema), Some(properties))?;
        Ok(Self { out, columns: Columns::default(), schema })
    }

    /// Adds a record.
    pub fn write(&mut self, record: &Record) -> Outcome<()> {
        self.columns.push(record);
        if self.columns.rows >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Ends the file.
    pub fn close(mut self) -> Outcome<()> {
        self.flush()?;
        self.out.close().map(|_| ())
    }

    fn flush(&mut self) -> Outcome<()> {
        let columns = self.columns.take();
        self.out.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// One builder a column.
#[derive(Debug, Default)]
struct Columns {
    rows: usize,
    exporter: StringBuilder,
    first_ns: Int64Builder,
    last_ns: Int64Builder,
    src: StringBuilder,
    dst: StringBuilder,
    proto: UInt8Builder,
    src_port: UInt16Builder,
    dst_port: UInt16Builder,
    in_if: UInt32Builder,
    out_if: UInt32Builder,
    bgp_next_hop: StringBuilder,
    tos: UInt8Builder,
    octets: UInt64Builder,
    packets: UInt64Builder,
    sampling: UInt32Builder,
    sampling_taken: UInt32Builder,
}

impl Columns {
    fn push(&mut self, record: &Record) {
        self.rows += 1;
        self.exporter.append_value(record.exporter.to_string());
        self.first_ns.append_value(record.first);
        self.last_ns.append_value(record.last);
        self.src.append_value(record.key.src.to_string());
        self.dst.append_value(record.key.dst.to_string());
        self.proto.append_value(record.key.proto);
        self.src_port.append_value(record.key.src_port);
        self.dst_port.append_value(record.key.dst_port);
        self.in_if.append_value(record.in_if);
        self.out_if.append_value(record.out_if);
        self.bgp_next_hop.append_option(record.next_hop.map(|hop| hop.to_string()));
        self.tos.append_value(record.tos);
        self.octets.append_value(record.octets);
        self.packets.append_value(record.packets);
        let rate = record.sampling.map(|sampling| sampling.ratio());
        self.sampling.append_option(rate.map(|(observed, _)| observed));
        self.sampling_taken.append_option(rate.map(|(_, taken)| taken));
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        vec![
            Arc::new(self.exporter.finish()),
            Arc::new(self.first_ns.finish()),
            Arc::new(self.last_ns.finish()),
            Arc::new(self.src.finish()),
            Arc::new(self.dst.finish()),
            Arc::new(self.proto.finish()),
            Arc::new(self.src_port.finish()),
            Arc::new(self.dst_port.finish()),
            Arc::new(self.in_if.finish()),
            Arc::new(self.out_if.finish()),
            Arc::new(self.bgp_next_hop.finish()),
            Arc::new(self.tos.finish()),
            Arc::new(self.octets.finish()),
            Arc::new(self.packets.finish()),
            Arc::new(self.sampling.finish()),
            Arc::new(self.sampling_taken.finish()),
        ]
    }
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
