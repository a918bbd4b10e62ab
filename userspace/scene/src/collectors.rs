// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The collectors of a phase: three instances of `telesteer collect` on each server that share its
//! addresses.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Error, Result, at};
use crate::process::{Process, run};
use crate::sockets::{self, LISTEN, Socket, Tables};

/// Instances on every server.
pub(crate) const INSTANCES: [u32; 3] = [1, 2, 3];
/// The seed of the policy, the same everywhere: equal ids and seeds give equal maps.
const SEED: &str = "74656c6573746565722064656d6f2121";
/// Milliseconds a collector that drains keeps its sockets once the kernel has left it out.
const HOLD_MS: u64 = 2000;
/// The port of BMP.
pub(crate) const BMP_PORT: u16 = 1790;
/// The ports of IPFIX, NetFlow and UDP-notif.
pub(crate) const UDP_PORTS: [u16; 3] = [4739, 2055, 10003];
/// Receive buffer of the collectors' sockets, in bytes: holds what comes while one is held up.
const RCVBUF: &str = "4194304";

/// How a phase spreads exporters over collectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// Name of the phase and of its folder.
    pub name: &'static str,
    /// `--steering`.
    pub steering: &'static str,
    /// `--takeover`.
    pub takeover: &'static str,
    /// True when an exporter refused by a dead collector's place stays refused until its return.
    pub refuses: bool,
    /// `--policy-key`, where a policy steers.
    pub key: &'static str,
    /// True when the weight of a member is its instance number, false when all weigh the same.
    pub weighted: bool,
}

impl Spec {
    /// Everyone weighs the same, an exporter is its address.
    pub(crate) const fn plain(
        name: &'static str,
        steering: &'static str,
        takeover: &'static str,
    ) -> Self {
        Self { name, steering, takeover, refuses: false, key: "saddr", weighted: false }
    }
}

/// The phases, in the order they are played.
pub(crate) const PHASES: [Spec; 3] = [
    Spec::plain("stock", "none", "off"),
    Spec { refuses: true, ..Spec::plain("bpf-modulo", "bpf-modulo", "off") },
    Spec::plain("telesteer", "policy", "auto"),
];

/// The short phases that look at maps: of two servers, of members that weigh 1, 2 and 3 and of an
/// address with several domains, of two servers that ask for the policy when its module is gone.
pub(crate) const MAPS: [Spec; 3] = [
    Spec::plain("one-map", "policy", "auto"),
    Spec { key: "saddr,payload", weighted: true, ..Spec::plain("shares", "policy", "auto") },
    Spec::plain(UNLOADED, "auto", "auto"),
];

/// The phase that is played without the module.
pub(crate) const UNLOADED: &str = "unloaded";

/// One collector's place: the server and its instance id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The server, from 1.
    pub server: u32,
    /// Its instance id, which is its member id in the kernel.
    pub instance: u32,
}

impl Member {
    /// Every member of so many servers.
    pub(crate) fn all(servers: usize) -> Vec<Self> {
        (1..=servers as u32)
            .flat_map(|server| INSTANCES.map(|instance| Self { server, instance }))
            .collect()
    }

    /// For an event.
    pub(crate) fn json(self, pid: u32) -> Value {
        json!({ "server": self.server, "instance": self.instance, "pid": pid })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}/{}", self.server, self.instance)
    }
}

/// What all collectors of a phase share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch<'a> {
    /// The servers' namespaces.
    pub servers: &'a [String],
    /// How the phase spreads exporters.
    pub spec: Spec,
    /// The kernel policy, where the phase has one.
    pub policy: &'a Policy,
    /// The phase's folder.
    pub dir: &'a Path,
    /// Where BPF maps are pinned.
    pub bpf: &'a Path,
    /// The program.
    pub telesteer: &'a str,
}

/// The kernel policy of the phases that steer by one.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Its name.
    pub name: String,
    /// Milliseconds a policy that keeps live exporters where they are may do so; 0: it does not.
    pub deadline_ms: u64,
}

/// One running collector.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Its place.
    pub member: Member,
    /// The process.
    pub process: Process,
    space: String,
}

