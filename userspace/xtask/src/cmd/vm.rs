// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask vm`: run one command in a guest.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::accel::Accel;
use crate::guest::{Guest, Step, check_paths};
use crate::kernel::{self, Flavour, Kernel};
use crate::run::{clock, say};
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

/// Runs a command as root in a throw-away guest, in the current folder, and exits with its status.
///
/// The guest sees the checkout at its own path, for reading and writing; everything else it writes
/// is gone afterwards. A complaint in the kernel log fails the run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which kernel.
    #[arg(long, value_enum, default_value = "plain")]
    kernel: Flavour,
    #[command(flatten)]
    shape: Shape,
    /// The command.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// What a guest looks like, for every verb that starts one.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Shape {
    /// Processors of the guest.
    #[arg(long, default_value_t = 2)]
    pub(crate) cpus: usize,
    /// MiB of memory (by default 3072, debug kernel 4096).
    #[arg(long)]
    pub(crate) memory: Option<usize>,
    /// One processor whose clock counts instructions: 1 ns of the guest = 1 instruction.
    #[arg(long)]
    pub(crate) icount: bool,
    /// Seconds the command may take.
    #[arg(long, default_value_t = 3600)]
    pub(crate) timeout: u64,
    /// Words for the kernel command line.
    #[arg(long, value_name = "WORDS")]
    pub(crate) append: Option<String>,
    /// Boot this image instead of building one; its folder must lie in the cache or the checkout.
    #[arg(long, value_name = "BZIMAGE")]
    pub(crate) image: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: kernel::Options,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    in_guest(workspace, options.kernel, &options.shape, &options.command)
}

/// Builds what is missing and runs `command` in a guest with its output on ours.
pub(crate) fn in_guest(
    workspace: &Workspace,
    flavour: Flavour,
    shape: &Shape,
    command: &[String],
) -> Result<ExitCode> {
    check_paths(workspace)?;
    let toolbox = Toolbox::ensure(workspace)?;
    let kernel = match &shape.image {
        Some(image) => Kernel::own(flavour, image)?,
        None => kernel::ensure(workspace, &toolbox, &shape.source, &[flavour])?
            .pop()
            .context("no kernel was built")?,
    };
    let kernel = &kernel;
    let accel = if shape.icount { Accel::Tcg } else { Accel::choose(workspace, &toolbox, kernel)? };
    let guest = Guest {
        workspace,
        toolbox: &toolbox,
        kernel,
        accel,
        cpus: shape.cpus,
        memory: shape.memory.unwrap_or_else(|| Guest::default_memory(flavour)),
        icount: shape.icount,
        stream: true,
        append: shape.append.iter().cloned().collect(),
    };
    say(format!("guest: {} on {}, {} processor(s)", kernel.release, accel.name(), guest.cpus));
    let step = Step {
        name: command[0].clone(),
        dir: std::env::current_dir().context("reading the current folder")?,
        argv: command.to_vec(),
        timeout: shape.timeout,
    };
    let report = guest.run("vm", &[step])?;
    let clean = report.clean();
    let status = report.steps[0].status;
    say(format!(
        "guest: booted in {:.1} s, ran {}, {}",
        report.boot.as_secs_f32(),
        clock(report.took),
        match status {
            Some(124) => format!("stopped after {} s", shape.timeout),
            Some(code) => format!("exit status {code}"),
            None => "no exit status".to_owned(),
        }
    ));
    Ok(if clean || status.is_some_and(|code| code != 0) {
        super::exit(status)
    } else {
        ExitCode::FAILURE
    })
}
