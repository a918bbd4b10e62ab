// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the records of a workload go: CSV, Parquet, or the messages of its exporters.
//!
//! A sink is handed one day after the other and keeps nothing of a day that is over, so memory is
//! bounded by the records of one day, whatever the number of days: 0.2 MB with the usual beta flows,
//! 0.4 GB with as many as there may be ([`FLOWS_MAX`](crate::generate::beta::FLOWS_MAX)).

use crate::generate::export::Export;
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use telesteer_fam::Record;

/// How a workload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// DAY.csv, with the columns of [`crate::schema`].
    Csv,
    /// date=YYYY-MM-DD/hour=HH/PROFILE-SEED.parquet, with the columns of `telesteer collect --parquet`.
    Parquet,
    /// IPFIX messages as the exporters would send them: into a file (RFC 5655), or with --to over UDP.
    Ipfix,
}

/// Takes the records of a workload.
pub trait Sink {
    /// Takes all records of a day, in the order they are exported. Returns those that get lost on the
    /// way on purpose.
    ///
    /// # Errors
    ///
    /// When they cannot be written or sent; the place is in the text.
    fn day(&mut self, records: &[Record]) -> Result<Vec<Record>>;

    /// Completes what has been begun. Says what was exported, where it was messages.
    ///
    /// # Errors
    ///
    /// As for [`Sink::day`].
    fn finish(&mut self) -> Result<Option<Export>>;
}

/// Writes a file whole or not at all: beside its place, under a name that no reader takes, and renamed.
///
/// # Errors
///
/// What went wrong, with the path.
pub fn whole(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let partial = path.with_extension("partial");
    let go = || -> Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        fill(&mut file)?;
        file.flush()?;
        Ok(fs::rename(&partial, path)?)
    };
    go().with_context(|| format!("writing {}", path.display()))
}
