// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer ls`: groups, their members, and who holds and feeds them.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::Context;

use crate::groups::{self, Query, Report, status::Status, table};

/// The help text, which explains the columns.
pub const HELP: &str = "\
Shows the SO_REUSEPORT groups of this network namespace, member by member.

A group is the sockets bound to one address and port; the kernel gives each datagram and each
new session to one of them. With our kernel every group is shown in which a policy or a member id
has been set; --all adds those that use neither. A stock kernel tells nothing of groups: then
sockets that share address, port and user are taken for one, and a line on stderr says what is
missing.

The columns:
  ID          stable name of the member, the collector's --instance
  WEIGHT      share of the exporters relative to the others
  FLAGS       drain: gets nothing new; no-handle: beyond the 256 that a policy can choose
  SELECTIONS  lookups that ended at the member, approximate
  EXPORTERS   tcp: addresses that have a session with the member's process;
              udp: addresses the collector has heard since its start, if its metrics are
              given (the kernel keeps no list of who sent a datagram)
  SESSIONS    tcp: sessions the member's process holds on this address
  QUEUE       tcp: sessions not accepted yet; udp: bytes not read yet
  PROCESS     who holds the socket; other users' processes are seen by root only

A dash is what is not known. Two members of one process get no EXPORTERS and SESSIONS: the
kernel does not keep by which listener a session came.

Exit code 0: shown; 1: there is no such group; 2: the kernel could not be asked.";

/// Arguments of `telesteer ls`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Groups on this local port only; may be given more than once.
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,
    /// Groups that use neither a policy nor member ids too, guessed by their address.
    #[arg(long)]
    all: bool,
    /// Where a collector serves its metrics, to ask it for its exporters; may be given more than once.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Vec<SocketAddr>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Show it again every so many seconds, until interrupted.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    watch: Option<u32>,
}

/// Shows the groups.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let query = Query { ports: args.port, all: args.all };
    loop {
        let report = look(&query, &args.metrics)?;
        let code = if report.groups.is_empty() { 1 } else { 0 };
        match show(&report, args.json, args.watch.is_some()) {
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(code.into()),
            done => done.context("stdout")?,
        }
        let Some(seconds) = args.watch else { return Ok(code.into()) };
        thread::sleep(Duration::from_secs(seconds.into()));
    }
}

fn look(query: &Query, metrics: &[SocketAddr]) -> anyhow::Result<Report> {
    let mut statuses = Vec::new();
    let mut lacks = Vec::new();
    for addr in metrics {
        match Status::ask(*addr) {
            Ok(status) => statuses.push(status),
            Err(error) => lacks.push(format!("no exporters from {addr}: {error:#}")),
        }
    }
    let mut report = groups::read(query, &statuses).context("sock_diag")?;
    report.lacks.extend(lacks);
    Ok(report)
}

fn show(report: &Report, json: bool, again: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
    } else {
        if again {
            // Home, and clear what was there.
            write!(out, "\x1b[H\x1b[2J")?;
        }
        write!(out, "{}", table::render(&report.groups))?;
    }
    out.flush()?;
    for line in &report.lacks {
        eprintln!("telesteer: {line}");
    }
    if report.groups.is_empty() {
        eprintln!("telesteer: no group of sockets found");
    }
    Ok(())
}
