// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A workload as CSV, a file a day.

use crate::generate::export::Export;
use crate::generate::sink::{Sink, whole};
use crate::schema;
use anyhow::Result;
use std::path::PathBuf;
use telesteer_fam::{Calendar, Record};

/// Writes DAY.csv.
#[derive(Debug)]
pub struct Csv {
    /// The folder.
    pub dir: PathBuf,
}

impl Sink for Csv {
    fn day(&mut self, records: &[Record]) -> Result<Vec<Record>> {
        let Some(first) = records.first() else { return Ok(Vec::new()) };
        let calendar = Calendar::default();
        let label = calendar.label(calendar.day(first.first));
        whole(&self.dir.join(format!("{label}.csv")), |file| {
            schema::write_header(file)?;
            Ok(records.iter().try_for_each(|record| schema::write_record(file, record))?)
        })?;
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Result<Option<Export>> {
        Ok(None)
    }
}
