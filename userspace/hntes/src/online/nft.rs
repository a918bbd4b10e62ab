// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The agent of Method 1: reads the named counters of a table of nftables, again and again.

use crate::input::FileReport;
use crate::online::source::Item;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use telesteer_control::router::open::enter;
use telesteer_fam::Ns;

/// A reading may take so long.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest list of counters.
const TEXT: u64 = 64 << 20;
/// Most of what goes wrong that is told.
const SAID: u64 = 4096;
/// So many readings in a row that fail are the end.
const FAILURES: u32 = 10;
/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// What a reading that failed is counted as.
const UNREAD: &str = "counters that could not be read";

/// Which counters, and how often they are read.
#[derive(Clone, Debug)]
pub struct Counters {
    /// The family of the table.
    pub family: String,
    /// The table.
    pub table: String,
    /// The network namespace it is in; the one this runs in if left out.
    pub netns: Option<PathBuf>,
    /// From one reading to the next.
    pub every: Duration,
}

/// Names and bytes of counters, and when they were read.
type Reading = (Vec<(String, u64)>, Ns);

impl Counters {
    /// For people.
    pub fn name(&self) -> String {
        let Self { family, table, netns, .. } = self;
        let of = netns.as_deref().map_or(String::new(), |of| format!(" in {}", of.display()));
        format!("counters of table {family} {table}{of}")
    }

    fn words(&self) -> [&str; 7] {
        ["nft", "-j", "list", "counters", "table", &self.family, &self.table]
    }

    fn read(&self) -> Result<Reading> {
        let at = || format!("`{}`", self.words().join(" "));
        let before = unix();
        let text = printed(&self.words()).with_context(at)?;
        // The kernel lists them at some time between.
        let when = before + (unix() - before) / 2;
        Ok((listed(&text).with_context(at)?, when))
    }
}

fn unix() -> Ns {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ns::try_from(now.as_nanos()).unwrap_or(Ns::MAX)
}

/// What a program prints.
fn printed(words: &[&str]) -> Result<String> {
    let (program, args) = words.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (send, ended) = channel();
    let reader = thread::spawn(move || {
        let (mut text, mut said) = (String::new(), String::new());
        let read = out.map_or(Ok(0), |out| out.take(TEXT).read_to_string(&mut text));
        let _ = err.map(|err| err.take(SAID).read_to_string(&mut said));
        // Nobody waits any more: then it was late, and that is told.
        let _ = send.send(read.map(|_| (text, said)));
    });
    let outcome = ended.recv_timeout(DEADLINE);
    if outcome.is_err() {
        end(&mut child);
        bail!("nothing within {} s", DEADLINE.as_secs());
    }
    let _ = reader.join();
    let status = child.wait()?;
    let (text, said) = outcome.map_err(|_| anyhow!("its output got lost"))??;
    if !status.success() {
        bail!("{status}: {}", said.trim());
    }
    Ok(text)
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The counters in what `nft -j list counters` prints.
fn listed(text: &str) -> Result<Vec<(String, u64)>> {
    let value: Value = serde_json::from_str(text)?;
    let all = value["nftables"].as_array().context("no list `nftables`")?;
    let one = |item: &Value| {
        let counter = item.get("counter")?;
        Some((counter["name"].as_str()?.to_owned(), counter["bytes"].as_u64()?))
    };
    Ok(all.iter().filter_map(one).collect())
}

/// Begins to read. Returns once the first reading has come.
///
/// # Errors
///
/// If the counters cannot be read, or there are none.
pub(super) fn begin(
    of: Counters,
    send: SyncSender<Item>,
    stop: std::sync::Arc<AtomicBool>,
) -> Result<()> {
    let (begun, first) = channel();
    // A thread of its own, since it stays in the namespace.
    thread::spawn(move || {
        let entered = of.netns.as_deref().map_or(Ok(()), enter).map_err(|said| anyhow!(said));
        let reading = entered.and_then(|()| of.read()).and_then(|(all, at)| {
            if all.is_empty() {
                bail!("{}: there is none that has a name", of.name());
            }
            Ok((all, at))
        });
        let (told, reading) = match reading {
            Ok(reading) => (Ok(()), Some(reading)),
            Err(error) => (Err(error), None),
        };
        let _ = begun.send(told);
        if let Some(first) = reading {
            let report = go_on(&of, first, &send, &stop);
            let _ = send.send(Item::End(Ok(report)));
        }
    });
    first.recv().unwrap_or_else(|_| Err(anyhow!("its thread died")))
}

/// Hands on the first reading, and those to come until it is to stop.
fn go_on(of: &Counters, first: Reading, send: &SyncSender<Item>, stop: &AtomicBool) -> FileReport {
    let mut report = FileReport::new(Path::new(&of.name()));
    let (mut due, mut failures) = (Instant::now(), 0);
    let mut reading: Option<Result<Reading>> = Some(Ok(first));
    let mut number = 0;
    while let Some(outcome) = reading.take() {
        number += 1;
        match outcome {
            Ok((all, at)) => {
                failures = 0;
                for (meter, bytes) in all {
                    report.records += 1;
                    if send.send(Item::Metered(meter, bytes, at)).is_err() {
                        return report;
                    }
                }
            }
            Err(error) => {
                report.count_all(UNREAD, 1, number);
                failures += 1;
                if failures >= FAILURES {
                    report.failed = Some(format!("{error:#}"));
                    return report;
                }
            }
        }
        due += of.every;
        let now = Instant::now();
        if due < now {
            // One that was late is no reason for two at once.
            due = now;
        }
        while Instant::now() < due && !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK.min(due.saturating_duration_since(Instant::now())));
        }
        if !stop.load(Ordering::Relaxed) {
            reading = Some(of.read());
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_listed_by_name() {
        let text = r#"{"nftables":[{"metainfo":{"version":"1.1.1","json_schema_version":1}},
            {"counter":{"family":"inet","name":"lsp-1","table":"t","handle":2,"packets":3,"bytes":4500}},
            {"counter":{"family":"inet","name":"lsp-2","table":"t","handle":3,"packets":0,"bytes":0}}]}"#;
        let expected = [("lsp-1".to_owned(), 4500), ("lsp-2".to_owned(), 0)];
        assert_eq!(listed(text).unwrap(), expected);
        assert!(listed("{}").unwrap_err().to_string().contains("nftables"));
        assert!(listed("x").is_err());
    }

    #[test]
    fn a_program_that_fails_says_so() {
        let said = printed(&["sh", "-c", "echo no such table >&2; exit 1"]).unwrap_err();
        assert!(said.to_string().contains("no such table"), "{said}");
        assert_eq!(printed(&["echo", "x"]).unwrap(), "x\n");
        assert!(printed(&["/nowhere/nft"]).is_err());
    }
}
