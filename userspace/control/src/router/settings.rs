// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `[routers.NAME]`: a router, and the device that redirects there.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_fam::Prefix;

/// A router.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// What flow records call it, beside its name.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// What is behind it.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
    /// What redirects there.
    pub device: Kind,
    /// The network namespace it is: a name below /run/netns, or a path. The one this runs in if left
    /// out.
    #[serde(default)]
    pub netns: Option<PathBuf>,
    /// Entries it holds at most; what its device can if left out.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Seconds from one whole reading to the next.
    #[serde(default = "ten")]
    pub read_every_s: f64,
    /// Seconds that a change takes to be in force, beside what it takes anyway: for rehearsals.
    #[serde(default)]
    pub slow_s: f64,
    /// For `frr`.
    #[serde(default)]
    pub frr: Option<Frr>,
    /// For `openflow`.
    #[serde(default)]
    pub openflow: Option<OpenFlow>,
    /// For `junos`.
    #[serde(default)]
    pub junos: Option<Junos>,
    /// For `flowspec`.
    #[serde(default)]
    pub flowspec: Option<FlowSpec>,
    /// For `file`.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

fn ten() -> f64 {
    10.0
}

/// What redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Maps of nftables.
    Nft,
    /// Rules of the kernel.
    IpRule,
    /// FRR's pbrd.
    Frr,
    /// A switch by OpenFlow 1.3.
    Openflow,
    /// NETCONF and firewall filters.
    Junos,
    /// BGP FlowSpec, by a speaker; nftables of the router say what is in force.
    Flowspec,
    /// A file that is no router.
    File,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::IpRule => "ip-rule",
            Self::Frr => "frr",
            Self::Openflow => "openflow",
            Self::Junos => "junos",
            Self::Flowspec => "flowspec",
            Self::File => "file",
        }
    }

    /// Each path has to be told it beforehand, so the paths have to be known beforehand.
    pub fn wants_fixed_paths(self) -> bool {
        matches!(self, Self::Frr | Self::Openflow | Self::Junos | Self::Flowspec)
    }
}

/// FRR.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Frr {
    /// How `vtysh` is called.
    #[serde(default = "vtysh")]
    pub vtysh: Vec<String>,
    /// The pbr-map that is ours.
    pub map: String,
    /// Interfaces where packets come in.
    pub interfaces: Vec<String>,
    /// The VRF of each path.
    pub vrfs: BTreeMap<String, String>,
}

fn vtysh() -> Vec<String> {
    vec!["vtysh".to_owned()]
}

/// A switch.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OpenFlow {
    /// As `ovs-ofctl` wants it.
    pub bridge: String,
    /// How packets leave onto each path.
    pub egress: BTreeMap<String, Egress>,
    /// Seconds without a packet after which the switch lets go of a 5-tuple by itself; never if 0.
    #[serde(default)]
    pub idle_timeout_s: u16,
    /// The same with packets or without.
    #[serde(default)]
    pub hard_timeout_s: u16,
}

/// How packets leave.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Egress {
    /// OpenFlow number of the port.
    pub port: u32,
    /// Label that is pushed.
    #[serde(default)]
    pub label: Option<u32>,
    /// Address of the next hop on the link, as 00:00:5e:00:53:01.
    #[serde(default)]
    pub mac: Option<String>,
}

impl Egress {
    /// Its address in octets; none where it is not said.
    ///
    /// # Errors
    ///
    /// If it is no address.
    pub fn octets(&self) -> Result<Option<[u8; 6]>, String> {
        let Some(text) = &self.mac else { return Ok(None) };
        let bad = || format!("`{text}` is no address such as 00:00:5e:00:53:01");
        let parts = text.split(':').map(|part| u8::from_str_radix(part, 16));
        let octets: Vec<u8> = parts.collect::<Result<_, _>>().map_err(|_| bad())?;
        octets.try_into().map(Some).map_err(|_| bad())
    }
}

/// A JunOS router.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Junos {
    /// The command whose input and output are the NETCONF session, such as `ssh -s r1 netconf`.
    pub command: Vec<String>,
    /// Seconds that one request and its answer may take.
    #[serde(default = "answer")]
    pub answer_s: f64,
    /// The routing instance of each path.
    pub instances: BTreeMap<String, String>,
}

fn answer() -> f64 {
    telesteer_redirect::junos::ANSWER.as_secs_f64()
}

/// A BGP speaker.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FlowSpec {
    /// How `gobgp` is called, such as `gobgp -u 127.0.0.1 -p 50051`.
    pub gobgp: Vec<String>,
    /// The route target of each path's VRF, such as `64512:101`.
    pub targets: BTreeMap<String, String>,
    /// The community that tells our routes from others.
    #[serde(default = "community")]
    pub community: u32,
}

fn community() -> u32 {
    telesteer_redirect::flowspec::COMMUNITY
}
