// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A workload as `telesteer collect --parquet` would store it: a file for each hour in which flows
//! begin, with the columns of `docs/parquet.md`.
//!
//! Every record of a day begins on that day, so the hours of a day that is over are complete. Rows are
//! written a row group at a time.

use crate::generate::export::Export;
use crate::generate::records::domain;
use crate::generate::sink::{Sink, whole};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;
use telesteer_engine::stored::row;
use telesteer_fam::time::SECOND;
use telesteer_fam::{Calendar, Ns, Record};
use telesteer_flowfile::{Row, Writer};

const HOUR: Ns = 3600 * SECOND;

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
                let mut writer = Writer::new(file)?;
                for record in records {
                    writer.push(&Row { domain: domain(record.exporter), ..row(record) })?;
                }
                writer.finish()?;
                Ok(())
            })?;
        }
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Result<Option<Export>> {
        Ok(None)
    }
}
