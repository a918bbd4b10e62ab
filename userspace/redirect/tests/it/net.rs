// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sender, router, receiver: between the router and either of them lie two links, the plain one, which
//! the main table uses, and the science path, which tables 101 and 102 use. Table 103 is the plain one
//! again.

use crate::space::Space;
use std::fs;

/// Links of a host and of the router towards it: plain, science path.
pub(crate) const LINKS: [&str; 2] = ["plain", "lsp"];

pub(crate) struct Net {
    pub(crate) sender: Space,
    pub(crate) router: Space,
    pub(crate) receiver: Space,
}

/// Site 1 is the sender's, 2 the receiver's. Each has four networks of four hosts, and one more.
fn site(host: &Space, router: &Space, site: u8) {
    for (at, link) in (0..).zip(LINKS) {
        let near = format!("{link}{site}");
        router.ip(&format!("link add {near} type veth peer name {link} netns {}", host.name));
        router.ip(&format!("link set {near} up"));
        host.ip(&format!("link set {link} up"));
        let net = format!("192.168.{}", 10 * site + at);
        let net6 = format!("2001:db8:ff:{site}{at}:");
        router.ip(&format!("addr add {net}.1/30 dev {near}"));
        host.ip(&format!("addr add {net}.2/30 dev {link}"));
        router.ip(&format!("addr add {net6}:1/64 dev {near} nodad"));
        host.ip(&format!("addr add {net6}:2/64 dev {link} nodad"));
    }
    for network in 1..=4 {
        for one in 1..=4 {
            host.ip(&format!("addr add 10.{site}.{network}.{one}/32 dev lo"));
        }
        host.ip(&format!("addr add 2001:db8:{site}:{network}::1/128 dev lo nodad"));
    }
    host.ip(&format!("route add default via 192.168.{}.1", 10 * site));
    host.ip(&format!("route add default via 2001:db8:ff:{site}0::1"));
}

impl Net {
    pub(crate) fn new() -> Self {
        let net = Self {
            sender: Space::new("sender"),
            router: Space::new("router"),
            receiver: Space::new("receiver"),
        };
        for space in [&net.sender, &net.router, &net.receiver] {
            space.within(|| {
                let set = |name: &str, value: &str| {
                    fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
                };
                set("ipv4/ip_forward", "1");
                set("ipv6/conf/all/forwarding", "1");
                for conf in ["all", "default"] {
                    // Packets come in by either link.
                    set(&format!("ipv4/conf/{conf}/rp_filter"), "0");
                    // Neighbours are found at once.
                    set(&format!("ipv6/conf/{conf}/accept_dad"), "0");
                }
            });
        }
        site(&net.sender, &net.router, 1);
        site(&net.receiver, &net.router, 2);
        for (site, table) in [(1, 102), (2, 101)] {
            let route = |link: usize, table: &str| {
                let via = 10 * site + link;
                let dev = format!("{}{site}", LINKS[link]);
                net.router.ip(&format!(
                    "route add 10.{site}.0.0/16 via 192.168.{via}.2 dev {dev} table {table}"
                ));
                net.router.ip(&format!(
                    "route add 2001:db8:{site}::/48 via 2001:db8:ff:{site}{link}::2 dev {dev} \
                     table {table}"
                ));
            };
            route(0, "main");
            route(0, "103");
            route(1, &table.to_string());
        }
        net
    }

    /// Packets the router has sent onto a link, neighbour discovery among them.
    pub(crate) fn sent(&self, link: &str) -> u64 {
        let text = self.router.ip(&format!("-j -s link show dev {link}"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value[0]["stats64"]["tx"]["packets"].as_u64().unwrap()
    }
}
