// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A network of its own in which the loop is killed again and again.

use super::super::redirect::setting::{self, Times};
use super::super::redirect::{ALPHA, PATIENCE, entrances, last_words, said, table};
use super::{Bench, Kill, Place, When};
use crate::capture::{Capture, finish};
use crate::count::order::Order;
use crate::count::way::numbers;
use crate::error::{Result, at, odd};
use crate::net::{Net, host};
use crate::numbered::{Flow, Pace, Progress, under};
use crate::process::{Process, until};
use crate::space::Space;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Datagrams: so often, so long.
const PACE: Pace = Pace { every: Duration::from_millis(20), octets: 100 };
/// Ports of the other flow, of the same hosts.
const BETA: (u16, u16) = (4000, 7000);
/// Rounds of datagrams sent when all is done.
const AFTER: u64 = 25;
/// From one look at a router to the next; each is a few programs.
const LOOK: Duration = Duration::from_millis(500);
/// From one flow record to the next.
const RECORD: Duration = Duration::from_millis(100);
/// Everything is quicker than a user would have it: a kill takes a quarter of a minute.
const TIMES: Times = Times {
    age_s: 1,
    jitter_s: 0,
    doubt_s: 10,
    linger_ms: 1000,
    lease_ms: 40_000,
    journal_bytes: 1000,
    delays_ms: (0, 0),
};
/// The sites send what nobody takes, and do not say so.
const QUIET: &str = "nft 'table inet lab_quiet { chain out { type filter hook output priority 0; \
                     icmp type destination-unreachable drop; }; }'";

/// The network, and the folder with the loop's files.
pub(super) struct Bed {
    net: Net,
    bench: Bench,
}

