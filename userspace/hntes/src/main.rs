// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes`: exit 0 done, 1 done in part, 2 could not run.

use clap::{Parser, Subcommand};
use hntes::cmd;
use std::process::ExitCode;

/// Finds alpha flows, and what redirecting them would do.
#[derive(Parser)]
#[command(version)]
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
    Anonymise(cmd::anonymise::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Generate(args) => cmd::generate::run(&args).map(|()| true),
        Verb::Fam(args) => cmd::fam::run(&args).map(|()| true),
        Verb::Report(args) => cmd::report::run(&args).map(|()| true),
        Verb::Online(args) => cmd::online::run(&args),
        Verb::Delay(args) => cmd::delay::run(&args).map(|()| true),
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
