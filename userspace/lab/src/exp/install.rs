// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Time until one more entry is installed and read back, by device and size of the table.

mod tell;

use super::{Bench, say};
use crate::devices::Programs;
use crate::draw::short;
use crate::error::{Result, odd};
use crate::report::Findings;
use crate::router::{hosts, path};
use crate::space::Space;
use crate::stats::{percentile, sorted};
use serde::Serialize;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{Change, Commit, Device, DeviceError, PathName, Paths, Rule, Target};
use tell::findings;

/// Entries that are there before.
const SIZES: [usize; 4] = [1, 125, 1548, 10_000];
/// Entries added one by one, and taken away again.
const ROUNDS: usize = 40;
/// What the slow router takes for a commit.
const COMMIT: Ns = 60 * SECOND;
/// Mark and table of the path.
const TARGET: Target = Target { mark: 101, table: 101 };
/// All devices; none may be missing without a word.
const DEVICES: [&str; 6] = ["nft", "ip-rule", "openflow", "frr", "flowspec", "slow"];
/// A device is asked for no more once it has taken so long for one size.
const ENOUGH: Duration = Duration::from_secs(300);

/// One device with one size of table.
#[derive(Clone, Debug, Serialize)]
struct Reading {
    device: &'static str,
    entries: usize,
    /// Milliseconds until the whole table was there, and to read it.
    fill_ms: f64,
    read_ms: f64,
    /// Milliseconds until one more was applied, in order.
    apply_ms: Vec<f64>,
    /// Until it was read back.
    whole_ms: Vec<f64>,
    /// Milliseconds of these that are the router's own wait and were not waited for.
    commit_ms: f64,
    /// Entries added one by one that were not read back at once.
    missing: usize,
    /// Rules read back in the end, and when all were taken away.
    held: usize,
    left: usize,
}

/// Why a device has no reading.
#[derive(Clone, Debug, Serialize)]
struct Without {
    device: &'static str,
    entries: usize,
    why: String,
}

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let rounds = match (bench.brief, guest()) {
        (true, _) => 3,
        (false, true) => ROUNDS,
        // What is quick may be done more often.
        (false, false) => 5 * ROUNDS,
    };
    let sizes = if bench.brief { &SIZES[..2] } else { &SIZES[..] };
    let name = path("lsp")?;
    let (mut readings, mut without) = (Vec::new(), Vec::new());
    for device in DEVICES {
        say(device);
        let space = Space::new(&format!("install-{device}"))?;
        space.ip(
            "link add in1 type veth peer name in1-far\nlink set in1 up\nlink set in1-far up\n",
        )?;
        // Programs of the device live as long as its readings take.
        let started = Programs::start(device, &space, &bench.work, "in1", (&name, TARGET));
        let programs = match started {
            Ok(programs) => programs,
            // In our own guest nothing may be missing.
            Err(error) if !guest() => {
                say(format!("{device} is left out: {error}"));
                // Of a program's words the one line that says it.
                without.push(Without { device, entries: sizes[0], why: gist(&error.to_string()) });
                continue;
            }
            Err(error) => return Err(error),
        };
        let open = || -> std::result::Result<Box<dyn Device + Send>, DeviceError> {
            Ok(match device {
                "slow" => Box::new(Slow::new(Nft::open(device)?, COMMIT)),
                _ => programs.open(device, &name)?,
            })
        };
        let measured = space.within(|| -> Result<()> {
            let mut router = open()?;
            let begun = Instant::now();
            for &entries in sizes {
                let limit = router.capabilities().limit;
                let why = match () {
                    () if entries > limit => format!("it holds {limit}"),
                    () if begun.elapsed() > ENOUGH => {
                        format!("the sizes before took {} s", begun.elapsed().as_secs())
                    }
                    () => {
                        let one = measure(device, &mut router, &name, entries, rounds)?;
                        say(format!(
                            "{device}, {entries} entries: {} ms in the middle",
                            short(percentile(&one.whole_ms, 50.0))
                        ));
                        readings.push(one);
                        continue;
                    }
                };
                without.push(Without { device, entries, why });
            }
            Ok(())
        })?;
        measured?;
    }
    Ok(findings(&readings, &without, guest()))
}

