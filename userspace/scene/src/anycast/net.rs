// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Namespaces, links and addresses of the anycast scene. Names carry our process id, so scenes do
//! not meet. Everything static is here; what BGP decides is in [`super::routing`].

use std::fmt::Write;

use crate::error::Result;
use crate::process::{run, run_with_input};

/// Anycast addresses of the collectors.
pub(crate) const ANYCAST: [&str; 2] = ["192.0.2.1", "2001:db8:ffff::1"];
/// The prefixes that are announced.
pub(crate) const PREFIXES: [&str; 2] = ["192.0.2.1/32", "2001:db8:ffff::1/128"];
/// The router's address FRR's BMP comes from.
pub(crate) const ROUTER: &str = "10.9.0.1";
/// The router's address towards the peer.
pub(crate) const ROUTER_INSIDE: [&str; 2] = ["10.10.0.1", "2001:db8:10::1"];
/// The peer: BGP speaker, traffic, softflowd.
pub(crate) const PEER: &str = "10.10.0.2";
/// The router's address pmacctd exports from.
pub(crate) const PMACCTD: &str = "10.8.255.1";
/// The routers that are GoBGP and BIRD, and the switch that is Open vSwitch.
pub(crate) const GOBGP: &str = "10.9.31.1";
pub(crate) const BIRD: &str = "10.9.32.1";
pub(crate) const OVS: &str = "10.9.33.1";
/// In the router across the switch, seen from the peer.
pub(crate) const ROUTER_SWITCHED: &str = "10.12.0.2";
/// The peer's link.
pub(crate) const PEER_LINK: &str = "t1";
/// The switch's ports, towards the peer and the router.
pub(crate) const OVS_PORTS: [&str; 2] = ["oa", "ob"];
/// The edge's link to the core: every packet of every exporter passes here once.
pub(crate) const EDGE_UPLINK: &str = "core";
/// A server's link to the core.
pub(crate) const SERVER_LINK: &str = "core";

/// The namespaces; dropping them takes them away.
#[derive(Debug)]
pub(crate) struct Net {
    /// Holds the exporters.
    pub router: String,
    /// Takes them to the core.
    pub edge: String,
    /// Spreads them over the servers.
    pub core: String,
    /// Hold the collectors; the first is `s1`.
    pub servers: Vec<String>,
    /// What there is besides, if asked for.
    pub routers: Option<Routers>,
    all: Vec<String>,
}

/// Namespaces of real routers.
#[derive(Clone, Debug)]
pub(crate) struct Routers {
    /// Feeds routes and traffic to the router.
    pub peer: String,
    /// GoBGP.
    pub gobgp: String,
    /// BIRD.
    pub bird: String,
    /// Open vSwitch.
    pub ovs: String,
}

/// The core's address and a server's address on the link between them; IPv4, then IPv6.
pub(crate) fn server_link(number: usize) -> [(String, String); 2] {
    let (v4, v6) = (format!("10.9.2{number}."), format!("2001:db8:9:2{number}::"));
    [(format!("{v4}1"), format!("{v4}2")), (format!("{v6}1"), format!("{v6}2"))]
}

/// The edge's and the core's address on the link between them; IPv4, then IPv6.
pub(crate) const EDGE_LINK: [(&str, &str); 2] =
    [("10.9.10.1", "10.9.10.2"), ("2001:db8:9:10::1", "2001:db8:9:10::2")];

impl Net {
    /// Builds the scene's network with so many servers, with or without real routers.
    pub(crate) fn build(servers: usize, routers: bool) -> Result<Self> {
        let name = |part: &str| format!("telesteer-{}-{part}", std::process::id());
        let mut net = Self {
            router: name("router"),
            edge: name("edge"),
            core: name("core"),
            servers: (1..=servers).map(|number| name(&format!("s{number}"))).collect(),
            routers: routers.then(|| Routers {
                peer: name("peer"),
                gobgp: name("gobgp"),
                bird: name("bird"),
                ovs: name("ovs"),
            }),
            all: Vec::new(),
        };
        let spaces = [&net.router, &net.edge, &net.core].into_iter().chain(&net.servers);
        let more = net.routers.iter().flat_map(|all| [&all.peer, &all.gobgp, &all.bird, &all.ovs]);
        let spaces = spaces.chain(more);
        for space in spaces.cloned().collect::<Vec<_>>() {
            run(&["ip", "netns", "add", &space])?;
            net.all.push(space);
        }
        net.links()?;
        net.exporters()?;
        net.backbone()?;
        if let Some(routers) = net.routers.clone() {
            net.real_routers(&routers)?;
        }
        for number in 1..=servers {
            net.server(number)?;
        }
        Ok(net)
    }

    fn links(&self) -> Result<()> {
        let mut lines = format!("link add x0 type veth peer name x0 netns {}\n", self.router);
        let _ = writeln!(lines, "link add core type veth peer name edge netns {}", self.core);
        batch(&self.edge, &lines)?;
        lines.clear();
        for (number, space) in (1..).zip(&self.servers) {
            let _ = writeln!(
                lines,
                "link add s{number} type veth peer name {SERVER_LINK} netns {space}"
            );
        }
        batch(&self.core, &lines)
    }

    fn exporters(&self) -> Result<()> {
        batch(
            &self.router,
            "link set lo up\nlink set x0 up\n\
             addr add 10.9.0.1/30 dev x0\naddr add 2001:db8:9::1/64 dev x0 nodad\n\
             route add local 10.8.0.0/16 dev lo\nroute add local 2001:db8:8::/48 dev lo\n\
             route add default via 10.9.0.2\nroute add default via 2001:db8:9::2\n",
        )
    }

