// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One phase of the scene: steady state, a crash, the return, a planned drain, the end.

mod failures;
mod maps;
mod servers;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::anycast::net::{BIRD, EDGE_UPLINK, GOBGP, Net, OVS, PEER, PMACCTD, ROUTER};
use crate::anycast::routing::Routing;
use crate::anycast::server::Announce;
use crate::bpffs::BpfFs;
use crate::capture::Capture;
use crate::collectors::{BMP_PORT, Collector, INSTANCES, Member, Policy, Spec, UDP_PORTS, tables};
use crate::error::{Error, Result, at};
use crate::load::Load;
use crate::outputs::Outputs;
use crate::programs::Programs;
use crate::progress::{Progress, until};
use crate::timeline::{Timeline, now_us};

/// Patience for conditions that depend on the programs' speed; generous, emulation is slow.
const PATIENCE_S: u64 = 240;
/// How long the outputs must not grow to count as quiet.
const QUIET: Duration = Duration::from_millis(1500);
/// Patience for routes: daemons and their command-line tools, one after the other.
const ROUTES_S: u64 = 600;
/// Messages each replayed exporter sends between two events: more than needed, since the counters
/// that are looked at are up to a second old, and older in a guest that is busy.
const ROUNDS: u64 = 4;
/// The exporters that are real programs: FRR, GoBGP, BIRD, softflowd, pmacctd, Open vSwitch.
const WATCHED: [(&str, &str); 6] = [
    ("bmp", ROUTER),
    ("bmp", GOBGP),
    ("bmp", BIRD),
    ("journal", PEER),
    ("journal", PMACCTD),
    ("journal", OVS),
];
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
    /// A collector has died.
    crashed: bool,
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

/// Plays a short phase about maps, see [`maps`].
pub(crate) fn compare(
    stage: &Stage<'_>,
    spec: Spec,
    dir: &Path,
    progress: &mut Progress,
) -> Result<()> {
    run(
        stage,
        spec,
        dir,
        progress,
        |phase| {
            if spec.weighted { phase.spread() } else { phase.compare() }
        },
    )
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
        crashed: false,
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
        // Before the routes: what a sender could not say now it would say in the next phase.
        let said = self.programs.take().map(Programs::finish).transpose()?;
        self.write("replay.json", &said.unwrap_or_default())?;
        self.until("the senders' sessions to end", |phase| {
            let sessions = phase.sessions().map(|(_, sessions)| sessions).sum::<usize>();
            Ok((sessions == 0, format!("{sessions} left")))
        })?;
        self.leave_all()?;
        self.end_collectors()?;
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
                "deadline_ms": self.deadline().as_millis() as u64,
                "exporters": stage.load.exporters(), "frr_routes": stage.load.routes,
            }),
        )?;
        self.timeline.event("phase_end", json!({}));
        self.step("ends");
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
        self.quiet()
    }

    /// Until what has been sent has been written.
    fn quiet(&mut self) -> Result<()> {
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
    /// The real programs must have been heard, too, where nobody is refused. Once sessions may have
    /// been lost only those without one: BIRD 3.1, whose session has ended, opens another ten seconds
    /// later and says nothing in it but its Initiation.
    fn rounds(&mut self) -> Result<()> {
        let rounds = self.stage.load.rounds();
        let sent = |phase: &Self, name| phase.programs.as_ref().map_or(0, |one| one.counter(name));
        let goals = rounds.map(|(name, exporters)| (name, sent(self, name) + ROUNDS * exporters));
        self.outputs.refresh();
        let lost = self.crashed && self.spec.takeover == "off";
        let ignored = |index: usize| self.spec.refuses || lost && WATCHED[index].0 == "bmp";
        let waited: Vec<usize> = (0..WATCHED.len()).filter(|&index| !ignored(index)).collect();
        let before: Vec<u64> = waited.iter().map(|&index| self.outputs.found(index)).collect();
        self.until("every exporter to go on", |phase| {
            phase.outputs.refresh_if_old();
            let heard: Vec<u64> =
                waited.iter().zip(&before).map(|(&i, was)| phase.outputs.found(i) - was).collect();
            let silent = heard.iter().any(|&lines| lines < HEARD);
            let short = goals.iter().any(|&(name, goal)| sent(phase, name) < goal);
            let seen = format!("goals {goals:?}, heard {heard:?} of {waited:?}");
            Ok((!short && !silent, seen))
        })
    }

    /// Looks at a condition until it is true; meanwhile everything that should run must run.
    fn until(
        &mut self,
        what: &str,
        look: impl FnMut(&mut Self) -> Result<(bool, String)>,
    ) -> Result<()> {
        self.until_in(PATIENCE_S, what, look)
    }

    /// As [`Phase::until`], for at most so many seconds.
    fn until_in(
        &mut self,
        most_s: u64,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<(bool, String)>,
    ) -> Result<()> {
        until(&format!("{what} (phase {})", self.spec.name), most_s, || {
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

    /// How long the policy of this phase may keep live exporters from one that joins.
    fn deadline(&self) -> Duration {
        match self.spec.steering {
            "policy" => Duration::from_millis(self.stage.policy.deadline_ms),
            _ => Duration::ZERO,
        }
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

    /// The sessions each collector has accepted.
    fn sessions(&self) -> impl Iterator<Item = (Member, usize)> {
        let tables = tables(&self.collectors, false);
        self.collectors.iter().filter_map(move |one| {
            Some((one.member, one.queues(tables.get(&one.member.server)?).sessions()))
        })
    }

    /// Sessions by collector, what was lost, what was sent and written.
    fn state(&mut self) -> String {
        self.outputs.refresh();
        let held: Vec<String> =
            self.sessions().map(|(member, sessions)| format!("{member}:{sessions}")).collect();
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
