// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask bench`: long measurements, by name.

mod fam;
pub(crate) mod quote;
mod ruler;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cmd::demo::{build, program};
use crate::cmd::vm::{Shape, in_guest};
use crate::kernel::Flavour;
use crate::run::{say, step};
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// A measurement.
#[derive(Debug)]
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace, &Options, &Path) -> Result<ExitCode>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "kill-storm",
        about: "kills collectors at random moments under load, proves every byte (--kernel debug too)",
        run: kill_storm,
    },
    Bench {
        name: "collect",
        about: "datagrams, records and messages per CPU-second, beside nfcapd and nfacctd; no guest",
        run: collect,
    },
    Bench {
        name: "select",
        about: "instructions per datagram and per SYN, by steering, unpatched beside patched (icount)",
        run: ruler::select,
    },
    Bench {
        name: "membership",
        about: "instructions of a join, a leave and a drain, by steering (icount)",
        run: ruler::membership,
    },
    Bench {
        name: "takeover",
        about: "instructions per session of a process that dies, beside close and accept (icount)",
        run: ruler::takeover,
    },
    Bench {
        name: "quality",
        about: "exporters moved, shares, loads: modulo, range scaling, Maglev, ours; no guest",
        run: ruler::quality,
    },
    Bench {
        name: "anycast",
        about: "a server leaves an anycast address and returns, under each way to spread flows",
        run: anycast,
    },
    Bench {
        name: FAM,
        about: "flow records per CPU-second, beside DuckDB and nfdump; no guest (-- --records N)",
        run: fam::run,
    },
];

/// The bench that builds its own program, and none of the others.
const FAM: &str = "fam";

/// Seconds a storm may take in the guest, and what of them is left for its end.
const STORM: u64 = 3 * 3600;
const STORM_END: u64 = 900;
/// Percent of the allocations under the takeover that fail in the debug kernel.
const STORM_FAIL: &str = "20";

/// Runs a measurement by name; without a name lists them.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which one.
    name: Option<String>,
    /// Which kernel, for those that run in a guest.
    #[arg(long, value_enum, default_value = "plain")]
    kernel: Flavour,
    #[command(flatten)]
    shape: Shape,
    /// Run on this machine's kernel with the toolbox's programs, for those that could do either.
    #[arg(long)]
    host: bool,
    /// Put this run's table, figures and drawing into docs/bench/, and the table where documents
    /// quote it.
    #[arg(long)]
    bless: bool,
    /// Arguments for the program.
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let Some(name) = &options.name else {
        for bench in BENCHES {
            println!("{}: {}", bench.name, bench.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("no bench {name:?}: one of {}", known.join(", "));
    };
    if bench.name != FAM {
        step("userspace programs", || build(workspace))?;
    }
    let out = workspace.target.join("bench").join(bench.name);
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let code = (bench.run)(workspace, options, &out)?;
    if options.bless {
        bless(workspace, bench.name, &out)?;
    }
    say(format!("bench {name}: files in {}", out.display()));
    Ok(code)
}

/// What of a bench's folder the documents keep.
const KEPT: &[&str] = &[
    "table.txt",
    "table.md",
    "plot.svg",
    "report.svg",
    "plain.json",
    "unpatched.json",
    "result.json",
    "report.json",
];

fn bless(workspace: &Workspace, name: &str, out: &Path) -> Result<()> {
    let docs = workspace.root.join("docs/bench").join(name);
    if !out.join("table.txt").exists() {
        bail!("bench {name} makes no table to bless");
    }
    fs::create_dir_all(&docs).with_context(|| format!("making {}", docs.display()))?;
    for kept in KEPT {
        let from = out.join(kept);
        if from.exists() {
            fs::copy(&from, docs.join(kept))
                .with_context(|| format!("copying {}", from.display()))?;
        }
    }
    quote::renew(workspace)
}

/// The scene program in a network namespace of its own.
fn scene(workspace: &Workspace, verb: &str, out: &Path) -> Vec<String> {
    let mut command = vec!["unshare".to_owned(), "--net".to_owned()];
    command.push(program(workspace, "telesteer-scene"));
    command.extend([verb.to_owned(), "--out".to_owned(), out.to_string_lossy().into_owned()]);
    command
}

/// In a guest; on the debug kernel the allocator fails under the takeover.
fn kill_storm(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    let mut shape = options.shape.clone();
    shape.timeout = shape.timeout.max(STORM);
    let mut command = scene(workspace, "kill-storm", out);
    let limit = shape.timeout - STORM_END;
    command.extend(["--limit".to_owned(), limit.to_string()]);
    if options.kernel == Flavour::Debug {
        command.extend(["--fail", STORM_FAIL].map(str::to_owned));
    }
    command.extend(options.arguments.iter().cloned());
    in_guest(workspace, options.kernel, &shape, &command)
}

/// On this machine's kernel, with the peers of the toolbox.
fn collect(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    let toolbox = Toolbox::ensure(workspace)?;
    let mut command = scene(workspace, "bench-collect", out);
    command.extend(options.arguments.iter().cloned());
    let status = toolbox.command(&Binds::new(), &workspace.root, command)?.status()?;
    Ok(super::exit(status.code()))
}

/// In a guest, or with --host in namespaces of this machine; then the ledger counts from captures.
fn anycast(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    let command = [scene(workspace, "bench-anycast", out), options.arguments.clone()].concat();
    let played = if options.host {
        let toolbox = Toolbox::ensure(workspace)?;
        let status = toolbox.command(&Binds::new(), &workspace.root, command)?.status()?;
        super::exit(status.code())
    } else {
        in_guest(workspace, options.kernel, &options.shape, &command)?
    };
    if played != ExitCode::SUCCESS {
        say("the bench did not come to its end, so there is no table");
        return Ok(played);
    }
    let status = Command::new(program(workspace, "telesteer-ledger"))
        .arg("anycast")
        .arg(out)
        .status()
        .context("starting the ledger")?;
    Ok(super::exit(status.code()))
}
