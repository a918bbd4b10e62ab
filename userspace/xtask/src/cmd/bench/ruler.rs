// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The benches of `telesteer-ruler`: guests whose clock counts instructions, one per kernel.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use super::Options;
use crate::cmd::demo::program;
use crate::cmd::vm::in_guest;
use crate::kernel::Flavour;
use crate::run::say;
use crate::workspace::Workspace;

/// Choices.
pub(super) fn select(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    measure(workspace, options, out, "select")
}

/// Joins, leaves, drains.
pub(super) fn membership(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    measure(workspace, options, out, "membership")
}

/// Takeovers.
pub(super) fn takeover(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    measure(workspace, options, out, "takeover")
}

/// Placements, without a kernel.
pub(super) fn quality(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    ruler(workspace, "quality", out, &options.arguments)
}

/// Measures on both kernels and judges. With `--image` only on that one, as `--kernel`; what is
/// known of the other from an earlier run stays.
fn measure(workspace: &Workspace, options: &Options, out: &Path, verb: &str) -> Result<ExitCode> {
    let flavours = match options.shape.image {
        Some(_) => vec![options.kernel],
        None => vec![Flavour::Unpatched, Flavour::Plain],
    };
    let mut shape = options.shape.clone();
    shape.icount = true;
    shape.cpus = 1;
    for flavour in flavours {
        let file = out.join(format!("{}.json", flavour.name()));
        let mut command = vec!["unshare".to_owned(), "--net".to_owned()];
        command.push(program(workspace, "telesteer-ruler"));
        command.extend([verb.to_owned(), "--out".to_owned()]);
        command.push(file.to_string_lossy().into_owned());
        command.extend(options.arguments.iter().cloned());
        let code = in_guest(workspace, flavour, &shape, &command)?;
        if code != ExitCode::SUCCESS {
            say(format!("bench {verb}: no reading of the {} kernel", flavour.name()));
            return Ok(code);
        }
    }
    ruler(workspace, "report", out, &[verb.to_owned()])
}

/// The program on the host: its table on stdout, exit status 1 if a claim is not met.
fn ruler(workspace: &Workspace, verb: &str, out: &Path, arguments: &[String]) -> Result<ExitCode> {
    let name = program(workspace, "telesteer-ruler");
    let status = Command::new(&name)
        .arg(verb)
        .args(arguments)
        .arg(out)
        .status()
        .with_context(|| format!("starting {name}"))?;
    Ok(crate::cmd::exit(status.code()))
}
