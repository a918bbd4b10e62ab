// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask kernel`: build kernels.

use std::process::ExitCode;

use anyhow::Result;

use crate::kernel::{self, Flavour};
use crate::run::say;
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

/// Builds kernels: source, series, config fragments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which kernels.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "plain")]
    kernel: Vec<Flavour>,
    /// All three.
    #[arg(long, conflicts_with = "kernel")]
    all: bool,
    #[command(flatten)]
    source: kernel::Options,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let toolbox = Toolbox::ensure(workspace)?;
    let flavours = if options.all { &Flavour::ALL[..] } else { &options.kernel };
    for kernel in kernel::ensure(workspace, &toolbox, &options.source, flavours)? {
        say(format!("{}: {}", kernel.release, kernel.image.display()));
    }
    Ok(ExitCode::SUCCESS)
}
