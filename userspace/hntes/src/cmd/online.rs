// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes online`: alpha flows while they live.

use crate::cmd::assume;
use crate::input::FileReport;
use crate::online::nft::Counters;
use crate::online::run::{Run, Setup};
use crate::online::source::{Item, Kind, STDIN, Source};
use crate::online::table;
use crate::tables;
use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{Write, stderr, stdout};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_online::Setting;
use telesteer_online::meter;

/// Longest gap between records of files: a month.
const JUMP: Ns = 31 * 86_400 * SECOND;

/// Silence after which time goes on by our own clock, and the signals are looked at.
const WAIT: Duration = Duration::from_millis(200);

/// How long input that was told to end may take to.
const ENDS: Duration = Duration::from_secs(2);

/// Counters are not read more often.
const EVERY: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  hntes online --follow out                                   records of all collectors that write there
  hntes online --follow out/flow-1-1764180000000.jsonl        of one of them, until its restart
  hntes online --slot 60 --table control/pbr-2026-11-26.json  60 s reports, flows of the table
  hntes online --interface eth1 --early 3                     a port that mirrors
  tcpdump -i eth1 -s 96 -U -w - | hntes online --pcap --early 3 -
  hntes online --h 100000000 day.csv                          a recorded day
  hntes online --meters --nft-counters inet lsp --every 10    a router's own counters, read here

What is an alpha flow: more than H bytes (strictly) in T, found in any T that ends with a report.
--slot is how often a flow is reported: the exporter's active timeout, or the bin that mirrored packets
are counted in. The early rule (--early K) does not wait for H: it names a flow that for K slots running
had a rate which makes more than H in T. It is sooner and sometimes wrong; the summary says how often.

Events are lines of JSON on standard output (docs/online.md): `early`, `alpha`, `ended`. Standard error
gets the summary: what was read, left out and why. Exit: 0 done, 1 an input broke off, 2 could not run.";

/// Find alpha flows while they live: flow records or packet headers in, events out.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files that `fam` reads, one after the other; - is standard input.
    #[arg(value_name = "FILE|-", default_value = STDIN)]
    files: Vec<PathBuf>,
    /// Go on reading the file as it grows, under its name; or a folder of `telesteer collect`: all its
    /// flow-*.jsonl, later ones too.
    #[arg(long)]
    follow: bool,
    /// Input is a capture of packets, pcap or pcapng; their headers are enough.
    #[arg(long)]
    pcap: bool,
    /// Read the packets that come in at this interface; needs CAP_NET_RAW. Their headers are cut off them.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["files", "pcap", "follow"])]
    interface: Option<String>,
    /// Input is readings of a router's meters (Method 1): lines of {"meter","bytes","time_ns"}. Events are
    /// `above` and `below`.
    #[arg(long, conflicts_with_all = ["pcap", "interface"])]
    meters: bool,
    /// Read the meters ourselves: the named counters of a table of nftables on this host, by `nft -j`.
    #[arg(long, num_args = 2, value_names = ["FAMILY", "TABLE"], requires = "meters",
          conflicts_with_all = ["files", "follow"])]
    nft_counters: Option<Vec<String>>,
    /// The network namespace they are in, a name below /run/netns; needs CAP_SYS_ADMIN.
    #[arg(long, value_name = "NAME", requires = "nft_counters")]
    netns: Option<PathBuf>,
    /// Seconds from one reading to the next; also the slot, unless --slot is given.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", requires = "nft_counters")]
    every: f64,
    /// Bits of a meter's counter, after which it begins at 0 again.
    #[arg(long, default_value_t = 64, value_name = "BITS", requires = "meters",
          value_parser = clap::value_parser!(u32).range(8..=64))]
    meter_bits: u32,
    /// H: bytes that a flow exceeds in T. A GB is 10^9 bytes.
    #[arg(long, default_value_t = 1_000_000_000, value_name = "BYTES")]
    h: u64,
    /// T in seconds.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    t: f64,
    /// Length of a report, in seconds; longer ones are spread evenly. Default: 10; of
    /// packets 1.
    #[arg(long, value_name = "SECONDS")]
    slot: Option<f64>,
    /// Seconds by which a report may be longer and still count as one. Default: 0; with --nft-counters
    /// half of --every, as no reading is to the moment.
    #[arg(long, value_name = "SECONDS")]
    grace: Option<f64>,
    /// Seconds by which a report may be behind the newest of its flow and still count in every window.
    /// Default: a slot.
    #[arg(long, value_name = "SECONDS")]
    lateness: Option<f64>,
    /// Hold reports back for so many seconds and put them in order: the same reports then give the same
    /// events whatever their order, so much later.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    hold: f64,
    /// A flow has ended after so many seconds of silence. Default: T and a slot.
    #[arg(long, value_name = "SECONDS")]
    idle: Option<f64>,
    /// One report moves the clock by at most so many seconds, whatever it claims; a longer gap between
    /// reports ends flows that go on. Default: 300; 31 days where files are read, in which nobody sees
    /// time go by.
    #[arg(long, value_name = "SECONDS")]
    jump: Option<f64>,
    /// Slots running with the rate of an alpha flow that make the early rule name a flow; 0: no rule.
    #[arg(long, default_value_t = 0, value_name = "K")]
    early: u32,
    /// The offline table, pbr-DAY.json of `hntes fam --emit`: its flows are looked for, others counted.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Write events of flows outside the table too.
    #[arg(long, requires = "table")]
    outside: bool,
    /// Flows kept exactly: those of the table, or all without one.
    #[arg(long, default_value_t = 65_536, value_name = "N")]
    max_flows: usize,
    /// Counters for the heaviest of all others.
    #[arg(long, default_value_t = 4096, value_name = "N")]
    rest: usize,
    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// Exporter of records that name none.
    #[arg(long, value_name = "ADDR")]
    assume_exporter: Option<IpAddr>,
    /// Sampling where records tell none: N, or EXPORTER=N; may be given more than once.
    #[arg(long, value_name = "[ADDR=]N")]
    assume_sampling: Vec<String>,
}

