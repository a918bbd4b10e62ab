// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer decode`: to be filled in by its owner.

use std::process::ExitCode;

/// Arguments of `telesteer decode`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
