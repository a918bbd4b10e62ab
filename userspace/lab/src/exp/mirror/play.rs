// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One case: traffic on the link, `hntes online` where its mirror ends, and who counted what.

use super::port::{LINK, MIRROR, Port, Wire};
use super::{ALPHA_PORT, FLOWS, H, PORT, T_S, TABLE};
use crate::capture::{Capture, finish};
use crate::count::above::above;
use crate::count::frame::Frame;
use crate::count::load::load;
use crate::error::{Result, odd};
use crate::exp::Bench;
use crate::net::{HOSTS, NETWORKS, Net, host};
use crate::paced::{PACKET, Paced, send};
use crate::process::{Process, until, write};
use rustix::process::Signal;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ports of all other flows, from this on.
const PORTS: u16 = 20_000;
/// How long there is traffic; when the alpha flow begins, and how long it lasts.
const LASTS: Duration = Duration::from_secs(20);
const ALPHA: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(12));
/// Its rate, in times of H in T.
const TIMES: f64 = 1.5;
/// Patience for programs on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks for events.
const LOOK: Duration = Duration::from_millis(10);
/// From a socket that is empty until what was in it is told.
const SETTLE: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Case {
    /// Whether only flows of the table are mirrored.
    pub(super) gated: bool,
    /// Packets a second that were to be on the link.
    pub(super) wanted_pps: f64,
    /// From the first packet on the link to the last.
    pub(super) seconds: f64,
    /// What came in at the link, and over the mirror's, by the interfaces' counters.
    pub(super) link: Wire,
    pub(super) mirror: Wire,
    /// IP packets of the link by the capture; and those that are to be mirrored.
    pub(super) captured: u64,
    pub(super) to_mirror: u64,
    /// What `hntes online` says it read, what of it was outside its table, and what the kernel dropped.
    pub(super) read: u64,
    pub(super) outside: u64,
    pub(super) dropped: u64,
    /// Its processor time.
    pub(super) cpu_s: f64,
    /// Seconds from the packet that made a flow alpha, by the capture, until that was known, by the flow's
    /// source port; of flows that never were alpha there is no packet.
    pub(super) found: BTreeMap<u16, Option<f64>>,
}

impl Case {
    /// Packets a second on the link.
    pub(super) fn pps(&self) -> f64 {
        self.captured as f64 / self.seconds.max(1e-6)
    }

    /// Percent of a processor.
    pub(super) fn cpu_percent(&self) -> f64 {
        self.cpu_s * 100.0 / self.seconds.max(1e-6)
    }

    /// Microseconds of a processor for each packet that was read.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / self.read.max(1) as f64
    }
}

/// Mb/s of the alpha flow.
fn alpha_mbps() -> f64 {
    H as f64 * 8.0 / T_S as f64 / 1e6 * TIMES
}

/// So many packets a second of small flows, of each network of the site as many; and one alpha flow.
pub(super) fn flows(pps: u32) -> Vec<Paced> {
    let pps = f64::from(pps);
    let small = (0..FLOWS).map(|at| {
        let network = 1 + (at % u16::from(NETWORKS)) as u8;
        let one = 1 + (at / u16::from(NETWORKS) % u16::from(HOSTS)) as u8;
        Paced {
            from: (host(1, network, one), PORTS + at),
            to: (host(2, network, one), PORT),
            // One after the other: a link has no bursts of all flows at once.
            begins: Duration::from_secs_f64(f64::from(at) / pps),
            lasts: LASTS,
            mbps: pps / f64::from(FLOWS) * PACKET as f64 * 8.0 / 1e6,
        }
    });
    let alpha = Paced {
        from: (host(1, 1, 1), ALPHA_PORT),
        to: (host(2, 1, 1), PORT),
        begins: ALPHA.0,
        lasts: ALPHA.1,
        mbps: alpha_mbps(),
    };
    small.chain([alpha]).collect()
}

