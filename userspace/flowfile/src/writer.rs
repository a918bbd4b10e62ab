// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rows as a file.

use std::io::Write;

use parquet::arrow::ArrowWriter;
use parquet::errors::Result;

use crate::{Columns, Row, layout, schema::schema};

/// Writes rows as a Parquet file of this layout into anything that takes octets. Rows are held a row
/// group at a time.
pub struct Writer<W: Write + Send> {
    out: ArrowWriter<W>,
    columns: Columns,
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Of `out`.
    pub fn new(out: W) -> Result<Self> {
        let out = ArrowWriter::try_new(out, schema(), Some(layout::properties()))?;
        Ok(Self { out, columns: Columns::default() })
    }

    /// Adds a row. Values are written as they are: readers take them for checked.
    ///
    /// # Errors
    ///
    /// Of `out`, or of the encoder.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        self.columns.push(row);
        if self.columns.len() >= layout::BATCH { self.flush() } else { Ok(()) }
    }

    /// Ends the file and gives `out` back.
    ///
    /// # Errors
    ///
    /// As for [`Self::push`].
    pub fn finish(mut self) -> Result<W> {
        if !self.columns.is_empty() {
            self.flush()?;
        }
        self.out.into_inner()
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write(&self.columns.take()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use parquet::basic::{Encoding, PageType};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn row(number: u64) -> Row {
        let addr = std::net::Ipv4Addr::from_bits(number as u32).into();
        Row {
            exporter: std::net::Ipv4Addr::LOCALHOST.into(),
            first_ns: number as i64,
            last_ns: number as i64,
            src: addr,
            dst: addr,
            proto: Some(6),
            src_port: 1,
            dst_port: 2,
            in_if: 3,
            out_if: 4,
            bgp_next_hop: None,
            tos: 0,
            octets: number,
            packets: 1,
            sampling: Some((1, 1)),
            domain: 1,
            version: 10,
            export_s: 1,
            instance: 1,
        }
    }

    /// The layout is what the file has, not only what was asked for.
    #[test]
    fn files_have_the_layout() {
        let rows = layout::GROUP as u64 + 10;
        let mut writer = Writer::new(Vec::new()).unwrap();
        (0..rows).for_each(|number| writer.push(&row(number)).unwrap());
        let file = SerializedFileReader::new(Bytes::from(writer.finish().unwrap())).unwrap();
        let about = file.metadata();
        assert!(about.file_metadata().created_by().unwrap().starts_with(layout::WRITER));
        assert_eq!(about.file_metadata().num_rows(), rows as i64);
        assert_eq!((about.num_row_groups(), about.row_group(1).num_rows()), (2, 10));
        let group = about.row_group(0);
        for (at, column) in group.columns().iter().enumerate() {
            let name = column.column_path().string();
            let plain = layout::NUMBERS.contains(&name.as_str());
            assert_eq!(column.dictionary_page_offset().is_none(), plain, "{name}");
            let mut pages = file.get_row_group(0).unwrap().get_column_page_reader(at).unwrap();
            let (mut dictionary, mut data) = (0, Vec::new());
            while let Some(page) = pages.get_next_page().unwrap() {
                match page.page_type() {
                    PageType::DICTIONARY_PAGE => dictionary += page.buffer().len(),
                    _ => data.push((page.num_values(), page.encoding())),
                }
            }
            assert!(dictionary <= layout::DICTIONARY + 64, "{name}: {dictionary}");
            // The encoder looks now and then whether a page is full.
            let large = |(values, _): &&(u32, Encoding)| *values as usize > layout::PAGE * 5 / 4;
            assert_eq!(data.iter().find(large), None, "{name}");
            let packed = data.iter().all(|(_, how)| *how == Encoding::DELTA_BINARY_PACKED);
            assert_eq!(packed, plain, "{name}");
        }
    }

    #[test]
    fn a_file_of_no_rows_is_a_file() {
        let file = Writer::new(Vec::new()).unwrap().finish().unwrap();
        let file = SerializedFileReader::new(Bytes::from(file)).unwrap();
        assert_eq!(file.metadata().file_metadata().num_rows(), 0);
        assert_eq!(file.metadata().file_metadata().schema_descr().num_columns(), 24);
    }
}
