// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Method 3: headers of every packet are mirrored to whoever looks for alpha flows. What that costs by
//! the link's rate; and with the offline table as a gate (Solution 2), so that only its flows are mirrored.
//!
//! In a guest whose clock counts instructions: on an emulated machine with a clock of its host's a thread
//! that is woken for a packet costs what the host likes, ten times as much at one rate as at another.

mod play;
mod port;

use super::{Bench, say};
use crate::draw::{Axis, Line, plot, short, stack};
use crate::error::Result;
use crate::net::Net;
use crate::numbered::Sink;
use crate::report::{Claim, Findings};
use crate::stats::sorted;
use play::{Case, play};
use port::{CUT, CUT_FRAME, Port};
use serde_json::json;

/// H in bytes, T in seconds.
const H: u64 = 1_000_000;
const T_S: u64 = 6;
/// Small flows, and packets a second of all of them, by step.
const FLOWS: u16 = 96;
const STEPS: [u32; 5] = [500, 1000, 2000, 4000, 8000];
/// Source port of the alpha flow, and the port of all that is sent.
const ALPHA_PORT: u16 = 30_000;
const PORT: u16 = 7000;
/// The offline table: one of four networks, and the alpha flow's.
const TABLE: [(&str, &str); 1] = [("10.1.1.0/24", "10.2.1.0/24")];
/// Seconds in which a flow is found, at most.
const SOON_S: f64 = 1.0;
/// By which share a step's rate may be missed.
const SLACK: f64 = 0.1;
/// Factor within which the processor time of a packet is the same at all rates; the least that is
/// measured is 12 ticks.
const SAME: f64 = 1.25;

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let port = Port::build(&net)?;
    let _sink = Sink::open(&net.site2, &[PORT])?;
    let steps = if bench.brief { &STEPS[..3] } else { &STEPS[..] };
    let mut cases = Vec::new();
    for gated in [false, true] {
        for pps in steps {
            say(format!("{}, {pps} packets/s", name(gated)));
            cases.push(play(bench, &net, &port, gated, *pps)?);
        }
    }
    Ok(findings(&cases))
}

fn name(gated: bool) -> &'static str {
    if gated { "the table's flows" } else { "everything" }
}

/// How far apart values are, as a factor; infinite if one is 0 or there is none.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let all = sorted(values);
    match (all.first(), all.last()) {
        (Some(least), Some(most)) if *least > 0.0 => most / least,
        _ => f64::INFINITY,
    }
}

/// Values from the least to the largest, for people.
fn range(values: impl Iterator<Item = f64>) -> String {
    let all = sorted(values);
    match (all.first(), all.last()) {
        (Some(least), Some(most)) => format!("{} to {}", short(*least), short(*most)),
        _ => "no".to_owned(),
    }
}

