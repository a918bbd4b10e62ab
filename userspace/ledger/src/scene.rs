// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files the scene writes about itself: what ran, what happened when.

use crate::error::{Error, Result};
use crate::members::Member;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// `scene.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Scene {
    /// Kernel release.
    pub kernel: String,
    /// `kvm`, `tcg` or `native`.
    pub accel: String,
    /// Ports the collectors listen on.
    pub ports: Ports,
    /// The kernel policy of the phases that steer by one.
    pub policy: String,
    /// Phases in the order they ran.
    pub phases: Vec<PhaseName>,
    /// Short phases that look at maps.
    pub maps: Vec<PhaseName>,
    /// Whether the scene came to its end.
    pub complete: bool,
}

/// Ports the collectors listen on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub struct Ports {
    /// BMP over TCP.
    pub bmp: u16,
    /// IPFIX over UDP.
    pub ipfix: u16,
    /// NetFlow v9 over UDP.
    pub netflow: u16,
    /// UDP-notif.
    pub notif: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { bmp: 1790, ipfix: 4739, netflow: 2055, notif: 10_003 }
    }
}

impl Ports {
    /// Whether datagrams to `port` are telemetry.
    pub fn is_datagram(&self, port: u16) -> bool {
        [self.ipfix, self.netflow, self.notif].contains(&port)
    }

    /// Whether datagrams to `port` carry flow records.
    pub fn is_flow(&self, port: u16) -> bool {
        [self.ipfix, self.netflow].contains(&port)
    }
}

/// Name of a phase in `scene.json`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PhaseName {
    /// The name, and the folder.
    pub name: String,
}

/// One number for a collector of one server; server 0 where there is only one.
pub fn member(server: u64, instance: u64) -> u64 {
    server * 100 + instance
}

/// `phase.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PhaseInfo {
    /// Policy in force, as read back.
    pub policy: Option<String>,
    /// `none`, `policy` or `bpf-modulo`.
    pub steering: Option<String>,
    /// Milliseconds the policy may keep live exporters from one that has joined; 0: it does not.
    pub deadline_ms: i64,
    /// Instance that is killed.
    pub killed: Option<u64>,
    /// Instance that is drained.
    pub drained: Option<u64>,
    /// Who sends.
    pub exporters: Vec<Exporter>,
    /// Each member as its kernel knows it, read back by getsockopt at the end.
    pub members: Vec<Member>,
}

/// One exporter in `phase.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Exporter {
    /// Its address.
    pub addr: IpAddr,
    /// The program: `replay`, or a real one.
    pub by: String,
}

/// `capture.json`: the capturing program's own statistics.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CaptureStats {
    /// Packets written.
    pub captured: u64,
    /// Packets lost in the kernel's ring.
    pub dropped_by_kernel: u64,
    /// Packets lost by the interface.
    pub dropped_by_interface: u64,
}

/// A line of `timeline.jsonl`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Unix microseconds.
    pub ts_us: i64,
    /// Name.
    pub event: String,
    /// Instance it is about.
    pub instance: Option<u64>,
    /// The server that instance runs on, if there are several.
    pub server: Option<u64>,
    /// What went wrong, in an `error`.
    pub what: Option<String>,
}

/// When things happened in a phase; all in Unix microseconds.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Who was killed, as [`member`] numbers it.
    pub killed: u64,
    /// Who was drained.
    pub drained: u64,
    /// Everything runs.
    pub steady_us: i64,
    /// The victim was stopped, so that its queues fill; the kill itself if it was not.
    pub stop_us: i64,
    /// Just before kill().
    pub kill_us: i64,
    /// The dead process was reaped: from here on its sockets are gone.
    pub reaped_us: i64,
    /// The next process with the victim's id was started.
    pub return_start_us: i64,
    /// It said that it is ready.
    pub return_ready_us: i64,
    /// Every exporter has been heard since; only where a policy keeps live exporters.
    pub return_settled_us: Option<i64>,
    /// The time a policy may keep exporters from the returned one is over.
    pub mapped_us: Option<i64>,
    /// Just before SIGTERM.
    pub drain_start_us: i64,
    /// The drained process had exited.
    pub drain_end_us: i64,
    /// The exporters begin to end their sessions.
    pub senders_stop_us: i64,
    /// Last event.
    pub end_us: i64,
    /// What the scene says went wrong.
    pub errors: Vec<String>,
}

impl Timeline {
    /// Reads `timeline.jsonl`.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of(&events(path)?, path)
    }

    fn of(events: &[Event], path: &Path) -> Result<Self> {
        let find = |name: &'static str| events.iter().find(|event| event.event == name);
        let need = |name: &'static str| {
            find(name).ok_or_else(|| Error::NoEvent { path: path.to_path_buf(), event: name })
        };
        let (kill, drain) = (need("kill")?, need("drain_start")?);
        let who = |event: &Event| member(event.server.unwrap_or(0), event.instance.unwrap_or(0));
        Ok(Self {
            killed: who(kill),
            drained: who(drain),
            return_settled_us: find("return_settled").map(|event| event.ts_us),
            mapped_us: find("mapped").map(|event| event.ts_us),
            steady_us: need("steady")?.ts_us,
            stop_us: find("stop_signal").unwrap_or(kill).ts_us,
            kill_us: kill.ts_us,
            reaped_us: need("killed")?.ts_us,
            return_start_us: need("return_start")?.ts_us,
            return_ready_us: need("return_ready")?.ts_us,
            drain_start_us: drain.ts_us,
            drain_end_us: need("drain_end")?.ts_us,
            senders_stop_us: need("senders_stop")?.ts_us,
            end_us: events.last().map_or(0, |event| event.ts_us),
            errors: events
                .iter()
                .filter(|event| event.event == "error")
                .map(|event| event.what.clone().unwrap_or_default())
                .collect(),
        })
    }
}

/// Reads all events of a `timeline.jsonl`.
pub fn events(path: &Path) -> Result<Vec<Event>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line)| {
        serde_json::from_str(line).map_err(|source| Error::Json {
            path: path.to_path_buf(),
            line: number + 1,
            source,
        })
    };
    lines.map(parse).collect()
}

/// Reads a small JSON file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|source| Error::Json {
        path: path.to_path_buf(),
        line: source.line(),
        source,
    })
}

/// Folders of the phases, in the order they ran.
pub fn phases(folder: &Path, scene: &Scene) -> Result<Vec<(String, PathBuf)>> {
    let is_phase = |path: &PathBuf| path.join("timeline.jsonl").is_file();
    let mut found: Vec<(String, PathBuf)> = scene
        .phases
        .iter()
        .map(|phase| (phase.name.clone(), folder.join(&phase.name)))
        .filter(|(_, path)| is_phase(path))
        .collect();
    if found.is_empty() {
        for name in ["stock", "bpf-modulo", "telesteer"] {
            let path = folder.join(name);
            if is_phase(&path) {
                found.push((name.to_string(), path));
            }
        }
    }
    if found.is_empty() {
        return Err(Error::NoPhase(folder.to_path_buf()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_event_is_named() {
        let events = [Event { event: "kill".into(), ..Event::default() }];
        let error = Timeline::of(&events, Path::new("t")).unwrap_err();
        assert_eq!(error.to_string(), "t: no event \"drain_start\"");
    }
}