/// Packets a second of all of them, on average.
fn wanted_pps(pps: u32) -> f64 {
    let alpha = alpha_mbps() * 1e6 / 8.0 / PACKET as f64;
    f64::from(pps) + alpha * ALPHA.1.as_secs_f64() / LASTS.as_secs_f64()
}

/// Whether the table has it, by its addresses.
fn in_table(frame: &Frame) -> bool {
    let network = |addr: IpAddr| match addr {
        IpAddr::V4(addr) => {
            let [one, two, three, _] = addr.octets();
            format!("{one}.{two}.{three}.0/24")
        }
        IpAddr::V6(_) => String::new(),
    };
    TABLE.iter().any(|(src, dst)| network(frame.src) == *src && network(frame.dst) == *dst)
}

/// The offline table, as `hntes fam --emit` writes it.
fn table() -> Value {
    let none = json!({"added": [], "removed": []});
    let day = "2011-05-01";
    let entry =
        |(src, dst): &(&str, &str)| json!({"src": src, "dst": dst, "last_alpha": day, "lsps": []});
    json!({
        "version": 1,
        "day": "2011-05-02",
        "width": "/24",
        "aging": "30",
        "both_directions": false,
        "entries": TABLE.iter().map(entry).collect::<Vec<_>>(),
        "lsps": [],
        "diff": {"since": day, "entries": none, "lsps": none},
    })
}

/// Plays it. The network has a sink for what is sent.
pub(super) fn play(
    bench: &Bench,
    net: &Net,
    port: &Port<'_>,
    gated: bool,
    pps: u32,
) -> Result<Case> {
    let capture = Capture::start(&net.pe1, LINK, &bench.work, "pe1")?;
    port.open(gated.then_some(&TABLE[..]))?;
    let mut online = watch(bench, port, gated)?;
    let (cpu, (link, mirror)) = (online.cpu()?, port.counts()?);
    let flows = flows(pps);
    let mut known = BTreeMap::new();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&net.site1, &flows));
        while !sending.is_finished() {
            online.must_run()?;
            note(&online.printed(), &mut known)?;
            std::thread::sleep(LOOK);
        }
        match sending.join() {
            Ok(sent) => sent,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let [file] = finish([capture])?;
    until("hntes online to read what it was sent", PATIENCE, || Ok(port.waiting()? == Some(0)))?;
    std::thread::sleep(SETTLE);
    note(&online.printed(), &mut known)?;
    let (link_after, mirror_after) = port.counts()?;
    let cpu_s = online.cpu()?.saturating_sub(cpu).as_secs_f64();
    online.stop(Signal::TERM, PATIENCE);
    port.close()?;
    let said = Said::read(&online.said())?;
    let all = load(&file, |_| true)?;
    let to_mirror = load(&file, |frame| !gated || in_table(frame))?.packets;
    let mut found = BTreeMap::new();
    for (flow, known_us) in known {
        let own = |frame: &Frame| frame.ports == Some((flow, PORT));
        let crossed = above(&file, own, H, T_S as i64 * 1_000_000)?;
        found.insert(flow, crossed.map(|at_us| (known_us - at_us) as f64 / 1e6));
    }
    Ok(Case {
        gated,
        wanted_pps: wanted_pps(pps),
        seconds: (all.last_us - all.first_us) as f64 / 1e6,
        link: link_after.since(link),
        mirror: mirror_after.since(mirror),
        captured: all.packets,
        to_mirror,
        read: said.read,
        outside: said.outside,
        dropped: said.dropped,
        cpu_s,
        found,
    })
}

/// Starts `hntes online` where the mirror ends, and waits until it reads.
fn watch(bench: &Bench, port: &Port<'_>, gated: bool) -> Result<Process> {
    let hntes = bench.programs.join("hntes").to_string_lossy().into_owned();
    let (h, t) = (H.to_string(), T_S.to_string());
    let file = bench.work.join("pbr.json");
    write(&file, table().to_string())?;
    let file = file.to_string_lossy();
    let mut argv =
        vec![hntes.as_str(), "online", "--interface", MIRROR, "--h", &h, "--t", &t, "--json"];
    if gated {
        argv.extend(["--table", &file]);
    }
    let mut online = Process::start("online", Some(&port.watch.name), &bench.work, &argv)?;
    until("hntes online to read the mirror", PATIENCE, || {
        online.must_run()?;
        Ok(port.waiting()?.is_some())
    })?;
    Ok(online)
}

