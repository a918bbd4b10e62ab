// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a plan puts on which node.

use crate::plan::{Numbers, Plan};
use crate::request::{Excess, Rate};
use crate::topology::Topology;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Minor number of the class that all other packets of an interface go to.
pub const OTHERS: u16 = 0xffff;
/// Minor number of the class around all others.
pub const ALL: u16 = 1;
/// The first minor number of a circuit.
const FIRST: u32 = 0x10;

/// Something on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// Labels are taken from this interface. Shared by circuits, so it is never taken away.
    Input {
        /// The interface.
        interface: String,
    },
    /// The end of a path: the label goes, the packet is routed.
    Pop {
        /// The label.
        label: u32,
    },
    /// A hop of a path: one label for another.
    Swap {
        /// The label of packets that come.
        label: u32,
        /// The label they go with.
        out: u32,
        /// The next router.
        via: Ipv4Addr,
        /// The interface to it.
        interface: String,
    },
    /// Packets of one label have a queue of their own.
    Class {
        /// The interface they go out of.
        interface: String,
        /// The label they go with.
        label: u32,
        /// Minor number of the class, also the preference of its filter.
        minor: u16,
        /// What they get.
        mbps: u64,
        /// What they may have.
        ceil: u64,
        /// How they are served beyond what they get: 0 first, 7 last.
        prio: u8,
        /// Capacity of the link.
        link: u64,
    },
    /// The beginning of a path: all that is looked up in this table.
    Ingress {
        /// The table.
        table: u32,
        /// The label.
        label: u32,
        /// The next router.
        via: Ipv4Addr,
        /// The interface to it.
        interface: String,
    },
}

/// What a plan needs, by number of the node, in the order in which to put it there: the beginning of
/// a path last. `None`: the plan is of another topology or other numbers.
pub fn items(topology: &Topology, numbers: Numbers, plan: &Plan) -> Option<Vec<(usize, Item)>> {
    let mut all = Vec::new();
    for lsp in &plan.lsps {
        let mut before = None;
        for (hop, label) in &lsp.hops {
            let (near, far) = topology.ends(*hop)?;
            let (at, next) = (topology.find(&near.node)?, topology.find(&far.node)?);
            let (via, interface) = (far.address, near.interface.clone());
            all.push((next, Item::Input { interface: far.interface.clone() }));
            if let Rate::Specified { mbps, excess } = plan.request.rate {
                let link = topology.links().get(hop.link)?.mbps;
                let number = label.checked_sub(numbers.labels.first)?.checked_add(FIRST)?;
                let minor = u16::try_from(number).ok().filter(|minor| *minor < OTHERS)?;
                let (ceil, prio) = match excess {
                    Excess::BestEffort => (link, 4),
                    Excess::Scavenger => (link, 7),
                    Excess::Drop => (mbps, 4),
                };
                let interface = interface.clone();
                all.push((
                    at,
                    Item::Class { interface, label: *label, minor, mbps, ceil, prio, link },
                ));
            }
            all.push(match before {
                None => (at, Item::Ingress { table: lsp.table, label: *label, via, interface }),
                Some(label_in) => (at, Item::Swap { label: label_in, out: *label, via, interface }),
            });
            before = Some(*label);
        }
        all.push((lsp.to, Item::Pop { label: before? }));
    }
    all.sort_by(|(_, a), (_, b)| a.cmp(b));
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::network;
    use crate::plan::Admission;
    use crate::request::{Best, Name, Pair, Request};
    use crate::time::{At, Span};

    #[test]
    fn a_path_of_two_hops() {
        let net = network(3, &[(0, 1, 1000, 1, 1), (1, 2, 100, 1, 1)]);
        let mut admission = Admission::new(net, Numbers::default());
        let request = Request {
            name: Name::of(&Pair::new("n0", "n2"), At(1)).unwrap(),
            rate: Rate::Specified { mbps: 20, excess: Excess::Scavenger },
            span: Span { from: At(0), until: None },
            best: Best::Hops,
            off_ip_path: false,
            both: false,
        };
        let plan = admission.admit(&request).unwrap();
        let items = items(admission.topology(), Numbers::default(), &plan).unwrap();
        let via = |text: &str| text.parse().unwrap();
        let class = |interface: &str, link| Item::Class {
            interface: interface.into(),
            label: 100_000,
            minor: 16,
            mbps: 20,
            ceil: link,
            prio: 7,
            link,
        };
        assert_eq!(
            items,
            [
                (1, Item::Input { interface: "e0".into() }),
                (2, Item::Input { interface: "e1".into() }),
                (2, Item::Pop { label: 100_000 }),
                (
                    1,
                    Item::Swap {
                        label: 100_000,
                        out: 100_000,
                        via: via("10.0.1.2"),
                        interface: "e1".into()
                    }
                ),
                (0, class("e0", 1000)),
                (1, class("e1", 100)),
                (
                    0,
                    Item::Ingress {
                        table: 10_000,
                        label: 100_000,
                        via: via("10.0.0.2"),
                        interface: "e0".into()
                    }
                ),
            ]
        );
    }
}
