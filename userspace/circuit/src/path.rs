// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Paths through the network.

use crate::request::Best;
use crate::topology::{Hop, Topology};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The best path between two nodes over the hops that `usable` allows; `None` if there is none. Of
/// equally good ones always the same.
pub fn path(
    topology: &Topology,
    from: usize,
    to: usize,
    best: Best,
    usable: impl Fn(Hop) -> bool,
) -> Option<Vec<Hop>> {
    let links = topology.links();
    cheapest(topology, from, to, |hop| {
        let link = links.get(hop.link)?;
        let cost = match best {
            Best::Hops => (1, link.delay_us),
            Best::Delay => (link.delay_us, 1),
        };
        (link.circuits && usable(hop)).then_some(cost)
    })
}

/// The links that packets take by IP routing: the least sum of metrics.
pub fn ip_links(topology: &Topology, from: usize, to: usize) -> BTreeSet<usize> {
    let links = topology.links();
    let hops = cheapest(topology, from, to, |hop| links.get(hop.link).map(|link| (link.metric, 1)));
    hops.into_iter().flatten().map(|hop| hop.link).collect()
}

/// How much sooner packets come by these hops than by IP routing, us, by the delays of the topology's
/// links; less than 0: later. `None`: IP routing does not get there.
pub fn sooner_us(
    topology: &Topology,
    from: usize,
    to: usize,
    hops: impl IntoIterator<Item = Hop>,
) -> Option<i64> {
    let routed = ip_links(topology, from, to);
    if routed.is_empty() {
        return None;
    }
    let delay = |link: usize| topology.links().get(link).map_or(0, |link| link.delay_us);
    let sum = |links: &mut dyn Iterator<Item = usize>| {
        let us = links.fold(0_u64, |sum, link| sum.saturating_add(delay(link)));
        i64::try_from(us).unwrap_or(i64::MAX)
    };
    let own = sum(&mut hops.into_iter().map(|hop| hop.link));
    Some(sum(&mut routed.into_iter()).saturating_sub(own))
}

type Cost = (u64, u64);
/// What it costs to get to a node, and the last hop there, with the node it begins at.
type Reached = (Cost, Option<(usize, Hop)>);

