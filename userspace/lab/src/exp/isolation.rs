// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Delay of beta traffic on a link that an alpha flow fills: in one queue with it, and in a queue of
//! its own as a rate-specified circuit leaves it.

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::load::{load, transit};
use crate::draw::{Axis, Line, plot, short};
use crate::error::Result;
use crate::iperf::{Iperf, Plan};
use crate::lsp::Lsps;
use crate::net::{COMPANY, Net, host};
use crate::numbered::{Flow, Pace, Sink, under};
use crate::report::{Claim, Findings};
use crate::router::{Router, hosts};
use crate::stats::{percentile, sorted};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use telesteer_circuit::request::{Excess, Rate};
use telesteer_redirect::{Aging, Settings};

/// Mb/s of the link, and what the circuit is sure of.
const LINK: u64 = 8;
const RATE: u64 = 5;
/// Bytes that the one queue holds: an eighth of a second.
const QUEUE: &str = "125000";
/// Beta datagrams: so many, so large, one every so often.
const DATAGRAMS: u64 = 800;
const OCTETS: usize = 200;
const EVERY: Duration = Duration::from_millis(10);
/// How much smaller the delay is to be with two queues.
const GAIN: f64 = 5.0;

/// What shares the link, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Queues {
    /// No alpha flow; one queue.
    NoAlpha,
    /// One queue for all.
    One,
    /// A class for the circuit, one for all others.
    Two,
}

impl Queues {
    fn name(self) -> &'static str {
        match self {
            Self::NoAlpha => "no alpha flow",
            Self::One => "one queue",
            Self::Two => "two queues",
        }
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
struct Case {
    queues: Queues,
    /// Milliseconds from before the ingress router to the other site, in order.
    delays_ms: Vec<f64>,
    /// Beta datagrams that never came.
    lost: u64,
    /// Mb/s of the alpha flow.
    alpha_mbps: f64,
}

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, LINK)?;
    let mut cases = Vec::new();
    for queues in [Queues::NoAlpha, Queues::One, Queues::Two] {
        say(queues.name());
        cases.push(case(bench, &net, &lsps, queues)?);
    }
    Ok(findings(&cases))
}

fn case(bench: &Bench, net: &Net, lsps: &Lsps, queues: Queues) -> Result<Case> {
    let rate = match queues {
        Queues::Two => Rate::Specified { mbps: RATE, excess: Excess::BestEffort },
        _ => Rate::Unlimited,
    };
    let link = format!("{LINK}mbit");
    if queues != Queues::Two {
        let argv = ["tc", "qdisc", "add", "dev", "to-p2", "root", "tbf", "rate", &link];
        net.pe1.run(&[&argv[..], &["burst", "10000", "limit", QUEUE]].concat())?;
    }
    let lsp = lsps.up(rate, true)?;
    let mut router = Router::nft(&net.pe1, Settings::default())?;
    router.science_up(&lsp)?;
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    router.want(hosts(&from, &to)?, Aging::Kept)?;
    router.settle()?;

    let beta = [Flow::new(&host(1, 2, 1), 4000, COMPANY, 7000)];
    let _sink = Sink::open(&net.site2, &[7000])?;
    let datagrams = if bench.brief { DATAGRAMS / 8 } else { DATAGRAMS };
    let captures = [
        Capture::start(&net.pe1, "to-site1", &bench.work, "pe1")?,
        Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?,
        Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?,
    ];
    // It begins before beta's time and ends after it, in a guest that is slow too.
    let seconds = 15 + u32::try_from(datagrams / 100).unwrap_or(8);
    let alpha = match queues {
        Queues::NoAlpha => None,
        _ => {
            let (mbps, udp) = (None, false);
            let plan =
                Plan { from: &from, from_port: None, to: &to, port: 5201, seconds, mbps, udp };
            Some(Iperf::start(&net.site1, &net.site2, &bench.work, &plan)?)
        }
    };
    std::thread::sleep(Duration::from_secs(if alpha.is_some() { 4 } else { 0 }));
    let pace = Pace { every: EVERY, octets: OCTETS };
    under(&net.site1, &beta, pace, |progress| progress.wait(datagrams))?;
    let [pe1, p2, site2] = finish(captures)?;
    if let Some(alpha) = alpha {
        alpha.finish()?;
    }
    router.swap(Vec::new())?;
    router.settle()?;
    lsps.down(&lsp)?;
    if queues != Queues::Two {
        net.pe1.run(&["tc", "qdisc", "del", "dev", "to-p2", "root"])?;
    }
    let (times, lost) = transit(&pe1, &site2, 0)?;
    let delays_ms = sorted(times.into_iter().map(|us| us as f64 / 1000.0));
    // What it got in beta's time.
    let beta = load(&p2, |frame| frame.number.is_some())?;
    let with_beta = beta.first_us..=beta.last_us;
    let alpha = load(&p2, |frame| frame.label.is_some() && with_beta.contains(&frame.at_us))?;
    let alpha_mbps = alpha.octets as f64 * 8.0 / (beta.last_us - beta.first_us).max(1) as f64;
    Ok(Case { queues, delays_ms, lost, alpha_mbps })
}

