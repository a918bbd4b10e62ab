// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask demo`: the whole scene in one guest, then the ledger's verdict.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cmd::vm::{Shape, in_guest};
use crate::kernel::Flavour;
use crate::run::{clock, cmd, say, step};
use crate::workspace::Workspace;

/// Builds everything, runs the scene in a guest, prints the ledger's table.
///
/// Exits 1 if a claim of the table is not met. Files: target/demo/.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    shape: Shape,
    /// Which kernel.
    #[arg(long, value_enum, default_value = "plain")]
    kernel: Flavour,
    /// Arguments for the scene.
    #[arg(last = true, value_name = "ARGS")]
    scene: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    step("userspace programs", || build(workspace))?;
    let out = workspace.target.join("demo");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("removing {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let mut shape = options.shape.clone();
    shape.cpus = shape.cpus.max(std::thread::available_parallelism().map_or(1, usize::from).min(4));
    let mut command =
        vec![program(workspace, "telesteer-scene"), "demo".to_owned(), "--out".to_owned()];
    command.push(out.to_string_lossy().into_owned());
    command.extend(options.scene.iter().cloned());
    let scene = in_guest(workspace, options.kernel, &shape, &command)?;
    if scene != ExitCode::SUCCESS {
        say("the scene did not come to its end, so there is no table");
        return Ok(scene);
    }
    let status = cmd(program(workspace, "telesteer-ledger")).arg("report").arg(&out).status()?;
    say(format!("demo: {} in all; files in {}", clock(start.elapsed()), out.display()));
    Ok(super::exit(status.code()))
}

/// Builds the programs the guests run.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    cmd("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "telesteer",
            "-p",
            "telesteer-scene",
        ])
        .args(["-p", "telesteer-ledger"])
        .dir(&workspace.root)
        .run()
}

/// Path of one of our programs.
pub(crate) fn program(workspace: &Workspace, name: &str) -> String {
    workspace.target.join("release").join(name).to_string_lossy().into_owned()
}
