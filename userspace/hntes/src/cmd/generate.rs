// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes generate`: a workload, a file a day, and its truth.

use crate::generate::pairs::DAYS;
use crate::generate::profile::{Profile, Workload};
use crate::generate::records;
use crate::generate::truth::truth;
use crate::schema;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use telesteer_engine::stored::Writer;
use telesteer_fam::{Calendar, Record};

/// Make a workload whose figures are known: DAY.csv, or DAY.parquet, for each day, and truth.json.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What it is like.
    #[arg(long, value_enum, default_value = "slides")]
    profile: Profile,
    /// The same seed makes the same workload.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to write to; default: PROFILE-SEED in the current folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// DAY.parquet instead, as `telesteer collect --parquet` has it.
    #[arg(long)]
    parquet: bool,
}

/// Writes the files.
pub fn run(args: &Args) -> Result<()> {
    let workload = Workload::new(args.profile, args.seed)
        .with_context(|| format!("no workload for seed {}; try another", args.seed))?;
    let name = format!("{:?}-{}", args.profile, args.seed).to_lowercase();
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(name));
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let calendar = Calendar::default();
    let mut count = 0;
    for day in 1..=DAYS {
        let records = records::day(&workload, day);
        count += records.len();
        let label = calendar.label(calendar.day(records::midnight(day)));
        if args.parquet {
            let path = out.join(format!("{label}.parquet"));
            write_parquet(&path, &records)
                .with_context(|| format!("writing {}", path.display()))?;
            continue;
        }
        let path = out.join(format!("{label}.csv"));
        write(&path, |file| {
            schema::write_header(file)?;
            records.iter().try_for_each(|record| schema::write_record(file, record))
        })?;
    }
    let truth = truth(&workload);
    write(&out.join("truth.json"), |file| {
        serde_json::to_writer_pretty(&mut *file, &truth)?;
        writeln!(file)
    })?;
    eprintln!("hntes: {count} records of {} alpha flows in {}", truth.raw_flows, out.display());
    Ok(())
}

fn write_parquet(path: &Path, records: &[Record]) -> Result<()> {
    let mut file = Writer::create(path)?;
    records.iter().try_for_each(|record| file.write(record))?;
    Ok(file.close()?)
}

fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let go = || {
        let mut file = BufWriter::new(File::create(path)?);
        fill(&mut file)?;
        file.flush()
    };
    go().with_context(|| format!("writing {}", path.display()))
}
