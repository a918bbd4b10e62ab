// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The passes over all records: by an engine where files allow it, row by row where they do not. What
//! comes out is the same.

mod engine;

pub use engine::Engine;

use crate::exporters;
use crate::input::passes::Passes;
use crate::input::source::Source;
use crate::input::{self, Assume, FileReport, Format};
use crate::watch::Watch;
use anyhow::{Error, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_engine::notes::Notes;
use telesteer_engine::stored::{self, Stored};
use telesteer_engine::{Assumed, Fields, Pick, Run, bare, totals};
use telesteer_fam::aging::Traffic;
use telesteer_fam::beta::{BetaDay, BetaPass};
use telesteer_fam::burst::{BurstPass, Connections};
use telesteer_fam::day::{Gather, join};
use telesteer_fam::plan::Plan;
use telesteer_fam::sample::{FlowSample, Sample};
use telesteer_fam::series::{Days, PairHistory};
use telesteer_fam::suspects::Suspects;
use telesteer_fam::traffic::TrafficPass;
use telesteer_fam::{Day, PrefixFlow, Reading, Record, screen};

/// The files of a run and who reads them.
pub struct Work<'w> {
    files: &'w [Source],
    /// Numbers of files that are read row by row.
    rows: Vec<usize>,
    /// Numbers of files that the engine takes.
    taken: Vec<usize>,
    stored: Vec<Stored>,
    engine: Engine,
    #[cfg(feature = "sql")]
    sql: Option<telesteer_engine::sql::Engine>,
    assume: &'w Assume,
    assumed: Assumed,
    threads: usize,
    watch: &'w Watch,
}

/// What the first two passes gave.
pub struct Found {
    /// The days.
    pub days: Days,
    /// A report for each file, in order.
    pub reports: Vec<FileReport>,
    /// What the files of the engine came to by day.
    totals: totals::Days,
}

/// Records of one file on days that are not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Far {
    /// The file.
    pub path: PathBuf,
    /// How many.
    pub records: u64,
    /// The first of the days.
    pub first: Day,
    /// The last.
    pub last: Day,
}

impl<'w> Work<'w> {
    /// Looks which files the engine can take.
    pub fn new(
        files: &'w [Source],
        engine: &Engine,
        memory: Option<u64>,
        assume: &'w Assume,
        threads: usize,
        watch: &'w Watch,
    ) -> Result<Self> {
        let (mut rows, mut taken, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        for (number, Source { at, .. }) in files.iter().enumerate() {
            let parquet = *engine != Engine::Rows && at.extension() == Some("parquet".as_ref());
            match parquet.then(|| stored::look(at)) {
                Some(Ok(file)) => {
                    taken.push(number);
                    stored.push(file);
                }
                // Whatever is wrong with it, the reader of rows says so.
                Some(Err(_)) | None => rows.push(number),
            }
        }
        #[cfg(not(feature = "sql"))]
        let _ = memory;
        Ok(Self {
            files,
            rows,
            taken,
            stored,
            #[cfg(feature = "sql")]
            sql: engine::sql(engine, memory, threads)?,
            engine: engine.clone(),
            assumed: assume.assumed(),
            assume,
            threads,
            watch,
        })
    }

    /// Whether the run may be tried again, files that the engine failed at being left to the reader of
    /// rows. Every try leaves at least one more.
    fn set_aside(&mut self, error: &Error) -> bool {
        use telesteer_engine::Error::{File, Query, Sampling, Stopped};
        let all = |work: &mut Self| {
            work.rows.append(&mut work.taken);
            work.stored.clear();
            work.rows.sort_unstable();
        };
        if self.stored.is_empty() {
            return false;
        }
        match error.downcast_ref() {
            Some(File { path, .. }) => {
                let Some(at) = self.stored.iter().position(|file| file.path == *path) else {
                    return false;
                };
                self.stored.remove(at);
                self.rows.push(self.taken.remove(at));
                self.rows.sort_unstable();
            }
            Some(Sampling(_)) => all(self),
            Some(Query(_)) if self.engine == Engine::DataFusion => all(self),
            Some(Query(_) | Stopped(_)) | None => return false,
        }
        eprintln!("hntes: {error:#}; read row by row");
        true
    }

    /// Tries a step until no file is left that the engine fails at.
    pub fn try_all<T>(&mut self, step: impl Fn(&Self) -> Result<T>) -> Result<T> {
        loop {
            match step(self) {
                Err(error) if self.set_aside(&error) => {}
                outcome => return outcome,
            }
        }
    }

    /// What the files do not say themselves.
    pub fn assume(&self) -> &Assume {
        self.assume
    }

    /// The first two passes.
    pub fn read(&self, reading: &Reading) -> Result<Found> {
        let window = reading.detector == telesteer_fam::reading::Detector::Window;
        let (assumed, new) = (self.assumed.highest(), || Suspects::new(reading));
        let pick = if window { Pick::All } else { Pick::above(reading, assumed) };
        let look = |state: &mut Suspects<'_>, record: &Record| state.observe(record);
        let (suspects, mut reports) =
            self.pass("suspects", &pick, new, look, look, Suspects::merge)?;
        let (totals, notes) = self.totals(reading)?;
        for (number, file) in self.taken.iter().zip(&self.stored) {
            let notes = notes.get(number).copied().unwrap_or_default();
            reports.push((*number, FileReport::taken(&file.path, file.rows, notes)));
        }
        reports.sort_by_key(|(number, _)| *number);
        let reports: Vec<FileReport> = reports.into_iter().map(|(_, report)| report).collect();
        let read = |report: &FileReport| report.failed.is_none() || report.records > 0;
        if !reports.is_empty() && !reports.iter().any(read) {
            bail!("{}", reports[0].failed.as_deref().unwrap_or("no file can be read"));
        }

        let pick = match suspects.keys() {
            Some(keys) => Pick::flows(keys.copied()),
            None => Pick::All,
        };
        let rounds = suspects.rounds();
        if rounds.len() > 1 {
            eprintln!(
                "hntes: {} records may be of alpha flows, more than --suspect-reports {}: the second pass is \
                 done {} times; more --suspect-buckets than {} leave fewer",
                suspects.records(),
                reading.suspect_reports,
                rounds.len(),
                reading.suspect_buckets,
            );
        }
        let mut days = Days::new();
        for (number, round) in rounds.into_iter().enumerate() {
            let (mut gather, _) = self.pass(
                "alpha flows",
                &pick,
                || Gather::new(&suspects, round.clone()),
                |gather: &mut Gather<'_>, record: &Record| match number {
                    0 => gather.observe(record),
                    _ => gather.observe_counted(record),
                },
                Gather::observe_counted,
                Gather::merge,
            )?;
            if number == 0 {
                totals.iter().for_each(|(day, totals)| gather.add_totals(*day, totals));
            }
            join(&mut days, gather.finish());
        }
        Ok(Found { days, reports, totals })
    }