fn claims(cases: &[Case]) -> Vec<Claim> {
    let count = |holds: &dyn Fn(&Case) -> bool| cases.iter().filter(|case| holds(case)).count();
    let each = |what: &str, holds: &dyn Fn(&Case) -> bool| {
        let met = count(holds);
        Claim::new(format!("{what}: {met} of {} cases", cases.len()), met == cases.len() && met > 0)
    };
    let of = |gated| cases.iter().filter(move |case| case.gated == gated);
    let (all, table) = (|| of(false), || of(true));
    let octets = || all().map(|case| case.mirror.octets as f64 / case.mirror.packets.max(1) as f64);
    let mbps = range(all().map(|case| case.mirror.mbps(case.seconds)));
    let pairs = || all().zip(table()).map(|(one, other)| other.cpu_us() / one.cpu_us().max(1e-9));
    let delays = cases.iter().flat_map(|case| case.found.values().flatten().copied());
    let soon = |case: &Case| {
        let found: Vec<_> = case.found.iter().collect();
        matches!(found[..], [(&ALPHA_PORT, Some(delay))] if (0.0..=SOON_S).contains(delay))
    };
    vec![
        each("the link carries what it is to, within 10 %", &|case| {
            (case.pps() - case.wanted_pps).abs() <= SLACK * case.wanted_pps
        }),
        each("the mirror carries the packets that the capture has of what is mirrored", &|case| {
            case.mirror.packets == case.to_mirror && case.to_mirror > 0
        }),
        each("every packet of the mirror is read, or counted as dropped", &|case| {
            case.read + case.dropped == case.mirror.packets
        }),
        Claim::new(
            format!(
                "the detector's table has all flows that the gated mirror carries: {} of {} cases",
                table().filter(|case| case.outside == 0).count(),
                table().count()
            ),
            table().count() > 0 && table().all(|case| case.outside == 0),
        ),
        Claim::new(
            format!(
                "everything mirrored: the mirror's Mb/s grow as the link's packets do, {mbps} Mb/s, {} \
                 octets a packet at each rate",
                range(octets())
            ),
            spread(octets()) <= 1.01 && octets().all(|octets| octets <= CUT_FRAME as f64),
        ),
        Claim::new(
            format!(
                "everything mirrored: CPU grows as the link's packets do, {} % of a processor, {} us \
                 a packet",
                range(all().map(Case::cpu_percent)),
                range(all().map(Case::cpu_us))
            ),
            spread(all().map(Case::cpu_us)) <= SAME,
        ),
        Claim::new(
            format!(
                "the table's flows only: CPU follows their packets and not the link's, {} times a \
                 packet's of everything",
                range(pairs())
            ),
            pairs().count() > 0 && pairs().all(|times| (1.0 / SAME..=SAME).contains(&times)),
        ),
        Claim::new(
            format!(
                "the alpha flow, and no other, is found within {SOON_S} s of the packet that made it \
                 one: {} of {} cases, {} s",
                count(&soon),
                cases.len(),
                range(delays)
            ),
            count(&soon) == cases.len() && !cases.is_empty(),
        ),
    ]
}

fn figure(cases: &[Case]) -> String {
    let lines = |value: &dyn Fn(&Case) -> f64| -> Vec<Line<'static>> {
        [false, true]
            .map(|gated| {
                let own = cases.iter().filter(|case| case.gated == gated);
                let points = own.map(|case| (case.pps(), value(case))).collect();
                Line { name: name(gated), points, joined: true }
            })
            .into()
    };
    let axis = |label| Axis { label, log: false };
    let link = || axis("packets a second on the link");
    stack(&[
        plot(
            "The mirror, by what is mirrored",
            link(),
            axis("Mb/s"),
            &lines(&|case| case.mirror.mbps(case.seconds)),
        ),
        plot("hntes online", link(), axis("% of a processor"), &lines(&Case::cpu_percent)),
    ])
}

fn paragraph(cases: &[Case]) -> String {
    let last = |gated| cases.iter().rfind(|case| case.gated == gated);
    let share = |gated| {
        let share = last(gated).map(|case| case.mirror.octets as f64 / case.link.octets as f64);
        short(share.unwrap_or(0.0) * 100.0)
    };
    let full = |gated| {
        let pps = last(gated).map(|case| case.pps() * 100.0 / case.cpu_percent().max(1e-9));
        format!("{:.0}", pps.unwrap_or(0.0) / 1000.0)
    };
    format!(
        "What comes in at the ingress router from site 1 is copied by tc to an ERSPAN tunnel that cuts \
         frames after {CUT} octets of IP, over a link of its own to where `hntes online` reads it (Method \
         3): everything, or only flows of the offline table, which has one of four networks and is the \
         gate of both the mirror and the detector (Solution 2). {FLOWS} small flows of UDP and one alpha \
         flow are on the link, H is {H} bytes in T = {T_S} s. Packets are those of a capture at the \
         router; Mb/s those of the interfaces' counters, Ethernet and tunnel included; CPU that of the \
         process, its system calls included and what the kernel does with a packet before it is in the \
         process's socket not, in a guest whose clock counts instructions: 1 us is 1000 of them. What is mirrored costs the same packet by packet, whatever the rate, so the cost of a \
         mirror of everything is the link's rate times that: it does not scale. At the highest rate it \
         takes {} % of the link's Mb/s, and with 10^9 instructions a second a processor would be full of that at \
         {} 000 packets/s of the link. The table's flows take {} %, and it would be full at {} 000.",
        share(false),
        full(false),
        share(true),
        full(true)
    )
}