/// Reads until the end, or a signal. `false` if an input broke off.
pub fn run(args: &Args) -> Result<bool> {
    if args.follow && (args.files.len() != 1 || args.files.iter().any(|path| is_stdin(path))) {
        bail!("--follow needs one file");
    }
    let gate = args.table.as_deref().map(table::gate).transpose()?;
    let mut run = Run::new(args.setup()?, gate, stdout())?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signal handler")?;
    }
    let mut reports = Vec::new();
    if let Some(name) = &args.interface {
        let source = Source::interface(name, Arc::clone(&stop))?;
        reports.extend(read(&source, &mut run, &stop)?);
    }
    if let Some(of) = args.counters()? {
        let source = Source::counters(of, Arc::clone(&stop)).context("--nft-counters")?;
        reports.extend(read(&source, &mut run, &stop)?);
    }
    for path in args.inputs() {
        if stop.load(Ordering::Relaxed) || run.is_gone() {
            break;
        }
        let source = Source::open(path, args.kind()?, args.follow, Arc::clone(&stop))?;
        reports.extend(read(&source, &mut run, &stop)?);
    }
    run.finish()?;
    args.say(&run.tables(), &reports)?;
    Ok(reports.iter().all(|report| report.failed.is_none()))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

/// Reads an input; `None` if it did not end in time once it was told to.
fn read<W: Write>(
    source: &Source,
    run: &mut Run<W>,
    stop: &AtomicBool,
) -> Result<Option<FileReport>> {
    let mut stopped: Option<Instant> = None;
    loop {
        match source.items.recv_timeout(WAIT) {
            Ok(Item::Report(report)) => run.take(report, source.is_live())?,
            Ok(Item::Metered(name, bytes, at)) => run.meter(&name, bytes, at)?,
            Ok(Item::LeftOut(fault)) => run.leave_out(fault),
            Ok(Item::End(outcome)) => {
                let mut report = outcome?;
                report.failed = report.failed.or_else(|| source.broke_off());
                return Ok(Some(report));
            }
            Err(RecvTimeoutError::Timeout) => run.quiet()?,
            Err(RecvTimeoutError::Disconnected) => bail!("{}: its reader died", source.name),
        }
        if run.is_gone() {
            return Ok(None);
        }
        if stop.load(Ordering::Relaxed) {
            source.close();
            if stopped.get_or_insert_with(Instant::now).elapsed() > ENDS {
                return Ok(None);
            }
        }
    }
}

