// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-ruler`: see the library.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use telesteer_ruler::report::{self, PATCHED, Report, UNPATCHED, load};
use telesteer_ruler::{membership, quality, select, takeover};

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
    /// Instructions per join, leave and drain. Run it in a guest with --icount.
    Membership(select::Args),
    /// Instructions per session of a process that dies. Run it in a guest with --icount.
    Takeover(takeover::Args),
    /// Who moves, and how even shares and loads are, by method. Needs no kernel.
    Quality(quality::Args),
    /// Set the measurements of both kernels side by side. Exit 1 if a claim is not met.
    Report {
        /// What was measured.
        bench: Bench,
        /// Folder with unpatched.json and plain.json; table.txt and plot.svg go there too.
        dir: PathBuf,
    },
    /// One reading of a takeover.
    #[command(hide = true)]
    TakeoverOnce(takeover::Once),
    /// The process that dies.
    #[command(hide = true)]
    TakeoverDonor(takeover::Donor),
}

/// What runs in a guest.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Bench {
    /// Choices.
    Select,
    /// Joins, leaves, drains.
    Membership,
    /// Takeovers.
    Takeover,
}

fn main() -> ExitCode {
    run(&Cli::parse()).unwrap_or_else(|error| {
        eprintln!("telesteer-ruler: {error:#}");
        ExitCode::from(2)
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    match &cli.verb {
        Verb::Select(args) => put(cli, &select::run(args)?)?,
        Verb::Membership(args) => put(cli, &membership::run(args)?)?,
        Verb::Takeover(args) => put(cli, &takeover::run(args)?)?,
        Verb::Quality(args) => {
            let report = quality::run(args)?;
            print!("{}", report.text());
            return Ok(ExitCode::from(u8::from(!report.good())));
        }
        Verb::Report { bench, dir } => return judge(*bench, dir),
        Verb::TakeoverOnce(args) => put(cli, &takeover::once(args)?)?,
        Verb::TakeoverDonor(args) => takeover::donor(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn put(cli: &Cli, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value)? + "\n";
    match &cli.out {
        Some(path) => {
            std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
        }
        None => print!("{json}"),
    }
    Ok(())
}

fn judge(bench: Bench, dir: &Path) -> Result<ExitCode> {
    let report: Report = match bench {
        Bench::Select => {
            let (unpatched, patched) = (load(dir, UNPATCHED)?, load(dir, PATCHED)?);
            report::select::Runs { unpatched, patched }.report()
        }
        Bench::Membership => {
            let runs: [Option<membership::Run>; 2] = [load(dir, UNPATCHED)?, load(dir, PATCHED)?];
            report::membership::report(&runs.into_iter().flatten().collect::<Vec<_>>())
        }
        Bench::Takeover => {
            let (unpatched, patched) = (load(dir, UNPATCHED)?, load(dir, PATCHED)?);
            report::takeover::report(unpatched.as_ref(), patched.as_ref())
        }
    };
    for (name, text) in [("table.txt", report.text()), ("plot.svg", report.svg.clone())] {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    print!("{}", report.text());
    Ok(ExitCode::from(u8::from(!report.good())))
}
