// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-ruler`: see the library.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use telesteer_ruler::select;

/// Measures steering and takeover.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Where the JSON goes; stdout if nowhere.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Instructions per datagram and per SYN. Run it in a guest with --icount.
    Select(select::Args),
}

fn main() -> ExitCode {
    run(&Cli::parse()).unwrap_or_else(|error| {
        eprintln!("telesteer-ruler: {error:#}");
        ExitCode::from(2)
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let json = match &cli.verb {
        Verb::Select(args) => serde_json::to_string_pretty(&select::run(args)?)?,
    };
    match &cli.out {
        Some(path) => std::fs::write(path, json + "\n")
            .with_context(|| format!("writing {}", path.display()))?,
        None => println!("{json}"),
    }
    Ok(ExitCode::SUCCESS)
}