    /// Which known prefix flows had traffic.
    pub fn traffic(&self, days: &Days, reading: &Reading) -> Result<Traffic> {
        let pass = TrafficPass::new(days, reading);
        let pick = Pick::prefixes(pairs(days, reading));
        let see = |state: &mut TrafficPass<'_>, record: &Record| state.observe(record);
        let new = || pass.clone();
        let (traffic, _) = self.pass("traffic", &pick, new, see, see, TrafficPass::merge)?;
        Ok(traffic.finish())
    }

    /// Every router with a record, whether the reading counts it or not.
    pub fn exporters(&self) -> Result<BTreeSet<IpAddr>> {
        self.watch.begin("exporters", None);
        let files: Vec<&Source> = self.rows.iter().map(|at| &self.files[*at]).collect();
        let mut found = exporters::of_rows(&self.passes(&files))?;
        found.extend(exporters::of_columns(&self.engine_run(&self.tick()))?);
        self.watch.end();
        Ok(found)
    }

    /// The third pass: beta traffic of the days that the plan reads.
    pub fn beta(
        &self,
        found: &Found,
        plan: &Plan<'_>,
        reading: &Reading,
    ) -> Result<BTreeMap<Day, BetaDay>> {
        let pick = Pick::prefixes(plan.pairs());
        // An engine shows what may be in a table; the bytes of all else are known by then.
        type Seen<'p> = (BetaPass<'p>, BTreeMap<Day, u64>);
        let add = |bytes: &mut BTreeMap<Day, u64>, day: Day, more: u64| {
            let sum = bytes.entry(day).or_default();
            *sum = sum.saturating_add(more);
        };
        let (seen, _) = self.pass(
            "beta",
            &pick,
            || -> Seen<'_> { (BetaPass::new(plan), BTreeMap::new()) },
            |seen: &mut Seen<'_>, record| seen.0.observe(record),
            |seen: &mut Seen<'_>, record| {
                if let Ok(bytes) = screen::bytes(record, reading) {
                    add(&mut seen.1, reading.calendar.day(record.first), bytes);
                }
                seen.0.observe(record);
            },
            |ours, theirs| {
                ours.0.merge(theirs.0);
                theirs.1.into_iter().for_each(|(day, bytes)| add(&mut ours.1, day, bytes));
            },
        )?;
        let (mut beta, shown) = seen;
        for (day, totals) in &found.totals {
            let shown = shown.get(day).copied().unwrap_or(0);
            beta.add_bytes(*day, totals.bytes.saturating_sub(shown));
        }
        Ok(beta.finish())
    }

    /// Records of each file on days that are not believed. Reads everything once more if there are any.
    pub fn far(&self, days: &BTreeSet<Day>, reading: &Reading) -> Result<Vec<Far>> {
        let mut found = Vec::new();
        if days.is_empty() {
            return Ok(found);
        }
        self.watch.begin("far records", None);
        for (number, source) in self.files.iter().enumerate() {
            let mut counts: BTreeMap<Day, u64> = BTreeMap::new();
            if let Some(at) = self.taken.iter().position(|taken| *taken == number) {
                let tick = self.tick();
                let run = Run { files: &self.stored[at..=at], ..self.engine_run(&tick) };
                let (totals, _) = bare::totals(&run, reading)?;
                counts.extend(totals.iter().map(|(day, totals)| (*day, totals.all())));
            } else {
                // What is wrong with the file was said when it was read for the first time.
                let _ = input::read_source(source, self.assume, |record| {
                    *counts.entry(reading.calendar.day(record.first)).or_default() += 1;
                });
            }
            counts.retain(|day, _| days.contains(day));
            if let (Some((first, _)), Some((last, _))) =
                (counts.first_key_value(), counts.last_key_value())
            {
                let (first, last, records) = (*first, *last, counts.values().sum());
                found.push(Far { path: source.name.clone(), records, first, last });
            }
        }
        self.watch.end();
        Ok(found)
    }

    /// All flows of `days`, or a sample of them of at most so many reports.
    pub fn sample(&self, days: &Days, most: u64, reading: &Reading) -> Result<Sample> {
        let see = |state: &mut FlowSample<'_>, record: &Record| state.observe(record);
        let new = || FlowSample::new(days, most, reading);
        let (sample, _) = self.pass("all flows", &Pick::All, new, see, see, FlowSample::merge)?;
        Ok(sample.finish())
    }

    /// A day taken apart.
    pub fn burst(&self, day: Day, reading: &Reading) -> Result<Connections> {
        let see = |state: &mut BurstPass<'_>, record: &Record| state.observe(record);
        let new = || BurstPass::new(day, reading);
        let (burst, _) = self.pass("burst", &Pick::All, new, see, see, BurstPass::merge)?;
        Ok(burst.finish())
    }

    fn totals(&self, reading: &Reading) -> Result<(totals::Days, BTreeMap<usize, Notes>)> {
        if self.stored.is_empty() {
            return Ok(Default::default());
        }
        self.watch.begin("totals", Some(self.stored.iter().map(|file| file.rows).sum()));
        #[cfg(feature = "sql")]
        if let Some(sql) = &self.sql {
            return Ok((sql.totals(&self.engine_run(&self.tick()), reading)?, BTreeMap::new()));
        }
        let (days, notes) = bare::totals(&self.engine_run(&self.tick()), reading)?;
        let by_file = notes.into_iter().map(|(at, notes)| (self.taken[at], notes));
        Ok((days, by_file.collect()))
    }

    fn tick(&self) -> impl Fn(u64) -> Result<(), String> + Sync + '_ {
        |records| self.watch.tick(records)
    }

    fn engine_run<'r>(&'r self, tick: &'r (dyn Fn(u64) -> Result<(), String> + Sync)) -> Run<'r> {
        // No analysis asks for class or packets.
        let fields = Fields { rest: false, ..Fields::ALL };
        Run { files: &self.stored, assumed: &self.assumed, threads: self.threads, fields, tick }
    }

    fn passes<'p>(&'p self, files: &'p [&'p Source]) -> Passes<'p> {
        Passes { files, assume: self.assume, threads: self.threads, watch: self.watch }
    }

    /// One pass: all rows of the files that are read so, those of `pick` of the others. Reports are of
    /// the former, with their numbers.
    fn pass<P: Send>(
        &self,
        name: &str,
        pick: &Pick,
        new: impl Fn() -> P + Sync,
        observe: impl Fn(&mut P, &Record) + Sync,
        observe_taken: impl Fn(&mut P, &Record) + Sync,
        merge: impl Fn(&mut P, P),
    ) -> Result<(P, Vec<(usize, FileReport)>)> {
        let known = self.stored.iter().map(|file| file.rows).sum();
        self.watch.begin(name, self.rows.is_empty().then_some(known));
        let files: Vec<&Source> = self.rows.iter().map(|at| &self.files[*at]).collect();
        let (mut state, reports) = self.passes(&files).run(&new, observe, &merge)?;
        if !self.stored.is_empty() {
            let tick = self.tick();
            let run = self.engine_run(&tick);
            #[cfg(feature = "sql")]
            let theirs = match &self.sql {
                Some(sql) => {
                    let mut theirs = new();
                    sql.rows(&run, pick, |record| observe_taken(&mut theirs, record))?;
                    theirs
                }
                None => bare::rows(&run, pick, &new, &observe_taken, &merge)?,
            };
            #[cfg(not(feature = "sql"))]
            let theirs = bare::rows(&run, pick, &new, &observe_taken, &merge)?;
            merge(&mut state, theirs);
        }
        self.watch.end();
        Ok((state, self.rows.iter().copied().zip(reports).collect()))
    }
}

/// Every prefix flow with an alpha flow on any day, of all widths. What keeps an entry young is traffic
/// of its own, whichever way it redirects.
fn pairs(days: &Days, reading: &Reading) -> Vec<PrefixFlow> {
    let widths = reading.widths.iter();
    widths.flat_map(|width| PairHistory::new(days, *width).all()).collect()
}

impl FileReport {
    /// Of a file that an engine took.
    fn taken(path: &std::path::Path, records: u64, notes: Notes) -> Self {
        Self { format: Some(Format::Parquet), records, notes, ..Self::new(path) }
    }
}
