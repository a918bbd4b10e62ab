// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The routing daemons of the anycast scene: FRR with zebra in edge and core, and on each server a
//! speaker that only announces: FRR on the odd ones, GoBGP on the even ones.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Result, at};
use crate::process::{Process, run};
use crate::progress::until;

use super::net::{EDGE_LINK, Net, PREFIXES, server_link};
use super::routes::{self, Hop};

/// The AS of the core and of the edge; servers count from [`SERVER_AS`] + 1.
const CORE_AS: u32 = 65_000;
const EDGE_AS: u32 = 65_010;
const SERVER_AS: u32 = 65_100;
/// Where GoBGP answers its command, in the server's own namespace.
pub(crate) const GOBGP_API: &str = "127.0.0.1:50051";
/// Patience for a BGP session and a route; emulation is slow.
const PATIENCE_S: u64 = 120;

/// How a server talks BGP, and how `telesteer announce` reaches the speaker.
#[derive(Clone, Debug)]
pub(crate) enum Speaker {
    /// FRR: folder of its socket, AS.
    Frr(PathBuf, u32),
    /// GoBGP.
    GoBgp,
}

/// All daemons, running.
#[derive(Debug)]
pub(crate) struct Routing {
    daemons: Vec<Process>,
    /// By server, the first is `s1`.
    pub speakers: Vec<Speaker>,
    dir: PathBuf,
    run_dirs: Vec<PathBuf>,
}

impl Routing {
    /// Starts all of them; `log` is a folder for what they say.
    pub(crate) fn start(net: &Net, log: &Path) -> Result<Self> {
        // Sockets have short names, so they do not go into the folder of the results.
        let dir = PathBuf::from(format!("/run/telesteer-frr-{}", std::process::id()));
        let mut routing =
            Self { daemons: Vec::new(), speakers: Vec::new(), dir, run_dirs: Vec::new() };
        for (number, space) in (1..).zip(&net.servers) {
            let asn = SERVER_AS + number as u32;
            let name = format!("s{number}");
            if number % 2 == 1 {
                let dir = routing.announcer(space, &name, &server_frr_conf(number), log)?;
                routing.speakers.push(Speaker::Frr(dir, asn));
            } else {
                let conf = routing.file(&name, "gobgpd.toml", &server_gobgp_conf(number))?;
                let argv = ["gobgpd", "-f", &conf, "--api-hosts", GOBGP_API, "-l", "warn"];
                let log = log.join(format!("{name}-gobgpd.stderr"));
                let name = format!("gobgpd of {name}");
                routing.daemons.push(Process::start(&name, space, &argv, &log)?);
                routing.speakers.push(Speaker::GoBgp);
            }
        }
        let (edge, core) = (edge_conf(), core_conf(net.servers.len()));
        routing.routers([(&net.edge, "edge", edge), (&net.core, "core", core)], log)?;
        Ok(routing)
    }

    /// An error if a daemon has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Process::must_run)
    }

    /// Starts FRR with zebra in each of these namespaces, side by side.
    ///
    /// mgmtd is part of it: without one zebra tries ten times a second and more to tell it about
    /// every link, which costs a twentieth of a processor.
    fn routers(&mut self, all: [(&str, &str, String); 2], log: &Path) -> Result<()> {
        let mut routers = Vec::new();
        for (space, name, conf) in all {
            let conf = self.file(name, "bgpd.conf", &conf)?;
            let pathspace = format!("telesteer-{}-{name}", std::process::id());
            let run_dir = PathBuf::from("/run/frr").join(&pathspace);
            fs::create_dir_all(&run_dir).map_err(at(&run_dir))?;
            self.run_dirs.push(run_dir.clone());
            // They give up root for this user, whom bgpd's -S spares.
            run(&["chown", "-R", "frr:frr", &run_dir.to_string_lossy()])?;
            routers.push((space, name, conf, pathspace, run_dir));
        }
        let quiet = ["--log", "stdout", "--log-level", "emergencies"];
        for (daemon, socket) in [("mgmtd", "mgmtd_be.sock"), ("zebra", "zserv.api")] {
            for (space, name, _, pathspace, _) in &routers {
                let argv = [&["-N", pathspace, "-P", "0"][..], &quiet].concat();
                self.daemon(space, name, daemon, &argv, log)?;
            }
            for (_, name, _, _, run_dir) in &routers {
                let path = run_dir.join(socket);
                until(&format!("{daemon} of {name}"), PATIENCE_S, || {
                    Ok((path.exists(), String::new()))
                })?;
            }
        }
        for (space, name, conf, pathspace, _) in &routers {
            let argv = ["-N", pathspace, "-P", "0", "-S", "-f", conf];
            self.daemon(space, name, "bgpd", &argv, log)?;
        }
        Ok(())
    }

    /// Starts FRR's bgpd alone, which announces and installs no route; gives the folder of its socket.
    fn announcer(&mut self, space: &str, name: &str, conf: &str, log: &Path) -> Result<PathBuf> {
        let conf = self.file(name, "bgpd.conf", conf)?;
        let dir = self.dir.join(name);
        let (vty, pid) = (dir.to_string_lossy().into_owned(), dir.join("bgpd.pid"));
        let pid = pid.to_string_lossy();
        let argv = ["-Z", "-S", "--vty_socket", &vty, "-P", "0", "-i", &pid, "-f", &conf];
        self.daemon(space, name, "bgpd", &argv, log)?;
        Ok(dir)
    }

    fn daemon(
        &mut self,
        space: &str,
        name: &str,
        daemon: &str,
        arguments: &[&str],
        log: &Path,
    ) -> Result<()> {
        let program = format!("/usr/lib/frr/{daemon}");
        let argv = [&[program.as_str()], arguments].concat();
        let log = log.join(format!("{name}-{daemon}.stderr"));
        self.daemons.push(Process::start(&format!("{daemon} of {name}"), space, &argv, &log)?);
        Ok(())
    }

    fn file(&self, name: &str, file: &str, text: &str) -> Result<String> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        let path = dir.join(file);
        fs::write(&path, text).map_err(at(&path))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

