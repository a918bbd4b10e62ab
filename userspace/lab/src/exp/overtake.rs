// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A path that takes less time than IP routing: how many bytes of a flow overtake others when its route is
//! set, what the loop says of that before, and that the route waits for idle if it is bid to.

use super::redirect::setting::{self, Times};
use super::redirect::watch::{Side, Watch, watching};
use super::redirect::{ALPHA, OTHER, PATIENCE, inputs, is_entry, last_words, said, start};
use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::order::Order;
use crate::count::way::numbers;
use crate::draw::bars;
use crate::error::{Result, odd};
use crate::net::{Net, host};
use crate::numbered::{Flow, Pace, Progress, Sink, under};
use crate::process::until;
use crate::report::{Claim, Findings};
use crate::telemetry::Telemetry;
use rustix::process::Signal;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Milliseconds that the IP-routed and the science path take.
const DELAYS: (u32, u32) = (40, 5);
/// Bounds of what may overtake, in bytes; none first.
const BOUNDS: [Option<u64>; 2] = [None, Some(1000)];
/// Seconds of an exporter's report.
const REPORT_S: u32 = 2;
/// Datagrams of the flow, and octets of each with its headers of IP.
const PACE: Pace = Pace { every: Duration::from_millis(2), octets: 1000 };
const PACKET: u64 = 1028;
/// Datagrams that are still sent when the loop has decided, and of the flow when it comes again.
const MORE: u64 = 800;
const AGAIN: u64 = 300;
/// What a number of bytes may be off by: a share, and packets.
const SLACK: (f64, u64) = (0.3, 3);

/// One time that the flow was sent.
#[derive(Clone, Debug, Default, Serialize)]
struct Burst {
    /// Datagrams that had the label of the circuit.
    labelled: u64,
    /// What the numbers say where they came in.
    order: Order,
}

/// The flow with one bound.
#[derive(Clone, Debug, Serialize)]
struct Case {
    /// Bytes that may overtake.
    bound: Option<u64>,
    /// What the audit log says first of its route at the ingress router, and how many bytes it names.
    what: String,
    bytes: Option<u64>,
    /// While it is found, and when it comes again after it was idle.
    first: Burst,
    second: Burst,
}

impl Case {
    /// Bytes that came late.
    fn late(&self) -> u64 {
        self.first.order.late * PACKET
    }

    /// Whether the audit log named about so many bytes.
    fn named(&self, bytes: u64) -> bool {
        let off = |named: u64| named.abs_diff(bytes) as f64;
        let most = SLACK.0 * bytes as f64 + (SLACK.1 * PACKET) as f64;
        self.bytes.is_some_and(|named| named > 0 && off(named) <= most)
    }
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    net.delays(DELAYS.0, DELAYS.1)?;
    let _sink = Sink::open(&net.site2, &[ALPHA.1, OTHER.1])?;
    let case = |bound| {
        say(format!("a bound of what may overtake: {}", name(bound)));
        case(bench, &net, bound).inspect_err(|_| last_words(bench))
    };
    let cases = BOUNDS.into_iter().map(case).collect::<Result<Vec<_>>>()?;
    Ok(findings(&cases))
}

fn name(bound: Option<u64>) -> String {
    bound.map_or("none".to_owned(), |bytes| format!("{bytes} bytes"))
}

fn case(bench: &Bench, net: &Net, bound: Option<u64>) -> Result<Case> {
    let mut telemetry = Telemetry::start(bench, net, REPORT_S)?;
    let (case, _) = watching(net, |watch| play(bench, net, &mut telemetry, watch, bound))?;
    telemetry.end();
    Ok(case)
}

/// The flow's two times.
fn play(
    bench: &Bench,
    net: &Net,
    telemetry: &mut Telemetry,
    watch: &Watch,
    bound: Option<u64>,
) -> Result<Case> {
    // The loop wants a folder with something in it.
    let few = |_: &Progress| {
        until("the exporter's first records", PATIENCE, || {
            telemetry.must_run()?;
            Ok(telemetry.file()?.is_some())
        })
    };
    let slow = Pace { every: Duration::from_millis(100), octets: 100 };
    let other = Flow::new(&host(1, 2, 1), OTHER.0, &host(2, 2, 1), OTHER.1);
    under(&net.site1, &[other], slow, few)?;
    let online = bound.map(|bytes| format!("overtake-bytes = {bytes}")).unwrap_or_default();
    // Its route is still there when it comes again.
    let times = Times { age_s: 15, delays_ms: DELAYS, ..Times::default() };
    let config = setting::write_with(bench, net, &inputs(telemetry), &online, times)?;
    let mut hntes = start(bench, &config)?;
    let audit = setting::store(bench).join("audit.jsonl");
    let mut wait = |what: &str, holds: &mut dyn FnMut() -> bool| -> Result<()> {
        say(what);
        until(what, PATIENCE, || {
            hntes.must_run()?;
            telemetry.must_run()?;
            Ok(holds())
        })
    };
    let entries = |there| watch.both(|side, _, table| is_entry(side, table) == there);
    wait("the loop to begin", &mut || said(&audit, "started").is_some())?;
    let first = burst(bench, net, |progress| {
        match bound {
            None => wait("the entries to be in force", &mut || entries(true))?,
            Some(_) => {
                wait("the loop to hold the route", &mut || said(&audit, "route-held").is_some())?
            }
        }
        progress.wait(MORE)
    })?;
    wait("the flow to be over", &mut || said(&audit, "flow-ended").is_some())?;
    wait("the entries to be in force", &mut || entries(true))?;
    let second = burst(bench, net, |progress| progress.wait(AGAIN))?;
    wait("the entries to age out", &mut || {
        watch.both(|side: Side, _, table| !is_entry(side, table))
    })?;
    wait("the circuit to be released", &mut || watch.circuit(false))?;
    hntes.stop(Signal::TERM, PATIENCE);
    let (what, bytes) = told(&audit)?;
    Ok(Case { bound, what, bytes, first, second })
}

