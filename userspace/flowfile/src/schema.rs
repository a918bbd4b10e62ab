// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The columns of a file. `docs/parquet.md` explains each; a test holds the two together.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef};

/// Name, type, and whether a row may be without it.
pub const COLUMNS: [(&str, DataType, bool); 24] = [
    ("exporter", DataType::Utf8, false),
    ("first_ns", DataType::Int64, false),
    ("last_ns", DataType::Int64, false),
    ("src", DataType::Utf8, false),
    ("dst", DataType::Utf8, false),
    ("proto", DataType::UInt8, true),
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
    ("domain", DataType::UInt32, false),
    ("version", DataType::UInt8, false),
    ("export_s", DataType::Int64, false),
    ("instance", DataType::UInt64, false),
    ("src_hi", DataType::UInt64, false),
    ("src_lo", DataType::UInt64, false),
    ("dst_hi", DataType::UInt64, false),
    ("dst_lo", DataType::UInt64, false),
];

/// [`COLUMNS`] as a schema.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |(name, kind, null): (&str, DataType, bool)| Field::new(name, kind, null);
        Arc::new(Schema::new(COLUMNS.map(field).to_vec()))
    });
    Arc::clone(&SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the document: `| name | type | …`, a type with `?` may be null.
    #[test]
    fn the_document_has_these_columns() {
        let document = include_str!("../../../docs/parquet.md");
        let rows = document.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
        });
        // The other tables are of counters.
        let told: Vec<(String, String)> =
            rows.filter(|(name, _)| !name.starts_with("parquet_")).collect();
        let ours: Vec<(String, String)> = COLUMNS
            .iter()
            .map(|(name, kind, null)| {
                let mark = if *null { "?" } else { "" };
                ((*name).to_owned(), format!("{kind}{mark}").to_lowercase())
            })
            .collect();
        assert_eq!(told, ours);
    }
}
