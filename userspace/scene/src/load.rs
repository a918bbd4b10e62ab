// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The generated load of the scene: how many exporters of each kind, from which addresses.

use std::fmt::Write;
use std::net::Ipv6Addr;

use serde_json::{Value, json};

use crate::anycast::net::{BIRD, GOBGP, OVS, PEER, PMACCTD, ROUTER};

/// Replayed exporters of one kind: IPv4 and IPv6 addresses, messages or datagrams per second. Some of
/// the IPFIX exporters are routers that speak BMP, too.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    port: u16,
    v4: u32,
    v6: u32,
    rate: u32,
    more: &'static str,
}

/// The load of a scene.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    kinds: [Kind; 4],
    /// Routes the peer announces to FRR.
    pub routes: u32,
    /// Changed routes per second.
    pub churn: u32,
}

/// Observation domains of an exporter in the phases about maps.
pub(crate) const DOMAINS: u64 = 2;

/// Routers of each family that speak BMP and export IPFIX.
const BOTH: [u32; 2] = [15, 5];

const BMP: &str = "chunk = \"random\"\npeers = 2\nlarge_every = 100\n";
const FLOW: &str = "templates = \"once\"\ndomains = 2\nrecords = 8\n";
const NOTIF: &str = "segment_every = 8\n";

impl Load {
    /// The load of the demo: 203 replayed addresses, 68 of them with BMP sessions.
    pub(crate) fn full() -> Self {
        Self {
            kinds: [
                Kind { name: "bmp", port: 1790, v4: 44, v6: 24, rate: 280, more: BMP },
                Kind { name: "ipfix", port: 4739, v4: 60, v6: 20, rate: 60, more: FLOW },
                Kind { name: "netflow9", port: 2055, v4: 30, v6: 10, rate: 30, more: FLOW },
                Kind { name: "notif", port: 10003, v4: 25, v6: 10, rate: 25, more: NOTIF },
            ],
            routes: 5000,
            churn: 10,
        }
    }

    /// A small load for trying a change.
    pub(crate) fn quick() -> Self {
        let mut load = Self::full();
        for kind in &mut load.kinds {
            (kind.v4, kind.v6, kind.rate) = (kind.v4 / 4, kind.v6 / 4, kind.rate / 2);
        }
        load.routes = 500;
        load
    }

    /// BMP sessions that are replayed.
    pub(crate) fn sessions(&self) -> u64 {
        u64::from(self.kinds[0].v4 + self.kinds[0].v6)
    }

    /// The counters of the replayed datagram exporters that move on by one a message, and the number
    /// of those exporters.
    pub(crate) fn rounds(&self) -> [(&'static str, u64); 3] {
        let count = |index: usize| u64::from(self.kinds[index].v4 + self.kinds[index].v6);
        [
            ("/ipfix/datagrams", count(1)),
            ("/netflow9/datagrams", count(2)),
            ("/notif/records", count(3)),
        ]
    }

    /// Datagram exporters that are replayed.
    pub(crate) fn datagram_exporters(&self) -> u64 {
        self.kinds[1..].iter().map(|kind| u64::from(kind.v4 + kind.v6)).sum()
    }

    /// The load file for `telesteer replay generate`.
    pub(crate) fn toml(&self) -> String {
        let mut text = String::from("seed = 1\n");
        for (index, kind) in self.kinds.iter().enumerate() {
            let (count, word) =
                (kind.v4 + kind.v6, if kind.name == "bmp" { "sessions" } else { "exporters" });
            let port = kind.port;
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "[[{}]]\n{word} = {count}\nsources = {:?}\ntarget = [\"192.0.2.1:{port}\", \"[2001:db8:ffff::1]:{port}\"]\nrate = {}\n{}",
                kind.name,
                addresses(index, kind),
                kind.rate,
                kind.more,
            );
        }
        text
    }

    /// The load of the phases about maps: IPFIX exporters only, each with [`DOMAINS`] domains that
    /// take turns, and their number.
    pub(crate) fn maps_toml(&self) -> (String, u64) {
        let ipfix = &self.kinds[1];
        let kind = Kind { v4: 2 * ipfix.v4, v6: 2 * ipfix.v6, ..*ipfix };
        let count = kind.v4 + kind.v6;
        let (name, port, rate) = (kind.name, kind.port, 2 * count);
        let text = format!(
            "seed = 1\n[[{name}]]\nexporters = {count}\nsources = {:?}\ntarget = \
             [\"192.0.2.1:{port}\", \"[2001:db8:ffff::1]:{port}\"]\nrate = {rate}\n\
             templates = \"once\"\ndomains = {DOMAINS}\nrecords = 1\n",
            addresses(1, &kind)
        );
        (text, count.into())
    }

    /// Every exporter of the scene, for `phase.json`.
    pub(crate) fn exporters(&self) -> Vec<Value> {
        let entry =
            |addr: &str, kind: &str, by: &str| json!({ "addr": addr, "kind": kind, "by": by });
        let mut list: Vec<Value> = self
            .kinds
            .iter()
            .enumerate()
            .flat_map(|(index, kind)| {
                addresses(index, kind).into_iter().map(|addr| (addr, kind.name))
            })
            // A router with both is one exporter, listed by its session.
            .filter(|(addr, kind)| *kind == "bmp" || !self.speaks_bmp(addr))
            .map(|(addr, kind)| entry(&addr, kind, "replay"))
            .collect();
        list.push(entry(ROUTER, "bmp", "frr"));
        list.push(entry(GOBGP, "bmp", "gobgp"));
        list.push(entry(BIRD, "bmp", "bird"));
        list.push(entry(OVS, "ipfix", "ovs"));
        list.push(entry(PEER, "ipfix", "softflowd"));
        list.push(entry(PMACCTD, "netflow9", "pmacctd"));
        list
    }
}

impl Load {
    fn speaks_bmp(&self, addr: &str) -> bool {
        addresses(0, &self.kinds[0]).iter().any(|one| one == addr)
    }
}

/// `10.8.K.1…` and `2001:db8:8:K::1…`, K being the place of the kind; the first IPFIX exporters have
/// the addresses of BMP routers.
fn addresses(index: usize, kind: &Kind) -> Vec<String> {
    let [both4, both6] = if index == 1 { BOTH } else { [0, 0] };
    let of = |host, both| if host <= both { 0 } else { index };
    let v4 = (1..=kind.v4).map(|host| format!("10.8.{}.{host}", of(host, both4)));
    let v6 = (1..=kind.v6)
        .map(|host| {
            let net = of(host, both6) as u128;
            Ipv6Addr::from(0x2001_0db8_0008_u128 << 80 | net << 64 | u128::from(host))
        })
        .map(|address| address.to_string());
    v4.chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_full_load_keeps_what_the_demo_promises() {
        let load = Load::full();
        let exporters = load.exporters();
        let unique: HashSet<String> = exporters.iter().map(|one| one["addr"].to_string()).collect();
        assert_eq!(unique.len(), exporters.len());
        assert!(exporters.len() >= 200 && load.sessions() >= 64 && load.routes >= 5000);
        assert!(exporters.iter().any(|one| one["addr"] == "2001:db8:8::18"));
        let ipfix = addresses(1, &load.kinds[1]);
        let both = ipfix.iter().filter(|addr| load.speaks_bmp(addr)).count() as u32;
        assert_eq!(both, BOTH[0] + BOTH[1]);
    }
}
