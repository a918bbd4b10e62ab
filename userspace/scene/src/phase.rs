// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One phase of the scene: steady state, a crash, the return, a planned drain, the end.

mod failures;
mod maps;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::anycast::net::{BIRD, EDGE_UPLINK, GOBGP, Net, OVS, PEER, PMACCTD, ROUTER};
use crate::anycast::routing::{Routing, core_hops, hops_to, same_links};
use crate::anycast::server::Announce;
use crate::bpffs::BpfFs;
use crate::capture::Capture;
use crate::collectors::{
    BMP_PORT, Collector, INSTANCES, Launch, Member, Policy, Spec, UDP_PORTS, tables,
};
use crate::error::{Error, Result, at};
use crate::kernel;
use crate::load::Load;
use crate::outputs::Outputs;
use crate::programs::Programs;
use crate::progress::{Progress, until};
use crate::timeline::{Timeline, now_us};

/// Patience for conditions that depend on the programs' speed; generous, emulation is slow.
const PATIENCE_S: u64 = 240;
/// How long the outputs must not grow to count as quiet.
const QUIET: Duration = Duration::from_millis(1500);
/// Messages each replayed exporter sends between two events: one more than needed, since the
/// counters that are looked at are up to a second old.
const ROUNDS: u64 = 2;
/// The exporters that are real programs: FRR, GoBGP, BIRD, softflowd, pmacctd, Open vSwitch.
const WATCHED: [(&str, &str); 6] = [
    ("bmp", ROUTER),
    ("bmp", GOBGP),
    ("bmp", BIRD),
    ("journal", PEER),
    ("journal", PMACCTD),
    ("journal", OVS),
];
const REAL: [usize; WATCHED.len()] = [0, 1, 2, 3, 4, 5];
/// Lines of each of them between two events.
const HEARD: u64 = 2;

/// What all phases share.
pub(crate) struct Stage<'a> {
    /// The network.
    pub net: &'a Net,
    /// What is sent.
    pub load: &'a Load,
    /// The program under test.
    pub telesteer: &'a str,
    /// The kernel policy of the phases that have one.
    pub policy: &'a Policy,
    /// The routing daemons.
    pub routing: &'a RefCell<Routing>,
}

/// A phase being played.
pub(crate) struct Phase<'a> {
    stage: &'a Stage<'a>,
    spec: Spec,
    dir: PathBuf,
    bpf: BpfFs,
    progress: &'a mut Progress,
    timeline: Timeline,
    collectors: Vec<Collector>,
    /// By server, the first is `s1`.
    announcers: Vec<Option<Announce>>,
    programs: Option<Programs>,
    outputs: Outputs,
    policy: Option<String>,
}

/// Plays `spec` in `dir`.
pub(crate) fn play(
    stage: &Stage<'_>,
    spec: Spec,
    dir: &Path,
    progress: &mut Progress,
) -> Result<()> {
    run(stage, spec, dir, progress, |phase| phase.play())
}

/// Lets a server leave and return and compares who received whom, see [`maps`].
pub(crate) fn compare(
    stage: &Stage<'_>,
    spec: Spec,
    dir: &Path,
    progress: &mut Progress,
) -> Result<()> {
    run(stage, spec, dir, progress, |phase| phase.compare())
}

