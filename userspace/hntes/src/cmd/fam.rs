// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes fam`: the analysis.

use crate::capacities::{Capacities, bits};
use crate::cmd::dimension::Dimensions;
use crate::cmd::known::Known;
use crate::cmd::output::Output;
use crate::cmd::switches::Switches;
use crate::cmd::{assume, beta, each, remarks};
use crate::emit;
use crate::input::Assume;
use crate::input::source::Sources;
use crate::lists;
use crate::state::{Basis, State};
use crate::tables::{self, Table};
use crate::watch::{Watch, octets};
use crate::work::{Engine, Work};
use anyhow::{Context, Result, bail};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use telesteer_fam::aging::{Aged, Aging, Policy, Traffic, age};
use telesteer_fam::plan::{Plan, lsps};
use telesteer_fam::reading::Refresh;
use telesteer_fam::series::{Days, PairHistory};
use telesteer_fam::{Reading, Width};

/// Find alpha flows in flow records; say what tables learnt from them would redirect.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Args {
    /// Files of flow records: Parquet (telesteer collect --parquet), CSV (ours or nfdump's), lines of
    /// JSON (pmacct, goflow2, telesteer), IPFIX messages, captures of NetFlow v9 and IPFIX datagrams. What
    /// a file is shows in how it begins. A folder stands for the files below it that end in .parquet,
    /// .csv, .ipfix, .pcap or .pcapng; - is standard input. A file named twice is read once.
    #[arg(value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Most octets of pipes that are copied to TMPDIR to be read more than once, such as 512M or 20G.
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = octets)]
    spool: u64,
    #[command(flatten)]
    switches: Switches,
    /// Ages to try: intervals without alpha flows after which an entry goes, or `never`.
    #[arg(long, value_delimiter = ',', default_value = "7,14,30,never", value_name = "AGE")]
    aging: Vec<Aging>,
    /// Analyse each router's records alone too, beside all of them together, where a flow that several
    /// saw counts once. Reads the records once more for each.
    #[arg(long, conflicts_with = "exporter")]
    each_exporter: bool,
    /// Keep days here, and take those from here that the files do not have.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Replace days there even by fewer records than they were made of.
    #[arg(long, requires = "state")]
    replace: bool,
    #[command(flatten)]
    output: Output,
    /// Leave out the third pass: no beta, no utilisation.
    #[arg(long)]
    alpha_only: bool,
    /// Decompose this day's traffic into alpha and beta; memory grows with its flows.
    #[arg(long, value_name = "DAY")]
    burst: Option<String>,
    /// Data doors: lines of PREFIX NAME [PORT,PORT...].
    #[arg(long, value_name = "FILE")]
    doors: Option<PathBuf>,
    /// Capacity of an LSP in bit/s, such as 10000000000 or 10G: for the time above 50, 80 and 100 % of it.
    #[arg(long, value_name = "BPS", value_parser = bits)]
    capacity: Option<u64>,
    /// Capacities of LSPs: lines of INGRESS EGRESS BPS, routers as the tables name them. Of those left
    /// out --capacity says it.
    #[arg(long, value_name = "FILE")]
    capacities: Option<PathBuf>,
    /// Write the PBR table and the LSPs for the control side.
    #[arg(long, value_name = "DIR")]
    emit: Option<PathBuf>,
    /// IPv4 prefix length of the table to emit: 24 or 32.
    #[arg(long, default_value_t = 24, value_name = "BITS")]
    emit_width: u8,
    /// Its aging.
    #[arg(long, default_value = "30", value_name = "AGE")]
    emit_aging: Aging,
    /// The interval it is for; default: the one after the last.
    #[arg(long, value_name = "DAY")]
    emit_day: Option<String>,
    /// Exporter of records that name none.
    #[arg(long, value_name = "ADDR")]
    assume_exporter: Option<IpAddr>,
    /// Sampling where records tell none: N, or EXPORTER=N; may be given more than once.
    #[arg(long, value_name = "[ADDR=]N")]
    assume_sampling: Vec<String>,
    /// Workers. Results do not depend on it.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Who goes over the records: arrow, rows, datafusion or ballista://HOST:PORT. Results do not depend
    /// on it.
    #[arg(long, default_value = "arrow", value_name = "ENGINE")]
    engine: Engine,
    /// Most memory to use, such as 512M or 4G; a run that needs more ends with an error before it has it.
    #[arg(long, value_name = "SIZE", value_parser = octets)]
    memory: Option<u64>,
    #[command(flatten)]
    dimensions: Dimensions,
}

