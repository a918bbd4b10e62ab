// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The analysis as it is used: `hntes fam`, all passes and all tables.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Done;
use crate::child::{self, Reading};
use crate::passes::{Answer, write};
use crate::workload::{H, made};

/// What to do.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Folder of `make`.
    #[arg(long)]
    data: PathBuf,
    /// Folder for the reading.
    #[arg(long)]
    out: PathBuf,
    /// The program hntes.
    #[arg(long)]
    hntes: PathBuf,
    /// Workers.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Runs; the best counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Measures it.
pub(crate) fn run(args: &Args) -> Done {
    let mut best: Option<Reading> = None;
    for _ in 0..args.runs.max(1) {
        let reading = once(args)?;
        if best.as_ref().is_none_or(|best| reading.cpu_s < best.cpu_s) {
            best = Some(reading);
        }
    }
    write(&args.out, "whole", best.as_slice())
}

fn once(args: &Args) -> Result<Reading> {
    let mut command = Command::new(&args.hntes);
    command.args(["fam", "--json", "--table", "summary", "--h", &H.to_string(), "--threads"]);
    command.arg(args.threads.to_string()).arg(&args.data);
    let ran = child::run(&mut command, &args.out)?;
    let answer = answer(&ran.said)
        .with_context(|| format!("{} printed {:?}", args.hntes.display(), ran.said))?;
    let records = made(&args.data)?.records;
    if answer.records != records {
        bail!("{} read {} of {records} records", args.hntes.display(), answer.records);
    }
    Ok(Reading {
        engine: "hntes fam".to_owned(),
        pass: "whole".to_owned(),
        records,
        threads: args.threads,
        cpu_s: ran.cpu_s,
        wall_s: ran.wall_s,
        peak: ran.peak,
        answer: serde_json::to_value(answer)?,
        parts: Vec::new(),
    })
}

/// Raw flows, records and alpha bytes of the summary.
fn answer(said: &str) -> Result<Answer> {
    let all: Value = serde_json::from_str(said)?;
    let rows = all["tables"]["summary"].as_array().context("no summary")?;
    let of = |name: &str| {
        let row = rows.iter().find(|row| row["figure"] == name);
        row.and_then(|row| row["value"].as_u64()).with_context(|| format!("no {name}"))
    };
    Ok(Answer { groups: of("raw_flows")?, records: of("records")?, octets: of("alpha_bytes")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let said = r#"{"version":1,"tables":{"summary":[{"figure":"records","value":7},
            {"figure":"raw_flows","value":2},{"figure":"alpha_bytes","value":9},
            {"figure":"most_of_one","value":null}]}}"#;
        let expected = Answer { groups: 2, records: 7, octets: 9 };
        assert_eq!(answer(said).unwrap(), expected);
        let error = answer(r#"{"tables":{"summary":[]}}"#).unwrap_err();
        assert!(error.to_string().contains("raw_flows"), "{error}");
    }
}