/// Of a program's words the one line that says it.
fn gist(words: &str) -> String {
    let said = words.split_once("Error: ").map_or(words, |(_, said)| said);
    said.trim().lines().next().unwrap_or_default().to_owned()
}

/// Whether this is a guest of ours, emulated or not.
fn guest() -> bool {
    std::env::var_os("TELESTEER_GUEST").is_some()
}

/// The clock that slow commits go by; the time they ask for is added, not waited for.
struct Clock {
    began: Instant,
    skipped: Ns,
}

impl Clock {
    fn now(&self) -> Ns {
        let ns = Ns::try_from(self.began.elapsed().as_nanos()).unwrap_or(Ns::MAX);
        ns.saturating_add(self.skipped)
    }

    /// Until a commit is in force.
    fn skip(&mut self, commit: Commit) {
        if let Commit::Due(due) = commit {
            self.skipped += (due - self.now()).max(0);
        }
    }
}

fn measure(
    device: &'static str,
    router: &mut Box<dyn Device + Send>,
    name: &PathName,
    entries: usize,
    rounds: usize,
) -> Result<Reading> {
    let mut paths = Paths::default();
    paths.insert(name.clone(), TARGET).map_err(|error| odd("a path", error))?;
    let rule = |number: usize| -> Result<Rule> {
        let (high, low) = (number / 250, 1 + number % 250);
        let (src, dst) = (format!("10.100.{high}.{low}"), format!("10.200.{high}.{low}"));
        Ok(Rule { matching: hosts(&src, &dst)?, path: name.clone() })
    };
    let mut clock = Clock { began: Instant::now(), skipped: 0 };
    let table: Vec<Rule> = (0..entries).map(rule).collect::<Result<_>>()?;
    router.read_back(&paths, clock.now())?;
    let begin = Instant::now();
    let fill = Change { add: table.clone(), ..Change::default() };
    let commit = router.apply(&paths, &fill, clock.now())?;
    let fill_ms = ms(begin);
    clock.skip(commit);
    router.read_back(&paths, clock.now())?;
    let (mut apply_ms, mut whole_ms, mut missing) = (Vec::new(), Vec::new(), 0);
    let before = clock.skipped;
    for round in 0..rounds {
        let one = rule(entries + round)?;
        let add = Change { add: vec![one.clone()], ..Change::default() };
        let begin = Instant::now();
        let commit = router.apply(&paths, &add, clock.now())?;
        apply_ms.push(ms(begin));
        clock.skip(commit);
        let found = match router.find(&paths, std::slice::from_ref(&one), clock.now())? {
            Some(found) => found,
            None => router.read_back(&paths, clock.now())?.rules,
        };
        whole_ms.push(ms(begin));
        missing += usize::from(!found.contains(&one));
    }
    let commit_ms = (clock.skipped - before) as f64 / 1e6 / rounds.max(1) as f64;
    let begin = Instant::now();
    let held = router.read_back(&paths, clock.now())?.rules;
    let read_ms = ms(begin);
    let gone = Change { remove: held.iter().cloned().collect(), ..Change::default() };
    let commit = router.apply(&paths, &gone, clock.now())?;
    clock.skip(commit);
    let left = router.read_back(&paths, clock.now())?.rules.len();
    let (apply_ms, whole_ms) = (sorted(apply_ms), sorted(whole_ms));
    let held = held.len();
    Ok(Reading {
        device,
        entries,
        fill_ms,
        read_ms,
        apply_ms,
        whole_ms,
        commit_ms,
        missing,
        held,
        left,
    })
}

fn ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_redirect::memory::Memory;

    #[test]
    fn a_slow_commit_is_counted_and_not_waited_for() {
        let name = path("lsp").unwrap();
        let mut quick: Box<dyn Device + Send> = Box::new(Memory::new("m"));
        let one = measure("m", &mut quick, &name, 3, 4).unwrap();
        assert_eq!((one.held, one.whole_ms.len(), one.commit_ms), (7, 4, 0.0));
        assert!(one.is_whole());
        let mut slow: Box<dyn Device + Send> = Box::new(Slow::new(Memory::new("m"), COMMIT));
        let one = measure("slow", &mut slow, &name, 3, 4).unwrap();
        assert!((50_000.0..60_001.0).contains(&one.commit_ms), "{}", one.commit_ms);
        assert!(one.is_whole() && !findings(&[], &[], true).good());
    }
}
