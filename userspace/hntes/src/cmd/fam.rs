// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes fam`: the analysis.

use crate::cmd::switches::Switches;
use crate::emit;
use crate::input::{Assume, FileReport, passes};
use crate::state::State;
use crate::tables::{self, Table};
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_fam::aging::{Aged, Aging, Policy, Traffic, age};
use telesteer_fam::beta::{BetaPass, Plan, TableBeta};
use telesteer_fam::burst::BurstPass;
use telesteer_fam::day::Gather;
use telesteer_fam::doors::Door;
use telesteer_fam::reading::Refresh;
use telesteer_fam::series::{Days, PairHistory};
use telesteer_fam::suspects::Suspects;
use telesteer_fam::traffic::TrafficPass;
use telesteer_fam::{Reading, Sampling, Width};

/// Find alpha flows in flow records; say what tables learnt from them would redirect.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files of flow records: CSV (ours or nfdump's) or lines of JSON (pmacct, goflow2, telesteer).
    files: Vec<PathBuf>,
    #[command(flatten)]
    switches: Switches,
    /// Ages to try: intervals without alpha flows after which an entry goes, or `never`.
    #[arg(long, value_delimiter = ',', default_value = "7,14,30,never")]
    aging: Vec<Aging>,
    /// Keep days here, and take those from here that the files do not have.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print all tables as one JSON object.
    #[arg(long)]
    json: bool,
    /// Write every table as NAME.csv.
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
    /// Print only these tables, long ones too. A name that does not exist lists all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    table: Vec<String>,
    /// Leave out the third pass: no beta, no utilisation.
    #[arg(long)]
    alpha_only: bool,
    /// Decompose this day's traffic into alpha and beta; memory grows with its flows.
    #[arg(long, value_name = "DAY")]
    burst: Option<String>,
    /// Data doors: lines of PREFIX NAME [PORT,PORT...].
    #[arg(long, value_name = "FILE")]
    doors: Option<PathBuf>,
    /// Capacity of an LSP in bit/s.
    #[arg(long, value_name = "BPS")]
    capacity: Option<u64>,
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
    /// Workers, each reading one file at a time. Results do not depend on it.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What the passes over the files gave.
struct Read {
    days: Days,
    reports: Vec<FileReport>,
}

/// Runs the analysis and prints it.
pub fn run(args: &Args) -> Result<()> {
    args.print(&analyse(args)?)
}

/// Runs the analysis.
pub(crate) fn analyse(args: &Args) -> Result<Vec<Table>> {
    let reading = args.reading()?;
    let assume = args.assume()?;
    if args.files.is_empty() && args.state.is_none() {
        bail!("no files, and no --state to take days from");
    }
    let read = args.read(&reading, &assume)?;
    let mut days = read.days;
    if let Some(dir) = &args.state {
        let state = State::open(dir, &reading)?;
        state.store(&days, &reading)?;
        days = state.load(&reading)?;
    }
    for report in &read.reports {
        let bad: u64 = report.bad.values().map(|bad| bad.lines).sum();
        if let Some(failed) = &report.failed {
            eprintln!("hntes: {failed}");
        } else if bad > 0 {
            eprintln!("hntes: {}: {bad} lines are no record", report.path.display());
        }
    }
    let traffic = args.traffic(&days, &reading, &assume)?;
    let histories: Vec<PairHistory> =
        reading.widths.iter().map(|width| PairHistory::new(&days, *width)).collect();
    let aged: Vec<(Policy, Aged)> = histories
        .iter()
        .flat_map(|history| args.aging.iter().map(move |aging| (history, *aging)))
        .map(|(history, aging)| {
            let policy = Policy { width: history.width, aging };
            (policy, age(history, aging, &reading, &traffic))
        })
        .collect();

    let mut all = vec![
        tables::flows::summary(&days, &reading),
        tables::input::files(&read.reports),
        tables::input::bad_lines(&read.reports),
        tables::input::left_out(&days, &reading),
        tables::flows::day_series(&days, &reading),
        tables::flows::raw_flows(&days, &reading),
        tables::flows::prefix_flows(&histories),
        tables::pairs::prefix_flows(&histories, &reading),
        tables::pairs::super_prefix_flows(&days, &reading),
        tables::hypothesis::hypothesis(&histories, &reading.calendar),
        tables::hypothesis::lifetimes(&histories),
        tables::redirect::effect(&aged, &reading),
        tables::redirect::sizes(&aged),
        tables::redirect::days(&aged, &reading),
        tables::redirect::new_flows(&aged),
        tables::flows::lsp_months(&days, &reading),
    ];
    all.extend(tables::flows::simultaneous(&days, &reading));
    all.extend(tables::flows::shapes(&days));
    if let Some(path) = &args.doors {
        all.extend(tables::flows::doors(&days, &read_doors(path)?, first_width(&reading)));
    }
    if let Some(dir) = &args.emit {
        args.emit(dir, &days, &histories, &traffic, &reading)?;
    }
    if !args.alpha_only && !args.files.is_empty() {
        let beta = args.beta(&days, aged, &reading, &assume)?;
        all.extend(tables::beta::redirected(&beta, &reading));
        all.push(tables::beta::utilisation(&beta, &reading, args.capacity));
    }
    if let Some(label) = &args.burst {
        all.push(args.burst(label, &reading, &assume)?);
    }
    Ok(all)
}

fn first_width(reading: &Reading) -> Width {
    reading.widths.first().copied().unwrap_or(Width::NET)
}

