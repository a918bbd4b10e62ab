// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server that leaves an anycast address and comes back: who moved, who was reset.
//!
//! Counted from captures only. Which server a flow reaches is read at the servers' links, what the
//! exporters sent and whether their sessions were reset at the edge they all pass.

pub mod flows;
pub mod plot;
pub mod row;
pub mod rows;
pub mod timeline;

use crate::error::Result;
use crate::scene::{CaptureStats, Ports, read_json};
use flows::Capture;
use row::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use timeline::Timeline;

/// `anycast.json`: what was played.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Scene {
    /// Kernel release.
    pub kernel: String,
    /// `kvm`, `tcg` or `native`.
    pub accel: String,
    /// Servers behind the address.
    pub servers: u64,
    /// The one that leaves and returns.
    pub leaves: u64,
    /// Ports the collectors listen on.
    pub ports: Ports,
    /// The ways to spread, in the order they were played.
    pub modes: Vec<Mode>,
    /// Whether the bench came to its end.
    pub complete: bool,
}

/// One way to spread flows over servers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Mode {
    /// The name, and the folder.
    pub name: String,
    /// What is hashed: `l3`, `4-tuple`, `addresses`.
    pub hash: String,
    /// What is kept: `plain`, `resilient`.
    pub group: String,
}

/// Accounts for the bench in `folder`: two rows a way, IPv4 and IPv6.
pub fn account(folder: &Path, scene: &Scene) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    for mode in &scene.modes {
        let folder = folder.join(&mode.name);
        if !folder.join("timeline.jsonl").is_file() {
            continue;
        }
        let timeline = Timeline::read(&folder.join("timeline.jsonl"))?;
        let stats: BTreeMap<String, CaptureStats> = read_json(&folder.join("capture.json"))?;
        let drops = stats.values().map(|one| one.dropped_by_kernel + one.dropped_by_interface);
        let drops: u64 = drops.sum();
        let edge = Capture::read(&folder.join("edge.pcap"), scene.ports, &timeline)?;
        let mut servers = BTreeMap::new();
        for number in 1..=scene.servers {
            let path = folder.join(format!("s{number}.pcap"));
            servers.insert(number, Capture::read(&path, scene.ports, &timeline)?);
        }
        for ipv6 in [false, true] {
            let row = row::count(&edge, &servers, scene.leaves, ipv6);
            found.push(Row { mode: mode.clone(), capture_drops: drops, ..row });
        }
    }
    Ok(found)
}
