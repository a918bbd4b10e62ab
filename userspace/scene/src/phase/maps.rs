// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The short phases about maps: do both servers place exporters alike, by weight, and by domain if
//! told so? And is it the policy that makes them? Where one server leaves, its exporters are seen at
//! the other one.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Phase;
use crate::anycast::net::EDGE_UPLINK;
use crate::capture::Capture;
use crate::error::{Result, at};
use crate::load::DOMAINS;
use crate::process::Process;

/// The server that leaves.
const LEAVES: usize = 1;
/// Messages of each exporter after each event, from each domain: one more than needed, since
/// counters are up to a second old.
const ROUNDS: u64 = 2;

impl Phase<'_> {
    /// A server leaves. Datagrams only, for sessions of a server that leaves are lost.
    pub(super) fn compare(&mut self) -> Result<()> {
        self.watched(|phase, replay, exporters| {
            let who = json!({ "server": LEAVES });
            phase.timeline.event("withdraw_start", who.clone());
            if let Some(leaving) = phase.announcers[LEAVES - 1].take() {
                leaving.leave()?;
            }
            let servers = 1..=phase.stage.net.servers.len();
            phase.routed(&servers.filter(|server| *server != LEAVES).collect::<Vec<_>>())?;
            phase.timeline.event("withdrawn", who);
            phase.sent_by_all(replay, exporters)
        })
    }

    /// Nobody leaves.
    pub(super) fn spread(&mut self) -> Result<()> {
        self.watched(|_, _, _| Ok(()))
    }

    /// Collectors, exporters that have all been heard, then `script`; all of it captured.
    fn watched(
        &mut self,
        script: impl FnOnce(&mut Self, &mut Process, u64) -> Result<()>,
    ) -> Result<()> {
        self.step("begins");
        self.timeline.event("phase_start", json!({}));
        let stage = self.stage;
        let mut capture = Capture::start(&stage.net.edge, EDGE_UPLINK, &self.dir, "exporters")?;
        self.servers()?;
        self.until("tcpdump to listen", |_| Ok((capture.listening()?, String::new())))?;
        let (load, exporters) = stage.load.maps_toml();
        let path = self.dir.join("conf/load.toml");
        fs::write(&path, load).map_err(at(&path))?;
        let path = path.to_string_lossy();
        let argv = [stage.telesteer, "replay", "generate", "--config", &path, "--progress"];
        let log = self.dir.join("log/replay.stderr");
        let mut replay = Process::start("replay", &stage.net.router, &argv, &log)?;
        self.until("every exporter to begin", |_| {
            replay.must_run()?;
            let begun = sent(&replay, "/ipfix/started");
            Ok((begun == exporters, format!("{begun} of {exporters}")))
        })?;
        self.timeline.event("steady", json!({}));
        self.sent_by_all(&mut replay, exporters)?;
        script(self, &mut replay, exporters)?;
        self.timeline.event("stop", json!({}));
        replay.signal(Signal::USR1);
        self.quiet()?;
        replay.stop(Signal::TERM, Duration::from_secs(20));
        self.write("capture.json", &capture.finish()?)?;
        let members = self.members();
        self.leave_all()?;
        self.end_collectors()?;
        self.write(
            "phase.json",
            &json!({
                "name": self.spec.name, "steering": self.spec.steering,
                "takeover": self.spec.takeover, "policy": self.policy, "members": members,
            }),
        )?;
        self.timeline.event("phase_end", json!({}));
        self.step("ends");
        Ok(())
    }

    fn sent_by_all(&mut self, replay: &mut Process, exporters: u64) -> Result<()> {
        let goal = sent(replay, "/ipfix/datagrams") + ROUNDS * DOMAINS * exporters;
        self.until("every exporter to go on", |_| {
            replay.must_run()?;
            let sent = sent(replay, "/ipfix/datagrams");
            Ok((sent >= goal, format!("{sent} of {goal} datagrams")))
        })
    }
}

fn sent(replay: &Process, pointer: &str) -> u64 {
    let line: Value = serde_json::from_str(&replay.last_line()).unwrap_or_default();
    line.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