fn findings(cases: &[Case]) -> Findings {
    let p99 = |queues| {
        let case = cases.iter().find(|case| case.queues == queues);
        case.map_or(f64::NAN, |case| percentile(&case.delays_ms, 99.0))
    };
    let (none, one, two) = (p99(Queues::NoAlpha), p99(Queues::One), p99(Queues::Two));
    let lost = cases.iter().filter(|case| case.queues == Queues::Two).map(|case| case.lost);
    let lost: u64 = lost.sum();
    let full = cases.iter().filter(|case| case.queues != Queues::NoAlpha);
    let full = full.map(|case| case.alpha_mbps).fold(f64::INFINITY, f64::min);
    let points = |case: &Case| {
        let count = case.delays_ms.len().max(1) as f64;
        let share = |at: usize| (at + 1) as f64 / count * 100.0;
        let all = case.delays_ms.iter().enumerate().map(|(at, ms)| (ms.max(0.01), share(at)));
        all.collect::<Vec<_>>()
    };
    let lines: Vec<Line<'_>> = cases
        .iter()
        .map(|case| Line { name: case.queues.name(), points: points(case), joined: true })
        .collect();
    let x = Axis { label: "milliseconds", log: true };
    let y = Axis { label: "percent of datagrams", log: false };
    Findings {
        title: "Delay of beta traffic beside an alpha flow",
        paragraph: format!(
            "A link of {LINK} Mb/s is filled by a TCP flow through a circuit, and beta traffic of \
             another customer, 100 datagrams of {OCTETS} octets a second, takes the same link without \
             a label. Delay is that from the capture before the ingress router to the one at the \
             other site. In one queue of {QUEUE} bytes with the alpha flow 99 % of the datagrams took \
             at most {} ms; where a rate-specified circuit of {RATE} Mb/s gives the label a class of \
             its own and nothing is policed, {} ms; without any alpha flow {} ms. All of it in an \
             emulated guest, whose own waits are in the figures.",
            short(one),
            short(two),
            short(none)
        ),
        columns: vec!["link", "p50 ms", "p99 ms", "most ms", "beta lost", "alpha Mb/s"],
        rows: cases
            .iter()
            .map(|case| {
                let of = |percent| short(percentile(&case.delays_ms, percent));
                vec![
                    case.queues.name().to_owned(),
                    of(50.0),
                    of(99.0),
                    of(100.0),
                    case.lost.to_string(),
                    short(case.alpha_mbps),
                ]
            })
            .collect(),
        claims: vec![
            Claim::new(
                format!(
                    "two queues make the p99 delay of beta traffic at least {GAIN:.0} times smaller: \
                     {} to {} ms",
                    short(one),
                    short(two)
                ),
                two * GAIN <= one,
            ),
            Claim::new(format!("with two queues no beta datagram is lost: {lost}"), lost == 0),
            Claim::new(
                format!(
                    "the alpha flow filled the link in both: at least {} of {LINK} Mb/s",
                    short(full)
                ),
                full >= 0.8 * LINK as f64,
            ),
        ],
        figure: plot("Delay of beta datagrams", x, y, &lines),
        data: json!({"cases": cases, "link_mbps": LINK, "circuit_mbps": RATE}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_queues_must_be_better_and_the_link_full() {
        let case = |queues, ms: f64, alpha_mbps| Case {
            queues,
            delays_ms: vec![ms; 10],
            lost: 0,
            alpha_mbps,
        };
        let all = |two: f64, mbps| {
            let none = case(Queues::NoAlpha, 1.0, 0.0);
            findings(&[none, case(Queues::One, 100.0, 7.5), case(Queues::Two, two, mbps)])
        };
        assert!(all(5.0, 7.5).good());
        assert!(!all(50.0, 7.5).good() && !all(5.0, 3.0).good());
        assert!(!findings(&[]).good());
    }
}