fn run(
    stage: &Stage<'_>,
    spec: Spec,
    dir: &Path,
    progress: &mut Progress,
    script: impl FnOnce(&mut Phase<'_>) -> Result<()>,
) -> Result<()> {
    for folder in ["out", "state", "log", "conf"] {
        let path = dir.join(folder);
        fs::create_dir_all(&path).map_err(at(&path))?;
    }
    let mut phase = Phase {
        stage,
        spec,
        dir: dir.to_owned(),
        bpf: BpfFs::mount(spec)?,
        progress,
        timeline: Timeline::create(dir, spec.name)?,
        collectors: Vec::new(),
        announcers: Vec::new(),
        programs: None,
        outputs: Outputs::new(&dir.join("out"), &WATCHED),
        policy: None,
    };
    let played = script(&mut phase);
    if let Err(error) = &played {
        phase.timeline.event("error", json!({ "what": error.to_string() }));
    }
    played
}

impl Phase<'_> {
    fn play(&mut self) -> Result<()> {
        self.step("begins");
        self.timeline.event("phase_start", json!({}));
        let stage = self.stage;
        let mut capture = Capture::start(&stage.net.edge, EDGE_UPLINK, &self.dir, "exporters")?;
        until("tcpdump to listen", PATIENCE_S, || Ok((capture.listening()?, String::new())))?;
        self.timeline.event("capture_start", json!({}));
        self.servers()?;
        let before = self.counters();
        self.timeline.event("senders_start", json!({}));
        self.programs = Some(Programs::start(stage.net, stage.load, &self.dir, stage.telesteer)?);
        self.steady()?;
        let killed = self.crash()?;
        self.comeback(killed)?;
        let drained = self.drain(killed)?;
        self.finish()?;
        let after = self.counters();
        let members = self.members();
        self.leave_all()?;
        self.end_collectors()?;
        let said = self.programs.take().map(Programs::finish).transpose()?;
        self.write("replay.json", &said.unwrap_or_default())?;
        self.write("capture.json", &capture.finish()?)?;
        self.timeline.event("capture_stop", json!({}));
        self.write("netstat.json", &json!({ "before": before, "after": after }))?;
        self.write(
            "phase.json",
            &json!({
                "name": self.spec.name, "steering": self.spec.steering, "takeover": self.spec.takeover,
                "policy": self.policy, "instances": INSTANCES, "servers": stage.net.servers.len(),
                "killed": killed.instance, "killed_server": killed.server,
                "drained": drained.instance, "drained_server": drained.server, "members": members,
                "exporters": stage.load.exporters(), "frr_routes": stage.load.routes,
            }),
        )?;
        self.timeline.event("phase_end", json!({}));
        self.step("ends");
        Ok(())
    }

    /// Collectors on every server, then its route, until the core leads to all of them.
    fn servers(&mut self) -> Result<()> {
        let servers = self.stage.net.servers.len();
        for member in Member::all(servers) {
            self.start_collector(member, 1, "collector_start")?;
        }
        for index in 0..self.collectors.len() {
            self.await_ready(index, "collector_ready")?;
        }
        self.announcers = (0..servers).map(|_| None).collect();
        for server in 1..=servers {
            self.announce(server)?;
        }
        self.routed(&(1..=servers).collect::<Vec<_>>())?;
        self.timeline.event("routed", json!({}));
        Ok(())
    }

    fn announce(&mut self, server: usize) -> Result<()> {
        let stage = self.stage;
        let log = self.dir.join(format!("log/announce-s{server}.stderr"));
        let routing = stage.routing.borrow();
        let speaker = &routing.speakers[server - 1];
        let space = &stage.net.servers[server - 1];
        let started = Announce::start(stage.telesteer, space, speaker, &INSTANCES, &log)?;
        self.announcers[server - 1] = Some(started);
        Ok(())
    }

    /// Until the core's routes lead to exactly these servers.
    fn routed(&mut self, servers: &[usize]) -> Result<()> {
        let (net, want) = (self.stage.net, hops_to(servers));
        self.until("the core's routes", |_| {
            let have = core_hops(net)?;
            Ok((same_links(&have, &want), format!("{have:?}")))
        })
    }

    /// Withdraws every route: the servers leave before their collectors do.
    fn leave_all(&mut self) -> Result<()> {
        self.announcers.drain(..).flatten().try_for_each(Announce::leave)
    }

    /// Every member as its kernel knows it: policy, id, weight and selections read back.
    fn members(&self) -> Vec<Value> {
        let of = |one: &Collector| {
            let status = one.status().unwrap_or_default();
            let sockets = status["sockets"].as_array().cloned().unwrap_or_default();
            let chosen =
                sockets.iter().filter_map(|socket| socket["selections"].as_u64()).sum::<u64>();
            let first = sockets.first().cloned().unwrap_or_default();
            json!({
                "server": one.member.server, "instance": one.member.instance,
                "policy": first["policy"], "member": first["member"], "selections": chosen,
            })
        };
        self.collectors.iter().map(of).collect()
    }

    fn start_collector(&mut self, member: Member, nth: u32, event: &str) -> Result<()> {
        let launch = Launch {
            servers: &self.stage.net.servers,
            spec: self.spec,
            policy: self.stage.policy,
            dir: &self.dir,
            bpf: self.bpf.path(),
            telesteer: self.stage.telesteer,
        };
        let collector = Collector::start(&launch, member, nth)?;
        self.timeline.event(event, member.json(collector.process.pid()));
        self.collectors.push(collector);
        Ok(())
    }

    fn await_ready(&mut self, index: usize, event: &str) -> Result<()> {
        let mut words = String::new();
        let what = format!("collector {} to be ready", self.collectors[index].member);
        self.until(&what, |phase| {
            words = phase.collectors[index].ready()?.unwrap_or_default();
            Ok((!words.is_empty(), phase.collectors[index].process.talk()))
        })?;
        let (member, pid) = (self.collectors[index].member, self.collectors[index].process.pid());
        let mut who = member.json(pid);
        who["words"] = words.clone().into();
        self.timeline.event(event, who);
        self.policy = Some(words);
        Ok(())
    }

    /// Until every session is up, FRR's whole table has come and all exporters have been heard.
    fn steady(&mut self) -> Result<()> {
        let (sessions, exporters) =
            (self.stage.load.sessions(), self.stage.load.datagram_exporters());
        let routes = u64::from(self.stage.load.routes);
        self.until("the steady state", |phase| {
            phase.outputs.refresh_if_old();
            let Some(programs) = &phase.programs else { return Ok((false, String::new())) };
            let connected = programs.counter("/bmp/connected");
            let started: u64 = ["/ipfix/started", "/netflow9/started", "/notif/started"]
                .iter()
                .map(|pointer| programs.counter(pointer))
                .sum();
            let table = phase.outputs.found(0);
            let done = connected == sessions && started == exporters && programs.table_sent() && table >= routes;
            Ok((done, format!("{connected} of {sessions} sessions, {started} of {exporters} exporters, {table} of {routes} routes from FRR")))
        })?;
        // The ledger looks from here to the kill for who receives whom.
        self.timeline.event("steady", json!({}));
        self.rounds()?;
        let state = self.state();
        self.step(&format!("steady: {state}"));
        Ok(())
    }

    /// Stops the senders and waits until what they sent has been written.
    fn finish(&mut self) -> Result<()> {
        self.timeline.event("senders_stop", json!({}));
        if let Some(programs) = &mut self.programs {
            programs.pause();
        }
        self.timeline.event("senders_stopped", json!({}));
        let mut before = (0, 0);
        let mut since = now_us();
        self.until("the outputs to be quiet", |phase| {
            phase.outputs.refresh_if_old();
            let now = (phase.outputs.all(), phase.unread());
            if now != before {
                (before, since) = (now, now_us());
            }
            let still = Duration::from_micros(now_us().saturating_sub(since));
            Ok((still > QUIET, format!("{} lines, {} bytes unread", now.0, now.1)))
        })?;
        self.timeline.event("quiet", json!({ "lines": before.0, "unread": before.1 }));
        Ok(())
    }

    fn end_collectors(&mut self) -> Result<()> {
        for index in 0..self.collectors.len() {
            self.save_status(index, "end")?;
        }
        self.timeline.event("collectors_stop", json!({}));
        for collector in &self.collectors {
            collector.process.signal(Signal::TERM);
        }
        for mut collector in std::mem::take(&mut self.collectors) {
            let status = collector.process.reap(Duration::from_secs(PATIENCE_S));
            if status.and_then(|status| status.code()) != Some(0) {
                let what = format!("collector {} after SIGTERM", collector.member);
                return Err(Error::Odd {
                    what,
                    why: format!("{status:?}: {}", collector.process.talk()),
                });
            }
        }
        self.timeline.event("collectors_stopped", json!({}));
        Ok(())
    }

    /// Until every replayed session is connected.
    fn all_connected(&mut self) -> Result<()> {
        let sessions = self.stage.load.sessions();
        self.until("all sessions to be connected", |phase| {
            let connected =
                phase.programs.as_ref().map_or(0, |programs| programs.counter("/bmp/connected"));
            Ok((connected == sessions, format!("{connected} of {sessions}")))
        })
    }

    /// Until the load has gone on for so long that every exporter has sent something.
    ///
    /// The real programs must have been heard, too, where nobody is refused.
    fn rounds(&mut self) -> Result<()> {
        let rounds = self.stage.load.rounds();
        let sent = |phase: &Self, name| phase.programs.as_ref().map_or(0, |one| one.counter(name));
        let goals = rounds.map(|(name, exporters)| (name, sent(self, name) + ROUNDS * exporters));
        self.outputs.refresh();
        let heard = REAL.map(|index| self.outputs.found(index));
        let refuses = self.spec.refuses;
        self.until("every exporter to go on", |phase| {
            phase.outputs.refresh_if_old();
            let now = REAL.map(|index| phase.outputs.found(index));
            let silent = now.iter().zip(heard).any(|(now, before)| *now < before + HEARD);
            let short = goals.iter().any(|&(name, goal)| sent(phase, name) < goal);
            Ok((!short && (refuses || !silent), format!("goals {goals:?}, heard {now:?}")))
        })
    }

    /// Looks at a condition until it is true; meanwhile everything that should run must run.
    fn until(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<(bool, String)>,
    ) -> Result<()> {
        until(&format!("{what} (phase {})", self.spec.name), PATIENCE_S, || {
            self.progress.go_on()?;
            self.stage.routing.borrow_mut().must_run()?;
            for announce in self.announcers.iter_mut().flatten() {
                announce.process.must_run()?;
            }
            if let Some(programs) = &mut self.programs {
                programs.must_run()?;
            }
            for collector in &mut self.collectors {
                collector.process.must_run()?;
            }
            let found = look(self)?;
            if self.progress.due() {
                let state = self.state();
                self.progress.live(&state);
            }
            Ok(found)
        })
    }

    /// Bytes and datagrams that wait in the servers' sockets.
    fn unread(&self) -> u64 {
        let of = |tables: &crate::sockets::Tables| -> u64 {
            let tcp = tables.tcp.iter().filter(|one| one.local.1 == BMP_PORT);
            let udp = tables.udp.iter().filter(|one| UDP_PORTS.contains(&one.local.1));
            tcp.chain(udp).map(|one| one.rx_queue).sum()
        };
        tables(&self.collectors, true).values().map(of).sum()
    }

    /// Network counters of every server.
    fn counters(&self) -> Value {
        let mut found = BTreeMap::new();
        for one in &self.collectors {
            found
                .entry(format!("s{}", one.member.server))
                .or_insert_with(|| kernel::counters(one.process.pid()));
        }
        json!(found)
    }

    fn index(&self, member: Member) -> Result<usize> {
        self.collectors.iter().position(|one| one.member == member).ok_or_else(|| Error::Odd {
            what: format!("collector {member}"),
            why: "does not run".to_owned(),
        })
    }

    fn save_status(&self, index: usize, when: &str) -> Result<()> {
        let Member { server, instance } = self.collectors[index].member;
        match self.collectors[index].status() {
            Some(status) => {
                self.write(&format!("status-s{server}-{instance}-{when}.json"), &status)
            }
            None => Ok(()),
        }
    }

    fn write_queues(&self, name: &str, mut queues: Value, more: Value) -> Result<()> {
        if let (Some(queues), Value::Object(more)) = (queues.as_object_mut(), more) {
            queues.extend(more);
        }
        self.write(name, &queues)
    }

    fn write(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, format!("{value:#}\n")).map_err(at(&path))
    }

    fn step(&self, text: &str) {
        self.progress.step(&format!("{}: {text}", self.spec.name));
    }

    /// Sessions by collector, what was lost, what was sent and written.
    fn state(&mut self) -> String {
        self.outputs.refresh();
        let tables = tables(&self.collectors, false);
        let held: Vec<String> = self
            .collectors
            .iter()
            .filter_map(|one| {
                let sessions = one.queues(tables.get(&one.member.server)?).sessions();
                Some(format!("{}:{sessions}", one.member))
            })
            .collect();
        let count =
            |pointer| self.programs.as_ref().map_or(0, |programs| programs.counter(pointer));
        let datagrams = self.programs.as_ref().map_or(0, Programs::datagrams);
        format!(
            "sessions {} | up {} | reset {} closed {} refused {} | BMP sent {} written {} | datagrams sent {datagrams} journal {}",
            held.join(" "),
            count("/bmp/connected"),
            count("/bmp/resets"),
            count("/bmp/closes"),
            count("/bmp/connects_failed"),
            count("/bmp/messages"),
            self.outputs.lines("bmp"),
            self.outputs.lines("journal"),
        )
    }
}
