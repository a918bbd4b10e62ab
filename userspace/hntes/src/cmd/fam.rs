// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes fam`: the analysis.

use crate::cmd::dimension::Dimensions;
use crate::cmd::known::Known;
use crate::cmd::switches::Switches;
use crate::cmd::{assume, beta, remarks};
use crate::emit;
use crate::input::{Assume, folder};
use crate::lists;
use crate::state::{Basis, State};
use crate::tables::{self, Table};
use crate::watch::Watch;
use crate::work::{Engine, Work};
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_fam::aging::{Aged, Aging, Policy, Traffic, age};
use telesteer_fam::plan::Plan;
use telesteer_fam::reading::Refresh;
use telesteer_fam::series::{Days, PairHistory};
use telesteer_fam::{Reading, Width};

/// Find alpha flows in flow records; say what tables learnt from them would redirect.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files of flow records: Parquet (telesteer collect --parquet), CSV (ours or nfdump's) or lines of
    /// JSON (pmacct, goflow2, telesteer). A folder stands for the Parquet and CSV files below it.
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    switches: Switches,
    /// Ages to try: intervals without alpha flows after which an entry goes, or `never`.
    #[arg(long, value_delimiter = ',', default_value = "7,14,30,never")]
    aging: Vec<Aging>,
    /// Keep days here, and take those from here that the files do not have.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Replace days there even by fewer records than they were made of.
    #[arg(long, requires = "state")]
    replace: bool,
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
    /// Workers. Results do not depend on it.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Who goes over the records: arrow, rows, datafusion or ballista://HOST:PORT. Results do not depend
    /// on it.
    #[arg(long, default_value = "arrow", value_name = "ENGINE")]
    engine: Engine,
    /// Most memory to use, such as 512M or 4G; a run that needs more ends with an error before it has it.
    #[arg(long, value_name = "SIZE", value_parser = crate::watch::octets)]
    memory: Option<u64>,
    #[command(flatten)]
    dimensions: Dimensions,
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
    let files = folder::expand(&args.files)?;
    let watch = Watch::new(args.memory);
    let mut work = Work::new(&files, &args.engine, args.memory, &assume, args.threads, &watch)?;
    loop {
        match args.analyse(&work, &reading) {
            Err(error) if work.set_aside(&error) => {}
            Err(error) => return Err(error),
            Ok(tables) => return Ok(tables),
        }
    }
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

    /// All tables.
    fn analyse(&self, work: &Work<'_>, reading: &Reading) -> Result<Vec<Table>> {
        let mut found = work.read(reading)?;
        let state = self.state(work.assume(), reading)?;
        let days = std::mem::take(&mut found.days);
        let Known { days, read, stayed, far } =
            Known::new(days, state.as_ref(), self.replace, reading)?;
        let far = work.far(&far, reading)?;
        remarks::say(&found.reports, &days, &stayed, &far, reading);
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
            tables::redirect::sizes(&aged),
            tables::redirect::days(&aged, reading),
            tables::redirect::new_flows(&aged),
            tables::flows::lsp_months(&days, reading),
            tables::state::stayed(&stayed, reading),
        ];
        all.extend(tables::flows::simultaneous(&days, reading));
        all.extend(self.dimensions.tables(work, &days, state.is_some(), reading)?);
        if let Some(path) = &self.doors {
            all.extend(tables::flows::doors(&days, &lists::doors(path)?, first_width(reading)));
        }
        if !self.alpha_only {
            let plan = Plan::new(&days, &histories, &self.aging, &traffic, reading).only(read);
            let (state, capacity) = (state.as_ref(), self.capacity);
            all.extend(beta::tables(work, &found, plan, state, capacity, reading)?);
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
    fn state(&self, assume: &Assume, reading: &Reading) -> Result<Option<State>> {
        let Some(dir) = &self.state else { return Ok(None) };
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
        let emitted = emit::emitted(dir, days, policy, &aged.in_force, day, reading)?;
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
