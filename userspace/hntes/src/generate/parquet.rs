// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A workload as `telesteer collect --parquet` would store it: a file for each hour in which flows
//! begin, with the columns of `docs/parquet.md`.
//!
//! Every record of a day begins on that day, so the hours of a day that is over are complete. Rows are
//! written a row group at a time.

use crate::generate::export::Export;
use crate::generate::records::domain;
use crate::generate::sink::{Sink, whole};
use crate::schema::{COLUMNS, SAMPLING_TAKEN};
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use anyhow::Result;
use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use telesteer_fam::time::SECOND;
use telesteer_fam::{Calendar, Ns, Record};

/// Rows turned into columns at a time.
const BATCH: usize = 4096;

/// Rows of a row group, as the collector has them.
const GROUP: usize = 128 << 10;

const HOUR: Ns = 3600 * SECOND;

/// What the version column says: IPFIX.
const VERSION: u8 = 10;

/// Types of the columns, and whether a row may be without it.
const TYPES: [(DataType, bool); 20] = [
    (DataType::Utf8, false),
    (DataType::Int64, false),
    (DataType::Int64, false),
    (DataType::Utf8, false),
    (DataType::Utf8, false),
    (DataType::UInt8, true),
    (DataType::UInt16, false),
    (DataType::UInt16, false),
    (DataType::UInt32, false),
    (DataType::UInt32, false),
    (DataType::Utf8, true),
    (DataType::UInt8, false),
    (DataType::UInt64, false),
    (DataType::UInt64, false),
    (DataType::UInt32, true),
    (DataType::UInt32, true),
    (DataType::UInt32, false),
    (DataType::UInt8, false),
    (DataType::Int64, false),
    (DataType::UInt64, false),
];

/// The columns behind those that hntes reads.
const MORE: [&str; 4] = ["domain", "version", "export_s", "instance"];

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let names = COLUMNS.into_iter().chain([SAMPLING_TAKEN]).chain(MORE);
        let field = |(name, (kind, null))| Field::new(name, kind, null);
        Arc::new(Schema::new(names.zip(TYPES).map(field).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Writes the files.
#[derive(Debug)]
pub struct Parquet {
    /// The folder of the partitions.
    pub dir: PathBuf,
    /// Name of each file, without its ending.
    pub name: String,
}

impl Sink for Parquet {
    fn day(&mut self, records: &[Record]) -> Result<Vec<Record>> {
        let mut hours: BTreeMap<Ns, Vec<&Record>> = BTreeMap::new();
        for record in records {
            hours.entry(record.first.div_euclid(HOUR)).or_default().push(record);
        }
        let calendar = Calendar::default();
        for (hour, records) in hours {
            let date = calendar.label(calendar.day(hour * HOUR));
            let folder = format!("date={date}/hour={:02}", hour.rem_euclid(24));
            let path = self.dir.join(folder).join(format!("{}.parquet", self.name));
            whole(&path, |file| {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(GROUP))
                    .set_created_by(concat!("hntes ", env!("CARGO_PKG_VERSION")).to_owned())
                    .build();
                let mut writer = ArrowWriter::try_new(file, schema(), Some(properties))?;
                for rows in records.chunks(BATCH) {
                    writer.write(&batch(rows)?)?;
                }
                writer.close()?;
                Ok(())
            })?;
        }
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Result<Option<Export>> {
        Ok(None)
    }
}

/// Rows as columns, in the order of the schema.
fn batch(rows: &[&Record]) -> Result<RecordBatch> {
    fn text(rows: &[&Record], addr: impl Fn(&Record) -> Option<IpAddr>) -> ArrayRef {
        let texts = rows.iter().map(|row| addr(row).map(|addr| addr.to_string()));
        Arc::new(texts.collect::<StringArray>())
    }
    macro_rules! column {
        ($array:ty, $value:expr) => {
            Arc::new(rows.iter().map($value).collect::<$array>()) as ArrayRef
        };
    }
    let columns: Vec<ArrayRef> = vec![
        text(rows, |row| Some(row.exporter)),
        column!(Int64Array, |row| Some(row.first)),
        column!(Int64Array, |row| Some(row.last)),
        text(rows, |row| Some(row.key.src)),
        text(rows, |row| Some(row.key.dst)),
        column!(UInt8Array, |row| Some(row.key.proto)),
        column!(UInt16Array, |row| Some(row.key.src_port)),
        column!(UInt16Array, |row| Some(row.key.dst_port)),
        column!(UInt32Array, |row| Some(row.in_if)),
        column!(UInt32Array, |row| Some(row.out_if)),
        text(rows, |row| row.next_hop),
        column!(UInt8Array, |row| Some(row.tos)),
        column!(UInt64Array, |row| Some(row.octets)),
        column!(UInt64Array, |row| Some(row.packets)),
        column!(UInt32Array, |row| row.sampling.map(|sampling| sampling.ratio().0)),
        column!(UInt32Array, |row| row.sampling.map(|sampling| sampling.ratio().1)),
        column!(UInt32Array, |row| Some(domain(row.exporter))),
        column!(UInt8Array, |_| Some(VERSION)),
        column!(Int64Array, |row| Some(export_s(row.last))),
        column!(UInt64Array, |_| Some(0_u64)),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The second of a message whose latest record ended then.
pub(super) fn export_s(last: Ns) -> i64 {
    last.div_euclid(SECOND) + i64::from(last.rem_euclid(SECOND) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the document, `| name | type | …`, which the collector's schema is held to as well.
    #[test]
    fn the_document_has_these_columns() {
        let document = include_str!("../../../../docs/parquet.md");
        let told = document.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
        });
        let told: Vec<_> = told.filter(|(name, _)| !name.starts_with("parquet_")).collect();
        let ours: Vec<(String, String)> = schema()
            .fields()
            .iter()
            .map(|field| {
                let mark = if field.is_nullable() { "?" } else { "" };
                (field.name().clone(), format!("{}{mark}", field.data_type()).to_lowercase())
            })
            .collect();
        assert_eq!(told, ours);
    }

    #[test]
    fn export_is_never_before_the_last_packet() {
        assert_eq!([0, 1, SECOND, SECOND + 1].map(export_s), [0, 1, 1, 2]);
    }
}
