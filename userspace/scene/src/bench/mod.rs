// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Receivers of flows and of BMP measured side by side: what one CPU-second of the receiving
//! process is good for while nothing is lost.
//!
//! All receive the same input in the same run, on loopback of a network namespace of its own, and
//! write their results to the same tmpfs in the form an operator would have them: `telesteer
//! collect` a JSON line per record, nfcapd its binary files, nfacctd its in-memory aggregation
//! printed every few seconds. The counts each wrote down are set against what was sent.

mod bmp;
mod cpu;
mod flows;
mod peers;
mod report;
mod search;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use peers::{Receiver, bmp_receivers, flow_receivers};
use report::Report;

/// Measure receivers side by side.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Args {
    /// The collector's binary [default: `telesteer` beside this program].
    #[arg(long)]
    telesteer: Option<PathBuf>,
    /// Folder for collect.json and collect.svg.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Folder for what the receivers write, on a tmpfs; emptied again.
    #[arg(long, default_value = "/dev/shm/telesteer-bench")]
    dir: PathBuf,
    /// Seconds a rate is held.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rates tried per receiver and input.
    #[arg(long, default_value_t = 8)]
    tries: u32,
    /// Datagrams per second tried first.
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Flow records per datagram; one input each.
    #[arg(long, value_delimiter = ',', default_values_t = [22, 2])]
    records: Vec<usize>,
    /// Exporters.
    #[arg(long, default_value_t = 16)]
    exporters: u8,
    /// BMP messages, all sessions together; 0: no BMP.
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// Runs the measurement; exit 1 if a receiver lost what the kernel says it was given.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let telesteer = match &args.telesteer {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("own path")?.with_file_name("telesteer"),
    };
    own_namespace()?;
    let mut report = Report::default();
    for records in &args.records {
        for receiver in flow_receivers(&telesteer) {
            let Some(found) = measure(args, &receiver, |at| search::best(args, *records, at))?
            else {
                report.absent(receiver.name);
                continue;
            };
            report.flows.push(found);
        }
    }
    if args.messages > 0 {
        for receiver in bmp_receivers(&telesteer) {
            let Some(found) = measure(args, &receiver, |at| bmp::run(args.messages, at))? else {
                report.absent(receiver.name);
                continue;
            };
            report.bmp.push(found);
        }
    }
    let json = serde_json::to_string_pretty(&report)? + "\n";
    if let Some(out) = &args.out {
        for (name, text) in [("collect.json", &json), ("collect.svg", &report.svg())] {
            let path = out.join(name);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    if args.json {
        print!("{json}");
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::from(u8::from(!report.good())))
}

/// Starts a receiver, measures with it, stops it; `None` if its program is not installed.
fn measure<T>(
    args: &Args,
    receiver: &Receiver,
    with: impl FnOnce(&mut peers::Running) -> Result<T>,
) -> Result<Option<T>> {
    if !receiver.is_installed() {
        eprintln!("bench: {} is not installed", receiver.name);
        return Ok(None);
    }
    if args.dir.exists() {
        std::fs::remove_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    }
    std::fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    let mut running = receiver.start(&args.dir, Duration::from_secs(20))?;
    let found = with(&mut running).with_context(|| receiver.name.to_string())?;
    running.stop()?;
    std::fs::remove_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    Ok(Some(found))
}

/// Refuses to run among other sockets: ports and drop counters must be the bench's own.
fn own_namespace() -> Result<()> {
    let devices = std::fs::read_to_string("/proc/net/dev").context("/proc/net/dev")?;
    let others = devices.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:"));
    if others.count() > 0 {
        bail!("run this in a network namespace of its own: unshare --net …");
    }
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
    if !status.success() {
        bail!("ip link set lo up: {status}");
    }
    Ok(())
}