fn cheapest(
    topology: &Topology,
    from: usize,
    to: usize,
    cost: impl Fn(Hop) -> Option<Cost>,
) -> Option<Vec<Hop>> {
    let count = topology.nodes().len();
    let mut reached: Vec<Option<Reached>> = vec![None; count];
    *reached.get_mut(from)? = Some(((0, 0), None));
    let mut queue = BinaryHeap::from([Reverse(((0, 0), from))]);
    while let Some(Reverse((so_far, node))) = queue.pop() {
        if reached.get(node)?.is_none_or(|(known, _)| known < so_far) {
            continue;
        }
        if node == to {
            break;
        }
        for &(hop, next) in topology.out(node) {
            let Some(step) = cost(hop) else { continue };
            let sum = (so_far.0.saturating_add(step.0), so_far.1.saturating_add(step.1));
            let Some(slot) = reached.get_mut(next) else { continue };
            if slot.is_none_or(|(known, _)| sum < known) {
                *slot = Some((sum, Some((node, hop))));
                queue.push(Reverse((sum, next)));
            }
        }
    }
    let mut hops = Vec::new();
    let mut at = to;
    // Costs grow along a path, so no node comes twice.
    while let Some((before, hop)) = reached.get(at)?.as_ref()?.1 {
        hops.push(hop);
        at = before;
        if hops.len() > count {
            return None;
        }
    }
    hops.reverse();
    (at == from).then_some(hops)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    /// A network of `count` nodes and links (a, b, Mb/s, delay, metric).
    pub(crate) fn network(count: usize, links: &[(usize, usize, u64, u64, u64)]) -> Topology {
        let mut text = String::new();
        for node in 0..count {
            writeln!(text, "[[node]]\nname = \"n{node}\"").unwrap();
        }
        for (at, (a, b, mbps, delay, metric)) in links.iter().enumerate() {
            writeln!(
                text,
                "[[link]]\na = {{ node = \"n{a}\", interface = \"e{at}\", address = \"10.0.{}.1\" }}\nb = {{ node = \"n{b}\", interface = \"e{at}\", address = \"10.0.{}.2\" }}\nmbps = {mbps}\ndelay-us = {delay}\nmetric = {metric}",
                at % 256,
                at % 256,
            )
            .unwrap();
        }
        Topology::parse("net", &text).unwrap()
    }

    fn links(hops: Option<Vec<Hop>>) -> Vec<usize> {
        hops.unwrap().iter().map(|hop| hop.link).collect()
    }

    #[test]
    fn hops_or_delay() {
        // 0-1 direct and slow, 0-2-1 fast.
        let net = network(3, &[(0, 1, 10, 9, 1), (0, 2, 10, 1, 1), (2, 1, 10, 1, 1)]);
        assert_eq!(links(path(&net, 0, 1, Best::Hops, |_| true)), [0]);
        assert_eq!(links(path(&net, 0, 1, Best::Delay, |_| true)), [1, 2]);
        assert_eq!(links(path(&net, 0, 1, Best::Hops, |hop| hop.link != 0)), [1, 2]);
        assert_eq!(path(&net, 0, 1, Best::Hops, |hop| hop.link == 1), None);
        assert_eq!(ip_links(&net, 0, 1), BTreeSet::from([0]));
        assert_eq!(path(&net, 1, 1, Best::Hops, |_| true), Some(vec![]));
        assert_eq!(path(&net, 0, 9, Best::Hops, |_| true), None);
    }

    #[test]
    fn sooner_or_later_than_by_ip_routing() {
        // IP routing goes 0-2-1, 30 us; 0-1 takes 9 us, 0-3-1 takes 100. Nobody gets to 4.
        let links = [(0, 1, 9, 9), (0, 2, 10, 1), (2, 1, 20, 1), (0, 3, 50, 9), (3, 1, 50, 9)];
        let links = links.map(|(a, b, delay, metric)| (a, b, 10, delay, metric));
        let net = network(5, &links);
        let sooner = |to, hops: &[usize]| {
            let hops = hops.iter().map(|link| Hop { link: *link, forth: true });
            sooner_us(&net, 0, to, hops)
        };
        assert_eq!(sooner(1, &[0]), Some(21));
        assert_eq!(sooner(1, &[1, 2]), Some(0));
        assert_eq!(sooner(1, &[3, 4]), Some(-70));
        assert_eq!(sooner(4, &[0]), None);
    }

    /// A random network: node count and links.
    pub(crate) fn any_network() -> impl Strategy<Value = Topology> {
        (2..8_usize).prop_flat_map(|count| {
            let link = (0..count, 1..count, 1..100_u64, 0..50_u64, 1..20_u64).prop_map(
                move |(a, step, mbps, delay, metric)| (a, (a + step) % count, mbps, delay, metric),
            );
            proptest::collection::vec(link, 1..16).prop_map(move |links| network(count, &links))
        })
    }

    proptest! {
        #[test]
        fn a_path_joins_and_holds_no_loop(net in any_network(), from in 0..8_usize, to in 0..8_usize, banned in 0..16_usize, delay in any::<bool>()) {
            let best = if delay { Best::Delay } else { Best::Hops };
            if let Some(hops) = path(&net, from, to, best, |hop| hop.link != banned) {
                let mut seen = BTreeSet::from([net.nodes()[from].name.clone()]);
                let mut at = net.nodes()[from].name.clone();
                for hop in hops {
                    let (near, far) = net.ends(hop).unwrap();
                    prop_assert!(hop.link != banned && near.node == at);
                    at = far.node.clone();
                    prop_assert!(seen.insert(at.clone()), "a loop at {at}");
                }
                prop_assert_eq!(&at, &net.nodes()[to].name);
            }
        }
    }
}
