// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The passes by our engines.
//!
//! - `alpha`: records above H, summed by 5-tuple and day.
//! - `totals`: all records and their octets by day, and what is left out.
//! - `flows`: all records between the hosts of the alpha flows, summed by 5-tuple and day, of alpha flows.
//! - `beta`: records of no alpha report between two networks of the table, summed by pair and day.

use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};
use telesteer_engine::stored::{Stored, look};
use telesteer_engine::{Assumed, Fields, Pick, Run, bare};
use telesteer_fam::{
    Day, FiveTuple, Prefix, PrefixFlow, Reading as Definitions, Record, Width, screen,
};

use crate::Done;
use crate::child::{self, Reading};
use crate::workload::{H, PAIRS, alpha_keys, made, pair};

/// Which pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pass {
    Alpha,
    Totals,
    Flows,
    Beta,
}

impl Pass {
    pub(crate) const ALL: [Self; 4] = [Self::Alpha, Self::Totals, Self::Flows, Self::Beta];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Totals => "totals",
            Self::Flows => "flows",
            Self::Beta => "beta",
        }
    }
}

/// Whose engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Arrow,
    DataFusion,
    Ballista,
}

/// One pass.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    pass: Pass,
    #[arg(long, value_enum, default_value = "arrow")]
    engine: Engine,
    /// Folder of `make`.
    #[arg(long)]
    data: PathBuf,
    /// Workers.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Scheduler of the cluster.
    #[arg(long, required_if_eq("engine", "ballista"), value_name = "ballista://HOST:PORT")]
    url: Option<String>,
}

/// What a pass found: the same for everyone who counts right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Groups.
    pub(crate) groups: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// Their octets.
    pub(crate) octets: u64,
}

/// Records and octets by what they have in common.
type Sums<K> = HashMap<(K, Day), (u64, u64)>;

fn add<K: Eq + Hash>(sums: &mut Sums<K>, key: K, day: Day, (records, octets): (u64, u64)) {
    let sum = sums.entry((key, day)).or_default();
    *sum = (sum.0 + records, sum.1 + octets);
}

fn merge<K: Eq + Hash>(ours: &mut Sums<K>, theirs: Sums<K>) {
    theirs.into_iter().for_each(|((key, day), sum)| add(ours, key, day, sum));
}

fn answer(sums: impl ExactSizeIterator<Item = (u64, u64)>) -> Answer {
    let mut answer = Answer { groups: sums.len() as u64, ..Answer::default() };
    sums.for_each(|(records, octets)| {
        answer.records += records;
        answer.octets += octets;
    });
    answer
}

/// Prints what the pass found.
pub(crate) fn run(args: &Args) -> Done {
    let stored = stored(&args.data)?;
    let (definitions, assumed) =
        (Definitions { h: H, ..Definitions::default() }, Assumed::default());
    let fields = match args.pass {
        Pass::Alpha | Pass::Flows => Fields { transport: true, ..Fields::ENDS },
        Pass::Totals | Pass::Beta => Fields::ENDS,
    };
    let (files, threads) = (&stored, args.threads);
    let run = Run { files, assumed: &assumed, threads, fields, tick: &|_| Ok(()) };
    let go = Go { engine: args.engine, url: args.url.as_deref(), run: &run };
    let day = |record: &Record| definitions.calendar.day(record.first);
    let found = match args.pass {
        Pass::Alpha => {
            let see = |sums: &mut Sums<FiveTuple>, record: &Record| {
                if let Ok(bytes) = screen::bytes(record, &definitions)
                    && definitions.above(bytes)
                {
                    add(sums, record.key, day(record), (1, bytes));
                }
            };
            answer(go.rows(&Pick::above(&definitions, 0), see, merge)?.values().copied())
        }
        Pass::Totals => {
            let days = go.totals(&definitions)?;
            let sums: Vec<_> = days.values().map(|day| (day.records, day.bytes)).collect();
            answer(sums.into_iter())
        }
        Pass::Flows => {
            let records = made(&args.data)?.records;
            let keys: HashSet<FiveTuple> = alpha_keys(records).collect();
            let see = |sums: &mut Sums<FiveTuple>, record: &Record| {
                if let Ok(bytes) = screen::bytes(record, &definitions)
                    && keys.contains(&record.key)
                {
                    add(sums, record.key, day(record), (1, bytes));
                }
            };
            answer(go.rows(&Pick::flows(keys.iter().copied()), see, merge)?.values().copied())
        }
        Pass::Beta => {
            let table: HashSet<PrefixFlow> = (0..PAIRS).map(|number| flow(pair(number))).collect();
            let see = |sums: &mut Sums<PrefixFlow>, record: &Record| {
                let flow = PrefixFlow::of(&record.key, Width::NET);
                if let Ok(bytes) = screen::bytes(record, &definitions)
                    && !definitions.above(bytes)
                    && table.contains(&flow)
                {
                    add(sums, flow, day(record), (1, bytes));
                }
            };
            answer(go.rows(&Pick::prefixes(table.iter().copied()), see, merge)?.values().copied())
        }
    };
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

fn flow((src, dst): (std::net::Ipv4Addr, std::net::Ipv4Addr)) -> PrefixFlow {
    PrefixFlow { src: Prefix::new(src.into(), 24), dst: Prefix::new(dst.into(), 24) }
}

/// An engine and what it goes over.
struct Go<'g> {
    engine: Engine,
    /// The cluster, for Ballista.
    #[cfg_attr(
        not(feature = "sql"),
        expect(dead_code, reason = "without SQL there is no cluster")
    )]
    url: Option<&'g str>,
    run: &'g Run<'g>,
}

