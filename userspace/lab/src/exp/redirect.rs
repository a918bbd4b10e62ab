// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole loop on the wire: an alpha flow is found from IPFIX, gets a circuit and a policy route of
//! its 5-tuple, takes the science path under the circuit's label, and all of it goes when the flow has
//! ended. Beta traffic of the same hosts, of their networks, of others and to a peer flows all the time
//! and must not see any of it.
//!
//! Played by `hntes run`; seen by captures, and by `nft` and `ip` of the routers themselves.

pub(super) mod account;
pub(super) mod claims;
pub(super) mod setting;
mod tell;
pub(super) mod watch;

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::error::{Error, Result, odd};
use crate::iperf::{Iperf, Plan};
use crate::net::{Net, host};
use crate::numbered::{Flow, Pace, Sink, under};
use crate::process::{Process, until};
use crate::report::Findings;
use crate::space::Space;
use crate::telemetry::Telemetry;
use account::{Captures, Moments};
use rustix::process::Signal;
use serde_json::Value;
use setting::Times;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tell::account;
use watch::{Side, Watch, watching};

/// H in bytes and T in seconds: an alpha flow has more than 0.8 Mb/s.
const H: u64 = 600_000;
const T_S: u32 = 6;
/// Seconds of an exporter's report.
const REPORT_S: u32 = 2;
/// The alpha flow: rate, seconds, ports.
pub(super) const ALPHA_MBPS: f64 = 3.0;
pub(super) const ALPHA_S: u32 = 30;
pub(super) const ALPHA: (u16, u16) = (6201, 5201);
/// Ports of another flow as big, between other networks.
pub(super) const OTHER: (u16, u16) = (6202, 5202);
/// The same 5-tuple once its entry is gone, too little to be alpha.
const AFTER_MBPS: f64 = 0.2;
const AFTER_S: u32 = 3;
/// Beta datagrams, and those of the alpha flow's other direction.
const EVERY: Duration = Duration::from_millis(20);
const OCTETS: usize = 400;
const PORTS: (u16, u16) = (4000, 7000);
/// The port of the other direction's sender: that of the flow is the iperf3 server's.
const HIDDEN: u16 = 6199;
/// Lines of a log that a failure shows.
const LAST_WORDS: usize = 20;
/// Patience for each step, in an emulated guest.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Octets of an answer that are read.
const ANSWER: u64 = 1 << 20;
/// What lists the routes into circuits, and our table.
const ENTRANCES: [&str; 8] = ["ip", "-4", "route", "show", "table", "all", "proto", "126"];
const TABLE: [&str; 5] = ["nft", "list", "table", "inet", "telesteer_hntes"];

/// What is played beside the alpha flow, and what the loop is told of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scene<'a> {
    /// Sections of the configuration beside that of the collector.
    pub(super) sections: &'a str,
    /// Keys of its section `[online]`.
    pub(super) online: &'a str,
    /// A flow as big as the alpha flow, between other networks of the same sites.
    pub(super) other: bool,
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let (moments, files, sent) = found(bench, &Net::build()?, Scene::default())?;
    account(&files, &moments, sent)
}

/// The life of an alpha flow that is found from IPFIX; what was seen, captures, rounds of beta datagrams.
pub(super) fn found(
    bench: &Bench,
    net: &Net,
    scene: Scene<'_>,
) -> Result<(Moments, Captures, u64)> {
    let mut telemetry = Telemetry::start(bench, net, REPORT_S)?;
    telemetry.second(bench, net, REPORT_S)?;
    let play = |watch: &Watch| play(bench, net, &mut telemetry, watch, scene);
    let ((mut moments, listed), files, sent) = beside_beta(bench, net, || watching(net, play))?;
    telemetry.end();
    moments.see(&listed, is_entry);
    Ok((moments, files, sent))
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
    let work = &bench.work;
    let captures = [
        Capture::start(&net.pe1, "to-site1", work, "pe1")?,
        Capture::start(&net.p1, "to-pe1", work, "p1")?,
        Capture::start(&net.p2, "to-pe1", work, "p2")?,
        Capture::start(&net.site2, "to-pe2", work, "site2")?,
        Capture::start(&net.peer, "to-pe3", work, "peer")?,
        Capture::start(&net.p1, "to-pe2", work, "p1-back")?,
        Capture::start(&net.p2, "to-pe2", work, "p2-back")?,
        Capture::start(&net.site1, "to-pe1", work, "site1")?,
    ];
    let pace = Pace { every: EVERY, octets: OCTETS };
    let played = under(&net.site1, &flows, pace, |_| during());
    let (done, sent) = played.inspect_err(|_| last_words(bench))?;
    let [pe1, p1, p2, site2, peer, p1_back, p2_back, site1] = finish(captures)?;
    Ok((done, Captures { pe1, p1, p2, site2, peer, p1_back, p2_back, site1 }, sent))
}

