// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-fam-bench`: makes records, lets engines go over them, compares what that cost.
//!
//! Every reading is of a process of its own, so that its processor time and its peak of memory are
//! those of one pass and nothing else. `cargo xtask bench fam` plays the verbs in order.

mod child;
mod cluster;
mod nfdump;
mod passes;
mod report;
mod svg;
mod whole;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Write the records as Parquet, a file an hour of one day.
    Make {
        /// How many.
        #[arg(long, default_value_t = 40_000_000)]
        records: u64,
        /// Folder for the files.
        #[arg(long)]
        out: PathBuf,
    },
    /// One pass by one engine; prints what it found.
    Pass(passes::Args),
    /// Every pass of our engines, measured.
    Ours {
        /// Folder of `make`.
        #[arg(long)]
        data: PathBuf,
        /// Folder for the readings.
        #[arg(long)]
        out: PathBuf,
        /// Workers.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Runs of each pass; the best counts.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// Every pass of the bare engine on fewer records, measured for its memory.
    Memory {
        /// Folder of `make`.
        #[arg(long)]
        data: PathBuf,
        /// Folder for the readings.
        #[arg(long)]
        out: PathBuf,
        /// Workers.
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// `hntes fam` as it is used, measured.
    Whole(whole::Args),
    /// Every pass on a Ballista cluster of one executor, then of two, measured.
    Cluster(cluster::Args),
    /// Send records to nfcapd, let nfdump go over its files, measured.
    Nfdump(nfdump::Args),
    /// Table and drawing of all readings in a folder; fails if they do not come to what is claimed.
    Report {
        /// The folder.
        #[arg(long)]
        out: PathBuf,
    },
}

/// Freed octets kept for the next batch, as hntes has it.
const KEPT: i32 = 256 << 20;

fn main() -> ExitCode {
    telesteer_sys::heap::keep_freed(KEPT);
    let outcome = match Cli::parse().verb {
        Verb::Make { records, out } => workload::make(records, &out),
        Verb::Pass(args) => passes::run(&args),
        Verb::Ours { data, out, threads, runs } => passes::ours(&data, &out, threads, runs),
        Verb::Memory { data, out, threads } => passes::memory(&data, &out, threads),
        Verb::Whole(args) => whole::run(&args),
        Verb::Cluster(args) => cluster::run(&args),
        Verb::Nfdump(args) => nfdump::run(&args),
        Verb::Report { out } => match report::run(&out) {
            Ok(false) => return ExitCode::FAILURE,
            outcome => outcome.map(|_| ()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("telesteer-fam-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The result of a verb.
type Done = Result<()>;
