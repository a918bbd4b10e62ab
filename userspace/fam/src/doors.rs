// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Alpha flows set against a list of data doors, the hosts a site has declared for transfers.

use crate::day::RawFlow;
use crate::key::{FiveTuple, Prefix, PrefixFlow, Width};
use crate::series::Days;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A declared host or network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Its addresses.
    pub prefix: Prefix,
    /// Its name.
    pub name: String,
    /// Its ports; none listed means all.
    #[serde(default)]
    pub ports: BTreeSet<u16>,
}

impl Door {
    fn holds(&self, addr: IpAddr, key: &FiveTuple) -> bool {
        let port = |port| self.ports.contains(&port);
        // A door's port is at either end of the flow: who connected is not known from a record.
        self.prefix.contains(addr)
            && (self.ports.is_empty() || port(key.src_port) || port(key.dst_port))
    }
}

/// Which ends of a flow are data doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Source and destination.
    Both,
    /// The source only.
    Src,
    /// The destination only.
    Dst,
    /// Neither.
    None,
}

/// The flows of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClassRow {
    /// Raw flows.
    pub raw_flows: u64,
    /// Their prefix flows. One whose flows differ in class counts in each.
    pub prefix_flows: BTreeSet<PrefixFlow>,
    /// Bytes of alpha reports.
    pub alpha_bytes: u64,
}

/// How alpha flows and data doors match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Match {
    /// The four classes; those without flows are left out.
    pub classes: BTreeMap<Class, ClassRow>,
    /// Hosts in alpha flows that no door holds, by falling alpha bytes: undeclared data transfer
    /// nodes.
    pub undeclared: Vec<(IpAddr, u64)>,
    /// Names of doors without any alpha flow, in the order of the list.
    pub unseen: Vec<String>,
}

/// Sets the alpha flows of `days` against `doors`.
pub fn compare(days: &Days, doors: &[Door], width: Width) -> Match {
    let mut found = Match::default();
    let mut seen = vec![false; doors.len()];
    let mut undeclared: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for flow in days.values().flat_map(|day| &day.flows) {
        let bytes = RawFlow::alpha_bytes(flow);
        let mut declared = |addr: IpAddr| {
            let mut any = false;
            for (door, seen) in doors.iter().zip(&mut seen) {
                if door.holds(addr, &flow.key) {
                    any = true;
                    *seen = true;
                }
            }
            if !any {
                let sum = undeclared.entry(addr).or_default();
                *sum = sum.saturating_add(bytes);
            }
            any
        };
        let class = match (declared(flow.key.src), declared(flow.key.dst)) {
            (true, true) => Class::Both,
            (true, false) => Class::Src,
            (false, true) => Class::Dst,
            (false, false) => Class::None,
        };
        let row = found.classes.entry(class).or_default();
        row.raw_flows += 1;
        row.prefix_flows.insert(PrefixFlow::of(&flow.key, width));
        row.alpha_bytes = row.alpha_bytes.saturating_add(bytes);
    }
    found.undeclared = undeclared.into_iter().collect();
    found.undeclared.sort_by_key(|(addr, bytes)| (std::cmp::Reverse(*bytes), *addr));
    let unseen = doors.iter().zip(seen).filter(|(_, seen)| !seen);
    found.unseen = unseen.map(|(door, _)| door.name.clone()).collect();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::read;
    use crate::reading::Reading;
    use crate::testing::{ip, record};

    const GB: u64 = 1_000_000_000;

    fn door(prefix: &str, name: &str, ports: &[u16]) -> Door {
        let ports = ports.iter().copied().collect();
        Door { prefix: prefix.parse().unwrap(), name: name.to_owned(), ports }
    }

    #[test]
    fn classes_strangers_and_doors_never_used() {
        let doors = [
            door("192.0.2.0/28", "cluster", &[]),
            door("198.51.100.1", "gridftp", &[2811]),
            door("203.0.113.0/24", "unused", &[]),
        ];
        let mut records = vec![
            record("192.0.2.1", "198.51.100.1", 0, 60, 2 * GB),
            record("192.0.2.1", "198.51.100.2", 0, 60, 3 * GB),
            record("192.0.2.77", "198.51.100.1", 0, 60, 4 * GB),
            record("192.0.2.77", "198.51.100.1", 0, 60, 5 * GB),
        ];
        records[3].key.dst_port = 22;
        let days = read(&records, &Reading::default());
        let found = compare(&days, &doors, Width::HOST);
        let bytes: Vec<_> = found.classes.iter().map(|(c, row)| (*c, row.alpha_bytes)).collect();
        assert_eq!(
            bytes,
            [
                (Class::Both, 2 * GB),
                (Class::Src, 3 * GB),
                (Class::Dst, 4 * GB),
                (Class::None, 5 * GB),
            ]
        );
        assert_eq!(
            found.undeclared,
            [
                (ip("192.0.2.77"), 9 * GB),
                (ip("198.51.100.1"), 5 * GB),
                (ip("198.51.100.2"), 3 * GB)
            ]
        );
        assert_eq!(found.unseen, ["unused"]);
        assert_eq!(found.classes[&Class::Both].prefix_flows.len(), 1);
    }
}