impl Args {
    /// Files to read; none where it is something else.
    fn inputs(&self) -> &[PathBuf] {
        let other = self.interface.is_some() || self.nft_counters.is_some();
        if other { &[] } else { &self.files }
    }

    /// The counters to be read.
    fn counters(&self) -> Result<Option<Counters>> {
        let Some([family, table]) = self.nft_counters.as_deref() else { return Ok(None) };
        let every = Duration::try_from_secs_f64(self.every).ok().filter(|every| *every >= EVERY);
        let every = every.with_context(|| {
            format!(
                "--every {}: not a number of seconds, {} at least",
                self.every,
                EVERY.as_secs_f64()
            )
        })?;
        let (family, table, netns) = (family.clone(), table.clone(), self.netns.clone());
        Ok(Some(Counters { family, table, netns, every }))
    }

    fn kind(&self) -> Result<Kind> {
        Ok(match (self.pcap, self.meters) {
            (true, _) => Kind::Packets,
            (_, true) => Kind::Readings,
            _ => Kind::Records(assume::assume(self.assume_exporter, &self.assume_sampling)?),
        })
    }

    fn setup(&self) -> Result<Setup> {
        let packets = self.pcap || self.interface.is_some();
        let (default, grace) = match (packets, &self.nft_counters) {
            (true, _) => (1.0, 0.0),
            (false, Some(_)) => (self.every, self.every / 2.0),
            (false, None) => (10.0, 0.0),
        };
        let slot = self.slot.unwrap_or(default);
        let (t, slot) = (nanoseconds(self.t, "t")?, nanoseconds(slot, "slot")?);
        let or = |given: Option<f64>, name, default: Ns| {
            given.map_or(Ok(default), |seconds| nanoseconds(seconds, name))
        };
        let setting = Setting {
            h: self.h,
            t,
            slot,
            grace: nanoseconds(self.grace.unwrap_or(grace), "grace")?,
            lateness: or(self.lateness, "lateness", slot)?,
            idle: or(self.idle, "idle", t.saturating_add(slot))?,
            early: self.early,
            flows: self.max_flows,
            rest: self.rest,
        };
        let live = self.follow || self.files.iter().any(|path| is_stdin(path));
        let live = live || self.interface.is_some() || self.nft_counters.is_some();
        let jump = or(self.jump, "jump", if live { 300 * SECOND } else { JUMP })?;
        let hold = nanoseconds(self.hold, "hold")?;
        let meters = meter::Kind { bits: self.meter_bits, ..meter::Kind::default() };
        Ok(Setup { setting, hold, jump, outside: self.outside, meters })
    }

    /// Says on standard error what there is to say.
    fn say(&self, tables: &[tables::Table], reports: &[FileReport]) -> Result<()> {
        let mut all = tables.to_vec();
        all.extend([tables::input::bad_lines(reports), tables::input::notes(reports)]);
        let text = match self.json {
            true => format!("{}\n", tables::to_json(&all)),
            false => {
                let some = all.iter().filter(|table| !table.rows.is_empty());
                some.map(tables::Table::to_text).collect::<Vec<_>>().join("\n")
            }
        };
        stderr().lock().write_all(text.as_bytes()).context("writing to standard error")
    }
}

pub(super) fn nanoseconds(seconds: f64, name: &str) -> Result<Ns> {
    let value = (seconds * SECOND as f64).round();
    if !(0.0..=9e18).contains(&value) {
        bail!("--{name} {seconds}: not a number of seconds");
    }
    Ok(value as Ns)
}
