// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-lab`: plays the network of HNTES in network namespaces and measures what redirection
//! does to packets. `cargo xtask lab` runs it in a guest; it needs root and a kernel with MPLS.

mod capture;
mod count;
mod devices;
mod draw;
mod error;
mod exp;
mod iperf;
mod lsp;
mod net;
mod numbered;
mod paced;
mod process;
mod report;
mod router;
mod space;
mod stats;
mod telemetry;

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

const NOTES: &str = "\
Each experiment builds its own network, runs for minutes at most, and takes everything away at its end.
Packets are counted from captures of what comes in at the routers and sites, by code that knows of no
route; a capture that lost a packet fails the run.

Files in --out: data.json and data.csv, figure.svg, README.md with a paragraph, the table and the claims.
Exit: 0 done and every claim met, 1 a claim is not met, 2 it could not run.";

/// Runs an experiment of the lab by name; without a name lists them.
#[derive(Debug, Parser)]
#[command(version, about, after_help = NOTES)]
struct Cli {
    /// Which one.
    name: Option<String>,
    /// Folder for what was found.
    #[arg(long, default_value = "target/lab", value_name = "DIR")]
    out: PathBuf,
    /// Folder for captures and logs on the way; best in memory.
    #[arg(long, default_value = "/run/telesteer-lab", value_name = "DIR")]
    work: PathBuf,
    /// Where our other programs are. Default: beside this one.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// A shorter run that shows that everything works and little else.
    #[arg(long)]
    brief: bool,
    /// Print the findings as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    run(&Cli::parse()).unwrap_or_else(|error| {
        eprintln!("telesteer-lab: {error:#}");
        ExitCode::from(2)
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let Some(name) = &cli.name else {
        for one in exp::ALL {
            println!("{}: {}", one.name, one.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(one) = exp::ALL.iter().find(|one| one.name == name) else {
        let known: Vec<_> = exp::ALL.iter().map(|one| one.name).collect();
        bail!("no experiment {name:?}: one of {}", known.join(", "));
    };
    space::check()?;
    let programs = match &cli.programs {
        Some(dir) => dir.clone(),
        None => {
            let own = std::env::current_exe().context("where this program is")?;
            own.parent().context("the folder of this program")?.to_path_buf()
        }
    };
    let work = cli.work.join(one.name);
    for dir in [&work, &cli.out] {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let bench = exp::Bench { work, programs, brief: cli.brief };
    let found = (one.run)(&bench).with_context(|| format!("experiment {name}"))?;
    found.put(one.name, &cli.out)?;
    match cli.json {
        true => println!("{:#}", found.data),
        false => print!("{}", found.text()),
    }
    Ok(ExitCode::from(u8::from(!found.good())))
}