impl Go<'_> {
    fn totals(&self, definitions: &Definitions) -> Result<telesteer_engine::totals::Days> {
        match self.engine {
            Engine::Arrow => Ok(bare::totals(self.run, definitions)?.0),
            #[cfg(feature = "sql")]
            Engine::DataFusion | Engine::Ballista => {
                Ok(self.sql()?.totals(self.run, definitions)?)
            }
            #[cfg(not(feature = "sql"))]
            Engine::DataFusion | Engine::Ballista => bail!("built without SQL"),
        }
    }

    fn rows<P: Send + Default>(
        &self,
        pick: &Pick,
        see: impl Fn(&mut P, &Record) + Sync,
        merge: impl Fn(&mut P, P),
    ) -> Result<P> {
        match self.engine {
            Engine::Arrow => Ok(bare::rows(self.run, pick, P::default, see, merge)?),
            #[cfg(feature = "sql")]
            Engine::DataFusion | Engine::Ballista => {
                let mut state = P::default();
                self.sql()?.rows(self.run, pick, |record| see(&mut state, record))?;
                Ok(state)
            }
            #[cfg(not(feature = "sql"))]
            Engine::DataFusion | Engine::Ballista => bail!("built without SQL"),
        }
    }

    #[cfg(feature = "sql")]
    fn sql(&self) -> Result<telesteer_engine::sql::Engine> {
        use telesteer_engine::sql::{Engine, Place};
        let place = match self.url {
            Some(url) => Place::Cluster(url.to_owned()),
            None => Place::Here { memory: None },
        };
        Ok(Engine::new(place, self.run.threads)?)
    }
}

/// The files of a folder.
fn stored(data: &Path) -> Result<Vec<Stored>> {
    let entries = fs::read_dir(data).with_context(|| format!("reading {}", data.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension() == Some("parquet".as_ref()));
    paths.sort();
    let look =
        |path: &PathBuf| look(path).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()));
    paths.iter().map(look).collect()
}

/// Measures every pass of every engine that was built in.
pub(crate) fn ours(data: &Path, out: &Path, threads: usize, runs: usize) -> Done {
    let mut engines = vec![Engine::Arrow];
    if cfg!(feature = "sql") {
        engines.push(Engine::DataFusion);
    }
    write(out, "ours", &measured(data, out, threads, runs, &engines)?)
}

/// Measures every pass of the bare engine once, for its memory.
pub(crate) fn memory(data: &Path, out: &Path, threads: usize) -> Done {
    write(out, "memory", &measured(data, out, threads, 1, &[Engine::Arrow])?)
}

fn measured(
    data: &Path,
    out: &Path,
    threads: usize,
    runs: usize,
    engines: &[Engine],
) -> Result<Vec<Reading>> {
    let mut readings = Vec::new();
    for pass in Pass::ALL {
        for engine in engines {
            let mut best: Option<Reading> = None;
            for _ in 0..runs.max(1) {
                let reading = one(pass, *engine, data, out, threads, None)?;
                if best.as_ref().is_none_or(|best| reading.cpu_s < best.cpu_s) {
                    best = Some(reading);
                }
            }
            readings.extend(best);
        }
    }
    Ok(readings)
}

/// One pass in a process of its own.
pub(crate) fn one(
    pass: Pass,
    engine: Engine,
    data: &Path,
    out: &Path,
    threads: usize,
    url: Option<&str>,
) -> Result<Reading> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.args(["pass", pass.name(), "--engine", engine.flag(), "--data"]);
    command.arg(data).args(["--threads", &threads.to_string()]);
    command.args(url.iter().flat_map(|url| ["--url", *url]));
    let ran = child::run(&mut command, out)?;
    let answer = serde_json::from_str(&ran.said)
        .with_context(|| format!("{} printed {:?}", engine.flag(), ran.said))?;
    Ok(Reading {
        engine: engine.flag().replace('-', ""),
        pass: pass.name().to_owned(),
        records: made(data)?.records,
        threads,
        cpu_s: ran.cpu_s,
        wall_s: ran.wall_s,
        peak: ran.peak,
        answer,
        parts: Vec::new(),
    })
}

impl Engine {
    /// As the option of `pass` has it.
    fn flag(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::DataFusion => "data-fusion",
            Self::Ballista => "ballista",
        }
    }
}

/// Keeps readings as NAME.json.
pub(crate) fn write(out: &Path, name: &str, readings: &[Reading]) -> Done {
    if readings.is_empty() {
        bail!("{name}: nothing was measured");
    }
    let path = out.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(readings)?;
    fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload;

    /// Both passes find what going over the records one by one finds.
    #[test]
    fn passes_find_what_is_there() {
        let (dir, of) = (tempfile::tempdir().unwrap(), 200_000);
        workload::make(of, dir.path()).unwrap();
        let (stored, assumed) = (stored(dir.path()).unwrap(), Assumed::default());
        let run = Run {
            files: &stored,
            assumed: &assumed,
            threads: 2,
            fields: Fields::ALL,
            tick: &|_| Ok(()),
        };
        let go = Go { engine: Engine::Arrow, url: None, run: &run };
        let count = |pick: &Pick| -> u64 {
            go.rows(pick, |sum: &mut u64, _| *sum += 1, |ours, theirs| *ours += theirs).unwrap()
        };
        let records = || (0..of).map(|number| workload::record(number, of));
        let above = records().filter(|record| record.octets > H).count() as u64;
        assert_eq!(count(&Pick::Above { bytes: H + 1, assumed: 0 }), above);
        let table: Vec<_> = (0..PAIRS).map(|number| flow(pair(number))).collect();
        let near = |record: &Record| table.contains(&PrefixFlow::of(&record.key, Width::NET));
        let near = records().filter(near).count() as u64;
        assert_eq!(
            count(&Pick::prefixes(table.iter().copied())),
            near,
            "no other pair of these networks exists"
        );
    }
}