/// Notes when flows were first said to be alpha, by their source ports: now, if it was not noted before.
fn note(printed: &str, known: &mut BTreeMap<u16, i64>) -> Result<()> {
    let whole = printed.rfind('\n').map_or("", |end| &printed[..end]);
    for line in whole.lines() {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| odd("hntes online", format!("{error}: {line}")))?;
        if value["event"] == "alpha" {
            let port = value["src_port"].as_u64().and_then(|port| u16::try_from(port).ok());
            let port = port.ok_or_else(|| odd("hntes online", format!("no flow in {line}")))?;
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now_us = i64::try_from(unix.as_micros()).unwrap_or(0);
            known.entry(port).or_insert(now_us);
        }
    }
    Ok(())
}

/// The summary of `hntes online`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    read: u64,
    outside: u64,
    dropped: u64,
}

impl Said {
    fn read(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| odd("the summary of hntes online", format!("{error}: {text}")))?;
        let rows = |table: &str| value["tables"][table].as_array().cloned().unwrap_or_default();
        let counter = |name: &str| {
            let row = rows("online").into_iter().find(|row| row["counter"] == name);
            let count = row.and_then(|row| row["value"].as_u64());
            count.ok_or_else(|| odd("the summary of hntes online", format!("no {name}: {text}")))
        };
        let drops = rows("bad_lines");
        let drops = drops.iter().filter(|row| row["reason"] == "packet dropped by the kernel");
        Ok(Self {
            read: counter("reports")?,
            outside: counter("outside_reports")?,
            dropped: drops.filter_map(|row| row["lines"].as_u64()).sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flow_is_alpha_and_a_quarter_of_the_rest_is_of_the_table() {
        for pps in super::super::STEPS {
            let all = flows(pps);
            let in_t = |flow: &&Paced| flow.mbps * 1e6 / 8.0 * T_S as f64 > H as f64;
            let alpha: Vec<u16> = all.iter().filter(in_t).map(|flow| flow.from.1).collect();
            assert_eq!(alpha, [ALPHA_PORT], "{pps}");
            let of_table = all.iter().filter(|flow| flow.from.0.starts_with("10.1.1.")).count();
            assert_eq!(of_table, usize::from(FLOWS) / 4 + 1);
            let mbps: f64 = all.iter().filter(|flow| !in_t(flow)).map(|flow| flow.mbps).sum();
            assert!((mbps * 1e6 / 8.0 / PACKET as f64 - f64::from(pps)).abs() < 1e-6);
        }
    }

    #[test]
    fn what_hntes_says_is_read() {
        let summary = json!({"tables": {
            "online": [{"counter": "reports", "value": 9}, {"counter": "outside_reports", "value": 4}],
            "bad_lines": [
                {"path": "mirror", "reason": "frame without an IP packet", "lines": 7, "first_line": 1},
                {"path": "mirror", "reason": "packet dropped by the kernel", "lines": 2, "first_line": 9},
            ],
        }});
        let said = Said::read(&summary.to_string()).unwrap();
        assert_eq!(said, Said { read: 9, outside: 4, dropped: 2 });
        assert!(Said::read("{}").is_err() && Said::read("x").is_err());
        let mut known = BTreeMap::from([(7, 1)]);
        let alpha = |port| format!("{{\"event\":\"alpha\",\"src_port\":{port}}}\n");
        let lines =
            format!("{{\"event\":\"ended\",\"src_port\":3}}\n{}{}{{\"ev", alpha(7), alpha(8));
        note(&lines, &mut known).unwrap();
        assert_eq!(known.keys().copied().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(known[&7], 1);
    }
}
