// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program and what it cost: processor time from its zombie, peak of memory while it lived.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Between two looks at a program.
const LOOK: Duration = Duration::from_millis(5);
/// Ticks of /proc's times in a second: USER_HZ, the same on all architectures we run on.
const USER_HZ: f64 = 100.0;
/// Longest a pass may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// A reading.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Who.
    pub(crate) engine: String,
    /// Which pass.
    pub(crate) pass: String,
    /// Records gone over.
    pub(crate) records: u64,
    /// Workers it was given.
    pub(crate) threads: usize,
    /// Seconds of all its threads on processors, user and system.
    pub(crate) cpu_s: f64,
    /// Seconds on the clock.
    pub(crate) wall_s: f64,
    /// Most octets it had in memory.
    pub(crate) peak: u64,
    /// What it printed: the answer.
    pub(crate) answer: serde_json::Value,
    /// What executors had of it, if there were any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part>,
}

/// An executor's part of a pass.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Seconds of its process on processors, from when it was ready.
    pub(crate) cpu_s: f64,
    /// Rows that it went over.
    pub(crate) rows: u64,
}

impl Reading {
    /// Records per second of processor time.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.cpu_s.max(1.0 / USER_HZ)
    }
}

/// What running a program came to.
pub(crate) struct Ran {
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) peak: u64,
    pub(crate) said: String,
}

/// Runs a program to its end. What it prints goes through a file, so that it never waits for us.
pub(crate) fn run(command: &mut Command, scratch: &Path) -> Result<Ran> {
    let text = format!("{command:?}");
    let at = || format!("running {text}");
    let out = scratch.join("said.txt");
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).with_context(|| format!("making {}", out.display()))?)
        .spawn()
        .with_context(at)?;
    let proc = Path::new("/proc").join(child.id().to_string());
    let mut peak = 0;
    let cpu_s = loop {
        let stat = fs::read_to_string(proc.join("stat")).with_context(at)?;
        let (state, cpu_s) = stat_fields(&stat).with_context(at)?;
        if state == 'Z' {
            break cpu_s;
        }
        let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
        peak = peak.max(high_water(&status).unwrap_or(0));
        if began.elapsed() > LIMIT {
            child.kill().with_context(at)?;
            bail!("{}: it takes more than {} s", at(), LIMIT.as_secs());
        }
        thread::sleep(LOOK);
    };
    let wall_s = began.elapsed().as_secs_f64();
    let status = child.wait().with_context(at)?;
    let said = fs::read_to_string(&out).with_context(|| format!("reading {}", out.display()))?;
    if !status.success() {
        bail!("{}: {status}", at());
    }
    Ok(Ran { cpu_s, wall_s, peak, said })
}

/// Processor time and peak of memory of a program that runs.
pub(crate) fn usage(child: u32) -> Result<(f64, u64)> {
    let proc = Path::new("/proc").join(child.to_string());
    let read = |name: &str| {
        let path = proc.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let (stat, status) = (read("stat")?, read("status")?);
    let (_, cpu_s) = stat_fields(&stat).with_context(|| format!("process {child}: {stat:?}"))?;
    Ok((cpu_s, high_water(&status).unwrap_or(0)))
}

/// State, and seconds of user and system time, from a line of /proc/PID/stat.
fn stat_fields(stat: &str) -> Option<(char, f64)> {
    // The name may have blanks and brackets; the last bracket ends it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let mut times = fields.skip(10).map_while(|field| field.parse::<u64>().ok());
    Some((state, (times.next()? + times.next()?) as f64 / USER_HZ))
}

/// VmHWM in octets.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilo| kilo * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_it_is_written() {
        let stat = "7 (a) b) Z 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 1 0 9 0 0";
        assert_eq!(stat_fields(stat), Some(('Z', 2.0)));
        assert_eq!(stat_fields("7 (x"), None);
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    12 kB\n"), Some(12_288));
    }

    #[test]
    fn a_program_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        let ran = run(Command::new("sh").args(["-c", "echo 5"]), dir.path()).unwrap();
        assert_eq!(ran.said, "5\n");
        assert!(ran.wall_s > 0.0);
        assert!(run(Command::new("sh").args(["-c", "exit 3"]), dir.path()).is_err());
    }
}
