// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-scene bench-anycast`: one server leaves and comes back under each way to spread flows
//! over servers. Who moved and who was reset is counted by the ledger from captures: at the edge,
//! where every exporter passes, and at every server.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::capture::Capture;
use crate::collectors::{Collector, INSTANCES, Launch, Member, Policy, Spec};
use crate::error::{Result, at};
use crate::kernel;
use crate::process::Process;
use crate::progress::{Progress, until};
use crate::timeline::{Timeline, now_us};

use super::ecmp::{Group, Mode};
use super::mirror::{self, Mirror};
use super::net::{ANYCAST, EDGE_UPLINK, Net, SERVER_LINK};
use super::routing::{Routing, core_hops, hops_to, same_links};
use super::server::Announce;

/// The server that leaves.
const LEAVES: usize = 1;
/// Patience for a condition.
const PATIENCE_S: u64 = 240;
/// Messages of each exporter after each event. One more than needed: counters are a second old.
const ROUNDS: u64 = 4;
/// How collectors steer: the best this kernel has.
const SPEC: Spec = Spec::plain("anycast", "auto", "auto");

/// Arguments of `telesteer-scene bench-anycast`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for everything the bench leaves behind; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Servers behind the address.
    #[arg(long, default_value_t = 2)]
    servers: usize,
    /// Play only these ways, as l3-plain or 4-tuple-resilient.
    #[arg(long, value_delimiter = ',')]
    mode: Vec<String>,
    /// IPFIX exporters of each address family.
    #[arg(long, default_value_t = 208)]
    exporters: u32,
    /// BMP sessions of each address family; their routers export IPFIX, too.
    #[arg(long, default_value_t = 64)]
    sessions: u32,
    /// Buckets of a resilient group.
    #[arg(long, default_value_t = 128)]
    buckets: u32,
    /// Seconds after which a bucket of a resilient group may move.
    #[arg(long, default_value_t = 120)]
    idle: u32,
    /// The program under test; by default the `telesteer` beside this program.
    #[arg(long)]
    telesteer: Option<PathBuf>,
}

