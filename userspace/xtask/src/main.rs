// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask`: builds the toolbox, the kernels and the guests, and runs every check.
//!
//! Talk goes to stderr, data to stdout. Exit codes: 0 good, 1 a check or a claim failed, 2 wrong
//! usage; `vm` and `toolbox` exit with the status of what they ran.

mod accel;
mod apt;
mod browser;
mod canary;
mod cmd;
mod cpio;
mod git;
mod guest;
mod kernel;
mod key;
mod krust;
mod ktap;
mod licence;
mod lock;
mod mend;
mod module;
mod run;
mod series;
mod source;
mod splat;
mod steps;
mod suite;
mod toolbox;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about, version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Demo(cmd::demo::Options),
    Test(cmd::test::Options),
    Check(cmd::check::Options),
    Kernel(cmd::kernel::Options),
    Vm(cmd::vm::Options),
    Bench(cmd::bench::Options),
    Lab(cmd::lab::Options),
    Series(cmd::series::Options),
    Toolbox(cmd::toolbox::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli.verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: &Verb) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match verb {
        Verb::Demo(options) => cmd::demo::run(&workspace, options),
        Verb::Check(options) => cmd::check::run(&workspace, options),
        Verb::Bench(options) => cmd::bench::run(&workspace, options),
        Verb::Lab(options) => cmd::lab::run(&workspace, options),
        Verb::Test(options) => cmd::test::run(&workspace, options),
        Verb::Kernel(options) => cmd::kernel::run(&workspace, options),
        Verb::Vm(options) => cmd::vm::run(&workspace, options),
        Verb::Series(options) => cmd::series::run(&workspace, options),
        Verb::Toolbox(options) => cmd::toolbox::run(&workspace, options),
    }
}

/// Whether `name` is a verb of ours.
pub(crate) fn is_verb(name: &str) -> bool {
    name == "help" || Cli::command().find_subcommand(name).is_some()
}