/// Calls `during` while numbered datagrams of the alpha flow's other direction are sent, which iperf3 has
/// none of; gives what it gave, and how many.
pub(super) fn with_reverse<T>(net: &Net, during: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let rules = format!(
        "table inet lab_back {{ chain out {{ type filter hook output priority 0;\n\
         udp sport {HIDDEN} udp dport {} udp sport set {}\n}}\n}}\n",
        ALPHA.0, ALPHA.1
    );
    net.site2.run(&["nft", &rules])?;
    // Nobody takes them once the client of iperf3 is gone, and its server need not hear of it.
    net.site1.run(&["nft", QUIET])?;
    let flow = Flow::new(&host(2, 1, 1), HIDDEN, &host(1, 1, 1), ALPHA.0);
    under(&net.site2, &[flow], Pace { every: EVERY, octets: OCTETS }, |_| during())
}

/// A site that gets what nobody takes, and does not say so.
const QUIET: &str = "table inet lab_quiet { chain out { type filter hook output priority 0; icmp type \
                     destination-unreachable drop; }; }";

/// What the loop reads.
pub(super) fn inputs(telemetry: &Telemetry) -> String {
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

/// A flow of iperf3 by UDP between the first hosts of a network of each site.
pub(super) fn big(
    bench: &Bench,
    net: &Net,
    network: u8,
    ports: (u16, u16),
    (mbps, seconds): (f64, u32),
) -> Result<Iperf> {
    let (from, to) = (host(1, network, 1), host(2, network, 1));
    let plan = Plan {
        from: &from,
        from_port: Some(ports.0),
        to: &to,
        port: ports.1,
        seconds,
        mbps: Some(mbps),
        udp: true,
    };
    Iperf::start(&net.site1, &net.site2, &bench.work, &plan)
}

/// The alpha flow's 5-tuple once more, too little to be alpha.
pub(super) fn once_more(bench: &Bench, net: &Net) -> Result<()> {
    big(bench, net, 1, ALPHA, (AFTER_MBPS, AFTER_S))?.finish().map(drop)
}

/// The alpha flow's life, while beta flows are sent.
fn play(
    bench: &Bench,
    net: &Net,
    telemetry: &mut Telemetry,
    watch: &Watch,
    scene: Scene<'_>,
) -> Result<Moments> {
    let mut moments = Moments::default();
    until("the exporters' first records", PATIENCE, || {
        telemetry.must_run()?;
        Ok(telemetry.file()?.is_some())
    })?;
    let sections = inputs(telemetry) + scene.sections;
    let config = setting::write_with(bench, net, &sections, scene.online, Times::default())?;
    let mut hntes = start(bench, &config)?;
    let audit = setting::store(bench).join("audit.jsonl");
    let mut wait = |what: &str, holds: &mut dyn FnMut() -> Result<bool>| -> Result<()> {
        say(what);
        until(what, PATIENCE, || {
            hntes.must_run()?;
            telemetry.must_run()?;
            holds()
        })
    };
    wait("the loop to begin", &mut || Ok(said(&audit, "started").is_some()))?;
    moments.ready_us = unix_us();
    let size = (ALPHA_MBPS, ALPHA_S);
    let mut other = match scene.other {
        true => Some(big(bench, net, 2, OTHER, size)?),
        false => None,
    };
    let mut alpha = big(bench, net, 1, ALPHA, size)?;
    alpha.connected()?;
    let ((), back) = with_reverse(net, || {
        wait("the circuit to be up", &mut || {
            alpha.must_run()?;
            Ok(watch.circuit(true))
        })?;
        wait("the entries to be in force", &mut || {
            Ok(watch.both(|side, _, table| is_entry(side, table)))
        })?;
        moments.alpha_sent = alpha.finish()?.sent;
        moments.ended_us = unix_us();
        if let Some(other) = other.take() {
            moments.other_sent = other.finish()?.sent;
        }
        wait("the entries to age out", &mut || {
            Ok(watch.both(|side, _, table| !is_entry(side, table)))
        })?;
        wait("the circuit to be released", &mut || Ok(watch.circuit(false)))
    })?;
    (moments.back_sent, moments.after_us) = (back, unix_us());
    once_more(bench, net)?;
    if scene.other {
        let server = server(&hntes).ok_or_else(|| odd("hntes run", "it does not listen"))?;
        moments.outside = metric(&get(&server, "/metrics")?, "hntes_flows_outside_the_table_total");
    }
    hntes.stop(Signal::TERM, PATIENCE);
    moments.found_us = said(&audit, "flow-began");
    moments.over_us = said(&audit, "flow-ended");
    Ok(moments)
}

/// Starts `hntes run`.
pub(super) fn start(bench: &Bench, config: &Path) -> Result<Process> {
    let hntes = bench.programs.join("hntes").to_string_lossy().into_owned();
    let argv = [hntes.as_str(), "run", "--config", &config.to_string_lossy()];
    Process::start("hntes-run", None, &bench.work, &argv)
}

/// Where it listens, once it says so.
pub(super) fn server(hntes: &Process) -> Option<String> {
    let said = hntes.said();
    let line = said.lines().find(|line| line.starts_with("http://") && line.ends_with('/'))?;
    Some(line.trim_end_matches('/').to_owned())
}

/// The answer of a server to a path, its head too.
fn get(server: &str, path: &str) -> Result<String> {
    let whole = format!("{server}{path}");
    let whose = |error: std::io::Error| odd(whole.clone(), error);
    let at = server.trim_start_matches("http://");
    let mut stream = TcpStream::connect(at).map_err(whose)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(whose)?;
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).map_err(whose)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER).read_to_end(&mut bytes).map_err(whose)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A metric without labels.
fn metric(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(name));
    lines.find_map(|rest| rest.strip_prefix(' ')?.parse().ok())
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
    listing(router.run(&TABLE))
}

