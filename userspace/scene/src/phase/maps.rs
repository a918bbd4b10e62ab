// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A short phase for two questions: do both servers place exporters alike, and is it the policy that
//! makes them? One server leaves, so that its exporters are seen at the other.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Phase, ROUNDS};
use crate::error::{Result, at};
use crate::process::Process;

/// The server that leaves.
const LEAVES: usize = 1;

impl Phase<'_> {
    /// Plays the phase: datagrams only, for sessions of a server that leaves are lost.
    pub(super) fn compare(&mut self) -> Result<()> {
        self.step("begins");
        self.servers()?;
        let stage = self.stage;
        let (load, exporters) = stage.load.maps_toml();
        let path = self.dir.join("conf/load.toml");
        fs::write(&path, load).map_err(at(&path))?;
        let argv = [
            stage.telesteer,
            "replay",
            "generate",
            "--config",
            &path.to_string_lossy(),
            "--progress",
        ];
        let log = self.dir.join("log/replay.stderr");
        let mut replay = Process::start("replay", &stage.net.router, &argv, &log)?;
        self.until("every exporter to begin", |_| {
            replay.must_run()?;
            let begun = sent(&replay, "/ipfix/started");
            Ok((begun == exporters, format!("{begun} of {exporters}")))
        })?;
        self.timeline.event("steady", json!({}));
        self.sent_by_all(&mut replay, exporters)?;
        let who = json!({ "server": LEAVES });
        self.timeline.event("withdraw_start", who.clone());
        if let Some(leaving) = self.announcers[LEAVES - 1].take() {
            leaving.leave()?;
        }
        let all: Vec<usize> = (1..=stage.net.servers.len()).collect();
        let left: Vec<usize> = all.iter().copied().filter(|server| *server != LEAVES).collect();
        self.routed(&left)?;
        self.timeline.event("withdrawn", who.clone());
        self.sent_by_all(&mut replay, exporters)?;
        self.timeline.event("return_start", who.clone());
        self.announce(LEAVES)?;
        self.routed(&all)?;
        self.timeline.event("returned", who);
        self.timeline.event("stop", json!({}));
        replay.stop(Signal::TERM, Duration::from_secs(20));
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
        let goal = sent(replay, "/ipfix/datagrams") + ROUNDS * exporters;
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
