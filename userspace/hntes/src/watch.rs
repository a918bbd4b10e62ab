// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What watches a long run: a line on the terminal that says how far it is, and the bound of its memory.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Between two lines.
const EVERY: Duration = Duration::from_millis(200);
/// Ticks between two looks at the memory; a tick is a batch of some thousand rows.
const LOOK: u64 = 8;
/// Of the bound, what may be in use when a run is ended: tables double.
const IN_USE: (u64, u64) = (3, 4);

/// A watch over all passes of a run.
#[derive(Debug)]
pub struct Watch {
    memory: Option<u64>,
    shown: Option<Mutex<Shown>>,
    ticks: AtomicU64,
    records: AtomicU64,
}

/// What the terminal has.
#[derive(Debug)]
struct Shown {
    pass: String,
    /// Records of the pass, if they are known before.
    of: Option<u64>,
    since: Instant,
    last: Instant,
}

impl Watch {
    /// Shows progress if standard error is a terminal; ends a pass that would hold more than
    /// `memory` octets.
    pub fn new(memory: Option<u64>) -> Self {
        let now = Instant::now();
        let shown = Shown { pass: String::new(), of: None, since: now, last: now };
        let shown = stderr().is_terminal().then(|| Mutex::new(shown));
        Self { memory, shown, ticks: AtomicU64::new(0), records: AtomicU64::new(0) }
    }

    /// Begins a pass over so many records, if that is known.
    pub fn begin(&self, pass: &str, of: Option<u64>) {
        self.records.store(0, Ordering::Relaxed);
        if let Some(mut shown) = self.shown() {
            (shown.pass, shown.of, shown.since) = (pass.to_owned(), of, Instant::now());
        }
    }

    /// So many more records are done. An error says that the pass has to end, and why.
    pub fn tick(&self, records: u64) -> Result<(), String> {
        let done = self.records.fetch_add(records, Ordering::Relaxed) + records;
        if let Some(mut shown) = self.shown() {
            let now = Instant::now();
            if now - shown.last >= EVERY {
                shown.last = now;
                let line = line(&shown.pass, done, shown.of, now - shown.since);
                // Nobody looks: not worth an end.
                let _ = write!(stderr().lock(), "\r\x1b[K{line}");
            }
        }
        let Some(bound) = self.memory else { return Ok(()) };
        if !self.ticks.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK) {
            return Ok(());
        }
        match in_use() {
            Some(used) if used > bound / IN_USE.1 * IN_USE.0 => Err(format!(
                "after {done} records of this pass {used} octets are in use, and --memory {bound} keeps a quarter \
                 for tables that grow; give more, or fewer days at a time with --state"
            )),
            _ => Ok(()),
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if self.shown.is_some() {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }

    fn shown(&self) -> Option<std::sync::MutexGuard<'_, Shown>> {
        // Another worker is at it, or broke off: let it be.
        self.shown.as_ref()?.try_lock().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// `alpha reports: 12.3 of 40.0 M records, 31 %, 8.1 M/s, 3 s left`.
fn line(pass: &str, done: u64, of: Option<u64>, spent: Duration) -> String {
    let millions = |records: u64| records as f64 / 1e6;
    let rate = done as f64 / spent.as_secs_f64().max(1e-3);
    let rest = match of.filter(|of| *of >= done && *of > 0) {
        Some(of) => {
            let left = (of - done) as f64 / rate.max(1.0);
            let percent = done as f64 / of as f64 * 100.0;
            format!(
                " of {:.1} M records, {percent:.0} %, {:.1} M/s, {left:.0} s left",
                millions(of),
                rate / 1e6
            )
        }
        None => format!(" M records, {:.1} M/s", rate / 1e6),
    };
    format!("{pass}: {:.1}{rest}", millions(done))
}

/// Octets of this process in memory; `None` where nobody tells.
fn in_use() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `512M`, `4G` or octets, as a number of octets; K, M and G are powers of 1024.
pub fn octets(text: &str) -> Result<u64> {
    let (number, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.trim_end_matches("iB") {
        "" => 0,
        "K" | "k" => 10,
        "M" => 20,
        "G" => 30,
        _ => bail!("{text:?} is no size such as 512M or 4G"),
    };
    let number: u64 = number.parse().with_context(|| format!("{text:?} is no size"))?;
    number
        .checked_mul(1 << shift)
        .filter(|octets| *octets > 0)
        .with_context(|| format!("{text:?} is no size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is() {
        let at = Duration::from_secs(2);
        assert_eq!(
            line("alpha", 10_000_000, Some(40_000_000), at),
            "alpha: 10.0 of 40.0 M records, 25 %, 5.0 M/s, 6 s left"
        );
        assert_eq!(line("beta", 500_000, None, at), "beta: 0.5 M records, 0.2 M/s");
        assert_eq!(line("x", 0, Some(0), Duration::ZERO), "x: 0.0 M records, 0.0 M/s");
        assert_eq!(line("x", 9, Some(5), at), "x: 0.0 M records, 0.0 M/s", "more than was said");
    }

    #[test]
    fn sizes() {
        assert_eq!(octets("4096").unwrap(), 4096);
        assert_eq!(octets("64M").unwrap(), 64 << 20);
        assert_eq!(octets("2GiB").unwrap(), 2 << 30);
        for text in ["", "0", "M", "12 M", "-1", "1T", "99999999999G"] {
            assert!(octets(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bound_ends_a_pass() {
        assert!(in_use().is_none_or(|used| used > 100_000));
        let tight = Watch::new(Some(1 << 16));
        if in_use().is_some() {
            assert!(tight.tick(5).unwrap_err().contains("--memory 65536"));
        }
        let wide = Watch::new(Some(1 << 40));
        assert_eq!(wide.tick(5), Ok(()));
    }
}
