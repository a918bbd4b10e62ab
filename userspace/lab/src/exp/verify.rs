// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An entry of each device that forwards packets here, added and taken away under traffic: what the
//! device says of it, beside the counters of both links and the labels that were captured.

mod wire;

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::frame::each;
use crate::count::order::Order;
use crate::count::way::{Way, numbers};
use crate::devices::Programs;
use crate::devices::ovs::{LABEL, PORTS};
use crate::draw::bars;
use crate::error::{Result, odd};
use crate::lsp::{Lsp, Lsps};
use crate::net::{Net, host};
use crate::numbered::{Flow, LEAST, Pace, Sink, under};
use crate::report::{Claim, Findings};
use crate::router::{Router, SCIENCE, SCIENCE_MARK, hosts, path};
use crate::space::Space;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use telesteer_circuit::request::Rate;
use telesteer_redirect::{Aging, Settings, Target};
use wire::Bridge;

/// From one datagram of a flow to its next.
const EVERY: Duration = Duration::from_millis(10);
/// Datagrams of each flow before and after a change.
const AROUND: u64 = 60;
/// Packets that are no datagrams of ours: neighbours ask for one another.
const STRANGERS: u64 = 20;
/// Those that are programs of the ingress router.
const DEVICES: [&str; 4] = ["nft", "ip-rule", "frr", "flowspec"];

/// Where packets of site 1 are captured and counted, by way: the IP-routed one, the science path.
struct Place<'a> {
    /// Where they come in next.
    far: [(&'a Space, &'a str); 2],
    /// Where they leave.
    near: [(&'a Space, &'a str); 2],
    /// The label of the science path.
    label: u32,
}

/// What came of a device.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    device: &'static str,
    /// Rules it said it held, with the entry and after it was taken away.
    held: (usize, usize),
    /// The flow that the entry is of, and one of other hosts.
    entry: Way,
    other: Way,
    /// Datagrams of both that did not come to the other site, or came again.
    amiss: u64,
    /// Datagrams captured behind the ingress router: plain link, science path.
    captured: (u64, u64),
    /// Packets that its links counted.
    counted: (u64, u64),
    /// Labels on the science path, and that of the circuit.
    labels: BTreeSet<Option<u32>>,
    label: u32,
}

impl Outcome {
    /// What is not as it should be.
    fn faults(&self) -> Vec<&'static str> {
        let close =
            |counted: u64, captured: u64| (captured..=captured + STRANGERS).contains(&counted);
        let checks = [
            (self.held == (1, 0), "what it says it holds"),
            (self.entry.whole() && self.other.whole(), "lost or doubled"),
            (self.amiss == 0, "lost or doubled on the way to the other site"),
            (self.entry.runs == [false, true, false], "the way of the entry's flow"),
            (self.other.runs == [false], "the way of the other flow"),
            (self.labels == BTreeSet::from([Some(self.label)]), "the label"),
            (close(self.counted.0, self.captured.0), "the counter of the plain link"),
            (close(self.counted.1, self.captured.1), "the counter of the science path"),
        ];
        checks.into_iter().filter(|(good, _)| !good).map(|(_, what)| what).collect()
    }
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, 100)?;
    let lsp = lsps.up(Rate::Unlimited, true)?;
    let mut outcomes = Vec::new();
    for device in DEVICES {
        say(device);
        outcomes.push(inside(bench, &net, &lsp, device)?);
    }
    lsps.down(&lsp)?;
    say("openflow");
    let bridge = Bridge::build(&net, &bench.work)?;
    let place = Place {
        far: [(&net.p1, wire::PLAIN), (&net.p2, wire::SCIENCE_LINK)],
        near: [(&bridge.space, PORTS[1]), (&bridge.space, PORTS[2])],
        label: LABEL,
    };
    outcomes.push(outcome(bench, &net, &place, bridge.router()?, "openflow")?);
    Ok(findings(&outcomes))
}

/// Of a device of the ingress router.
fn inside(bench: &Bench, net: &Net, lsp: &Lsp, device: &'static str) -> Result<Outcome> {
    let here = |entrance: &&telesteer_circuit::local::client::Entrance| entrance.node == "pe1";
    let entrance = lsp.entrances.iter().find(here);
    let entrance = entrance.ok_or_else(|| odd("circuit", "it does not begin at pe1"))?;
    let name = path(SCIENCE)?;
    let target = Target { mark: SCIENCE_MARK, table: entrance.table };
    let programs = Programs::start(device, &net.pe1, &bench.work, "to-site1", (&name, target))?;
    let open = || programs.open(device, &name);
    let mut router = Router::open(&net.pe1, Settings::default(), open)?;
    router.science_up(lsp)?;
    let place = Place {
        far: [(&net.p1, "to-pe1"), (&net.p2, "to-pe1")],
        near: [(&net.pe1, "to-p1"), (&net.pe1, "to-p2")],
        label: entrance.label,
    };
    outcome(bench, net, &place, router, device)
}

