// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One phase of the scene: steady state, a crash, the return, a planned drain, the end.

mod failures;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bpffs::BpfFs;
use crate::capture::Capture;
use crate::collectors::{BMP_PORT, Collector, INSTANCES, Spec, UDP_PORTS};
use crate::error::{Error, Result, at};
use crate::kernel;
use crate::load::Load;
use crate::net::{Net, PEER, PMACCTD, ROUTER, UPLINK};
use crate::outputs::Outputs;
use crate::programs::Programs;
use crate::progress::{Progress, until};
use crate::sockets::Tables;
use crate::timeline::{Timeline, now_us};

/// Patience for conditions that depend on the programs' speed; generous, emulation is slow.
const PATIENCE_S: u64 = 240;
/// How long the outputs must not grow to count as quiet.
const QUIET: Duration = Duration::from_millis(1500);
/// Messages each replayed exporter sends between two events: one more than needed, since the
/// counters that are looked at are up to a second old.
const ROUNDS: u64 = 2;
/// The exporters that are real programs: FRR, softflowd, pmacctd.
const WATCHED: [(&str, &str); 3] = [("bmp", ROUTER), ("journal", PEER), ("journal", PMACCTD)];
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
        programs: None,
        outputs: Outputs::new(&dir.join("out"), &WATCHED),
        policy: None,
    };
    let played = phase.play();
    if let Err(error) = &played {
        phase.timeline.event("error", json!({ "what": error.to_string() }));
    }
    played
}

impl Phase<'_> {
    fn play(&mut self) -> Result<()> {
        self.step("begins");
        self.timeline.event("phase_start", json!({}));
        let mut capture = Capture::start(&self.stage.net.router, UPLINK, &self.dir, "exporters")?;
        until("tcpdump to listen", PATIENCE_S, || Ok((capture.listening()?, String::new())))?;
        self.timeline.event("capture_start", json!({}));
        for instance in INSTANCES {
            self.start_collector(instance, 1, "collector_start")?;
        }
        for index in 0..self.collectors.len() {
            self.await_ready(index, "collector_ready")?;
        }
        let before = self.counters();
        self.timeline.event("senders_start", json!({}));
        let stage = self.stage;
        self.programs = Some(Programs::start(stage.net, stage.load, &self.dir, stage.telesteer)?);
        self.steady()?;
        let killed = self.crash()?;
        self.comeback(killed)?;
        let drained = self.drain(killed)?;
        self.finish()?;
        let after = self.counters();
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
                "policy": self.policy, "instances": INSTANCES, "killed": killed, "drained": drained,
                "exporters": stage.load.exporters(), "frr_routes": stage.load.routes,
            }),
        )?;
        self.timeline.event("phase_end", json!({}));
        self.step("ends");
        Ok(())
    }

    fn start_collector(&mut self, instance: u32, nth: u32, event: &str) -> Result<()> {
        let collector = Collector::start(
            &self.stage.net.server,
            self.spec,
            &self.dir,
            self.bpf.path(),
            self.stage.telesteer,
            instance,
            nth,
        )?;
        self.timeline.event(event, json!({ "instance": instance, "pid": collector.process.pid() }));
        self.collectors.push(collector);
        Ok(())
    }

    fn await_ready(&mut self, index: usize, event: &str) -> Result<()> {
        let mut words = String::new();
        let what = format!("collector {} to be ready", self.collectors[index].instance);
        self.until(&what, |phase| {
            words = phase.collectors[index].ready()?.unwrap_or_default();
            Ok((!words.is_empty(), phase.collectors[index].process.talk()))
        })?;
        let (instance, pid) =
            (self.collectors[index].instance, self.collectors[index].process.pid());
        self.timeline.event(event, json!({ "instance": instance, "pid": pid, "words": words }));
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
                let what = format!("collector {} after SIGTERM", collector.instance);
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
        let heard = [0, 1, 2].map(|index| self.outputs.found(index));
        let refuses = self.spec.refuses;
        self.until("every exporter to go on", |phase| {
            phase.outputs.refresh_if_old();
            let now = [0, 1, 2].map(|index| phase.outputs.found(index));
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

    /// Bytes and datagrams that wait in the server's sockets.
    fn unread(&self) -> u64 {
        let Some(one) = self.collectors.first() else { return 0 };
        let tables = Tables::all(one.process.pid());
        let tcp = tables.tcp.iter().filter(|one| one.local.1 == BMP_PORT);
        let udp = tables.udp.iter().filter(|one| UDP_PORTS.contains(&one.local.1));
        tcp.chain(udp).map(|one| one.rx_queue).sum()
    }

    fn counters(&self) -> Value {
        self.collectors.first().map(|one| kernel::counters(one.process.pid())).unwrap_or_default()
    }

    fn index(&self, instance: u32) -> Result<usize> {
        self.collectors.iter().position(|one| one.instance == instance).ok_or_else(|| Error::Odd {
            what: format!("collector {instance}"),
            why: "does not run".to_owned(),
        })
    }

    fn save_status(&self, index: usize, when: &str) -> Result<()> {
        let collector = &self.collectors[index];
        match collector.status(self.stage.net) {
            Some(status) => {
                self.write(&format!("status-{}-{when}.json", collector.instance), &status)
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
        let first = self.collectors.first();
        let tables = first.map(|one| Tables::tcp(one.process.pid())).unwrap_or_default();
        let held: Vec<String> = self
            .collectors
            .iter()
            .map(|one| format!("{}:{}", one.instance, one.queues(&tables).sessions()))
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
