// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask bench`: long measurements, by name.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cmd::demo::{build, program};
use crate::cmd::vm::{Shape, in_guest};
use crate::kernel::Flavour;
use crate::run::{cmd, say, step};
use crate::workspace::Workspace;

/// A measurement: a program of ours run in a guest, and perhaps a ledger verdict on the host.
#[derive(Debug)]
struct Bench {
    name: &'static str,
    about: &'static str,
    /// Program and first arguments; `--out DIR` follows.
    guest: &'static [&'static str],
    /// Program and first arguments run afterwards on the host; DIR follows.
    host: &'static [&'static str],
    /// Seconds the guest may take.
    timeout: u64,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "kill-storm",
        about: "kills collectors at random moments under load, counts lost bytes (--kernel debug too)",
        guest: &["telesteer-scene", "kill-storm"],
        host: &[],
        timeout: 3 * 3600,
    },
    Bench {
        name: "collect",
        about: "datagrams, records and messages per CPU-second, beside nfcapd and nfacctd",
        guest: &["telesteer-scene", "bench-collect"],
        host: &[],
        timeout: 3600,
    },
];

/// Runs a measurement by name; without a name lists them.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which one.
    name: Option<String>,
    /// Which kernel.
    #[arg(long, value_enum, default_value = "plain")]
    kernel: Flavour,
    #[command(flatten)]
    shape: Shape,
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
    step("userspace programs", || build(workspace))?;
    let out = workspace.target.join("bench").join(bench.name);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("removing {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let dir = out.to_string_lossy().into_owned();
    let mut command = vec![program(workspace, bench.guest[0])];
    command.extend(bench.guest[1..].iter().map(|word| (*word).to_owned()));
    command.extend(["--out".to_owned(), dir.clone()]);
    command.extend(options.arguments.iter().cloned());
    let mut shape = options.shape.clone();
    shape.timeout = shape.timeout.max(bench.timeout);
    let code = in_guest(workspace, options.kernel, &shape, &command)?;
    say(format!("bench {name}: files in {dir}"));
    let [tool, arguments @ ..] = bench.host else { return Ok(code) };
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let status = cmd(program(workspace, tool)).args(arguments).arg(&out).status()?;
    Ok(super::exit(status.code()))
}
