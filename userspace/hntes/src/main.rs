// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes`: exit 0 done, 1 a check failed or a part could not be done, 2 could not run.

use clap::{Parser, Subcommand};
use hntes::cmd;
use std::process::ExitCode;

/// Finds alpha flows in flow records, learns from them the table that routers redirect them by, and says
/// what it would have done; `run` does it, and `ticket` tells it of transfers to come. All other verbs
/// touch no network: files in, tables out.
#[derive(Parser)]
#[command(version, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Generate(cmd::generate::Args),
    Fam(Box<cmd::fam::Args>),
    Report(Box<cmd::report::Args>),
    Online(Box<cmd::online::Args>),
    Delay(Box<cmd::delay::Args>),
    Run(cmd::run::Args),
    Ticket(Box<cmd::ticket::Args>),
    Anonymise(cmd::anonymise::Args),
}

const HELP: &str = "\
Examples:
  hntes generate --profile slides --seed 42 --out w  a workload whose figures are known
  hntes fam w                                        its alpha flows, and what tables would redirect
  hntes report w --out report                        the same as a page with figures
  hntes run --config hntes.toml --dry-run            what the loop would do with live flows
  hntes ticket list                                  transfers that were announced to it
  hntes fam flows                                    your own records: telesteer collect --parquet flows
  TZ=UTC nfdump -R DIR -o csv | hntes fam -          or another collector's, see docs/inputs.md

`hntes VERB --help` has examples, units and defaults of each.
Exit: 0 done; 1 a part could not be done (anonymise, online, run); 2 could not run. Data is on standard
output, talk on standard error.";

/// Freed octets kept for the next batch. Passes over columns hold some MiB a batch.
const KEPT: i32 = 256 << 20;

fn main() -> ExitCode {
    telesteer_sys::heap::keep_freed(KEPT);
    let outcome = match Cli::parse().verb {
        Verb::Generate(args) => cmd::generate::run(&args).map(|()| true),
        Verb::Fam(args) => cmd::fam::run(&args).map(|()| true),
        Verb::Report(args) => cmd::report::run(&args).map(|()| true),
        Verb::Online(args) => cmd::online::run(&args),
        Verb::Delay(args) => cmd::delay::run(&args).map(|()| true),
        Verb::Run(args) => cmd::run::run(&args),
        Verb::Ticket(args) => cmd::ticket::run(&args),
        Verb::Anonymise(args) => cmd::anonymise::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("hntes: {error:#}");
            ExitCode::from(2)
        }
    }
}
