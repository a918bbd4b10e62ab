// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop is killed amid packets, with routers that are network namespaces, circuits that are MPLS paths
//! and routes that are nftables: what counts is that packets arrive, and on which link they go.
//!
//! a - r1 - p - r2 - b, and r1 - r2 straight, which is the way of IP routing.

use super::bed::Bed;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

const NODES: [&str; 5] = ["a", "r1", "p", "r2", "b"];
/// Between which nodes, and the third byte of the addresses of the link.
const LINKS: [(&str, &str, u8); 5] =
    [("a", "r1", 1), ("r1", "p", 2), ("p", "r2", 3), ("r2", "b", 4), ("r1", "r2", 5)];
const HOSTS: [&str; 2] = ["10.9.1.1", "10.9.4.2"];

/// Where it is killed, and whether that is when the flow is over. A guest without the hardware's help takes a
/// minute for each; all places with TELESTEER_KILLS=N, N times each.
const SOME: [(&str, bool); 2] =
    [("route-install:after:2", false), ("circuit-release:before", true)];
const ALL: [(&str, bool); 8] = [
    ("circuit-reserve", false),
    ("circuit-commit", false),
    ("circuit-provision", false),
    ("circuit-extend", false),
    ("route-install", false),
    ("route-withdraw", true),
    ("circuit-release", true),
    ("circuit-terminate", true),
];

fn agent() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_hntes")).with_file_name("circuit-agent")
}

fn cannot() -> Option<String> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if !root {
        return Some("not root".into());
    }
    if !Path::new("/proc/sys/net/mpls/platform_labels").exists() {
        return Some("the kernel lacks MPLS_ROUTING".into());
    }
    if !agent().exists() {
        return Some(format!("no {}", agent().display()));
    }
    ["ip", "ping", "nft"].into_iter().find_map(|tool| {
        let there = Command::new(tool).arg("-V").output().is_ok();
        (!there).then(|| format!("no `{tool}`"))
    })
}

fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn space(node: &str) -> String {
    format!("tsk-{}-{node}", std::process::id())
}

fn on(node: &str, line: &str) -> String {
    run(&format!("ip netns exec {} {line}", space(node)))
}

/// The namespaces; they go when it is dropped.
struct Net;

impl Net {
    fn new() -> Self {
        for node in NODES {
            run(&format!("ip netns add {}", space(node)));
            on(node, "ip link set lo up");
            let set = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; true";
            let netns = space(node);
            let done = Command::new("ip").args(["netns", "exec", &netns, "sh", "-c", set]).status();
            assert!(done.unwrap().success());
        }
        for (a, b, net) in LINKS {
            let (of_a, of_b) = (space(a), space(b));
            run(&format!(
                "ip link add to-{b} netns {of_a} type veth peer name to-{a} netns {of_b}"
            ));
            for (node, far, host) in [(a, b, 1), (b, a, 2)] {
                on(node, &format!("ip address add 10.9.{net}.{host}/24 dev to-{far}"));
                on(node, &format!("ip link set to-{far} up"));
            }
        }
        on("a", "ip route add default via 10.9.1.2");
        on("b", "ip route add default via 10.9.4.1");
        on("r1", "ip route add 10.9.4.0/24 via 10.9.5.2");
        on("r2", "ip route add 10.9.1.0/24 via 10.9.5.1");
        Self
    }

    /// Packets that p has sent, to either router.
    fn through_p(&self) -> u64 {
        let sent = |far: &str| {
            let text = on("p", &format!("cat /sys/class/net/to-{far}/statistics/tx_packets"));
            text.trim().parse::<u64>().unwrap()
        };
        sent("r1") + sent("r2")
    }

    /// Elements of the maps of a router.
    fn rules(&self, node: &str) -> usize {
        let netns = space(node);
        let list = ["netns", "exec", &netns, "nft", "list", "table", "inet", "telesteer_hntes"];
        let output = Command::new("ip").args(list).output().unwrap();
        // There is no table before the first entry.
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.matches(HOSTS[0]).count()
    }

    /// Labels that p swaps, and tables that lead into paths.
    fn labels(&self) -> [usize; 3] {
        let lines = |text: String| text.lines().filter(|line| !line.trim().is_empty()).count();
        let table = |node| lines(on(node, "ip -4 route show table all proto 126"));
        [lines(on("p", "ip -f mpls route show")), table("r1"), table("r2")]
    }

    fn is_redirected(&self) -> bool {
        self.rules("r1") == 1 && self.rules("r2") == 1 && self.labels() == [2, 1, 1]
    }

    fn is_empty(&self) -> bool {
        self.rules("r1") + self.rules("r2") == 0 && self.labels() == [0, 0, 0]
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in NODES {
            let _ = Command::new("ip").args(["netns", "del", &space(node)]).output();
        }
    }
}

