// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask toolbox`: make the toolbox, or run a command in it.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::run::say;
use crate::source::Source;
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// Makes the toolbox; with a command, runs that in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Fetch the newest package lists, so that a new kernel point release is seen.
    #[arg(long)]
    refresh: bool,
    /// The command, started in the current folder.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Runs the verb; the exit code is the command's.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let toolbox = Toolbox::ensure(workspace)?;
    if options.refresh {
        toolbox.apt_command(["apt-get", "-qq", "update"])?.run()?;
        Source::forget_current(workspace)?;
    }
    if options.command.is_empty() {
        say(format!("toolbox: {}", toolbox.root.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let here = std::env::current_dir().context("reading the current folder")?;
    let status = toolbox
        .command(&Binds::new(), &here, options.command.iter().map(String::as_str))?
        .status()?;
    Ok(super::exit(status.code()))
}
