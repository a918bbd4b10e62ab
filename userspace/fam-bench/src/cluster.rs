// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The passes on a Ballista cluster on this machine: a scheduler and executors of one processor each,
//! every one a process, started anew for each pass. What they took to start is not counted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Done;
use crate::child::{self, Part, Reading};
use crate::passes::{Engine, Pass, one, write};

/// Between two looks at what a node said.
const LOOK: Duration = Duration::from_millis(20);
/// Longest that a node may take until it says something.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Folder of `make`.
    #[arg(long)]
    data: PathBuf,
    /// Folder for the readings.
    #[arg(long)]
    out: PathBuf,
    /// The program telesteer-engine-node.
    #[arg(long)]
    node: PathBuf,
    /// Runs of each pass; the best counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Measures every pass on one executor and on two.
pub(crate) fn run(args: &Args) -> Done {
    let mut readings: Vec<Reading> = Vec::new();
    for pass in [Pass::Alpha, Pass::Totals, Pass::Beta] {
        for executors in [1, 2] {
            let mut best: Option<Reading> = None;
            for _ in 0..args.runs.max(1) {
                let reading = on(executors, pass, args)?;
                if best.as_ref().is_none_or(|best| reading.cpu_s < best.cpu_s) {
                    best = Some(reading);
                }
            }
            readings.extend(best);
        }
    }
    write(&args.out, "cluster", &readings)
}

/// One pass on so many executors; its cost is that of all processes.
fn on(executors: usize, pass: Pass, args: &Args) -> Result<Reading> {
    let folder = args.out.join("cluster");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut scheduler = Node::start(&args.node, &["scheduler"], folder.join("scheduler.txt"))?;
    let address = scheduler.first_line()?;
    let mut nodes = Vec::new();
    for number in 0..executors {
        let work = folder.join(number.to_string());
        fs::create_dir(&work).with_context(|| format!("making {}", work.display()))?;
        let words = ["executor", &address, "1", &work.to_string_lossy()];
        let mut node =
            Node::start(&args.node, &words, folder.join(format!("executor-{number}.txt")))?;
        node.first_line()?;
        let (started, _) = child::usage(node.child.id())?;
        nodes.push((node, started));
    }
    let (started, _) = child::usage(scheduler.child.id())?;
    let url = format!("ballista://{address}");
    let client = one(pass, Engine::Ballista, &args.data, &args.out, 1, Some(&url))?;
    let (of_scheduler, _) = child::usage(scheduler.child.id())?;
    let mut reading = Reading {
        engine: format!("ballista-{executors}"),
        threads: executors,
        cpu_s: client.cpu_s + of_scheduler - started,
        peak: 0,
        ..client
    };
    for (node, started) in &nodes {
        let (cpu_s, peak) = child::usage(node.child.id())?;
        let cpu_s = cpu_s - started;
        reading.cpu_s += cpu_s;
        reading.peak = reading.peak.max(peak);
        reading.parts.push(Part { cpu_s, rows: rows(&node.said()?) });
    }
    Ok(reading)
}

/// A process that ends with the reading.
struct Node {
    child: Child,
    out: PathBuf,
}

impl Node {
    /// Starts it; what it prints goes to a file, so that it never waits for us.
    fn start(program: &Path, words: &[&str], out: PathBuf) -> Result<Self> {
        let file = File::create(&out).with_context(|| format!("making {}", out.display()))?;
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(file)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child, out })
    }

    fn said(&self) -> Result<String> {
        fs::read_to_string(&self.out).with_context(|| format!("reading {}", self.out.display()))
    }

    /// What it says when it is ready.
    fn first_line(&mut self) -> Result<String> {
        let began = Instant::now();
        loop {
            if let Some((line, _)) = self.said()?.split_once('\n') {
                return Ok(line.to_owned());
            }
            if let Some(status) = self.child.try_wait().context("waiting for a node")? {
                bail!("a node that should say {} ended: {status}", self.out.display());
            }
            if began.elapsed() > PATIENCE {
                bail!("{} is empty after {} s", self.out.display(), PATIENCE.as_secs());
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows that an executor's scans gave or that their filters left out.
fn rows(said: &str) -> u64 {
    let scans = said.lines().filter(|line| line.contains("DataSourceExec"));
    let of = |line: &str| -> u64 {
        let counted = ["output_rows=", "pushdown_rows_pruned="];
        counted.iter().filter_map(|name| number_after(line, name)).sum()
    };
    scans.map(of).sum()
}

/// `output_rows=1.5 K` and `output_rows=17` as numbers.
fn number_after(line: &str, name: &str) -> Option<u64> {
    let rest = &line[line.find(name)? + name.len()..];
    let end = rest.find([',', ']']).unwrap_or(rest.len());
    let (number, unit) = rest[..end].split_once(' ').unwrap_or((&rest[..end], ""));
    let factor = match unit {
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        _ => 1.0,
    };
    Some((number.parse::<f64>().ok()? * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_plans() {
        let said = "=== [x/1/0] Physical plan with metrics ===\nShuffleWriter: metrics=[output_rows=7]\n  \
                    DataSourceExec: file_groups={1 group}, metrics=[output_rows=1.50 K, \
                    pushdown_rows_pruned=3, page_index_rows_pruned=5 total → 2 matched]\n  \
                    DataSourceExec: metrics=[elapsed_compute=1ns, output_rows=2.00 M]\n";
        assert_eq!(rows(said), 2_001_503);
        assert_eq!(rows("nothing"), 0);
    }
}
