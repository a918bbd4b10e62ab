// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole loop on the wire: an alpha flow is found from IPFIX, gets a circuit and a policy route of
//! its 5-tuple, takes the science path under the circuit's label, and all of it goes when the flow has
//! ended. Beta traffic of the same hosts, of their networks, of others and to a peer flows all the time
//! and must not see any of it.
//!
//! Played by `hntes run`; seen by captures, and by `nft` and `ip` of the routers themselves.

pub(super) mod account;
pub(super) mod setting;

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::error::{Error, Result};
use crate::iperf::{Iperf, Plan};
use crate::net::{Net, host};
use crate::numbered::{Flow, Pace, Sink, under};
use crate::process::{Process, until};
use crate::report::Findings;
use crate::space::Space;
use crate::telemetry::Telemetry;
use account::{Captures, Moments, account};
use rustix::process::Signal;
use serde_json::Value;
use setting::Times;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// H in bytes and T in seconds: an alpha flow has more than 0.8 Mb/s.
const H: u64 = 600_000;
const T_S: u32 = 6;
/// Seconds of an exporter's report.
const REPORT_S: u32 = 2;
/// The alpha flow: rate, seconds, ports.
const ALPHA_MBPS: f64 = 3.0;
const ALPHA_S: u32 = 30;
pub(super) const ALPHA: (u16, u16) = (6201, 5201);
/// The same 5-tuple once its entry is gone, too little to be alpha.
const AFTER_MBPS: f64 = 0.2;
const AFTER_S: u32 = 3;
/// Beta datagrams.
const EVERY: Duration = Duration::from_millis(20);
const OCTETS: usize = 400;
const PORTS: (u16, u16) = (4000, 7000);
/// Lines of a log that a failure shows.
const LAST_WORDS: usize = 20;
/// Patience for each step, in an emulated guest.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let mut telemetry = Telemetry::start(bench, &net, REPORT_S)?;
    telemetry.second(bench, &net, REPORT_S)?;
    let (moments, files, sent) = beside_beta(bench, &net, || play(bench, &net, &mut telemetry))?;
    telemetry.end();
    account(&files, &moments, sent)
}

/// Calls `during` while beta flows are sent and all that comes is captured; gives what it gave, the
/// captures, and how many datagrams of each flow were sent.
pub(super) fn beside_beta<T>(
    bench: &Bench,
    net: &Net,
    during: impl FnOnce() -> Result<T>,
) -> Result<(T, Captures, u64)> {
    let flows = flows();
    let _sinks = (Sink::open(&net.site2, &[PORTS.1])?, Sink::open(&net.peer, &[PORTS.1])?);
    let captures = [
        Capture::start(&net.pe1, "to-site1", &bench.work, "pe1")?,
        Capture::start(&net.p1, "to-pe1", &bench.work, "p1")?,
        Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?,
        Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?,
        Capture::start(&net.peer, "to-pe3", &bench.work, "peer")?,
    ];
    let pace = Pace { every: EVERY, octets: OCTETS };
    let played = under(&net.site1, &flows, pace, |_| during());
    let (done, sent) = played.inspect_err(|_| last_words(bench))?;
    let [pe1, p1, p2, site2, peer] = finish(captures)?;
    Ok((done, Captures { pe1, p1, p2, site2, peer }, sent))
}

/// What the loop reads.
fn inputs(telemetry: &Telemetry) -> String {
    format!(
        "[collector]\nsource = \"records\"\npath = \"{}\"\nh = {H}\nt-s = {T_S}\nslot-s = {REPORT_S}\n\
         grace-s = 1.5\nidle-s = 7\nassume-sampling = [\"1\"]\n",
        telemetry.out().display()
    )
}

/// Beta flows: of the hosts of the alpha flow, of their networks, of other networks, to the peer.
fn flows() -> Vec<Flow> {
    [
        (host(1, 1, 1), host(2, 1, 1)),
        (host(1, 1, 2), host(2, 1, 2)),
        (host(1, 2, 1), host(2, 2, 1)),
        (host(1, 3, 1), host(3, 1, 1)),
    ]
    .iter()
    .map(|(from, to)| Flow::new(from, PORTS.0, to, PORTS.1))
    .collect()
}

