// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer dedup`: one copy of each BMP message out of several collectors' outputs.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;

use crate::dedup::{self, Report};

/// Arguments of `telesteer dedup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output files of all collectors. BMP lines come out by session and stream offset, each once;
    /// other lines pass through.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

/// Merges the files to stdout and reports on stderr. Exit code 1 if bytes of a stream are missing,
/// copies contradict each other, or a line is broken.
///
/// # Errors
///
/// If a file cannot be read or stdout not be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let report = dedup::merge(&args.files, &mut out)?;
    out.flush().context("stdout")?;
    if args.json {
        eprintln!("{}", serde_json::to_string(&report)?);
    } else {
        table(&report);
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn table(report: &Report) {
    let Report {
        sessions,
        kept,
        dropped,
        conflicts,
        overlaps,
        gaps,
        gap_bytes,
        torn,
        broken,
        passed,
    } = report;
    eprintln!("sessions             {sessions}");
    eprintln!("BMP lines kept       {kept}");
    eprintln!("  doubles dropped    {dropped}, of which contradict {conflicts}");
    eprintln!("  overlaps           {overlaps}");
    eprintln!("gaps                 {gaps}, {gap_bytes} bytes");
    eprintln!("torn last lines      {torn}");
    eprintln!("broken lines         {broken}");
    eprintln!("other lines passed   {passed}");
}