impl Drop for Routing {
    fn drop(&mut self) {
        self.daemons.clear();
        for dir in self.run_dirs.iter().chain([&self.dir]) {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// The core's next hops for the anycast prefixes that lead to these servers, IPv4 and IPv6.
pub(crate) fn hops_to(servers: &[usize]) -> Vec<Vec<Hop>> {
    [0, 1]
        .map(|family| {
            let hop = |&number: &usize| Hop {
                gateway: server_link(number)[family].1.clone(),
                dev: format!("s{number}"),
            };
            let mut hops: Vec<Hop> = servers.iter().map(hop).collect();
            hops.sort();
            hops
        })
        .to_vec()
}

/// The core's next hops for the anycast prefixes as BGP has made them.
pub(crate) fn core_hops(net: &Net) -> Result<Vec<Vec<Hop>>> {
    PREFIXES.into_iter().map(|prefix| routes::hops(Some(&net.core), prefix, "main")).collect()
}

/// IPv6 next hops of eBGP are link-local addresses, so only their links are compared.
pub(crate) fn same_links(one: &[Vec<Hop>], other: &[Vec<Hop>]) -> bool {
    let links = |all: &[Vec<Hop>]| -> Vec<Vec<String>> {
        all.iter().map(|hops| hops.iter().map(|hop| hop.dev.clone()).collect()).collect()
    };
    links(one) == links(other)
}

const HEAD: &str = "log stdout emergencies\n";
const USUAL: &str = " no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n \
    no bgp network import-check\n bgp bestpath as-path multipath-relax\n";

fn neighbors(text: &mut String, list: &[(String, u32)]) {
    for (address, asn) in list {
        let _ = write!(
            text,
            " neighbor {address} remote-as {asn}\n neighbor {address} timers 60 180\n \
             neighbor {address} timers connect 1\n"
        );
    }
    for (family, v6) in [("ipv4", false), ("ipv6", true)] {
        let _ = writeln!(text, " address-family {family} unicast\n  maximum-paths 16");
        for (address, _) in list.iter().filter(|(address, _)| address.contains(':') == v6) {
            let _ = writeln!(text, "  neighbor {address} activate");
        }
        text.push_str(" exit-address-family\n");
    }
    text.push_str("exit\n");
}

fn edge_conf() -> String {
    let mut text = format!("{HEAD}router bgp {EDGE_AS}\n bgp router-id 10.9.10.1\n{USUAL}");
    neighbors(&mut text, &EDGE_LINK.map(|(_, core)| (core.to_owned(), CORE_AS)));
    text
}

fn core_conf(servers: usize) -> String {
    let mut text = format!("{HEAD}router bgp {CORE_AS}\n bgp router-id 10.9.10.2\n{USUAL}");
    let mut list = EDGE_LINK.map(|(edge, _)| (edge.to_owned(), EDGE_AS)).to_vec();
    for number in 1..=servers {
        let asn = SERVER_AS + number as u32;
        list.extend(server_link(number).map(|(_, far)| (far, asn)));
    }
    neighbors(&mut text, &list);
    text
}

fn server_frr_conf(number: usize) -> String {
    let asn = SERVER_AS + number as u32;
    let [(near4, far4), (near6, _)] = server_link(number);
    let mut text = format!("{HEAD}router bgp {asn}\n bgp router-id {far4}\n{USUAL}");
    neighbors(&mut text, &[near4, near6].map(|near| (near, CORE_AS)));
    text
}

fn server_gobgp_conf(number: usize) -> String {
    let asn = SERVER_AS + number as u32;
    let [(near4, far4), (near6, _)] = server_link(number);
    let mut text = format!("[global.config]\n  as = {asn}\n  router-id = \"{far4}\"\n");
    for (near, family) in [(near4, "ipv4-unicast"), (near6, "ipv6-unicast")] {
        let _ = write!(
            text,
            "[[neighbors]]\n  [neighbors.config]\n    neighbor-address = \"{near}\"\n    \
             peer-as = {CORE_AS}\n  [neighbors.timers.config]\n    connect-retry = 1\n    \
             idle-hold-time-after-reset = 1\n    hold-time = 180\n    keepalive-interval = 60\n  \
             [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      \
             afi-safi-name = \"{family}\"\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_knows_every_server_in_both_families() {
        let text = core_conf(3);
        for line in [
            " neighbor 10.9.23.2 remote-as 65103",
            " neighbor 2001:db8:9:21::2 remote-as 65101",
            "  neighbor 2001:db8:9:22::2 activate",
            " bgp bestpath as-path multipath-relax",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert_eq!(hops_to(&[2, 1])[0][0].gateway, "10.9.21.2");
    }
}