/// The alpha flow's life, while beta flows are sent.
fn play(bench: &Bench, net: &Net, telemetry: &mut Telemetry) -> Result<Moments> {
    let mut moments = Moments::default();
    until("the exporters' first records", PATIENCE, || {
        telemetry.must_run()?;
        Ok(telemetry.file()?.is_some())
    })?;
    let config = setting::write(bench, net, &inputs(telemetry), Times::default())?;
    let hntes = bench.programs.join("hntes").to_string_lossy().into_owned();
    let argv = [hntes.as_str(), "run", "--config", &config.to_string_lossy()];
    let mut hntes = Process::start("hntes-run", None, &bench.work, &argv)?;
    let mut wait = |what: &str, holds: &mut dyn FnMut() -> Result<bool>| -> Result<i64> {
        say(what);
        until(what, PATIENCE, || {
            hntes.must_run()?;
            telemetry.must_run()?;
            holds()
        })?;
        Ok(unix_us())
    };
    let audit = setting::store(bench).join("audit.jsonl");
    moments.ready_us = wait("the loop to begin", &mut || Ok(said(&audit, "started").is_some()))?;
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let plan = |seconds, mbps| Plan {
        from: &from,
        from_port: Some(ALPHA.0),
        to: &to,
        port: ALPHA.1,
        seconds,
        mbps: Some(mbps),
        udp: true,
    };
    let mut alpha = Iperf::start(&net.site1, &net.site2, &bench.work, &plan(ALPHA_S, ALPHA_MBPS))?;
    moments.circuit_us = wait("the circuit to be up", &mut || {
        alpha.must_run()?;
        Ok(!lsp(net)?.is_empty())
    })?;
    moments.label = label(&lsp(net)?);
    moments.entry_us = wait("the entry to be in force", &mut || has_entry(net))?;
    moments.alpha_sent = alpha.finish()?.sent;
    moments.ended_us = unix_us();
    moments.gone_us = wait("the entry to age out", &mut || Ok(!has_entry(net)?))?;
    moments.released_us = wait("the circuit to be released", &mut || Ok(lsp(net)?.is_empty()))?;
    Iperf::start(&net.site1, &net.site2, &bench.work, &plan(AFTER_S, AFTER_MBPS))?.finish()?;
    hntes.stop(Signal::TERM, PATIENCE);
    moments.found_us = said(&audit, "flow-began");
    Ok(moments)
}

pub(super) fn unix_us() -> i64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(unix.as_micros()).unwrap_or(0)
}

/// What the loop said before it failed, on standard error.
pub(super) fn last_words(bench: &Bench) {
    for file in [setting::store(bench).join("audit.jsonl"), bench.work.join("hntes-run.err")] {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LAST_WORDS)..] {
            say(format!("{}: {line}", file.display()));
        }
    }
}

/// When the loop's audit log first says such a thing, in microseconds of Unix time.
pub(super) fn said(audit: &Path, what: &str) -> Option<i64> {
    // What is not there yet has said nothing, and a line that is being written is not whole.
    let text = std::fs::read_to_string(audit).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.into_iter().find(|line| line["what"] == what)?;
    Some(line["at_ns"].as_i64()? / 1000)
}

/// What nftables of a router says; nothing while there is no table of ours.
pub(super) fn table(router: &Space) -> Result<String> {
    match router.run(&["nft", "list", "table", "inet", "telesteer_hntes"]) {
        Ok(text) => Ok(text),
        Err(Error::Failed { talk, .. }) if talk.contains("No such file") => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Whether it has an element with the alpha flow's ports.
pub(super) fn has_entry(net: &Net) -> Result<bool> {
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    Ok(names(&table(&net.pe1)?, &from, &to))
}

/// Whether nftables' listing has the element.
fn names(table: &str, from: &str, to: &str) -> bool {
    let wanted = format!("{from} . {to} . ");
    let ports = format!("{} . {}", ALPHA.0, ALPHA.1);
    table.split([',', '{', '}']).any(|one| one.contains(&wanted) && one.contains(&ports))
}

/// Routes of circuits at the ingress router.
pub(super) fn lsp(net: &Net) -> Result<String> {
    entrances(&net.pe1)
}

/// The same of any router.
pub(super) fn entrances(router: &Space) -> Result<String> {
    router.run(&["ip", "route", "show", "table", "all", "proto", "126"])
}

/// The label in such a route.
pub(super) fn label(routes: &str) -> Option<u32> {
    let mut words = routes.split_whitespace().skip_while(|word| *word != "mpls");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_router_says_is_read() {
        let routes = "default encap mpls  100000 via 10.9.4.2 dev to-p2 table 10000 proto 126\n";
        assert_eq!(label(routes), Some(100_000));
        assert_eq!(label(""), None);
        let table =
            "elements = { 10.1.1.1 . 10.2.1.1 . udp . 6201 . 5201 counter packets 9 : 0x1 }";
        assert!(names(table, "10.1.1.1", "10.2.1.1") && !names(table, "10.1.1.1", "10.2.1.2"));
        assert!(!names(&table.replace("6201", "6202"), "10.1.1.1", "10.2.1.1"));
    }
}
