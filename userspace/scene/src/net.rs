// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The scene's network: three namespaces in a row, `peer - router - server`.
//!
//! The peer feeds routes and traffic, the router holds every exporter, the server holds the
//! anycast addresses the collectors listen on. Names carry our process id, so scenes do not meet.

use crate::error::Result;
use crate::process::run;

/// Anycast addresses of the collectors.
pub(crate) const ANYCAST: [&str; 2] = ["192.0.2.1", "2001:db8:ffff::1"];
/// The router's address towards the server: where FRR's BMP comes from.
pub(crate) const ROUTER: &str = "10.9.0.1";
/// The router's address towards the peer.
pub(crate) const ROUTER_INSIDE: [&str; 2] = ["10.10.0.1", "2001:db8:10::1"];
/// The peer: BGP speaker, traffic, softflowd.
pub(crate) const PEER: &str = "10.10.0.2";
/// The router's address pmacctd exports from.
pub(crate) const PMACCTD: &str = "10.8.255.1";
/// The router's link to the server, where captures are taken.
pub(crate) const UPLINK: &str = "x0";
/// The router's link to the peer.
pub(crate) const DOWNLINK: &str = "t0";
/// The peer's link.
pub(crate) const PEER_LINK: &str = "t1";

/// The namespaces; dropping them takes them away.
#[derive(Debug)]
pub(crate) struct Net {
    /// Feeds routes and traffic.
    pub peer: String,
    /// Holds the exporters.
    pub router: String,
    /// Holds the collectors.
    pub server: String,
}

impl Net {
    /// Builds the namespaces, links, addresses and routes.
    pub(crate) fn build() -> Result<Self> {
        let name = |part: &str| format!("telesteer-{}-{part}", std::process::id());
        let net = Self { peer: name("peer"), router: name("router"), server: name("server") };
        for space in [&net.peer, &net.router, &net.server] {
            run(&["ip", "netns", "add", space])?;
            run(&["ip", "-n", space, "link", "set", "lo", "up"])?;
        }
        net.links()?;
        net.addresses()?;
        net.routes()?;
        Ok(net)
    }

    fn links(&self) -> Result<()> {
        let pairs = [(UPLINK, "c0", &self.server), (DOWNLINK, PEER_LINK, &self.peer)];
        for (near, far, space) in pairs {
            let router = self.router.as_str();
            run(&[
                "ip", "-n", router, "link", "add", near, "type", "veth", "peer", "name", far,
                "netns", space,
            ])?;
            run(&["ip", "-n", router, "link", "set", near, "up"])?;
            run(&["ip", "-n", space, "link", "set", far, "up"])?;
        }
        Ok(())
    }

    fn addresses(&self) -> Result<()> {
        let (router, server, peer) = (&self.router, &self.server, &self.peer);
        for (space, address, link) in [
            (router, "10.9.0.1/30", UPLINK),
            (router, "2001:db8:9::1/64", UPLINK),
            (router, "10.10.0.1/24", DOWNLINK),
            (router, "2001:db8:10::1/64", DOWNLINK),
            (router, "10.8.255.1/32", "lo"),
            (server, "10.9.0.2/30", "c0"),
            (server, "2001:db8:9::2/64", "c0"),
            (server, "192.0.2.1/32", "lo"),
            (server, "2001:db8:ffff::1/128", "lo"),
            (peer, "10.10.0.2/24", PEER_LINK),
            (peer, "2001:db8:10::2/64", PEER_LINK),
        ] {
            // Without duplicate address detection IPv6 addresses are usable at once.
            let mut argv = vec!["ip", "-n", space, "addr", "add", address, "dev", link];
            if address.contains(':') {
                argv.push("nodad");
            }
            run(&argv)?;
        }
        Ok(())
    }

    fn routes(&self) -> Result<()> {
        let (router, server, peer) = (&self.router, &self.server, &self.peer);
        for (space, route) in [
            (router, "local 10.8.0.0/16 dev lo"),
            (router, "192.0.2.1 via 10.9.0.2"),
            (server, "default via 10.9.0.1"),
            (peer, "default via 10.10.0.1"),
        ] {
            ip_route(space, false, route)?;
        }
        for (space, route) in [
            (router, "local 2001:db8:8::/48 dev lo"),
            (router, "2001:db8:ffff::1 via 2001:db8:9::2"),
            (server, "default via 2001:db8:9::1"),
        ] {
            ip_route(space, true, route)?;
        }
        run(&["ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        Ok(())
    }
}

fn ip_route(space: &str, v6: bool, route: &str) -> Result<()> {
    let mut argv = vec!["ip", "-n", space];
    if v6 {
        argv.push("-6");
    }
    argv.extend(["route", "add"]);
    argv.extend(route.split_whitespace());
    run(&argv).map(drop)
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in [&self.peer, &self.router, &self.server] {
            if let Err(error) = run(&["ip", "netns", "del", space]) {
                eprintln!("telesteer-scene: namespace {space} is left behind: {error}");
            }
        }
    }
}
