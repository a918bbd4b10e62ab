// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Super-prefix flows, the LSPs made for them, and the LSP month matrix.

use crate::key::Prefix;
use crate::reading::{EgressFrom, Reading};
use crate::record::Record;
use crate::time::Month;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// Where a flow leaves the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// At this router: a BGP next hop or an entry of the [`EgressTable`].
    Router(IpAddr),
    /// Through this interface of the exporter, the router behind it not being known.
    Interface(u32),
    /// Nothing said.
    Unknown,
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router(router) => router.fmt(f),
            Self::Interface(interface) => write!(f, "if{interface}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Egress routers by destination prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Prefix, IpAddr>", into = "BTreeMap<Prefix, IpAddr>")]
pub struct EgressTable {
    routers: BTreeMap<Prefix, IpAddr>,
    /// Lengths in use, the longest first.
    lengths: Vec<u8>,
}

impl From<BTreeMap<Prefix, IpAddr>> for EgressTable {
    fn from(routers: BTreeMap<Prefix, IpAddr>) -> Self {
        let lengths: BTreeSet<u8> = routers.keys().map(|prefix| prefix.len()).collect();
        Self { routers, lengths: lengths.into_iter().rev().collect() }
    }
}

impl From<EgressTable> for BTreeMap<Prefix, IpAddr> {
    fn from(table: EgressTable) -> Self {
        table.routers
    }
}

impl EgressTable {
    /// The router of the longest prefix around `dst`.
    pub fn router(&self, dst: IpAddr) -> Option<IpAddr> {
        let full = if dst.is_ipv4() { 32 } else { 128 };
        self.lengths
            .iter()
            .filter(|len| **len <= full)
            .find_map(|len| self.routers.get(&Prefix::new(dst, *len)).copied())
    }
}

/// The egress of a record, in the order the reading asks for.
pub fn egress(record: &Record, reading: &Reading) -> Egress {
    let told = || match (record.next_hop, record.out_if) {
        (Some(hop), _) if !hop.is_unspecified() => Some(Egress::Router(hop)),
        (_, 0) => None,
        (_, interface) => Some(Egress::Interface(interface)),
    };
    let listed = || reading.egress.router(record.key.dst).map(Egress::Router);
    match reading.egress_from {
        EgressFrom::Record => told().or_else(listed),
        EgressFrom::Table => listed().or_else(told),
    }
    .unwrap_or(Egress::Unknown)
}

/// A super-prefix flow: all traffic from one ingress router to one egress router. One LSP carries
/// those of its prefix flows that are in the PBR table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lsp {
    /// The router that saw the traffic come in.
    pub ingress: IpAddr,
    /// Where it leaves.
    pub egress: Egress,
}

impl Lsp {
    /// The way back; `None` where nobody knows the router at its other end.
    pub fn reverse(self) -> Option<Self> {
        match self.egress {
            Egress::Router(ingress) => Some(Self { ingress, egress: Egress::Router(self.ingress) }),
            Egress::Interface(_) | Egress::Unknown => None,
        }
    }
}

impl fmt::Display for Lsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ingress, self.egress)
    }
}

/// One month of the LSP matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MonthRow {
    /// The month.
    pub month: Month,
    /// LSPs known by its end.
    pub total: u64,
    /// LSPs known before it, whether they had an alpha flow in it or not.
    pub repeated: u64,
    /// LSPs first needed in it.
    pub new: u64,
    /// LSPs with an alpha flow in it. The published row cannot tell this from `total`.
    pub active: u64,
}

/// The matrix of the LSPs that had alpha flows in each month. Months without any between the first
/// and the last have a row too.
pub fn month_matrix(months: &BTreeMap<Month, BTreeSet<Lsp>>) -> Vec<MonthRow> {
    let (Some(first), Some(last)) = (months.keys().next(), months.keys().next_back()) else {
        return Vec::new();
    };
    let mut known: BTreeSet<Lsp> = BTreeSet::new();
    let none = BTreeSet::new();
    (first.0..=last.0)
        .map(|month| {
            let month = Month(month);
            let active = months.get(&month).unwrap_or(&none);
            let repeated = known.len() as u64;
            known.extend(active);
            let total = known.len() as u64;
            MonthRow { month, total, repeated, new: total - repeated, active: active.len() as u64 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, ip};

    /// Two LSPs in the first month, nothing in the second, one old and one new in the third: the
    /// cumulative and the active reading differ.
    #[test]
    fn months_both_ways() {
        let lsp = |n| Lsp { ingress: ip("192.0.2.1"), egress: Egress::Interface(n) };
        let months = BTreeMap::from([
            (Month(24_000), BTreeSet::from([lsp(1), lsp(2)])),
            (Month(24_002), BTreeSet::from([lsp(2), lsp(3)])),
        ]);
        let row = |month, total, repeated, new, active| MonthRow {
            month: Month(month),
            total,
            repeated,
            new,
            active,
        };
        assert_eq!(
            month_matrix(&months),
            [row(24_000, 2, 0, 2, 2), row(24_001, 2, 2, 0, 0), row(24_002, 3, 2, 1, 2)]
        );
        assert_eq!(month_matrix(&BTreeMap::new()), []);
    }

    #[test]
    fn the_way_back_needs_a_router() {
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(ip);
        let there = Lsp { ingress: a, egress: Egress::Router(b) };
        assert_eq!(there.reverse(), Some(Lsp { ingress: b, egress: Egress::Router(a) }));
        assert_eq!(there.reverse().and_then(Lsp::reverse), Some(there));
        for egress in [Egress::Interface(7), Egress::Unknown] {
            assert_eq!(Lsp { ingress: a, egress }.reverse(), None);
        }
    }

    #[test]
    fn egress_as_told_then_as_listed() {
        let table: EgressTable = BTreeMap::from([
            ("198.51.100.0/24".parse().unwrap(), ip("10.0.0.1")),
            ("198.51.100.64/26".parse().unwrap(), ip("10.0.0.2")),
            ("0.0.0.0/0".parse().unwrap(), ip("10.0.0.3")),
        ])
        .into();
        assert_eq!(table.router(ip("198.51.100.65")), Some(ip("10.0.0.2")));
        assert_eq!(table.router(ip("198.51.100.1")), Some(ip("10.0.0.1")));
        assert_eq!(table.router(ip("203.0.113.1")), Some(ip("10.0.0.3")));
        assert_eq!(table.router(ip("2001:db8::1")), None);

        let mut reading = Reading { egress: table, ..Reading::default() };
        let mut record = testing::record("192.0.2.1", "198.51.100.65", 0, 1, 1);
        assert_eq!(egress(&record, &reading), Egress::Router(ip("10.0.0.2")));
        record.out_if = 7;
        assert_eq!(egress(&record, &reading), Egress::Interface(7));
        record.next_hop = Some(ip("0.0.0.0"));
        assert_eq!(egress(&record, &reading), Egress::Interface(7), "0.0.0.0 is no router");
        record.next_hop = Some(ip("10.9.9.9"));
        assert_eq!(egress(&record, &reading), Egress::Router(ip("10.9.9.9")));
        reading.egress_from = EgressFrom::Table;
        assert_eq!(egress(&record, &reading), Egress::Router(ip("10.0.0.2")));
        reading.egress = EgressTable::default();
        record = testing::record("192.0.2.1", "198.51.100.65", 0, 1, 1);
        assert_eq!(egress(&record, &reading), Egress::Unknown);
    }
}