/// Sends the flow as long as `during` takes.
fn burst(bench: &Bench, net: &Net, during: impl FnOnce(&Progress) -> Result<()>) -> Result<Burst> {
    let flow = Flow::new(&host(1, 1, 1), ALPHA.0, &host(2, 1, 1), ALPHA.1);
    let captures = [
        Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?,
        Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?,
    ];
    let ((), sent) = under(&net.site1, &[flow], PACE, during)?;
    // What is under way on the slow path.
    std::thread::sleep(Duration::from_millis(u64::from(DELAYS.0) * 5));
    let [p2, site2] = finish(captures)?;
    let labelled = numbers(&p2, Some(true))?.remove(&0).unwrap_or_default().len() as u64;
    let came = numbers(&site2, None)?.remove(&0).unwrap_or_default();
    Ok(Burst { labelled, order: Order::of(&came, sent) })
}

/// What the audit log says first of a route at the ingress router, and how many bytes it names.
fn told(audit: &Path) -> Result<(String, Option<u64>)> {
    let text = std::fs::read_to_string(audit).map_err(crate::error::at(audit))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_route = |line: &Value| {
        let what = line["what"].as_str().unwrap_or_default();
        line["router"] == "pe1" && ["route-wanted", "route-held"].contains(&what)
    };
    let line = lines.into_iter().find(of_route);
    let line = line.ok_or_else(|| odd("the audit log", "it says nothing of a route at pe1"))?;
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    Ok((text("what"), named(&text("reason"))))
}

/// The number before `bytes`.
fn named(reason: &str) -> Option<u64> {
    let words: Vec<&str> = reason.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "bytes")?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

fn claims(cases: &[Case]) -> Vec<Claim> {
    let with = |bounded: bool| cases.iter().find(|case| case.bound.is_some() == bounded);
    let claim = |text: &str, case: Option<&Case>, holds: &dyn Fn(&Case) -> bool| {
        Claim::new(text, case.is_some_and(holds))
    };
    let (loose, bounded) = (with(false), with(true));
    let late = loose.map_or(0, Case::late);
    let said = |case: Option<&Case>| {
        case.and_then(|case| case.bytes).map_or("nothing".to_owned(), |bytes| bytes.to_string())
    };
    let bursts = || cases.iter().flat_map(|case| [&case.first, &case.second]);
    let sum = |of: fn(&Order) -> u64| bursts().map(|burst| of(&burst.order)).sum::<u64>();
    let (lost, again, sent) = (sum(Order::lost), sum(|one| one.again), sum(|one| one.sent));
    let seconds = cases.iter().filter(|case| {
        let second = &case.second;
        second.order.late == 0 && second.labelled == second.order.sent && second.labelled > 0
    });
    vec![
        claim(
            &format!(
                "without a bound the route is set while the flow sends, and about as much of it comes \
                 late as the loop says: {late} bytes, {} said",
                said(loose)
            ),
            loose,
            &|case| {
                let first = &case.first;
                let moved = (1..first.order.sent).contains(&first.labelled);
                case.what == "route-wanted" && moved && case.late() > 0 && case.named(case.late())
            },
        ),
        claim(
            &format!(
                "with one the loop says as much and holds the route: {} bytes said, {} datagrams of {} \
                 on the science path, {} late",
                said(bounded),
                bounded.map_or(0, |case| case.first.labelled),
                bounded.map_or(0, |case| case.first.order.sent),
                bounded.map_or(0, |case| case.first.order.late)
            ),
            bounded,
            &|case| {
                let first = &case.first;
                let still = first.labelled == 0 && first.order.late == 0 && first.order.sent > 0;
                case.what == "route-held" && still && case.named(late)
            },
        ),
        Claim::new(
            format!(
                "the flow that comes again after it was idle is on the science path from its first \
                 datagram, in order: {} of {} cases",
                seconds.clone().count(),
                BOUNDS.len()
            ),
            seconds.count() == BOUNDS.len(),
        ),
        Claim::new(
            format!("no datagram is lost or doubled: {lost} lost, {again} doubled of {sent}"),
            lost == 0 && again == 0 && sent > 0,
        ),
    ]
}

