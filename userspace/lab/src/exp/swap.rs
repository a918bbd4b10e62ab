// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tables of entries change places while packets flow: each packet goes one of the two ways, none is
//! lost, and none goes the way of neither table.

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::frame::each;
use crate::count::order::Order;
use crate::count::way::{Numbers, Way, numbers};
use crate::draw::bars;
use crate::error::{Result, odd};
use crate::lsp::Lsps;
use crate::net::{HOSTS, NETWORKS, Net, host};
use crate::numbered::{Flow, LEAST, Pace, Sink, under};
use crate::report::{Claim, Findings};
use crate::router::{Router, hosts};
use crate::stats::{percentile, sorted};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use telesteer_circuit::request::Rate;
use telesteer_redirect::{Match, Settings};

/// Entries of a table: the /32 pairs of the slides.
const SIZE: usize = 1548;
/// Swaps.
const SWAPS: usize = 20;
/// From one datagram of a flow to its next.
const EVERY: Duration = Duration::from_millis(10);
/// Datagrams of each flow before and after a swap.
const AROUND: u64 = 30;
/// What the flows of a network have in common; networks are those of site 1.
const GROUPS: [&str; 4] = ["in the first table", "in both", "in the second table", "in none"];
/// Ports of the flows.
const PORTS: (u16, u16) = (4000, 7000);

/// What became of one group's packets.
#[derive(Clone, Debug, Serialize)]
struct Group {
    name: &'static str,
    sent: u64,
    /// On neither path behind the ingress router, and at the other site never.
    lost: u64,
    /// More than once.
    doubled: u64,
    /// Stretches of packets that went a way they should not have: more than the swaps explain.
    misrouted: usize,
}

/// Runs it.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let swaps = if bench.brief { 2 } else { SWAPS };
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, 100)?;
    let lsp = lsps.up(Rate::Unlimited, true)?;
    let mut router = Router::nft(&net.pe1, Settings::default())?;
    router.science_up(&lsp)?;
    let (first, second) = (table(0..2, 1)?, table(1..3, 1 + filling() / 2)?);
    router.swap(first.clone())?;
    router.settle()?;

    let flows = flows();
    let _sink = Sink::open(&net.site2, &[PORTS.1])?;
    let captures = [
        Capture::start(&net.p1, "to-pe1", &bench.work, "p1")?,
        Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?,
        Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?,
    ];
    let pace = Pace { every: EVERY, octets: LEAST };
    let (took, sent) = under(&net.site1, &flows, pace, |progress| {
        let mut took = Vec::new();
        for swap in 0..swaps {
            progress.wait(AROUND)?;
            router.swap(if swap % 2 == 0 { second.clone() } else { first.clone() })?;
            took.push(router.settle()?.as_secs_f64() * 1000.0);
            say(format!("swap {} of {swaps}", swap + 1));
        }
        progress.wait(AROUND)?;
        Ok(took)
    })?;
    let [p1, p2, site2] = finish(captures)?;
    let held = router.held()?;
    lsps.down(&lsp)?;
    if held != SIZE {
        return Err(odd("the router", format!("it holds {held} rules instead of {SIZE}")));
    }
    let mut labels = BTreeSet::new();
    each(&p2, |frame| {
        if frame.number.is_some() {
            labels.insert(frame.label);
        }
    })?;
    let (plain, science) = (numbers(&p1, None)?, numbers(&p2, None)?);
    let all = numbers(&site2, None)?;
    let groups = groups(&plain, &science, &all, sent, swaps);
    Ok(findings(&groups, &sorted(took), labels.len() == 1 && !labels.contains(&None)))
}

/// The flows: one of each host of site 1, to its namesake.
fn flows() -> Vec<Flow> {
    let pairs = (1..=NETWORKS).flat_map(|network| (1..=HOSTS).map(move |one| (network, one)));
    pairs
        .map(|(network, one)| {
            Flow::new(&host(1, network, one), PORTS.0, &host(2, network, one), PORTS.1)
        })
        .collect()
}

/// Entries of hosts that nobody has, which fill a table.
fn filling() -> usize {
    SIZE - 2 * usize::from(HOSTS)
}

/// A table of the hosts of these groups, filled from number `start` on.
fn table(groups: std::ops::Range<u8>, start: usize) -> Result<Vec<Match>> {
    let mut all = Vec::with_capacity(SIZE);
    for network in groups {
        for one in 1..=HOSTS {
            all.push(hosts(&host(1, network + 1, one), &host(2, network + 1, one))?);
        }
    }
    for number in start..start + filling() {
        let (high, low) = (number / 250, 1 + number % 250);
        all.push(hosts(&format!("10.100.{high}.{low}"), &format!("10.200.{high}.{low}"))?);
    }
    Ok(all)
}

/// How the flows of a group may go: in the first table, in the second.
fn expected(group: usize, swaps: usize) -> Vec<bool> {
    let in_table = |swap: usize| match group {
        0 => swap.is_multiple_of(2),
        1 => true,
        2 => swap % 2 == 1,
        _ => false,
    };
    let mut ways: Vec<bool> = (0..=swaps).map(in_table).collect();
    ways.dedup();
    ways
}