fn findings(cases: &[Case]) -> Findings {
    Findings {
        title: "A mirror of headers",
        paragraph: paragraph(cases),
        columns: vec![
            "mirrored",
            "link packets/s",
            "link Mb/s",
            "mirrored packets/s",
            "mirror Mb/s",
            "dropped",
            "CPU %",
            "CPU us a packet",
            "found after s",
        ],
        rows: cases
            .iter()
            .map(|case| {
                let delay = case.found.get(&ALPHA_PORT).copied().flatten();
                vec![
                    name(case.gated).to_owned(),
                    format!("{:.0}", case.pps()),
                    format!("{:.2}", case.link.mbps(case.seconds)),
                    format!("{:.0}", case.mirror.packets as f64 / case.seconds.max(1e-6)),
                    format!("{:.3}", case.mirror.mbps(case.seconds)),
                    case.dropped.to_string(),
                    format!("{:.1}", case.cpu_percent()),
                    format!("{:.0}", case.cpu_us()),
                    delay.map_or("-".to_owned(), |delay| format!("{delay:.3}")),
                ]
            })
            .collect(),
        claims: claims(cases),
        figure: figure(cases),
        data: json!({"cases": cases, "h_bytes": H, "t_s": T_S, "cut_octets": CUT}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use port::Wire;
    use std::collections::BTreeMap;

    fn case(gated: bool, packets: u64) -> Case {
        let mirrored = if gated { packets / 4 } else { packets };
        Case {
            gated,
            wanted_pps: packets as f64,
            seconds: 1.0,
            link: Wire { packets, octets: packets * 1242 },
            mirror: Wire { packets: mirrored, octets: mirrored * CUT_FRAME },
            captured: packets,
            to_mirror: mirrored,
            read: mirrored,
            outside: 0,
            dropped: 0,
            cpu_s: mirrored as f64 * 50e-6,
            found: BTreeMap::from([(ALPHA_PORT, Some(0.02))]),
        }
    }

    #[test]
    fn each_claim_can_fail() {
        let failed = |change: &dyn Fn(&mut Vec<Case>)| -> Vec<usize> {
            let mut cases: Vec<Case> = [(false, 800), (false, 8000), (true, 800), (true, 8000)]
                .map(|(gated, packets)| case(gated, packets))
                .into();
            change(&mut cases);
            let claims = findings(&cases).claims;
            (0..claims.len()).filter(|at| !claims[*at].met).collect()
        };
        assert_eq!(failed(&|_| {}), [] as [usize; 0]);
        assert_eq!(failed(&|cases| cases[0].wanted_pps *= 1.2), [0]);
        assert_eq!(failed(&|cases| cases[2].to_mirror += 1), [1]);
        assert_eq!(failed(&|cases| cases[1].read -= 1), [2]);
        let counted = |cases: &mut Vec<Case>| {
            cases[1].read -= 1;
            cases[1].dropped += 1;
        };
        assert_eq!(failed(&counted), [] as [usize; 0]);
        assert_eq!(failed(&|cases| cases[3].outside = 1), [3]);
        assert_eq!(failed(&|cases| cases[0].mirror.octets *= 2), [4]);
        // A packet's cost falls with the rate; the gate's is within its own factor of either.
        let flat = |cases: &mut Vec<Case>| {
            cases[1].cpu_s /= 1.2;
            cases[0].cpu_s *= 1.2;
        };
        assert_eq!(failed(&flat), [5]);
        assert_eq!(failed(&|cases| cases[3].cpu_s *= 1.3), [6]);
        assert_eq!(failed(&|cases| cases[3].cpu_s = 0.0), [6]);
        assert_eq!(failed(&|cases| cases[2].found.clear()), [7]);
        for delay in [None, Some(1.1), Some(-0.1)] {
            let late = |cases: &mut Vec<Case>| cases[0].found = [(ALPHA_PORT, delay)].into();
            assert_eq!(failed(&late), [7], "{delay:?}");
        }
        assert_eq!(failed(&|cases| cases[1].found.extend([(7, Some(0.1))])), [7]);
        assert_eq!(failed(&|cases| cases.clear()), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_row_and_a_point_for_each_case() {
        let cases = [case(false, 800), case(true, 800)];
        let found = findings(&cases);
        assert_eq!(found.rows.len(), 2);
        assert!(found.rows.iter().all(|row| row.len() == found.columns.len()));
        assert_eq!(found.figure.matches("<circle").count(), 4);
    }
}
