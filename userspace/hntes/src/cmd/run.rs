// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes run`: the loop.

mod listen;
mod tallies;

use crate::cmd::assume;
use anyhow::{Context, Result, anyhow};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::env;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_control::crash::{Crash, Place};
use telesteer_control::http::Board;
use telesteer_control::service::{Options, Service};
use telesteer_control::settings::Settings;

/// Between two looks at signals.
const LOOK: Duration = Duration::from_millis(100);

const HELP: &str = "\
Examples:
  hntes run --config hntes.toml --check       is the file right? Nothing is opened
  hntes run --config hntes.toml --dry-run     what would be done, line by line; nothing is touched
  hntes run --config hntes.toml               the loop, until SIGINT or SIGTERM
  hntes run --config hntes.toml --release     take all our routes off, give all our circuits back, end

A small configuration, with a router and a provider that are files (docs/run.md explains every key):
  [store]
  dir = \"hntes-store\"
  [collector]
  source = \"records\"                # what `telesteer collect` writes
  path = \"out\"                      # its folder, or one file
  [circuits]
  provider = \"file\"                 # or local, nsi, oscars
  file = \"circuits.json\"
  [paths.forth]                     # how r1 gets packets into circuits toward r2
  from = \"r1\"
  to = \"r2\"
  mark = 101
  table = 101
  [routers.r1]
  device = \"file\"                   # or nft, ip-rule, frr, openflow, flowspec, junos
  file = \"r1.rules\"
  prefixes = [\"10.1.0.0/16\"]        # what is behind it
  [routers.r2]
  device = \"file\"
  file = \"r2.rules\"
  prefixes = [\"10.2.0.0/16\"]

When it ends, by a signal or by kill -9, routes and circuits stay as they are; the next loop reads them
back and goes on. Only --release gives them back. Lines of the audit log go to the store's folder, and
with --dry-run or --print to standard output. The status page is at [http] listen.
Exit: 0 done, 1 --release did not finish in time, 2 could not run.";

/// Put alpha flows onto circuits: find them, set circuits up, set policy routes, read back, take away.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Args {
    /// The configuration, TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say whether the configuration is right, and end.
    #[arg(long)]
    check: bool,
    /// Say what would be done. Routers are read; no provider is asked, nothing is changed or stored.
    #[arg(long, conflicts_with = "release")]
    dry_run: bool,
    /// Take all our routes off the routers, give all our circuits back, and end.
    #[arg(long)]
    release: bool,
    /// Lines of the audit log go to standard output too.
    #[arg(long)]
    print: bool,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    most: Option<f64>,
    /// The status, as /status.json says it, on standard output at the end.
    #[arg(long)]
    json: bool,
    /// A hook for tests: die as by kill -9 before or after a call to the outside, the Nth time it is
    /// made. NAME:before or NAME:after, with :N.
    #[arg(long, value_name = "PLACE", hide = true)]
    die_at: Option<Place>,
}

/// Runs it. `false` if not all was given back.
pub fn run(args: &Args) -> Result<bool> {
    let most = args.most.map(|seconds| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|error| anyhow!("--for {seconds}: not a number of seconds: {error}"))
    });
    let most = most.transpose()?;
    let settings = Settings::read(&args.config)?;
    let collector = settings.collector.clone();
    let assume = match &collector {
        Some(of) => assume::assume(of.assume_exporter, &of.assume_sampling)
            .with_context(|| format!("{}: collector", args.config.display()))?,
        None => crate::input::Assume::default(),
    };
    if args.check {
        let (routers, paths) = (settings.routers.len(), settings.paths.len());
        eprintln!("{}: right: {routers} routers, {paths} paths", args.config.display());
        return Ok(true);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signal handler")?;
    }
    let gated = settings.online.gated;
    let echo = (args.print || args.dry_run).then(|| Box::new(stdout()) as Box<dyn Write + Send>);
    let options = Options {
        dry_run: args.dry_run,
        release: args.release,
        crash: args.die_at.map_or_else(Crash::default, Crash::at),
        echo,
        program: env::current_exe().ok(),
    };
    let (mut service, speaker) = Service::start(settings, options)?;
    if let Some(address) = service.address() {
        eprintln!("http://{address}/");
    }
    let listener = match collector.filter(|_| !args.release) {
        Some(of) => Some(listen::start(of, assume, gated, speaker, Arc::clone(&stop))?),
        None => None,
    };
    let face = service.face();
    let done = thread::scope(|scope| {
        let (bell, until) = (service.bell(), most);
        let begun = Instant::now();
        let turning = scope.spawn(|| service.run(&stop));
        let mut in_time = true;
        while !turning.is_finished() {
            if until.is_some_and(|until| begun.elapsed() >= until) {
                in_time = !args.release;
                stop.store(true, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) {
                bell.ring();
            }
            thread::sleep(LOOK);
        }
        in_time
    });
    stop.store(true, Ordering::Relaxed);
    drop(service);
    if let Some(listener) = listener {
        listener.end();
    }
    if args.json {
        let text = serde_json::to_string_pretty(&*face.view())?;
        writeln!(stdout().lock(), "{text}").context("writing to standard output")?;
    }
    Ok(done)
}
