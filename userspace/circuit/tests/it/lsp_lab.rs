// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routers as network namespaces: a - r1 - p - r2 - b, and r1 - r2 straight.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use telesteer_circuit::local::client::Settings;
use telesteer_circuit::plan::Numbers;

/// The namespaces of one test, by a name of its own. They go when it is dropped.
pub(crate) struct Lab {
    prefix: String,
    dir: tempfile::TempDir,
}

/// Why this machine cannot do it; `None`: it can.
pub(crate) fn cannot() -> Option<String> {
    let root =
        Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0\n"));
    if !root {
        return Some("not root".into());
    }
    if !Path::new("/proc/sys/net/mpls/platform_labels").exists() {
        return Some("the kernel lacks MPLS_ROUTING".into());
    }
    ["ip", "tc", "ping"].into_iter().find_map(|tool| {
        let there = Command::new(tool).arg("-V").output().is_ok();
        (!there).then(|| format!("no `{tool}`"))
    })
}

pub(crate) fn run(line: &str) -> Output {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Lab {
    const NODES: [&'static str; 5] = ["a", "r1", "p", "r2", "b"];
    /// Between which nodes, and the third byte of the addresses of the link.
    const LINKS: [(&'static str, &'static str, u8); 5] =
        [("a", "r1", 1), ("r1", "p", 2), ("p", "r2", 3), ("r2", "b", 4), ("r1", "r2", 5)];

    pub(crate) fn new(name: &str) -> Self {
        let lab = Self { prefix: format!("tsc-{name}-"), dir: tempfile::tempdir().unwrap() };
        lab.clear();
        for node in Self::NODES {
            run(&format!("ip netns add {}", lab.netns(node)));
            lab.on(node, "ip link set lo up");
            // Without IPv6 nothing is sent but what is asked for.
            let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward; cd /proc/sys/net/ipv6/conf && echo 1 > all/disable_ipv6 && echo 1 > default/disable_ipv6; true";
            let netns = lab.netns(node);
            let done =
                Command::new("ip").args(["netns", "exec", &netns, "sh", "-c", forward]).status();
            assert!(done.unwrap().success());
        }
        for (a, b, net) in Self::LINKS {
            let (na, nb) = (lab.netns(a), lab.netns(b));
            run(&format!("ip link add to-{b} netns {na} type veth peer name to-{a} netns {nb}"));
            for (node, interface, host) in [(a, b, 1), (b, a, 2)] {
                lab.on(node, &format!("ip address add 10.9.{net}.{host}/24 dev to-{interface}"));
                lab.on(node, &format!("ip link set to-{interface} up"));
            }
        }
        lab.on("a", "ip route add default via 10.9.1.2");
        lab.on("b", "ip route add default via 10.9.4.1");
        lab.on("r1", "ip route add 10.9.4.0/24 via 10.9.5.2");
        lab.on("r2", "ip route add 10.9.1.0/24 via 10.9.5.1");
        lab
    }

    pub(crate) fn netns(&self, node: &str) -> String {
        format!("{}{node}", self.prefix)
    }

    pub(crate) fn on(&self, node: &str, line: &str) -> String {
        let output = run(&format!("ip netns exec {} {line}", self.netns(node)));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether a command ends well.
    pub(crate) fn works(&self, node: &str, line: &str) -> bool {
        let netns = self.netns(node);
        Command::new("ip")
            .args(["netns", "exec", &netns])
            .args(line.split_whitespace())
            .output()
            .unwrap()
            .status
            .success()
    }

    fn clear(&self) {
        for node in Self::NODES {
            let _ = Command::new("ip").args(["netns", "del", &self.netns(node)]).output();
        }
    }

    /// Packets that went out of an interface.
    pub(crate) fn sent(&self, node: &str, interface: &str) -> u64 {
        let path = format!("/sys/class/net/{interface}/statistics/tx_packets");
        self.on(node, &format!("cat {path}")).trim().parse().unwrap()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("circuits.json")
    }

    /// Settings, with the topology in a file: the straight link is the one IP routing takes.
    pub(crate) fn settings(&self) -> Settings {
        let mut text = String::new();
        for (node, address) in [("r1", 1), ("p", 2), ("r2", 3)] {
            let netns = self.netns(node);
            text += &format!(
                "[[node]]\nname = \"{node}\"\naddress = \"10.255.0.{address}\"\nnetns = \"{netns}\"\n"
            );
        }
        for (a, b, net) in Self::LINKS.into_iter().filter(|(a, b, _)| *a != "a" && *b != "b") {
            let metric = if net == 5 { 1 } else { 10 };
            text += &format!(
                "[[link]]\na = {{ node = \"{a}\", interface = \"to-{b}\", address = \"10.9.{net}.1\" }}\n\
                 b = {{ node = \"{b}\", interface = \"to-{a}\", address = \"10.9.{net}.2\" }}\nmbps = 100\nmetric = {metric}\n"
            );
        }
        let topology = self.dir.path().join("topology.toml");
        std::fs::write(&topology, text).unwrap();
        Settings {
            topology,
            state: self.state(),
            agent: PathBuf::from(env!("CARGO_BIN_EXE_circuit-agent")),
            numbers: Numbers::default(),
            hold_ms: 60_000,
            poll_ms: 0,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.clear();
    }
}