const HELP: &str = "\
Examples:
  hntes fam flows                                    what telesteer collect --parquet flows stored
  TZ=UTC nfdump -R /var/nfdump -o csv | hntes fam --assume-sampling 1000 -
  hntes fam --h 500000000 --zone Europe/Berlin --table series *.csv
  hntes fam --state days --emit control flows/date=2026-11-26     a day more, and its table for routers
  hntes fam --each-exporter --json flows             all routers together, and each alone

Units: bytes are octets scaled by sampling, a GB is 10^9 bytes; columns end in their unit (_s, _h, _bps,
_percent). Intervals are days of --zone unless --hourly.

Where a collector has the flows already, let it pass the raw datagrams on to `telesteer collect --parquet
DIR`, or capture them (tcpdump -w FILE). docs/inputs.md has the commands, and those for nfdump, pmacct and
goflow2.

Standard output has the tables, standard error what could not be read, or is odd.
Exit: 0 analysed, though some of the files may have been left out, which is said; 1 is not used; 2 could not
run: wrong arguments, no file that can be read, too little memory.";

/// Runs the analysis and prints it.
pub fn run(args: &Args) -> Result<()> {
    args.output.print(&analyse(args)?)
}

/// What an analysis came to.
pub(crate) struct Outcome {
    /// The tables of all records together.
    pub(crate) tables: Vec<Table>,
    /// Those of each router alone, if asked for.
    pub(crate) each: Vec<(IpAddr, Vec<Table>)>,
}

/// Whose records an analysis is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'p> {
    /// Days are kept here.
    pub(super) state: Option<&'p Path>,
    /// Nothing is said, decomposed or emitted: that is done for all of them together.
    pub(super) alone: bool,
}

/// Runs the analysis.
pub(crate) fn analyse(args: &Args) -> Result<Outcome> {
    let reading = args.reading()?;
    let assume = args.assume()?;
    let capacities = Capacities::new(args.capacities.as_deref(), args.capacity)?;
    if args.files.is_empty() && args.state.is_none() {
        bail!("no files, and no --state to take days from");
    }
    let sources = Sources::new(&args.files, args.spool)?;
    remarks::of_sources(&sources);
    let watch = Watch::new(args.memory);
    let files = &sources.files;
    let mut work = Work::new(files, &args.engine, args.memory, &assume, args.threads, &watch)?;
    let part = Part { state: args.state.as_deref(), alone: false };
    let mut tables = work.try_all(|work| args.analyse(work, &reading, part, &capacities))?;
    tables.push(tables::input::named_again(&sources.again));
    if !args.each_exporter {
        return Ok(Outcome { tables, each: Vec::new() });
    }
    let each = each::tables(&mut work, &reading, part.state, |work, reading, part| {
        args.analyse(work, reading, part, &capacities)
    })?;
    tables.push(each::beside(&tables, &each));
    Ok(Outcome { tables, each })
}

fn first_width(reading: &Reading) -> Width {
    reading.widths.first().copied().unwrap_or(Width::NET)
}

impl Args {
    /// The files to read, as they were named.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// How tables are printed.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// The reading asked for.
    pub(crate) fn reading(&self) -> Result<Reading> {
        self.switches.reading()
    }

