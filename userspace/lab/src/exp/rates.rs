// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rate-unlimited LSPs against rate-specified ones: what an alpha flow gets alone and in company, for
//! each thing that may become of packets above the rate.

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::load::{Load, load};
use crate::draw::{bars, short};
use crate::error::Result;
use crate::iperf::{Iperf, Plan};
use crate::lsp::Lsps;
use crate::net::{COMPANY, Net, host};
use crate::report::{Claim, Findings};
use crate::router::{Router, hosts};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use telesteer_circuit::request::{Excess, Rate};
use telesteer_redirect::{Aging, Settings};

/// Mb/s of a link, of a circuit, and of its company.
const LINK: u64 = 24;
const RATE: u64 = 8;
const COMPANY_MBPS: f64 = 30.0;
/// Seconds of a flow, and of what is left out at its beginning and its end.
const SECONDS: u32 = 10;
const EDGE_US: i64 = 2_000_000;
/// By how much of it a rate may be missed.
const SLACK: f64 = 0.15;

/// One case.
#[derive(Clone, Debug, Serialize)]
struct Case {
    name: &'static str,
    /// Mb/s promised; 0 of a rate-unlimited circuit.
    promised: u64,
    excess: Option<Excess>,
    /// Whether other traffic wanted more than the whole link.
    company: bool,
    /// Mb/s of IP with the circuit's label, behind the ingress router.
    alpha_mbps: f64,
    /// And without one.
    others_mbps: f64,
}

/// What is tried, and in company or not.
const CASES: [(&str, Option<Excess>, bool); 6] = [
    ("unlimited, alone", None, false),
    ("8 Mb/s, excess dropped, alone", Some(Excess::Drop), false),
    ("8 Mb/s, best effort, alone", Some(Excess::BestEffort), false),
    ("8 Mb/s, excess dropped, in company", Some(Excess::Drop), true),
    ("8 Mb/s, best effort, in company", Some(Excess::BestEffort), true),
    ("8 Mb/s, scavenger, in company", Some(Excess::Scavenger), true),
];

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, LINK)?;
    let cases = if bench.brief { &CASES[1..2] } else { &CASES[..] };
    let mut done = Vec::new();
    for &(name, excess, company) in cases {
        say(name);
        let rate = match excess {
            None => Rate::Unlimited,
            Some(excess) => Rate::Specified { mbps: RATE, excess },
        };
        let lsp = lsps.up(rate, true)?;
        let mut router = Router::nft(&net.pe1, Settings::default())?;
        router.science_up(&lsp)?;
        router.want(hosts(&host(1, 1, 1), &host(2, 1, 1))?, Aging::Kept)?;
        router.settle()?;
        let (alpha, others) = play(bench, &net, company)?;
        router.swap(Vec::new())?;
        router.settle()?;
        lsps.down(&lsp)?;
        done.push(Case {
            name,
            promised: rate.mbps(),
            excess,
            company,
            alpha_mbps: alpha.mbps(),
            others_mbps: others.mbps(),
        });
    }
    // Two thirds of the link are booked: as much again does not fit.
    let book = || lsps.up(Rate::Specified { mbps: LINK * 2 / 3, excess: Excess::Drop }, true);
    let first = book()?;
    let refused = book().err().map(|error| error.to_string());
    lsps.down(&first)?;
    Ok(findings(&done, refused))
}

/// An alpha flow through the circuit, with or without company on the same links.
fn play(bench: &Bench, net: &Net, company: bool) -> Result<(Load, Load)> {
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let (other, company_to) = (host(1, 2, 1), COMPANY.to_owned());
    let plan = |from, to, port, mbps, udp| Plan {
        from,
        from_port: None,
        to,
        port,
        seconds: SECONDS,
        mbps,
        udp,
    };
    let capture = Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?;
    let others = match company {
        true => {
            let plan = plan(&other, &company_to, 5202, Some(COMPANY_MBPS), true);
            Some(Iperf::start(&net.site1, &net.site2, &bench.work, &plan)?)
        }
        false => None,
    };
    let plan = plan(&from, &to, 5201, None, false);
    let alpha = Iperf::start(&net.site1, &net.site2, &bench.work, &plan)?;
    std::thread::sleep(Duration::from_secs(u64::from(SECONDS)));
    alpha.finish()?;
    if let Some(others) = others {
        others.finish()?;
    }
    let [file] = finish([capture])?;
    let alpha = load(&file, |frame| frame.label.is_some())?;
    let (first, last) = (alpha.first_us + EDGE_US, alpha.last_us - EDGE_US);
    let steady = |labelled: bool| {
        load(&file, |frame| {
            frame.label.is_some() == labelled && (first..last).contains(&frame.at_us)
        })
    };
    Ok((steady(true)?, steady(false)?))
}