impl Collector {
    /// Starts a member for the `nth` time.
    pub(crate) fn start(launch: &Launch<'_>, member: Member, nth: u32) -> Result<Self> {
        let Member { server, instance } = member;
        let (spec, telesteer) = (launch.spec, launch.telesteer);
        let (id, metrics) = (instance.to_string(), format!("127.0.0.1:{}", metrics_port(instance)));
        let path = |name: &str| {
            let path = launch.dir.join(name).join(format!("s{server}"));
            std::fs::create_dir_all(&path).map_err(at(&path))?;
            Ok(path.to_string_lossy().into_owned())
        };
        let (out, state) = (path("out")?, path("state")?);
        // Every server is a host of its own, with maps of its own.
        let pin = launch.bpf.join(format!("s{server}"));
        let pin = pin.to_string_lossy().into_owned();
        let size = INSTANCES.len().to_string();
        let deadline = launch.policy.deadline_ms.to_string();
        let weight = if spec.weighted { instance.to_string() } else { "1".to_owned() };
        // Long enough for every exporter to speak while a collector that drains could still hear it.
        let conf = launch.dir.join("conf/collector.toml");
        std::fs::write(&conf, format!("[limits]\ndrain-hold = {HOLD_MS}\n")).map_err(at(&conf))?;
        let conf = conf.to_string_lossy().into_owned();
        let mut argv = vec![
            telesteer,
            "collect",
            "--config",
            &conf,
            "--instance",
            &id,
            "--steering",
            spec.steering,
            "--takeover",
            spec.takeover,
            "--out",
            &out,
            "--state",
            &state,
            "--raw",
            "--journal",
            "--metrics",
            &metrics,
            "--rcvbuf",
            RCVBUF,
            "--weight",
            &weight,
        ];
        if spec.steering == "bpf-modulo" {
            std::fs::create_dir_all(&pin).map_err(at(Path::new(&pin)))?;
            argv.extend(["--bpf-pin", &pin, "--bpf-size", &size]);
        }
        if ["policy", "auto"].contains(&spec.steering) && !launch.policy.name.is_empty() {
            argv.extend(["--policy", &launch.policy.name, "--policy-seed", SEED]);
            argv.extend(["--policy-key", spec.key]);
            if launch.policy.deadline_ms > 0 {
                argv.extend(["--policy-deadline", &deadline]);
            }
        }
        let log = launch.dir.join(format!("log/collector-s{server}-{instance}-{nth}.stderr"));
        let space = launch.servers.get(server as usize - 1).cloned().unwrap_or_default();
        let process = Process::start(&format!("collector {member}"), &space, &argv, &log)?;
        Ok(Self { member, process, space })
    }

    /// The words of its ready line, once it is there.
    pub(crate) fn ready(&mut self) -> Result<Option<String>> {
        self.process.must_run()?;
        let talk = self.process.talk();
        Ok(talk.lines().find_map(|line| line.strip_prefix("telesteer: ready ").map(str::to_owned)))
    }

    /// Its `/status`, when it answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let own = std::env::current_exe().ok()?;
        let address = format!("127.0.0.1:{}", metrics_port(self.member.instance));
        let argv = ["ip", "netns", "exec", &self.space, own.to_str()?, "get", &address, "/status"];
        serde_json::from_str(&run(&argv).ok()?).ok()
    }

    /// What waits in its sockets, going by `tables`.
    pub(crate) fn queues(&self, tables: &Tables) -> Queues {
        Queues::of(&sockets::inodes(self.process.pid()), tables)
    }
}

/// Where the instance serves its metrics.
pub(crate) fn metrics_port(instance: u32) -> u32 {
    9100 + instance
}

/// What waits unread in the sockets of one collector.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    sessions: Vec<Socket>,
    udp: Vec<Socket>,
    accept: u64,
}

