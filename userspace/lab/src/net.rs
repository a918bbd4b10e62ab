// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The network of the slides: two customer sites, their edge routers, two ways between these, a peer.
//!
//! ```text
//!                     p1 ----- pe3 ----- peer        10.3.0.0/16
//!                    /  \
//! site1 ----- pe1 --      -- pe2 ----- site2         IP routes go over p1
//! 10.1.0.0/16        \  /              10.2.0.0/16
//!                     p2                             the science path: LSPs go over p2
//! ```
//!
//! 10.2.9.0/24 is another customer's at the other site: IP routes to it go over p2 too, without a label,
//! so that circuits there have company. Core links have room for a label above 1500 octets.

use crate::error::Result;
use crate::process::write;
use crate::space::Space;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Ends of each link: the first has address 10.9.NUMBER.1, the second 10.9.NUMBER.2; NUMBER from 1.
const LINKS: [(&str, &str); 8] = [
    ("site1", "pe1"),
    ("pe1", "p1"),
    ("p1", "pe2"),
    ("pe1", "p2"),
    ("p2", "pe2"),
    ("pe2", "site2"),
    ("p1", "pe3"),
    ("pe3", "peer"),
];
/// What is a router, and may be told of circuits.
const ROUTERS: [&str; 5] = ["pe1", "p1", "p2", "pe2", "pe3"];
/// Octets of an IP packet on a core link.
const CORE_MTU: u32 = 1600;
/// Networks of a site, and hosts of each.
pub(crate) const NETWORKS: u8 = 4;
/// Hosts of each network.
pub(crate) const HOSTS: u8 = 4;
/// The other customer's host at site 2, behind the science path by IP routes.
pub(crate) const COMPANY: &str = "10.2.9.1";
/// Packets a link with a delay may hold; far more than any experiment sends in it.
const HELD: u32 = 100_000;

/// The network; dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Net {
    /// Site 1, where most flows begin.
    pub(crate) site1: Space,
    /// Its edge router, where flows are redirected.
    pub(crate) pe1: Space,
    /// On the IP-routed path.
    pub(crate) p1: Space,
    /// On the science path.
    pub(crate) p2: Space,
    /// The other edge router.
    pub(crate) pe2: Space,
    /// Site 2.
    pub(crate) site2: Space,
    /// The peer's edge.
    pub(crate) pe3: Space,
    /// A network of a peer.
    pub(crate) peer: Space,
}

/// The address of a host of a site: `host(1, 2, 3)` is 10.1.2.3.
pub(crate) fn host(site: u8, network: u8, host: u8) -> String {
    format!("10.{site}.{network}.{host}")
}

impl Net {
    /// Builds it.
    pub(crate) fn build() -> Result<Self> {
        Self::beside("")
    }

    /// Builds one beside others; its namespaces' names begin so.
    pub(crate) fn beside(prefix: &str) -> Result<Self> {
        let space = |part: &str| Space::new(&format!("{prefix}{part}"));
        let net = Self {
            site1: space("site1")?,
            pe1: space("pe1")?,
            p1: space("p1")?,
            p2: space("p2")?,
            pe2: space("pe2")?,
            site2: space("site2")?,
            pe3: space("pe3")?,
            peer: space("peer")?,
        };
        for space in net.all() {
            // Without IPv6 nothing is sent but what an experiment sends.
            for (name, value) in [
                ("net/ipv6/conf/all/disable_ipv6", "1"),
                ("net/ipv6/conf/default/disable_ipv6", "1"),
                ("net/ipv4/conf/all/rp_filter", "0"),
                ("net/ipv4/conf/default/rp_filter", "0"),
            ] {
                space.sysctl(name, value)?;
            }
        }
        for name in ROUTERS {
            net.space(name).sysctl("net/ipv4/ip_forward", "1")?;
        }
        for (number, (one, other)) in (1..).zip(LINKS) {
            net.link(number, one, other)?;
        }
        net.addresses()?;
        net.routes()?;
        net.meet()?;
        Ok(net)
    }

    /// All that route.
    pub(crate) fn routers(&self) -> [&Space; 5] {
        ROUTERS.map(|name| self.space(name))
    }

    fn all(&self) -> [&Space; 8] {
        let Self { site1, pe1, p1, p2, pe2, site2, pe3, peer } = self;
        [site1, pe1, p1, p2, pe2, site2, pe3, peer]
    }

    fn space(&self, name: &str) -> &Space {
        match name {
            "site1" => &self.site1,
            "pe1" => &self.pe1,
            "p1" => &self.p1,
            "p2" => &self.p2,
            "pe2" => &self.pe2,
            "site2" => &self.site2,
            "pe3" => &self.pe3,
            _ => &self.peer,
        }
    }