fn near(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() <= SLACK * wanted
}

fn findings(cases: &[Case], refused: Option<String>) -> Findings {
    let mut claims = Vec::new();
    let link = LINK as f64;
    for case in cases {
        let (alpha, others) = (case.alpha_mbps, case.others_mbps);
        let promised = case.promised as f64;
        let said = format!(
            "{}: alpha {} Mb/s{}",
            case.name,
            short(alpha),
            if case.company { format!(", others {} Mb/s", short(others)) } else { String::new() }
        );
        let met = match (case.excess, case.company) {
            // Nothing shapes it.
            (None, _) => alpha > link,
            (Some(Excess::Drop), false) => near(alpha, promised),
            (Some(_), false) => near(alpha, link),
            (Some(Excess::Drop), true) => near(alpha, promised) && near(others, link - promised),
            // It has its rate, and shares what is left.
            (Some(Excess::BestEffort), true) => {
                alpha > (1.0 + SLACK) * promised && near(alpha + others, link)
            }
            (Some(Excess::Scavenger), true) => {
                near(alpha, promised) && near(others, link - promised)
            }
        };
        claims.push(Claim::new(said, met));
    }
    let mut said = "more than a link has is not promised".to_owned();
    if let Some(why) = &refused {
        said = format!("{said}: {why}");
    }
    claims.push(Claim::new(said, refused.is_some()));
    let groups: Vec<_> = cases
        .iter()
        .map(|case| {
            let others = case.company.then_some(case.others_mbps);
            (case.name.to_owned(), vec![Some(case.alpha_mbps), others])
        })
        .collect();
    Findings {
        title: "Rate-unlimited and rate-specified LSPs",
        paragraph: format!(
            "A TCP flow as fast as it goes is sent through a circuit on links of {LINK} Mb/s, alone \
             and beside {COMPANY_MBPS} Mb/s of UDP of another customer on the same links. A \
             rate-unlimited circuit is a path and no promise, so nothing shapes it, and the virtual \
             link has no capacity of its own. A rate-specified one has a class of HTB on every hop \
             that is sure of {RATE} Mb/s; what goes beyond is dropped, shares with everybody, or takes \
             what nobody else wants. Mb/s are those of IP packets, with the circuit's label and \
             without one, captured behind the ingress router in the middle of {SECONDS} s."
        ),
        columns: vec!["circuit", "promised Mb/s", "alpha Mb/s", "others Mb/s"],
        rows: cases
            .iter()
            .map(|case| {
                vec![
                    case.name.to_owned(),
                    case.promised.to_string(),
                    short(case.alpha_mbps),
                    if case.company { short(case.others_mbps) } else { "-".into() },
                ]
            })
            .collect(),
        claims,
        figure: bars("What flows get", "Mb/s", &["alpha, labelled", "others"], &groups),
        data: json!({"cases": cases, "link_mbps": LINK, "refused": refused}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(excess: Option<Excess>, company: bool, alpha_mbps: f64, others_mbps: f64) -> Case {
        let promised = if excess.is_some() { RATE } else { 0 };
        Case { name: "c", promised, excess, company, alpha_mbps, others_mbps }
    }

    #[test]
    fn what_a_circuit_must_give() {
        let met = |case: Case| findings(&[case], Some("no".into())).good();
        assert!(met(case(Some(Excess::Drop), false, 7.6, 0.0)));
        assert!(!met(case(Some(Excess::Drop), false, 12.0, 0.0)));
        assert!(met(case(Some(Excess::Scavenger), true, 8.0, 16.0)));
        assert!(!met(case(Some(Excess::Scavenger), true, 4.0, 20.0)));
        assert!(met(case(Some(Excess::BestEffort), true, 12.0, 11.5)));
        assert!(!met(case(None, false, 20.0, 0.0)));
        assert!(!findings(&[], None).good());
    }
}