impl Queues {
    /// The queues of the sockets with these inodes.
    pub(crate) fn of(inodes: &HashSet<u64>, tables: &Tables) -> Self {
        let mine = |socket: &&Socket| inodes.contains(&socket.inode);
        let tcp = tables.tcp.iter().filter(mine).filter(|socket| socket.local.1 == BMP_PORT);
        let (listeners, sessions): (Vec<_>, Vec<_>) =
            tcp.cloned().partition(|socket| socket.state == LISTEN);
        let udp = tables.udp.iter().filter(mine);
        let udp = udp.filter(|socket| UDP_PORTS.contains(&socket.local.1)).cloned().collect();
        Self { sessions, udp, accept: listeners.iter().map(|one| one.rx_queue).sum() }
    }

    /// BMP sessions it has accepted.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Those of them with bytes that nobody has read.
    pub(crate) fn unread(&self) -> usize {
        self.unread_at_least(1)
    }

    /// Those of them with so many unread bytes.
    pub(crate) fn unread_at_least(&self, bytes: u64) -> usize {
        self.sessions.iter().filter(|one| one.rx_queue >= bytes).count()
    }

    /// Everything, as `kill.json` and `drain.json` hold it.
    pub(crate) fn json(&self) -> Value {
        let tcp: Vec<Value> = self
            .sessions
            .iter()
            .map(|one| {
                json!({
                    "exporter": one.remote.0, "port": one.remote.1, "local": one.local.0,
                    "local_port": one.local.1, "rx_queue": one.rx_queue,
                })
            })
            .collect();
        let udp: Vec<Value> = self
            .udp
            .iter()
            .map(|one| {
                json!({
                    "local": one.local.0, "local_port": one.local.1,
                    "family": if one.local.0.is_ipv4() { 4 } else { 6 },
                    "rx_bytes": one.rx_queue, "drops": one.drops,
                })
            })
            .collect();
        json!({
            "tcp": tcp, "udp": udp, "accept_queue": self.accept,
            "sessions": self.sessions(), "sessions_with_unread_bytes": self.unread(),
        })
    }
}

/// The socket tables of every server, `all` of them or TCP only.
pub(crate) fn tables(collectors: &[Collector], all: bool) -> BTreeMap<u32, Tables> {
    let mut found = BTreeMap::new();
    for one in collectors {
        found.entry(one.member.server).or_insert_with(|| {
            let pid = one.process.pid();
            if all { Tables::all(pid) } else { Tables::tcp(pid) }
        });
    }
    found
}

/// The running collector with the most sessions, other than `but`.
pub(crate) fn busiest<'a>(collectors: &'a [Collector], but: &[Member]) -> Result<&'a Collector> {
    let tables = tables(collectors, false);
    collectors
        .iter()
        .filter(|one| !but.contains(&one.member))
        .filter_map(|one| Some((one.queues(tables.get(&one.member.server)?).sessions(), one)))
        .max_by_key(|(sessions, _)| *sessions)
        .filter(|(sessions, _)| *sessions > 0)
        .map(|(_, one)| one)
        .ok_or_else(|| Error::Odd {
            what: "the collectors".to_owned(),
            why: format!("none but {but:?} holds a session"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(port: u16, state: u8, rx_queue: u64, inode: u64) -> Socket {
        let any = "192.0.2.1".parse().unwrap();
        Socket { local: (any, port), remote: (any, 9), state, rx_queue, inode, drops: 0 }
    }

    #[test]
    fn only_own_sockets_count_and_listeners_are_no_sessions() {
        let tcp = vec![
            socket(BMP_PORT, LISTEN, 2, 1),
            socket(BMP_PORT, 1, 100, 2),
            socket(BMP_PORT, 1, 0, 3),
            socket(BMP_PORT, 1, 5, 99),
            socket(9101, 1, 5, 4),
        ];
        let tables = Tables { tcp, udp: vec![socket(4739, 7, 10, 3)] };
        let queues = Queues::of(&HashSet::from([1, 2, 3, 4]), &tables);
        assert_eq!((queues.sessions(), queues.unread(), queues.accept), (2, 1, 2));
        assert_eq!((queues.unread_at_least(100), queues.unread_at_least(101)), (1, 0));
        assert_eq!(queues.json()["udp"][0]["rx_bytes"], 10);
    }
}