fn groups(
    plain: &Numbers,
    science: &Numbers,
    all: &Numbers,
    sent: u64,
    swaps: usize,
) -> Vec<Group> {
    let of = |numbers: &Numbers, flow: u32| numbers.get(&flow).cloned().unwrap_or_default();
    let hosts = u32::from(HOSTS);
    (0..)
        .zip(GROUPS)
        .map(|(group, name)| {
            let mut one = Group { name, sent: 0, lost: 0, doubled: 0, misrouted: 0 };
            for flow in group * hosts..(group + 1) * hosts {
                let way = Way::of(&of(plain, flow), &of(science, flow), sent);
                let end = Order::of(&of(all, flow), sent);
                one.sent += sent;
                one.lost += way.neither.max(end.lost());
                one.doubled += way.doubled.max(end.again);
                let wanted = expected(group as usize, swaps);
                if way.runs != wanted {
                    one.misrouted += way.runs.len().abs_diff(wanted.len()).max(1);
                }
            }
            one
        })
        .collect()
}

fn findings(groups: &[Group], took_ms: &[f64], labelled: bool) -> Findings {
    let sum = |of: fn(&Group) -> u64| groups.iter().map(of).sum::<u64>();
    let (sent, lost, doubled) = (sum(|one| one.sent), sum(|one| one.lost), sum(|one| one.doubled));
    let misrouted: usize = groups.iter().map(|one| one.misrouted).sum();
    let swaps = took_ms.len();
    let (p50, most) = (percentile(took_ms, 50.0), percentile(took_ms, 100.0));
    Findings {
        title: "A table swap under traffic",
        paragraph: format!(
            "Two tables of {SIZE} pairs of hosts, half of them in both, changed places {swaps} times \
             while 16 flows sent numbered datagrams: flows of the one table, of both, of the other \
             and of none. Captured behind the ingress router on both paths and at the other site, of \
             {sent} datagrams {lost} were lost, {doubled} came twice, and {misrouted} stretches went \
             a way that neither table says. A swap is one transaction of nftables, by crate redirect as a library: to `hntes run` a \
             new table is a new set of entries wanted, which the same device brings about; until it was read \
             back it took {p50:.0} ms in the middle and {most:.0} ms at most, in an emulated guest."
        ),
        columns: vec!["flows", "sent", "lost", "doubled", "misrouted"],
        rows: groups
            .iter()
            .map(|one| {
                let numbers = [one.sent, one.lost, one.doubled, one.misrouted as u64];
                let mut row = vec![one.name.to_owned()];
                row.extend(numbers.map(|number| number.to_string()));
                row
            })
            .collect(),
        claims: vec![
            Claim::new(
                format!("a swap of {SIZE} entries loses no packet: {lost} of {sent} in {swaps}"),
                lost == 0 && sent > 0,
            ),
            Claim::new(
                format!("it misroutes and doubles none: {misrouted} stretches, {doubled} doubled"),
                misrouted == 0 && doubled == 0,
            ),
            Claim::new("on the science path all of them carry one label", labelled),
        ],
        figure: bars(
            "Swaps, in order of their time until read back",
            "ms",
            &["swap"],
            &took_ms
                .iter()
                .enumerate()
                .map(|(at, ms)| (format!("{}", at + 1), vec![Some(*ms)]))
                .collect::<Vec<_>>(),
        ),
        data: json!({"groups": groups, "swap_ms": took_ms, "entries": SIZE}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_of_one_size_and_share_half() {
        let one: BTreeSet<Match> = table(0..2, 1).unwrap().into_iter().collect();
        let other: BTreeSet<Match> = table(1..3, 1 + filling() / 2).unwrap().into_iter().collect();
        assert_eq!((one.len(), other.len()), (SIZE, SIZE));
        assert_eq!(one.intersection(&other).count(), filling() / 2 + usize::from(HOSTS));
    }

    #[test]
    fn a_packet_on_the_wrong_path_or_on_none_is_seen() {
        // Two rounds of every flow, a swap between them.
        let at = |way: bool| {
            let mut numbers = Numbers::new();
            for flow in 0..16_u32 {
                for round in 0..2_u64 {
                    let first = round == 0;
                    let science = match flow / 4 {
                        0 => first,
                        1 => true,
                        2 => !first,
                        _ => false,
                    };
                    if science == way {
                        numbers.entry(flow).or_default().push(round);
                    }
                }
            }
            numbers
        };
        let all: Numbers = (0..16).map(|flow| (flow, vec![0, 1])).collect();
        let (mut plain, mut science) = (at(false), at(true));
        let good = groups(&plain, &science, &all, 2, 1);
        assert!(findings(&good, &[1.0], true).good(), "{good:?}");
        // One of those in both tables goes the plain way.
        science.get_mut(&5).unwrap().pop();
        plain.insert(5, vec![1]);
        let bad = groups(&plain, &science, &all, 2, 1);
        assert_eq!((bad[1].misrouted, bad[1].lost), (1, 0));
        plain.remove(&5);
        assert_eq!(groups(&plain, &science, &all, 2, 1)[1].lost, 1);
    }
}