    fn link(&self, number: u8, one: &str, other: &str) -> Result<()> {
        let (near, far) = (self.space(one), self.space(other));
        near.ip(&format!("link add to-{other} type veth peer name to-{one} netns {}\n", far.name))?;
        let core = ROUTERS.contains(&one) && ROUTERS.contains(&other);
        for (space, end, to) in [(near, 1, other), (far, 2, one)] {
            let mut lines = format!("addr add 10.9.{number}.{end}/24 dev to-{to}\n");
            if core {
                let _ = writeln!(lines, "link set to-{to} mtu {CORE_MTU}");
            }
            let _ = writeln!(lines, "link set to-{to} up");
            space.ip(&lines)?;
        }
        for (space, end, to) in [(near, one, other), (far, other, one)] {
            // A packet of TCP is a packet on the wire.
            if !ROUTERS.contains(&end) {
                let link = format!("to-{to}");
                space.run(&["ethtool", "-K", &link, "tso", "off", "gso", "off", "gro", "off"])?;
            }
        }
        Ok(())
    }

    fn addresses(&self) -> Result<()> {
        for (site, space) in [(1, &self.site1), (2, &self.site2)] {
            let mut lines = String::new();
            for network in 1..=NETWORKS {
                for one in 1..=HOSTS {
                    let _ = writeln!(lines, "addr add {}/32 dev lo", host(site, network, one));
                }
            }
            space.ip(&lines)?;
        }
        self.site2.ip(&format!("addr add {COMPANY}/32 dev lo\n"))?;
        self.peer.ip(&format!("addr add {}/32 dev lo\n", host(3, 1, 1)))
    }

    fn routes(&self) -> Result<()> {
        let table = [
            ("site1", "default via 10.9.1.2"),
            ("site2", "default via 10.9.6.1"),
            ("peer", "default via 10.9.8.1"),
            ("pe1", "10.1.0.0/16 via 10.9.1.1"),
            ("pe1", "10.2.0.0/16 via 10.9.2.2"),
            ("pe1", "10.3.0.0/16 via 10.9.2.2"),
            ("pe1", "10.2.9.0/24 via 10.9.4.2"),
            ("p1", "10.1.0.0/16 via 10.9.2.1"),
            ("p1", "10.2.0.0/16 via 10.9.3.2"),
            ("p1", "10.3.0.0/16 via 10.9.7.2"),
            ("p2", "10.1.0.0/16 via 10.9.4.1"),
            ("p2", "10.2.0.0/16 via 10.9.5.2"),
            ("pe2", "10.2.0.0/16 via 10.9.6.2"),
            ("pe2", "10.1.0.0/16 via 10.9.3.1"),
            ("pe2", "10.3.0.0/16 via 10.9.3.1"),
            ("pe3", "10.3.0.0/16 via 10.9.8.2"),
            ("pe3", "default via 10.9.7.1"),
        ];
        table
            .iter()
            .try_for_each(|(name, route)| self.space(name).ip(&format!("route add {route}\n")))
    }

    /// Lets neighbours find each other, so that no first packet waits for that.
    fn meet(&self) -> Result<()> {
        for (number, (one, other)) in (1..).zip(LINKS) {
            for (name, far) in [(one, 2), (other, 1)] {
                let to = format!("10.9.{number}.{far}");
                self.space(name).run(&["ping", "-q", "-c", "2", "-i", "0.1", "-W", "5", &to])?;
            }
        }
        Ok(())
    }

    /// Delays, in milliseconds, of packets of site 1 on the IP-routed and on the science path.
    pub(crate) fn delays(&self, plain_ms: u32, science_ms: u32) -> Result<()> {
        for (link, ms) in [("to-p1", plain_ms), ("to-p2", science_ms)] {
            let (ms, held) = (format!("{ms}ms"), HELD.to_string());
            self.pe1.run(&[
                "tc", "qdisc", "replace", "dev", link, "root", "netem", "delay", &ms, "limit",
                &held,
            ])?;
        }
        Ok(())
    }

    /// Writes the topology file of circuits; every link has so many Mb/s. It says of the IP-routed and
    /// of the science path between the sites that they take so many milliseconds.
    pub(crate) fn topology(
        &self,
        dir: &Path,
        mbps: u64,
        (plain_ms, science_ms): (u32, u32),
    ) -> Result<PathBuf> {
        let mut text = String::new();
        for (number, name) in (1..).zip(ROUTERS) {
            let netns = &self.space(name).name;
            let _ = write!(
                text,
                "[[node]]\nname = \"{name}\"\naddress = \"10.255.0.{number}\"\nnetns = \"{netns}\"\n\n"
            );
        }
        for (number, (one, other)) in (1..).zip(LINKS) {
            if !ROUTERS.contains(&one) || !ROUTERS.contains(&other) {
                continue;
            }
            let metric = if [one, other].contains(&"p2") { 10 } else { 1 };
            let delay_ms = match (one, other) {
                ("pe1", "p1") => plain_ms,
                ("pe1", "p2") => science_ms,
                _ => 0,
            };
            let _ = write!(
                text,
                "[[link]]\n\
                 a = {{ node = \"{one}\", interface = \"to-{other}\", address = \"10.9.{number}.1\" }}\n\
                 b = {{ node = \"{other}\", interface = \"to-{one}\", address = \"10.9.{number}.2\" }}\n\
                 mbps = {mbps}\nmetric = {metric}\ndelay-us = {}\n\n",
                delay_ms * 1000
            );
        }
        let path = dir.join("topology.toml");
        write(&path, text)?;
        Ok(path)
    }
}