fn config(dir: &Path) -> String {
    let mut topology = String::new();
    for (node, address) in [("r1", 1), ("p", 2), ("r2", 3)] {
        topology += &format!(
            "[[node]]\nname = \"{node}\"\naddress = \"10.255.0.{address}\"\nnetns = \"{}\"\n",
            space(node)
        );
    }
    for (a, b, net) in LINKS.into_iter().filter(|(a, b, _)| *a != "a" && *b != "b") {
        let metric = if net == 5 { 1 } else { 10 };
        topology += &format!(
            "[[link]]\na = {{ node = \"{a}\", interface = \"to-{b}\", address = \"10.9.{net}.1\" }}\n\
             b = {{ node = \"{b}\", interface = \"to-{a}\", address = \"10.9.{net}.2\" }}\n\
             mbps = 100\nmetric = {metric}\n"
        );
    }
    let file = dir.join("topology.toml");
    fs::write(&file, topology).unwrap();
    format!(
        r#"
[store]
dir = "store"
[collector]
source = "records"
path = "flow.jsonl"
h = 1000
t-s = 5
slot-s = 1
idle-s = 8
jump-s = 3600
[online]
age-s = 1
jitter-s = 0
doubt-s = 12
reach = "host"
[circuits]
provider = "local"
list-every-s = 5
manner = {{ lease-ms = 30000, linger-ms = 1000, retry-ms = 1000, withdraw-ms = 120000, off-ip-path = true }}
[circuits.local]
topology = "{}"
state = "local.json"
agent = "{}"
poll-ms = 2000
[routers.r1]
device = "nft"
netns = "{}"
read-every-s = 1
addresses = ["10.255.0.1"]
prefixes = ["10.9.1.0/24"]
[routers.r2]
device = "nft"
netns = "{}"
read-every-s = 1
prefixes = ["10.9.4.0/24"]
"#,
        file.display(),
        agent().display(),
        space("r1"),
        space("r2")
    )
}

/// Asks b for an answer fifty times a second.
struct Ping(Child);

impl Ping {
    fn start() -> Self {
        let netns = space("a");
        let words = ["netns", "exec", &netns, "ping", "-q", "-i", "0.02", HOSTS[1]];
        let child = Command::new("ip").args(words).stdout(Stdio::piped()).spawn();
        Self(child.unwrap())
    }

    /// Packets sent and answered.
    fn end(mut self) -> (u64, u64) {
        // `ip netns exec` becomes ping.
        run(&format!("kill -INT {}", self.0.id()));
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        let line = text.lines().find(|line| line.contains("packets transmitted"));
        let line = line.unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<u64> =
            line.split(' ').filter_map(|word| word.parse::<u64>().ok()).collect();
        (numbers[0], numbers[1])
    }
}

fn once(net: &Net, place: &str, over: bool) {
    let dir = tempfile::tempdir().unwrap();
    let bed = Bed::of(&config(dir.path()), HOSTS);
    let ping = Ping::start();
    bed.send(true);
    let mut child = bed.start(&["--die-at", place]);
    if over {
        bed.until("redirection before the end", || net.is_redirected());
        bed.send(false);
    }
    let status = bed.death(&mut child);
    assert_eq!(status.signal(), Some(9), "{place}: {status} {}", bed.all());
    if over {
        bed.rotate();
    }
    let next = bed.start(&[]);
    if !over {
        bed.until(&format!("{place}: redirection"), || net.is_redirected());
        let before = net.through_p();
        bed.until(&format!("{place}: packets on the path"), || net.through_p() > before + 50);
        bed.send(false);
    }
    bed.until(&format!("{place}: the end"), || bed.told("started") == 2 && net.is_empty());
    bed.end(next);
    assert!(net.is_empty(), "{place}");
    let (sent, answered) = ping.end();
    // The last one may have been on its way.
    assert!(sent > 50 && answered + 1 >= sent, "{place}: {answered} of {sent}: {}", bed.all());
    eprintln!("{place}: {answered} of {sent} packets answered");
}

#[test]
fn no_packet_is_lost_when_it_is_killed() {
    if let Some(why) = cannot() {
        eprintln!("skipped: {why}");
        // In our own guest a skip would hide that something is missing.
        assert!(env::var_os("TELESTEER_GUEST").is_none(), "{why}");
        return;
    }
    let net = Net::new();
    match env::var("TELESTEER_KILLS").ok().and_then(|kills| kills.parse::<u64>().ok()) {
        None => SOME.iter().for_each(|(place, over)| once(&net, place, *over)),
        Some(kills) => {
            for (point, over) in ALL {
                for side in ["before", "after"] {
                    (0..kills).for_each(|_| once(&net, &format!("{point}:{side}"), over));
                }
            }
        }
    }
}