fn findings(cases: &[Case]) -> Findings {
    let group = |case: &Case| {
        let said = case.bytes.map(|bytes| bytes as f64);
        (name(case.bound), vec![said, Some(case.late() as f64)])
    };
    let groups: Vec<_> = cases.iter().map(group).collect();
    let row = |case: &Case| {
        let first = &case.first;
        vec![
            name(case.bound),
            case.what.clone(),
            case.bytes.map_or("-".to_owned(), |bytes| bytes.to_string()),
            case.late().to_string(),
            format!("{} of {}", first.labelled, first.order.sent),
            format!("{} of {}", case.second.labelled, case.second.order.sent),
            (first.order.lost() + case.second.order.lost()).to_string(),
        ]
    };
    Findings {
        title: "What overtakes when a route is set, and waiting for idle",
        paragraph: format!(
            "The IP-routed path takes {} ms, the science path {} ms, and the topology of `hntes run` says \
             so. A flow of numbered datagrams, one every {} ms, is found as alpha from IPFIX. The loop says \
             in its audit log how many bytes may overtake others when its route is set: its rate times the \
             difference of the delays. Without a bound it sets the route; captures at the other site say how \
             many came late. With `overtake-bytes` it holds the route until the flow is idle. Then the flow \
             comes again, and has the route from its first datagram.",
            DELAYS.0,
            DELAYS.1,
            PACE.every.as_millis()
        ),
        columns: vec![
            "bound",
            "the loop says",
            "bytes said",
            "bytes late",
            "labelled at first",
            "labelled again",
            "lost",
        ],
        rows: cases.iter().map(row).collect(),
        claims: claims(cases),
        figure: bars(
            "What overtakes, by the bound",
            "bytes",
            &["the loop says", "came late"],
            &groups,
        ),
        data: json!({"cases": cases, "delays_ms": DELAYS}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(labelled: u64, sent: u64, late: u64) -> Burst {
        Burst { labelled, order: Order { sent, came: sent, late, ..Order::default() } }
    }

    fn good() -> Vec<Case> {
        let case = |bound, what: &str, first| Case {
            bound,
            what: what.to_owned(),
            bytes: Some(18_000),
            first,
            second: burst(300, 300, 0),
        };
        vec![
            case(None, "route-wanted", burst(800, 3000, 17)),
            case(Some(1000), "route-held", burst(0, 3000, 0)),
        ]
    }

    #[test]
    fn each_claim_can_fail() {
        let failed = |change: &dyn Fn(&mut Vec<Case>)| -> Vec<usize> {
            let mut cases = good();
            change(&mut cases);
            let claims = findings(&cases).claims;
            (0..claims.len()).filter(|at| !claims[*at].met).collect()
        };
        assert_eq!(failed(&|_| {}), [] as [usize; 0]);
        assert_eq!(failed(&|cases| cases[0].bytes = Some(40_000)), [0]);
        assert_eq!(failed(&|cases| cases[0].bytes = None), [0]);
        assert_eq!(failed(&|cases| cases[0].what = "route-held".into()), [0]);
        assert_eq!(failed(&|cases| cases[0].first.labelled = 3000), [0]);
        assert_eq!(failed(&|cases| cases[0].first.order.late = 0), [0, 1]);
        assert_eq!(failed(&|cases| cases[1].first.labelled = 1), [1]);
        assert_eq!(failed(&|cases| cases[1].first.order.late = 1), [1]);
        assert_eq!(failed(&|cases| cases[1].bytes = Some(1)), [1]);
        assert_eq!(failed(&|cases| cases[1].what = "route-wanted".into()), [1]);
        assert_eq!(failed(&|cases| cases[1].second.labelled = 299), [2]);
        assert_eq!(failed(&|cases| cases[0].second.order.late = 1), [2]);
        assert_eq!(failed(&|cases| cases[0].second.order.came = 299), [3]);
        assert_eq!(failed(&|cases| cases[1].first.order.again = 1), [3]);
        assert_eq!(failed(&|cases| cases.clear()), [0, 1, 2, 3]);
    }

    #[test]
    fn the_number_of_bytes_is_read() {
        assert_eq!(named("alpha flow; 18000 bytes may overtake others"), Some(18_000));
        assert_eq!(named("alpha flow: 7 bytes may overtake others: it waits"), Some(7));
        assert_eq!((named("alpha flow"), named("bytes")), (None, None));
    }
}
