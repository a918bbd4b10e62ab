// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Time until one more entry is installed and read back, by device and size of the table.

use super::{Bench, say};
use crate::devices::Programs;
use crate::draw::{Axis, Line, plot, short};
use crate::error::{Result, odd};
use crate::report::{Claim, Findings};
use crate::router::{hosts, path};
use crate::space::Space;
use crate::stats::{percentile, sorted};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{Change, Commit, Device, DeviceError, PathName, Paths, Rule, Target};

/// Entries that are there before.
const SIZES: [usize; 4] = [1, 125, 1548, 10_000];
/// Entries added one by one, and taken away again.
const ROUNDS: usize = 40;
/// What the slow router takes for a commit.
const COMMIT: Ns = 60 * SECOND;
/// Mark and table of the path.
const TARGET: Target = Target { mark: 101, table: 101 };
/// Milliseconds that 99 of 100 installations are to take at most on a machine that is not emulated.
const P99_MS: f64 = 10.0;
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
    /// Rules read back in the end.
    held: usize,
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
    for device in ["nft", "ip-rule", "openflow", "frr", "flowspec", "slow"] {
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
                let why = error.to_string();
                let said = why.split_once("Error: ").map_or(why.as_str(), |(_, said)| said);
                let why = said.lines().next().unwrap_or_default().to_owned();
                without.push(Without { device, entries: sizes[0], why });
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
    let (mut apply_ms, mut whole_ms) = (Vec::new(), Vec::new());
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
        if !found.contains(&one) {
            return Err(odd(device, format!("{one} was not read back")));
        }
    }
    let commit_ms = (clock.skipped - before) as f64 / 1e6 / rounds.max(1) as f64;
    let begin = Instant::now();
    let held = router.read_back(&paths, clock.now())?.rules;
    let read_ms = ms(begin);
    if held.len() != entries + rounds {
        let said = format!("{} rules read back instead of {}", held.len(), entries + rounds);
        return Err(odd(device, said));
    }
    let gone = Change { remove: held.iter().cloned().collect(), ..Change::default() };
    let commit = router.apply(&paths, &gone, clock.now())?;
    clock.skip(commit);
    let left = router.read_back(&paths, clock.now())?.rules.len();
    if left > 0 {
        return Err(odd(device, format!("{left} rules are left")));
    }
    let (apply_ms, whole_ms) = (sorted(apply_ms), sorted(whole_ms));
    let held = held.len();
    Ok(Reading { device, entries, fill_ms, read_ms, apply_ms, whole_ms, commit_ms, held })
}

fn ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}

fn findings(readings: &[Reading], without: &[Without], guest: bool) -> Findings {
    let middle = |one: &Reading| percentile(&one.whole_ms, 50.0) + one.commit_ms;
    let of = |device: &str, entries| {
        readings.iter().find(|one| one.device == device && one.entries == entries)
    };
    let devices: Vec<&'static str> = readings.iter().fold(Vec::new(), |mut all, one| {
        if !all.contains(&one.device) {
            all.push(one.device);
        }
        all
    });
    let lines: Vec<Line<'_>> = devices
        .iter()
        .map(|device| Line {
            name: device,
            points: readings
                .iter()
                .filter(|one| one.device == *device)
                .map(|one| (one.entries as f64, middle(one)))
                .collect(),
            joined: true,
        })
        .collect();
    let mut rows: Vec<Vec<String>> = readings
        .iter()
        .map(|one| {
            let mut row = vec![one.device.to_owned(), one.entries.to_string()];
            let numbers = [
                one.fill_ms,
                percentile(&one.apply_ms, 50.0),
                percentile(&one.whole_ms, 50.0),
                percentile(&one.whole_ms, 99.0),
                one.commit_ms,
                one.read_ms,
            ];
            row.extend(numbers.map(short));
            row
        })
        .collect();
    for one in without {
        let mut row = vec![one.device.to_owned(), one.entries.to_string(), one.why.clone()];
        row.resize(8, "-".to_owned());
        rows.push(row);
    }
    let grows = of("nft", 1).zip(of("nft", 10_000)).map(|(one, all)| middle(all) / middle(one));
    let said = grows.map_or(String::new(), |times| {
        format!(
            " With nftables one more entry among 10 000 took {} times as long as the second one.",
            short(times)
        )
    });
    let mut claims = Vec::new();
    if !guest {
        for device in ["nft", "ip-rule"] {
            let all = readings.iter().filter(|one| one.device == device);
            let worst = all.map(|one| percentile(&one.whole_ms, 99.0)).fold(f64::NAN, f64::max);
            claims.push(Claim::new(
                format!(
                    "{device}, natively: installed and read back, p99 at most {P99_MS:.0} ms in \
                     every table: {} ms",
                    short(worst)
                ),
                worst <= P99_MS,
            ));
        }
    }
    let read_back = readings.iter().filter(|one| one.held > one.entries).count();
    claims.push(Claim::new(
        format!(
            "every entry was read back and in the end none was left: {read_back} of {} tables",
            readings.len()
        ),
        read_back == readings.len() && !readings.is_empty(),
    ));
    let place = match guest {
        true => {
            "in an emulated guest, so that times compare with one another and not with a router"
        }
        false => "in namespaces of a machine",
    };
    Findings {
        title: "Time to install a policy route",
        paragraph: format!(
            "One pair of hosts at a time is added to a table of 1, 125, 1548 and 10 000, and read \
             back from the device itself; {} times each, {place}. What costs the time is a program that is \
             started for it: ovs-ofctl, vtysh and gobgp are, `nft` and `ip-rule` are netlink. The slow router commits for \
             {} s, which is added and not waited for.{said}",
            readings.first().map_or(0, |one| one.whole_ms.len()),
            COMMIT / SECOND
        ),
        columns: vec![
            "device",
            "entries",
            "fill ms",
            "apply p50 ms",
            "read back p50 ms",
            "p99 ms",
            "commit ms",
            "read all ms",
        ],
        rows,
        claims,
        figure: plot(
            "One more entry, installed and read back",
            Axis { label: "entries that are there", log: true },
            Axis { label: "ms", log: true },
            &lines,
        ),
        data: json!({"readings": readings, "without": without}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_redirect::memory::Memory;

    #[test]
    fn natively_it_must_be_quick() {
        let one = |device, ms: f64| Reading {
            device,
            entries: 1,
            fill_ms: 1.0,
            read_ms: 1.0,
            apply_ms: vec![ms],
            whole_ms: vec![ms],
            commit_ms: 0.0,
            held: 2,
        };
        let both = |nft, rule| findings(&[one("nft", nft), one("ip-rule", rule)], &[], false);
        assert!(both(9.0, 1.0).good());
        assert!(!both(11.0, 1.0).good() && !findings(&[one("nft", 1.0)], &[], false).good());
    }

    #[test]
    fn a_slow_commit_is_counted_and_not_waited_for() {
        let name = path("lsp").unwrap();
        let mut quick: Box<dyn Device + Send> = Box::new(Memory::new("m"));
        let one = measure("m", &mut quick, &name, 3, 4).unwrap();
        assert_eq!((one.held, one.whole_ms.len(), one.commit_ms), (7, 4, 0.0));
        let mut slow: Box<dyn Device + Send> = Box::new(Slow::new(Memory::new("m"), COMMIT));
        let one = measure("slow", &mut slow, &name, 3, 4).unwrap();
        assert!((50_000.0..60_001.0).contains(&one.commit_ms), "{}", one.commit_ms);
        assert!(findings(&[one], &[], true).good() && !findings(&[], &[], true).good());
    }
}
