// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What steering is worth: who moves, how even the shares and the loads are.

mod hash;
mod load;
mod moves;
mod placement;
mod stable;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::report::Report;
use load::{Loads, Shares};
use moves::Moves;
use placement::Method;

/// What to play.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Exporters.
    #[arg(long, default_value_t = 1000)]
    exporters: u64,
    /// Members of the groups.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 16, 64])]
    members: Vec<u64>,
    /// Repeats, each with hashes of its own.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Folder for result.json, table.txt and plot.svg.
    dir: PathBuf,
}

/// Exporters for the shares: so many that what is left of a deviation is the method's.
const MANY: u64 = 100_000;
/// Members for the loads.
const LOADED: u64 = 16;
/// Domains of an exporter, with the address as key and with the payload too.
const DOMAINS: [u64; 2] = [1, 16];

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    exporters: u64,
    moves: Vec<Moves>,
    shares: Vec<Shares>,
    loads: Vec<Loads>,
}

fn methods() -> Vec<Method> {
    [placement::METHODS, stable::METHODS].concat()
}

/// Plays all methods and writes the files.
///
/// # Errors
///
/// If a file cannot be written.
pub fn run(args: &Args) -> Result<Report> {
    let mut outcome = Outcome {
        exporters: args.exporters,
        moves: Vec::new(),
        shares: Vec::new(),
        loads: Vec::new(),
    };
    for method in methods() {
        for members in &args.members {
            outcome.moves.push(Moves::of(method, *members, args.exporters, args.seeds));
            outcome.shares.push(Shares::of(method, *members, MANY, args.seeds.div_ceil(5)));
        }
        for domains in DOMAINS {
            outcome.loads.push(Loads::of(method, LOADED, args.exporters, domains, args.seeds));
        }
        eprintln!("played {}", method.name);
    }
    let report = table::report(&outcome);
    let json = serde_json::to_string_pretty(&outcome)? + "\n";
    for (name, text) in
        [("result.json", &json), ("table.txt", &report.text()), ("plot.svg", &report.svg)]
    {
        let path = args.dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(report)
}