    /// All tables of a part.
    fn analyse(
        &self,
        work: &Work<'_>,
        reading: &Reading,
        part: Part<'_>,
        capacities: &Capacities,
    ) -> Result<Vec<Table>> {
        let mut found = work.read(reading)?;
        let state = self.state(part, work.assume(), reading)?;
        let days = std::mem::take(&mut found.days);
        let Known { days, read, stayed, far } =
            Known::new(days, state.as_ref(), self.replace, reading)?;
        let known = lsps(&days, reading);
        let far = if part.alone { Vec::new() } else { work.far(&far, reading)? };
        if !part.alone {
            remarks::say(&found.reports, &days, &stayed, &far, reading);
            remarks::of_capacities(capacities, &known);
        }
        let traffic = self.traffic(work, &days, reading)?;
        let histories: Vec<PairHistory> =
            reading.widths.iter().map(|width| PairHistory::new(&days, *width)).collect();
        let aged: Vec<(Policy, Aged)> = histories
            .iter()
            .flat_map(|history| self.aging.iter().map(move |aging| (history, *aging)))
            .map(|(history, aging)| {
                let policy = Policy { width: history.width, aging };
                (policy, age(history, aging, reading, &traffic))
            })
            .collect();

        let mut all = vec![
            tables::flows::summary(&days, reading),
            tables::input::files(&found.reports),
            tables::input::bad_lines(&found.reports),
            tables::input::notes(&found.reports),
            tables::input::left_out(&days, reading),
            tables::input::far_records(&far, reading),
            tables::flows::day_series(&days, reading),
            tables::flows::raw_flows(&days, reading),
            tables::flows::prefix_flows(&histories),
            tables::pairs::prefix_flows(&histories, reading),
            tables::pairs::super_prefix_flows(&days, reading),
            tables::hypothesis::hypothesis(&histories, &reading.calendar),
            tables::hypothesis::lifetimes(&histories),
            tables::redirect::effect(&aged, reading),
            tables::redirect::sizes(&aged, reading),
            tables::redirect::days(&aged, reading),
            tables::redirect::new_flows(&aged),
            tables::flows::lsp_months(&days, reading),
            tables::state::stayed(&stayed, reading),
            tables::beta::unused_capacities(capacities, &known),
        ];
        all.extend(tables::flows::simultaneous(&days, reading));
        all.extend(self.dimensions.tables(work, &days, state.is_some(), reading)?);
        if let Some(path) = &self.doors {
            all.extend(tables::flows::doors(&days, &lists::doors(path)?, first_width(reading)));
        }
        if !self.alpha_only {
            let plan = Plan::new(&days, &histories, &self.aging, &traffic, reading).only(read);
            let third = beta::Third { work, state: state.as_ref(), capacities, alone: part.alone };
            all.extend(third.tables(&found, plan, reading)?);
        }
        if part.alone {
            return Ok(all);
        }
        if let Some(label) = &self.burst {
            let day = reading.calendar.parse(label);
            let day = day.with_context(|| format!("--burst {label}: no such interval"))?;
            all.push(tables::burst::decomposition(&work.burst(day, reading)?));
        }
        // Last: it tells what is new since it was done before, so it is not for runs that fail.
        if let Some(dir) = &self.emit {
            self.emit(dir, &days, &histories, &traffic, reading)?;
        }
        Ok(all)
    }

    /// The folder of days, where there is one.
    fn state(&self, part: Part<'_>, assume: &Assume, reading: &Reading) -> Result<Option<State>> {
        let Some(dir) = part.state else { return Ok(None) };
        State::open(dir, &Basis::new(reading, self.switches.zone(), assume)).map(Some)
    }

    fn assume(&self) -> Result<Assume> {
        assume::assume(self.assume_exporter, &self.assume_sampling)
    }

    fn traffic(&self, work: &Work<'_>, days: &Days, reading: &Reading) -> Result<Traffic> {
        if reading.refresh != Refresh::AnyTraffic {
            return Ok(Traffic::new());
        }
        if self.state.is_some() {
            bail!("--refresh any-traffic needs all records at hand; leave out --state");
        }
        work.traffic(days, reading)
    }

    fn emit(
        &self,
        dir: &Path,
        days: &Days,
        histories: &[PairHistory],
        traffic: &Traffic,
        reading: &Reading,
    ) -> Result<()> {
        let history = histories
            .iter()
            .find(|history| history.width.v4 == self.emit_width)
            .with_context(|| format!("--emit-width {}: not analysed", self.emit_width))?;
        let (first, last) = match (days.keys().next(), days.keys().next_back()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => bail!("--emit: no day was read"),
        };
        let day = match &self.emit_day {
            None => last.plus(1),
            Some(label) => {
                let day = reading.calendar.parse(label);
                let day = day.with_context(|| format!("--emit-day {label}: no such interval"))?;
                if day < first || day > last.plus(1) {
                    bail!("--emit-day {label}: nothing is known of the day before");
                }
                day
            }
        };
        let policy = Policy { width: history.width, aging: self.emit_aging };
        let aged = age(history, policy.aging, reading, traffic);
        let emitted = emit::emitted(dir, days, policy, &aged.in_force, day, reading)?;
        let path = emit::write(dir, &emitted)?;
        eprintln!("hntes: {} entries in {}", emitted.entries.len(), path.display());
        Ok(())
    }
}