fn outcome(
    bench: &Bench,
    net: &Net,
    place: &Place<'_>,
    mut router: Router<'_>,
    device: &'static str,
) -> Result<Outcome> {
    let [plain, science] = place.far;
    let counters = || -> Result<(u64, u64)> {
        let [plain, science] = place.near;
        Ok((sent(plain.0, plain.1)?, sent(science.0, science.1)?))
    };
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let flows =
        [Flow::new(&from, 4000, &to, 7000), Flow::new(&host(1, 2, 1), 4000, &host(2, 2, 1), 7000)];
    let matching = hosts(&from, &to)?;
    let _sink = Sink::open(&net.site2, &[7000])?;
    let captures = [
        Capture::start(plain.0, plain.1, &bench.work, "p1")?,
        Capture::start(science.0, science.1, &bench.work, "p2")?,
        Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?,
    ];
    let before = counters()?;
    let pace = Pace { every: EVERY, octets: LEAST };
    let (held, rounds) = under(&net.site1, &flows, pace, |progress| {
        progress.wait(AROUND)?;
        router.want(matching, Aging::Kept)?;
        router.settle()?;
        let with = router.held()?;
        progress.wait(AROUND)?;
        router.controller.unwant(&matching);
        router.settle()?;
        let without = router.held()?;
        progress.wait(AROUND)?;
        Ok((with, without))
    })?;
    let [p1, p2, site2] = finish(captures)?;
    let after = counters()?;
    let arrived = numbers(&site2, None)?;
    let end = |flow: u32| Order::of(arrived.get(&flow).map_or(&[], Vec::as_slice), rounds);
    let (plain, science) = (numbers(&p1, None)?, numbers(&p2, None)?);
    let mut labels = BTreeSet::new();
    each(&p2, |frame| {
        if frame.number.is_some() {
            labels.insert(frame.label);
        }
    })?;
    let way = |flow: u32| {
        let of = |all: &crate::count::way::Numbers| all.get(&flow).cloned().unwrap_or_default();
        Way::of(&of(&plain), &of(&science), rounds)
    };
    let count =
        |all: &crate::count::way::Numbers| all.values().map(|one| one.len() as u64).sum::<u64>();
    Ok(Outcome {
        device,
        held,
        entry: way(0),
        other: way(1),
        amiss: [end(0), end(1)].iter().map(|end| end.lost() + end.again).sum(),
        captured: (count(&plain), count(&science)),
        counted: (after.0 - before.0, after.1 - before.1),
        labels,
        label: place.label,
    })
}

/// Packets that went out of a link, by its own counter.
fn sent(space: &Space, link: &str) -> Result<u64> {
    let path = format!("/sys/class/net/{link}/statistics/tx_packets");
    let text = space.run(&["cat", &path])?;
    text.trim().parse().map_err(|error| odd(path, error))
}

fn findings(outcomes: &[Outcome]) -> Findings {
    let claims = outcomes
        .iter()
        .map(|one| {
            let faults = one.faults();
            let said = match faults.is_empty() {
                true => "as read back, as counted, as captured".to_owned(),
                false => faults.join(", "),
            };
            Claim::new(format!("{}: {said}", one.device), faults.is_empty())
        })
        .collect();
    let groups: Vec<_> = outcomes
        .iter()
        .map(|one| {
            let (plain, science) = one.captured;
            (one.device.to_owned(), vec![Some(plain as f64), Some(science as f64)])
        })
        .collect();
    Findings {
        title: "Entries of each device, on the wire",
        paragraph: format!(
            "An entry for a pair of hosts is added and taken away on the ingress router by {}, and by \
             OpenFlow on a bridge of Open vSwitch in its place, while \
             its flow and one of other hosts send numbered datagrams. The device is read back; the \
             links of the router count packets; captures behind both links say which way each \
             datagram went and under which label; another at the other site says that all came. All \
             must agree. JunOS does not forward in this network and is in the conformance tests only.",
            DEVICES.join(", ")
        ),
        columns: vec![
            "device",
            "sent each",
            "lost",
            "plain captured",
            "plain counted",
            "science captured",
            "science counted",
            "labels",
        ],
        rows: outcomes
            .iter()
            .map(|one| {
                let label =
                    |label: &Option<u32>| label.map_or("none".into(), |one| one.to_string());
                let labels: Vec<String> = one.labels.iter().map(label).collect();
                vec![
                    one.device.to_owned(),
                    one.entry.sent.to_string(),
                    (one.entry.neither + one.other.neither).max(one.amiss).to_string(),
                    one.captured.0.to_string(),
                    one.counted.0.to_string(),
                    one.captured.1.to_string(),
                    one.counted.1.to_string(),
                    labels.join(" "),
                ]
            })
            .collect(),
        claims,
        figure: bars("Datagrams captured", "", &["plain link", "science path"], &groups),
        data: json!({"devices": outcomes}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_witness_can_object() {
        let way = |runs: &[bool]| Way { sent: 9, neither: 0, doubled: 0, runs: runs.to_vec() };
        let good = || Outcome {
            device: "nft",
            held: (1, 0),
            entry: way(&[false, true, false]),
            other: way(&[false]),
            amiss: 0,
            captured: (15, 3),
            counted: (17, 3),
            labels: BTreeSet::from([Some(100_000)]),
            label: 100_000,
        };
        assert!(findings(&[good()]).good());
        for bad in [
            Outcome { held: (0, 0), ..good() },
            Outcome { entry: way(&[false]), ..good() },
            Outcome { other: way(&[false, true]), ..good() },
            Outcome { amiss: 1, ..good() },
            Outcome { counted: (17, 2), ..good() },
            Outcome { labels: BTreeSet::from([None]), ..good() },
            Outcome { entry: Way { neither: 1, ..way(&[false, true, false]) }, ..good() },
        ] {
            assert_eq!(bad.faults().len(), 1, "{bad:?}");
        }
    }
}