/// Plays all ways to spread.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    ensure!((2..=8).contains(&args.servers), "--servers is within 2 to 8");
    ensure!(args.sessions <= args.exporters, "every router with a session exports flows, too");
    ensure!((1..=250).contains(&args.exporters), "--exporters is within 1 to 250");
    let modes = chosen(&args.mode)?;
    let telesteer = crate::demo::program(args.telesteer.as_deref())?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("signal handler")?;
    }
    let mut progress = Progress::new(false, interrupted);
    fs::create_dir_all(&args.out).with_context(|| format!("make {}", args.out.display()))?;
    let out = args.out.canonicalize().with_context(|| format!("find {}", args.out.display()))?;
    let mut scene = json!({
        "kernel": kernel::release(), "accel": kernel::accel(), "started_us": now_us(),
        "anycast": ANYCAST, "servers": args.servers, "leaves": LEAVES,
        "exporters": args.exporters, "sessions": args.sessions,
        "buckets": args.buckets, "idle_s": args.idle,
        "ports": { "bmp": 1790, "ipfix": 4739 },
        "modes": modes.iter().map(describe).collect::<Vec<_>>(), "complete": false,
    });
    write(&out, "anycast.json", &scene)?;
    let log = out.join("log");
    fs::create_dir_all(&log).with_context(|| format!("make {}", log.display()))?;
    let net = Net::build(args.servers, false).context("the scene's network")?;
    let routing = Routing::start(&net, &log).context("routing")?;
    let mut stage = Stage {
        args,
        net: &net,
        routing,
        telesteer: &telesteer,
        out: &out,
        announcers: (0..args.servers).map(|_| None).collect(),
        collectors: Vec::new(),
        progress: &mut progress,
    };
    stage.servers()?;
    for mode in modes {
        stage.play(mode).with_context(|| format!("way {}", mode.name()))?;
    }
    drop(stage);
    drop(net);
    scene["complete"] = true.into();
    scene["ended_us"] = now_us().into();
    write(&out, "anycast.json", &scene)?;
    progress.step(&format!("all played, see {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn describe(mode: &Mode) -> Value {
    json!({ "name": mode.name(), "hash": mode.hash.name(), "group": mode.group.name() })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Mode>> {
    let all = Mode::all();
    for name in names {
        let known: Vec<String> = all.iter().map(|mode| mode.name()).collect();
        ensure!(known.contains(name), "there is no way {name:?}, only {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|mode| names.is_empty() || names.contains(&mode.name())).collect())
}

fn write(dir: &Path, name: &str, value: &Value) -> Result<()> {
    let path = dir.join(name);
    fs::write(&path, format!("{value:#}\n")).map_err(at(&path))
}

/// The addresses of the exporters of one family: `10.8.0.1…` or `2001:db8:8::1…`.
fn addresses(v6: bool, count: u32) -> Vec<String> {
    (1..=count)
        .map(|host| if v6 { format!("2001:db8:8::{host:x}") } else { format!("10.8.0.{host}") })
        .collect()
}

/// Everything that stays from one way to the next.
struct Stage<'a> {
    args: &'a Args,
    net: &'a Net,
    routing: Routing,
    telesteer: &'a str,
    out: &'a Path,
    announcers: Vec<Option<Announce>>,
    collectors: Vec<Collector>,
    progress: &'a mut Progress,
}

/// What sends in one way.
struct Senders {
    replay: Process,
    mirror: Option<Mirror>,
}

impl Stage<'_> {
    /// Collectors, then announcers, until the core has a route to every server.
    fn servers(&mut self) -> Result<()> {
        let policy = Policy { name: String::new(), deadline_ms: 0 };
        let launch = Launch {
            servers: &self.net.servers,
            spec: SPEC,
            policy: &policy,
            dir: self.out,
            bpf: Path::new(""),
            telesteer: self.telesteer,
        };
        for member in Member::all(self.args.servers) {
            self.collectors.push(Collector::start(&launch, member, 1)?);
        }
        let mut ready = 0;
        self.until("the collectors to be ready", |stage| {
            while let Some(collector) = stage.collectors.get_mut(ready) {
                if collector.ready()?.is_none() {
                    return Ok((false, collector.process.talk()));
                }
                ready += 1;
            }
            Ok((true, String::new()))
        })?;
        for number in 1..=self.args.servers {
            self.announce(number)?;
        }
        self.routed(&(1..=self.args.servers).collect::<Vec<_>>())?;
        let collectors = self.collectors.len();
        self.progress.step(&format!(
            "{} servers with {collectors} collectors announce {}, kernel {}",
            self.args.servers,
            ANYCAST.join(" and "),
            kernel::release()
        ));
        Ok(())
    }

    fn announce(&mut self, number: usize) -> Result<()> {
        let log = self.out.join(format!("log/announce-s{number}.stderr"));
        let (space, speaker) = (&self.net.servers[number - 1], &self.routing.speakers[number - 1]);
        let started = Announce::start(self.telesteer, space, speaker, &INSTANCES, &log)?;
        self.announcers[number - 1] = Some(started);
        Ok(())
    }

    /// Until the core's routes lead to exactly these servers.
    fn routed(&mut self, servers: &[usize]) -> Result<()> {
        let want = hops_to(servers);
        self.until("the core's routes", |stage| {
            let have = core_hops(stage.net)?;
            Ok((same_links(&have, &want), format!("{have:?}")))
        })
    }

    /// The same for the mirrored ones.
    fn mirrored(&mut self, senders: &mut Senders, servers: &[usize]) -> Result<()> {
        let want = hops_to(servers);
        let Some(mirror) = &mut senders.mirror else { return Ok(()) };
        self.until("the mirrored routes", |_| {
            mirror.must_run()?;
            let have = mirror.hops()?;
            Ok((same_links(&have, &want), format!("{have:?}")))
        })
    }

    fn play(&mut self, mode: Mode) -> Result<()> {
        let dir = self.out.join(mode.name());
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(at(&dir))?;
        }
        let log = dir.join("log");
        fs::create_dir_all(&log).map_err(at(&log))?;
        let mut timeline = Timeline::create(&dir, &mode.name())?;
        mode.hash.apply(self.net)?;
        let mirror = match mode.group {
            Group::Plain => None,
            Group::Resilient | Group::Bare => {
                let bare = mode.group == Group::Bare;
                let args = mirror::Args { buckets: self.args.buckets, idle: self.args.idle, bare };
                Some(Mirror::start(self.net, &log.join("mirror.stderr"), &args)?)
            }
        };
        let mut captures = vec![Capture::start(&self.net.edge, EDGE_UPLINK, &dir, "edge")?];
        for (number, space) in (1..).zip(&self.net.servers) {
            captures.push(Capture::start(space, SERVER_LINK, &dir, &format!("s{number}"))?);
        }
        self.until("the captures", |_| {
            for capture in &mut captures {
                if !capture.listening()? {
                    return Ok((false, String::new()));
                }
            }
            Ok((true, String::new()))
        })?;
        let mut senders = Senders { replay: self.replay(&dir)?, mirror };
        self.connected(&mut senders)?;
        timeline.event("steady", json!({}));
        self.rounds(&mut senders)?;
        timeline.event("withdraw_start", json!({ "server": LEAVES }));
        if let Some(leaving) = self.announcers[LEAVES - 1].take() {
            leaving.leave()?;
        }
        let left: Vec<usize> = (1..=self.args.servers).filter(|number| *number != LEAVES).collect();
        self.routed(&left)?;
        self.mirrored(&mut senders, &left)?;
        timeline.event("withdrawn", json!({ "server": LEAVES }));
        self.rounds(&mut senders)?;
        self.connected(&mut senders)?;
        timeline.event("return_start", json!({ "server": LEAVES }));
        self.announce(LEAVES)?;
        let all: Vec<usize> = (1..=self.args.servers).collect();
        self.routed(&all)?;
        self.mirrored(&mut senders, &all)?;
        timeline.event("returned", json!({ "server": LEAVES }));
        self.rounds(&mut senders)?;
        self.connected(&mut senders)?;
        timeline.event("stop", json!({}));
        self.finish(senders, captures, &dir, &mut timeline)?;
        self.progress.step(&mode.name());
        Ok(())
    }

    fn finish(
        &mut self,
        mut senders: Senders,
        captures: Vec<Capture>,
        dir: &Path,
        timeline: &mut Timeline,
    ) -> Result<()> {
        senders.replay.signal(Signal::USR1);
        // What is on its way arrives, and tcpdump reads what the kernel holds back for a second.
        std::thread::sleep(Duration::from_millis(1500));
        senders.replay.stop(Signal::TERM, Duration::from_secs(20));
        let said: Value = serde_json::from_str(&senders.replay.last_line()).unwrap_or_default();
        write(dir, "replay.json", &said)?;
        let mut statistics = serde_json::Map::new();
        for capture in captures {
            let name = capture.name().to_owned();
            statistics.insert(name, capture.finish()?);
        }
        write(dir, "capture.json", &statistics.into())?;
        if let Some(mirror) = senders.mirror {
            mirror.stop()?;
        }
        timeline.event("end", json!({}));
        Ok(())
    }

    fn replay(&self, dir: &Path) -> Result<Process> {
        let (exporters, sessions) = (self.args.exporters, self.args.sessions);
        let mut text = "seed = 1\n".to_owned();
        for (kind, word, port, count, more) in [
            ("bmp", "sessions", 1790, sessions, "chunk = \"random\"\npeers = 1\nlarge_every = 0\n"),
            ("ipfix", "exporters", 4739, exporters, "templates = \"once\"\nrecords = 1\n"),
        ] {
            let sources = [addresses(false, count), addresses(true, count)].concat();
            let [v4, v6] = ANYCAST;
            let (all, rate) = (2 * count, 2 * count);
            let _ = write!(
                text,
                "[[{kind}]]\n{word} = {all}\nsources = {sources:?}\n\
                 target = [\"{v4}:{port}\", \"[{v6}]:{port}\"]\nrate = {rate}\n{more}"
            );
        }
        let path = dir.join("load.toml");
        fs::write(&path, text).map_err(at(&path))?;
        let path = path.to_string_lossy();
        let argv = [self.telesteer, "replay", "generate", "--config", &path, "--progress"];
        Process::start("replay", &self.net.router, &argv, &dir.join("log/replay.stderr"))
    }

    /// Until every session is up and every exporter has begun.
    fn connected(&mut self, senders: &mut Senders) -> Result<()> {
        let sessions = u64::from(2 * self.args.sessions);
        let exporters = u64::from(2 * self.args.exporters);
        self.until("all sessions to be up", |_| {
            senders.replay.must_run()?;
            let (up, begun) = (
                counter(&senders.replay, "/bmp/connected"),
                counter(&senders.replay, "/ipfix/started"),
            );
            let seen = format!("{up} of {sessions} sessions, {begun} of {exporters} exporters");
            Ok((up == sessions && begun == exporters, seen))
        })
    }

    /// Until every exporter and every session has sent something more than once.
    fn rounds(&mut self, senders: &mut Senders) -> Result<()> {
        let begun = Instant::now();
        // Sessions write at their own pace, one message a second.
        let least = Duration::from_secs(ROUNDS);
        let goal = counter(&senders.replay, "/ipfix/datagrams")
            + ROUNDS * u64::from(2 * self.args.exporters);
        self.until("every exporter to go on", |_| {
            senders.replay.must_run()?;
            let sent = counter(&senders.replay, "/ipfix/datagrams");
            let done = sent >= goal && begun.elapsed() >= least;
            Ok((done, format!("{sent} of {goal} datagrams")))
        })
    }

    fn until(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<(bool, String)>,
    ) -> Result<()> {
        until(what, PATIENCE_S, || {
            self.progress.go_on()?;
            self.routing.must_run()?;
            for announce in self.announcers.iter_mut().flatten() {
                announce.process.must_run()?;
            }
            for collector in &mut self.collectors {
                collector.process.must_run()?;
            }
            look(self)
        })
    }
}

fn counter(process: &Process, pointer: &str) -> u64 {
    let line: Value = serde_json::from_str(&process.last_line()).unwrap_or_default();
    line.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), 7);
        let picked = chosen(&["4-tuple-resilient".to_owned()]).unwrap();
        assert_eq!(picked[0].name(), "4-tuple-resilient");
        assert!(chosen(&["l5".to_owned()]).unwrap_err().to_string().contains("l3-plain"));
    }

    #[test]
    fn addresses_lie_in_the_exporters_networks() {
        assert_eq!(addresses(false, 208)[207], "10.8.0.208");
        assert_eq!(addresses(true, 208)[207], "2001:db8:8::d0");
    }
}