/// Writes flow records while it is told to, as `telesteer collect` would; ends when it is dropped.
struct Records<'a> {
    on: &'a AtomicBool,
    stop: &'a AtomicBool,
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Bed {
    /// Builds one.
    pub(super) fn build(bench: &Bench, number: usize) -> Result<Self> {
        let work = bench.work.join(format!("lane-{number}"));
        fs::create_dir_all(&work).map_err(at(&work))?;
        let net = Net::beside(&format!("{number}-"))?;
        for site in [&net.site1, &net.site2] {
            site.run(&["sh", "-c", QUIET])?;
        }
        Ok(Self { net, bench: Bench { work, ..bench.clone() } })
    }

    fn records(&self) -> PathBuf {
        self.bench.work.join("flow.jsonl")
    }

    /// Plays one kill, and counts.
    pub(super) fn kill(&self, place: &Place) -> Result<Kill> {
        let (net, work) = (&self.net, &self.bench.work);
        let captures = [
            Capture::start(&net.site2, "to-pe2", work, "site2")?,
            Capture::start(&net.site1, "to-pe1", work, "site1")?,
            Capture::start(&net.p2, "to-pe1", work, "p2-forth")?,
            Capture::start(&net.p2, "to-pe2", work, "p2-back")?,
        ];
        let (forth, back) = (flows(1, 2), flows(2, 1));
        let ((mut kill, from2), from1) = under(&net.site1, &forth, PACE, |_| {
            under(&net.site2, &back, PACE, |progress| {
                let played = self.play(place, progress);
                played.inspect_err(|_| last_words(&self.bench))
            })
        })?;
        let [site2, site1, p2_forth, p2_back] = finish(captures)?;
        for (arrived, path, sent, is_forth) in
            [(&site2, &p2_forth, from1, true), (&site1, &p2_back, from2, false)]
        {
            let labelled = count(&mut kill, arrived, path, sent)?;
            *(if is_forth { &mut kill.forth } else { &mut kill.back }) = labelled;
        }
        Ok(kill)
    }

    fn play(&self, place: &Place, progress: &Progress) -> Result<Kill> {
        let file = self.records();
        File::create(&file).map_err(at(&file))?;
        let (on, stop) = (AtomicBool::new(true), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| write_records(&file, &on, &stop));
            let records = Records { on: &on, stop: &stop };
            let done = self.lives(place, &records, progress);
            drop(records);
            match writing.join() {
                Ok(wrote) => wrote.and(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The flow's life: a loop that dies, and the one after it.
    fn lives(&self, place: &Place, records: &Records<'_>, progress: &Progress) -> Result<Kill> {
        let file = self.records();
        let inputs = format!(
            "[collector]\nsource = \"records\"\npath = \"{}\"\nh = 1000\nt-s = 3\nslot-s = 1\n\
             idle-s = 4\njump-s = 3600\n",
            file.display()
        );
        let config = setting::write(&self.bench, &self.net, &inputs, TIMES)?;
        let audit = setting::store(&self.bench).join("audit.jsonl");
        let whole = format!("{}:{}:{}", place.call, place.side, place.nth);
        let mut first = self.start("hntes-run", &config, &["--die-at", &whole])?;
        if place.when == When::Over {
            self.until(&mut first, "redirection", || self.is_redirected())?;
            records.on.store(false, Ordering::Release);
        }
        let mut status = None;
        until(&format!("death at {whole}"), PATIENCE, || {
            status = first.ended();
            Ok(status.is_some())
        })?;
        let killed_at = Instant::now();
        let mut kill = Kill {
            killed: status.and_then(|status| status.signal()) == Some(Signal::KILL.as_raw()),
            ..Kill::default()
        };
        if place.when == When::Over {
            // The records of a flow that is over are not read again.
            File::create(&file).map_err(at(&file))?;
        }
        let mut next = self.start("hntes-next", &config, &[])?;
        if place.when == When::Up {
            self.until(&mut next, "redirection after the kill", || self.is_redirected())?;
            kill.restored_s = killed_at.elapsed().as_secs_f64();
            progress.wait(AFTER)?;
            records.on.store(false, Ordering::Release);
        }
        self.until(&mut next, "the end", || Ok(told(&audit, "started") == 2 && self.left()? == 0))?;
        if place.when == When::Over {
            kill.restored_s = killed_at.elapsed().as_secs_f64();
        }
        kill.interrupted = said(&audit, "interrupted").is_some();
        next.stop(Signal::TERM, PATIENCE);
        kill.left = self.left()?;
        progress.wait(AFTER)?;
        Ok(kill)
    }

    fn start(&self, name: &str, config: &Path, more: &[&str]) -> Result<Process> {
        let hntes = self.bench.programs.join("hntes").to_string_lossy().into_owned();
        let config = config.to_string_lossy();
        let argv = [&[hntes.as_str(), "run", "--config", &config], more].concat();
        Process::start(name, None, &self.bench.work, &argv)
    }

    fn until(
        &self,
        process: &mut Process,
        what: &str,
        mut holds: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        until(what, PATIENCE, || {
            std::thread::sleep(LOOK);
            process.must_run()?;
            holds()
        })
    }

    /// Whether there is what is wanted and nothing else: a rule at each edge, of the flow's 5-tuple, a
    /// table into the circuit at each, and two labels that the router between swaps or takes off.
    fn is_redirected(&self) -> Result<bool> {
        let (one, other) = (host(1, 1, 1), host(2, 1, 1));
        let (near, far) = (&self.net.pe1, &self.net.pe2);
        // In an emulated guest each program counts.
        Ok(is_only(&table(near)?, [&one, &other], ALPHA)
            && is_only(&table(far)?, [&other, &one], (ALPHA.1, ALPHA.0))
            && lines(&entrances(near)?) == 1
            && lines(&entrances(far)?) == 1
            && lines(&labels(&self.net.p2)?) == 2)
    }

    /// What is left of rules, tables and labels on all routers, and of circuits in the provider's book.
    fn left(&self) -> Result<u64> {
        let mut left = 0;
        for router in [&self.net.pe1, &self.net.pe2] {
            left += elements(&table(router)?);
            if left > 0 {
                return Ok(left);
            }
        }
        for router in self.net.routers() {
            left += lines(&entrances(router)?) + lines(&labels(router)?);
        }
        let file = setting::circuits(&self.bench);
        let text = fs::read_to_string(&file).map_err(at(&file))?;
        let book: Value =
            serde_json::from_str(&text).map_err(|error| odd(file.display().to_string(), error))?;
        let held = book["circuits"].as_array().map(Vec::len);
        let held = held.ok_or_else(|| odd(file.display().to_string(), "no circuits in it"))?;
        Ok(left + held as u64)
    }
}

/// The alpha flow, then the other, of a site to the other.
fn flows(from: u8, to: u8) -> [Flow; 2] {
    let (source, sink) = (host(from, 1, 1), host(to, 1, 1));
    [ALPHA, BETA].map(|(near, far)| {
        let (near, far) = if from == 1 { (near, far) } else { (far, near) };
        Flow::new(&source, near, &sink, far)
    })
}

/// Adds what a direction's captures say; gives the labelled datagrams of the alpha flow.
fn count(kill: &mut Kill, arrived: &Path, path: &Path, sent: u64) -> Result<u64> {
    let came = numbers(arrived, None)?;
    for flow in [0, 1] {
        let order = Order::of(came.get(&flow).map_or(&[][..], Vec::as_slice), sent);
        kill.sent += sent;
        kill.lost += order.lost();
        kill.again += order.again;
    }
    let on_path = |label, flow: u32| -> Result<u64> {
        Ok(numbers(path, label)?.get(&flow).map_or(0, |all| all.len() as u64))
    };
    kill.bare += on_path(Some(false), 0)?;
    kill.beta += on_path(None, 1)?;
    on_path(Some(true), 0)
}

/// A record of the alpha flow, as `telesteer collect` writes it.
fn record(first_ns: u64, last_ns: u64) -> String {
    let fields = json!({
        "sourceIPv4Address": host(1, 1, 1), "destinationIPv4Address": host(2, 1, 1),
        "protocolIdentifier": 17, "sourceTransportPort": ALPHA.0,
        "destinationTransportPort": ALPHA.1,
        "octetDeltaCount": 1_000_000, "packetDeltaCount": 1000,
    });
    let line = json!({
        "type": "flow", "instance": 1, "ts": last_ns / 1_000_000_000, "exporter": "10.255.0.1",
        "port": 5000, "local_port": 4739, "domain": 1, "version": 10, "start_ns": first_ns,
        "end_ns": last_ns, "fields": fields, "sampling_interval": 1,
    });
    format!("{line}\n")
}

fn write_records(file: &Path, on: &AtomicBool, stop: &AtomicBool) -> Result<()> {
    let now = || {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(unix.as_nanos()).unwrap_or(0)
    };
    let mut last = now();
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(RECORD);
        let next = now();
        if on.load(Ordering::Acquire) {
            let mut open = OpenOptions::new().append(true).open(file).map_err(at(file))?;
            open.write_all(record(last, next).as_bytes()).map_err(at(file))?;
        }
        last = next;
    }
    Ok(())
}

fn lines(text: &str) -> u64 {
    text.lines().filter(|line| !line.trim().is_empty()).count() as u64
}

/// Labels a router knows.
fn labels(router: &Space) -> Result<String> {
    router.run(&["ip", "-f", "mpls", "route", "show"])
}

/// Elements of maps in nftables' listing: each names the site's host once.
fn elements(table: &str) -> u64 {
    table.matches(&host(1, 1, 1)).count() as u64
}

/// Whether the listing has this one element and no other.
fn is_only(table: &str, [from, to]: [&str; 2], ports: (u16, u16)) -> bool {
    let ends = format!("{from} . {to} . ");
    let ports = format!("{} . {}", ports.0, ports.1);
    elements(table) == 1
        && table.split([',', '{', '}']).any(|one| one.contains(&ends) && one.contains(&ports))
}

/// How many lines of the audit log tell of this.
fn told(audit: &Path, what: &str) -> usize {
    // What is not there yet has said nothing, and a line that is being written is not whole.
    let text = fs::read_to_string(audit).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["what"] == what).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_and_no_other() {
        let one = "elements = { 10.1.1.1 . 10.2.1.1 . udp . 6201 . 5201 : 0x1 }";
        let ends = ["10.1.1.1", "10.2.1.1"];
        assert!(is_only(one, ends, ALPHA));
        assert!(!is_only(&one.repeat(2), ends, ALPHA) && !is_only("", ends, ALPHA));
        assert!(!is_only(one, ["10.2.1.1", "10.1.1.1"], ALPHA));
        assert!(!is_only(one, ends, (ALPHA.1, ALPHA.0)));
        assert_eq!((elements(one), lines(" \na\n")), (1, 1));
    }

    #[test]
    fn both_directions_are_one_flow() {
        let ([alpha, beta], [back, _]) = (flows(1, 2), flows(2, 1));
        assert_eq!((&alpha.from, &alpha.to), (&back.to, &back.from));
        assert_eq!((alpha.from.1, alpha.to.1, beta.from.1), (ALPHA.0, ALPHA.1, BETA.0));
        let line: Value = serde_json::from_str(&record(1, 2)).unwrap();
        assert_eq!(line["fields"]["sourceTransportPort"], alpha.from.1);
    }
}