/// What `nft` said, or nothing if there is no table of ours.
fn listing(said: Result<String>) -> Result<String> {
    match said {
        Ok(text) => Ok(text),
        Err(Error::Failed { talk, .. }) if talk.contains("No such file") => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Whether nftables' listing of an edge router has the alpha flow's element, as it goes there.
pub(super) fn is_entry(side: Side, table: &str) -> bool {
    let (one, other) = (host(1, 1, 1), host(2, 1, 1));
    match side {
        Side::Near => names(table, &one, &other, ALPHA),
        Side::Far => names(table, &other, &one, (ALPHA.1, ALPHA.0)),
    }
}

/// Whether nftables' listing has the element.
fn names(table: &str, from: &str, to: &str, ports: (u16, u16)) -> bool {
    let wanted = format!("{from} . {to} . ");
    let ports = format!("{} . {}", ports.0, ports.1);
    table.split([',', '{', '}']).any(|one| one.contains(&wanted) && one.contains(&ports))
}

/// Routes into circuits at a router.
pub(super) fn entrances(router: &Space) -> Result<String> {
    router.run(&ENTRANCES)
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
        assert!(is_entry(Side::Near, table) && !is_entry(Side::Far, table));
        assert!(!is_entry(Side::Near, &table.replace("10.2.1.1", "10.2.1.2")));
        assert!(!is_entry(Side::Near, &table.replace("6201", "6202")));
        let far = "elements = { 10.2.1.1 . 10.1.1.1 . udp . 5201 . 6201 : 0x1 }";
        assert!(is_entry(Side::Far, far) && !is_entry(Side::Near, far));
        let answer = "HTTP/1.1 200 OK\r\n\r\n# HELP a_total x\r\na_total 3\na_total_more 4\n";
        assert_eq!((metric(answer, "a_total"), metric(answer, "b")), (Some(3), None));
    }
}
