// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where an OSCARS server is, and where circuits end on its devices.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a router's circuits end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Port {
    /// Name of the device.
    pub device: String,
    /// Name of its port, as the server has it: `DEVICE:PORT`.
    pub port: String,
    /// VLAN, for tagged ports.
    #[serde(default)]
    pub vlan: u16,
    /// Whether it is tagged.
    pub tagged: bool,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// `http://host:port`.
    pub url: String,
    /// The whole value of the Authorization header.
    #[serde(default)]
    pub authorization: Option<String>,
    /// Ports of routers.
    pub ports: BTreeMap<String, Port>,
    /// Projects that circuits are for, where the server wants one.
    #[serde(default)]
    pub projects: Vec<String>,
    /// A circuit that would end sooner than this ends then. A server refuses less than 15 minutes,
    /// counted from half a minute from now, when a circuit is made and when its end is moved.
    #[serde(default = "sixteen")]
    pub shortest_ms: u64,
    /// Bytes of a packet.
    #[serde(default = "jumbo")]
    pub mtu: u32,
    /// Bound of a wait for an answer.
    #[serde(default = "minute")]
    pub wait_ms: u64,
    /// From one look at the circuits to the next.
    #[serde(default = "five")]
    pub poll_ms: u64,
}

fn jumbo() -> u32 {
    9000
}

fn sixteen() -> u64 {
    960_000
}

fn minute() -> u64 {
    60_000
}

fn five() -> u64 {
    5_000
}