impl Args {
    /// The files to read.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The reading asked for.
    pub(crate) fn reading(&self) -> Result<Reading> {
        self.switches.reading()
    }

    /// Whether tables shall be printed or written apart.
    pub(crate) fn wants_tables(&self) -> bool {
        self.json || self.csv.is_some() || !self.table.is_empty()
    }

    fn assume(&self) -> Result<Assume> {
        let mut assume = Assume { exporter: self.assume_exporter, ..Assume::default() };
        for text in &self.assume_sampling {
            let number = |text: &str| {
                text.parse()
                    .ok()
                    .and_then(Sampling::one_in)
                    .with_context(|| format!("--assume-sampling {text}: not a number of packets"))
            };
            match text.split_once('=') {
                Some((exporter, n)) => {
                    let exporter = exporter
                        .parse()
                        .with_context(|| format!("--assume-sampling {text}: no address"))?;
                    assume.sampling_of.insert(exporter, number(n)?);
                }
                None => assume.sampling = Some(number(text)?),
            }
        }
        Ok(assume)
    }

    /// The first two passes.
    fn read(&self, reading: &Reading, assume: &Assume) -> Result<Read> {
        let passes = passes::Passes { files: &self.files, assume, threads: self.threads };
        let (suspects, reports) =
            passes.run(|| Suspects::new(reading), Suspects::observe, Suspects::merge);
        let readable = reports.iter().filter(|report| report.failed.is_none()).count();
        if readable == 0 && !reports.is_empty() {
            bail!("{}", reports[0].failed.as_deref().unwrap_or("no file can be read"));
        }
        let (gather, _) = passes.run(|| Gather::new(&suspects), Gather::observe, Gather::merge);
        Ok(Read { days: gather.finish(), reports })
    }

    fn traffic(&self, days: &Days, reading: &Reading, assume: &Assume) -> Result<Traffic> {
        if reading.refresh != Refresh::AnyTraffic {
            return Ok(Traffic::new());
        }
        if self.state.is_some() {
            bail!("--refresh any-traffic needs all records at hand; leave out --state");
        }
        let passes = passes::Passes { files: &self.files, assume, threads: self.threads };
        let pass = TrafficPass::new(days, reading);
        let (traffic, _) = passes.run(|| pass.clone(), TrafficPass::observe, TrafficPass::merge);
        Ok(traffic.finish())
    }

    /// The third pass. With --state it is about the days whose records were read.
    fn beta(
        &self,
        days: &Days,
        aged: Vec<(Policy, Aged)>,
        reading: &Reading,
        assume: &Assume,
    ) -> Result<Vec<TableBeta>> {
        let passes = passes::Passes { files: &self.files, assume, threads: self.threads };
        let plan = Plan::new(days, aged, reading);
        let (beta, _) = passes.run(|| BetaPass::new(&plan), BetaPass::observe, BetaPass::merge);
        Ok(beta.finish())
    }

    fn burst(&self, label: &str, reading: &Reading, assume: &Assume) -> Result<Table> {
        let day = reading.calendar.parse(label);
        let day = day.with_context(|| format!("--burst {label}: no such interval"))?;
        let passes = passes::Passes { files: &self.files, assume, threads: self.threads };
        let new = || BurstPass::new(day, reading);
        let (pass, _) = passes.run(new, BurstPass::observe, BurstPass::merge);
        Ok(tables::burst::decomposition(&pass.finish()))
    }

    fn emit(
        &self,
        dir: &std::path::Path,
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
        let emitted = emit::emitted(days, policy, &aged.in_force, day, reading);
        let path = emit::write(dir, &emitted)?;
        eprintln!("hntes: {} entries in {}", emitted.entries.len(), path.display());
        Ok(())
    }

    /// Prints the tables as asked for.
    pub(crate) fn print(&self, all: &[Table]) -> Result<()> {
        if let Some(dir) = &self.csv {
            tables::write_csv(all, dir).with_context(|| format!("writing to {}", dir.display()))?;
        }
        if let Some(name) = self.table.iter().find(|name| all.iter().all(|t| t.name != **name)) {
            let names: Vec<_> = all.iter().map(|table| table.name).collect();
            bail!("--table {name}: no such table; there are {}", names.join(", "));
        }
        let asked = |table: &&Table| self.table.iter().any(|name| name == table.name);
        let text = if self.json {
            let picked: Vec<Table> =
                all.iter().filter(|t| self.table.is_empty() || asked(t)).cloned().collect();
            format!("{}\n", tables::to_json(&picked))
        } else {
            let short = |table: &&Table| !table.long && !table.rows.is_empty();
            let picked = all.iter().filter(|table| match self.table.is_empty() {
                true => short(table),
                false => asked(table),
            });
            picked.map(Table::to_text).collect::<Vec<_>>().join("\n")
        };
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            // Whoever read had enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("writing to standard output"),
        }
    }
}

fn read_doors(path: &std::path::Path) -> Result<Vec<Door>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut doors = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{}, line {}", path.display(), number + 1);
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(prefix) = words.next() else { continue };
        let prefix = prefix.parse().with_context(at)?;
        let name = words.next().with_context(|| format!("{}: no name", at()))?.to_owned();
        let ports = words.next().map_or(Ok(Default::default()), |ports| {
            ports.split(',').map(str::parse).collect::<Result<_, _>>()
        });
        doors.push(Door { prefix, name, ports: ports.with_context(at)? });
    }
    Ok(doors)
}
