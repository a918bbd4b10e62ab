// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask lab`: experiments with redirected flows, each in a guest.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cmd::demo::program;
use crate::cmd::vm::{Shape, in_guest};
use crate::kernel::Flavour;
use crate::run::{cmd, say, step};
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// The program that runs in the guest, and knows the experiments.
const LAB: &str = "telesteer-lab";
/// Experiments that count instructions.
const COUNTED: [&str; 2] = ["cost", "mirror"];
/// What an experiment leaves.
const KEPT: [&str; 4] = ["README.md", "data.csv", "data.json", "figure.svg"];
/// Seconds one may take in the guest.
const TIMEOUT_S: u64 = 1800;
/// The one that takes longer, and its seconds.
const LONG: (&str, u64) = ("kill", 5400);

/// Namespaces of `ip` want a root that is a mount, which that of the toolbox is not.
const ON_A_MOUNT: [&str; 4] =
    ["sh", "-c", "mount --rbind / /mnt && exec chroot /mnt \"$@\"", "lab"];

/// Runs an experiment of the lab in a guest; without a name lists them, with `all` runs all.
///
/// The network of the slides in namespaces: two customer sites, edge and core routers, a peer; MPLS
/// and queues by crate circuit, policy routes by crate redirect, flows by iperf3, counted from captures.
/// Files: target/lab/NAME/. Exits 1 if a claim of the experiment is not met.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which one.
    name: Option<String>,
    /// Which kernel.
    #[arg(long, value_enum, default_value = "plain")]
    kernel: Flavour,
    #[command(flatten)]
    shape: Shape,
    /// Put this run's paragraph, figures and drawing into docs/results/.
    #[arg(long)]
    bless: bool,
    /// Run on this machine's kernel with the toolbox's programs; for those that need no MPLS: install.
    #[arg(long)]
    host: bool,
    /// Use the programs that are built, as they are.
    #[arg(long)]
    built: bool,
    /// Arguments for the program, such as --brief.
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if !options.built {
        step("userspace programs", || build(workspace))?;
    }
    let lab = program(workspace, LAB);
    let listed = cmd(&lab).output()?;
    let known: Vec<&str> = listed.lines().filter_map(|line| line.split(':').next()).collect();
    let names = match options.name.as_deref() {
        None => {
            print!("{listed}");
            return Ok(ExitCode::SUCCESS);
        }
        Some("all") => known,
        Some(name) if known.contains(&name) => vec![name],
        Some(name) => bail!("no experiment {name:?}: one of {}, or all", known.join(", ")),
    };
    let mut worst = ExitCode::SUCCESS;
    for name in names {
        let code = one(workspace, options, &lab, name)?;
        if code != ExitCode::SUCCESS {
            worst = code;
        }
    }
    Ok(worst)
}

/// Builds the programs the guest runs, with the features that the tests have: nothing is compiled twice.
fn build(workspace: &Workspace) -> Result<()> {
    let words = ["build", "--release", "--locked", "--quiet", "--workspace", "--bins"];
    workspace.cargo().args(words).run()
}

fn one(workspace: &Workspace, options: &Options, lab: &str, name: &str) -> Result<ExitCode> {
    let out = workspace.target.join("lab").join(name);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("removing {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let mut shape = options.shape.clone();
    shape.timeout = match name == LONG.0 {
        true => LONG.1,
        false => shape.timeout.min(TIMEOUT_S),
    };
    if COUNTED.contains(&name) {
        shape.icount = true;
    }
    let mut command = vec![lab.to_owned(), name.to_owned(), "--out".to_owned()];
    command.push(out.to_string_lossy().into_owned());
    command.extend(options.arguments.iter().cloned());
    let code = match options.host {
        true => {
            command.extend(["--work".to_owned(), out.join("work").to_string_lossy().into_owned()]);
            let toolbox = Toolbox::ensure(workspace)?;
            let command = [ON_A_MOUNT.map(str::to_owned).to_vec(), command].concat();
            let status = toolbox.command(&Binds::new(), &workspace.root, command)?.status()?;
            super::exit(status.code())
        }
        false => in_guest(workspace, options.kernel, &shape, &command)?,
    };
    if !out.join(KEPT[0]).exists() {
        say(format!("lab {name} did not come to its end, so there are no results"));
        return Ok(code);
    }
    if options.bless {
        bless(workspace, name, &out)?;
    }
    say(format!("lab {name}: files in {}", out.display()));
    Ok(code)
}

fn bless(workspace: &Workspace, name: &str, out: &Path) -> Result<()> {
    let docs = workspace.root.join("docs/results").join(name);
    fs::create_dir_all(&docs).with_context(|| format!("making {}", docs.display()))?;
    for kept in KEPT {
        let from = out.join(kept);
        fs::copy(&from, docs.join(kept)).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}