    /// Peer, GoBGP, BIRD and Open vSwitch with their links.
    fn real_routers(&self, all: &Routers) -> Result<()> {
        let mut edge = String::new();
        for (space, link, near) in
            [(&all.gobgp, "xg", GOBGP), (&all.bird, "xb", BIRD), (&all.ovs, "xo", OVS)]
        {
            let net = near.rsplit_once('.').map_or(near, |(net, _)| net);
            let _ = write!(
                edge,
                "link add {link} type veth peer name x0 netns {space}\nlink set {link} up\n\
                 addr add {net}.2/30 dev {link}\n"
            );
        }
        edge.push_str("route add 10.10.0.0/24 via 10.9.0.1\n");
        batch(&self.edge, &edge)?;
        for (space, near) in [(&all.gobgp, GOBGP), (&all.bird, BIRD), (&all.ovs, OVS)] {
            let net = near.rsplit_once('.').map_or(near, |(net, _)| net);
            batch(
                space,
                &format!(
                    "link set lo up\nlink set x0 up\naddr add {near}/30 dev x0\n\
                     route add default via {net}.2\n\
                     addr add 10.11.0.1/32 dev lo\naddr add 10.11.0.2/32 dev lo\n"
                ),
            )?;
        }
        let [inside4, inside6] = ROUTER_INSIDE;
        let [port_a, port_b] = OVS_PORTS;
        batch(
            &all.peer,
            &format!(
                "link set lo up\nlink add {PEER_LINK} type veth peer name t0 netns {router}\n\
                 link add o0 type veth peer name {port_a} netns {ovs}\n\
                 link set {PEER_LINK} up\nlink set o0 up\n\
                 addr add {PEER}/24 dev {PEER_LINK}\n\
                 addr add 2001:db8:10::2/64 dev {PEER_LINK} nodad\n\
                 addr add 10.12.0.1/24 dev o0\nroute add default via {inside4}\n",
                router = self.router,
                ovs = all.ovs,
            ),
        )?;
        batch(
            &self.router,
            &format!(
                "link add o1 type veth peer name {port_b} netns {ovs}\n\
                 link set t0 up\nlink set o1 up\naddr add {inside4}/24 dev t0\n\
                 addr add {inside6}/64 dev t0 nodad\naddr add {PMACCTD}/32 dev lo\n\
                 addr add {ROUTER_SWITCHED}/24 dev o1\n",
                ovs = all.ovs,
            ),
        )?;
        batch(&all.ovs, &format!("link set {port_a} up\nlink set {port_b} up\n"))?;
        // The switch hands on what it gets from the links as it is, so checksums must be there.
        for (space, link) in [(&all.peer, "o0"), (&self.router, "o1")] {
            run(&["ip", "netns", "exec", space, "ethtool", "-K", link, "tx", "off"])?;
        }
        sysctl(&self.router, &["net.ipv4.ip_forward=1"])
    }

    fn backbone(&self) -> Result<()> {
        let [(edge4, core4), (edge6, core6)] = EDGE_LINK;
        batch(
            &self.edge,
            &format!(
                "link set lo up\nlink set x0 up\nlink set {EDGE_UPLINK} up\n\
                 addr add 10.9.0.2/30 dev x0\naddr add 2001:db8:9::2/64 dev x0 nodad\n\
                 addr add {edge4}/30 dev {EDGE_UPLINK}\naddr add {edge6}/64 dev {EDGE_UPLINK} nodad\n\
                 route add 10.8.0.0/16 via 10.9.0.1\nroute add 2001:db8:8::/48 via 2001:db8:9::1\n"
            ),
        )?;
        let mut lines = format!(
            "link set lo up\nlink set edge up\n\
             addr add {core4}/30 dev edge\naddr add {core6}/64 dev edge nodad\n\
             route add default via {edge4}\nroute add default via {edge6}\n"
        );
        for number in 1..=self.servers.len() {
            let [(near4, _), (near6, _)] = server_link(number);
            let _ = write!(
                lines,
                "link set s{number} up\naddr add {near4}/30 dev s{number}\n\
                 addr add {near6}/64 dev s{number} nodad\n"
            );
        }
        batch(&self.core, &lines)?;
        for space in [&self.edge, &self.core] {
            sysctl(space, &["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
        }
        Ok(())
    }

    fn server(&self, number: usize) -> Result<()> {
        let [(near4, far4), (near6, far6)] = server_link(number);
        let [any4, any6] = ANYCAST;
        batch(
            &self.servers[number - 1],
            &format!(
                "link set lo up\nlink set {SERVER_LINK} up\n\
                 addr add {far4}/30 dev {SERVER_LINK}\naddr add {far6}/64 dev {SERVER_LINK} nodad\n\
                 addr add {any4}/32 dev lo\naddr add {any6}/128 dev lo nodad\n\
                 route add default via {near4}\nroute add default via {near6}\n"
            ),
        )
    }
}

/// Several `ip` commands in one namespace by one process.
pub(crate) fn batch(space: &str, lines: &str) -> Result<()> {
    run_with_input(&["ip", "-n", space, "-batch", "-"], lines).map(drop)
}

/// Sets kernel parameters of a namespace.
pub(crate) fn sysctl(space: &str, settings: &[&str]) -> Result<()> {
    let mut argv = vec!["ip", "netns", "exec", space, "sysctl", "-qw"];
    argv.extend(settings);
    run(&argv).map(drop)
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in &self.all {
            if let Err(error) = run(&["ip", "netns", "del", space]) {
                eprintln!("telesteer-scene: namespace {space} is left behind: {error}");
            }
        }
    }
}
