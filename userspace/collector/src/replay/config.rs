// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a load is made of, as `telesteer replay generate --config FILE.toml` reads it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::bmp_session::Chunk;

/// A whole load; sections may be repeated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Equal seeds give equal loads.
    #[serde(default)]
    pub seed: u64,
    /// Seconds to send for; without it, until SIGTERM.
    pub duration_s: Option<f64>,
    /// Monitored routers.
    #[serde(default)]
    pub bmp: Vec<Bmp>,
    /// IPFIX exporters.
    #[serde(default)]
    pub ipfix: Vec<Flow>,
    /// NetFlow v9 exporters.
    #[serde(default)]
    pub netflow9: Vec<Flow>,
    /// UDP-notif publishers.
    #[serde(default)]
    pub notif: Vec<Notif>,
    /// BGP speakers that feed a router.
    #[serde(default)]
    pub bgp: Vec<Bgp>,
    /// Captures.
    #[serde(default)]
    pub pcap: Vec<Pcap>,
}

/// BMP sessions, one a source address.
#[derive(Clone, Debug, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Bmp {
    /// Number of sessions.
    #[arg(long, default_value_t = 1)]
    pub sessions: usize,
    /// Addresses and prefixes the sessions come from, one address a session.
    #[arg(long, required = true, value_delimiter = ',')]
    pub sources: Vec<String>,
    /// Address and port of the collectors; give one of each family for sources of both.
    #[arg(long, required = true, value_delimiter = ',')]
    pub target: Vec<SocketAddr>,
    /// Messages per second over all sessions.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// Where writes are cut.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub chunk: Chunk,
    /// Peers of each router.
    #[arg(long, default_value_t = 2)]
    #[serde(default = "two")]
    pub peers: usize,
    /// Every n-th message is near 4 KiB; 0 for none.
    #[arg(long, default_value_t = 100)]
    #[serde(default = "hundred")]
    pub large_every: u64,
}

/// Flow exporters, one a source address.
#[derive(Clone, Debug, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Number of exporters.
    #[arg(long, default_value_t = 1)]
    pub exporters: usize,
    /// Addresses and prefixes the datagrams come from.
    #[arg(long, required = true, value_delimiter = ',')]
    pub sources: Vec<String>,
    /// Address and port of the collectors; give one of each family for sources of both.
    #[arg(long, required = true, value_delimiter = ',')]
    pub target: Vec<SocketAddr>,
    /// Datagrams per second over all exporters.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// `once` (at the start only) or `every-S` with S in seconds.
    #[arg(long, default_value = "once")]
    #[serde(default)]
    pub templates: Templates,
    /// Observation domains of each exporter.
    #[arg(long, default_value_t = 1)]
    #[serde(default = "one")]
    pub domains: u32,
    /// At most so many records in a datagram.
    #[arg(long, default_value_t = 8)]
    #[serde(default = "eight")]
    pub records: usize,
}

/// UDP-notif publishers, one a source address.
#[derive(Clone, Debug, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Notif {
    /// Number of publishers.
    #[arg(long, default_value_t = 1)]
    pub exporters: usize,
    /// Addresses and prefixes the datagrams come from.
    #[arg(long, required = true, value_delimiter = ',')]
    pub sources: Vec<String>,
    /// Address and port of the collectors; give one of each family for sources of both.
    #[arg(long, required = true, value_delimiter = ',')]
    pub target: Vec<SocketAddr>,
    /// Notifications per second over all publishers.
    #[arg(long, default_value_t = 10.0)]
    pub rate: f64,
    /// Every n-th notification is long and segmented; 0 for none.
    #[arg(long, default_value_t = 10)]
    #[serde(default = "ten")]
    pub segment_every: u64,
}

/// A BGP speaker.
#[derive(Clone, Debug, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Bgp {
    /// Address the session comes from.
    #[arg(long)]
    pub source: IpAddr,
    /// Address and port of the router to feed.
    #[arg(long)]
    pub neighbor: SocketAddr,
    /// Own AS number.
    #[arg(long, default_value_t = 65_001)]
    pub asn: u32,
    /// Routes of the table.
    #[arg(long, default_value_t = 5000)]
    pub routes: u32,
    /// Changed routes per second after that.
    #[arg(long, default_value_t = 10.0)]
    pub churn: f64,
}

/// A capture to send again.
#[derive(Clone, Debug, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Pcap {
    /// The capture, pcap or pcapng.
    pub file: PathBuf,
    /// Address and port of the collectors; give one of each family for sources of both.
    #[arg(long, required = true, value_delimiter = ',')]
    pub target: Vec<SocketAddr>,
    /// Addresses and prefixes to send from, one for each address of the capture; without it
    /// the captured addresses themselves.
    #[arg(long, value_delimiter = ',')]
    #[serde(default)]
    pub sources: Vec<String>,
    /// Only what was sent to this port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Datagrams per second.
    #[arg(long, default_value_t = 1000.0)]
    #[serde(default = "thousand")]
    pub rate: f64,
    /// Times to send it.
    #[arg(long = "loop", default_value_t = 1)]
    #[serde(default = "one_time")]
    pub rounds: u64,
}

/// When templates are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Templates {
    /// At the start only.
    #[default]
    Once,
    /// At the start and again every so often.
    Every(Duration),
}

impl Templates {
    /// Time between two rounds, `None` for once.
    pub(crate) fn refresh(self) -> Option<Duration> {
        match self {
            Self::Once => None,
            Self::Every(time) => Some(time),
        }
    }
}

impl std::str::FromStr for Templates {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if text == "once" {
            return Ok(Self::Once);
        }
        match text.strip_prefix("every-").map(str::parse::<u32>) {
            Some(Ok(seconds)) if seconds > 0 => {
                Ok(Self::Every(Duration::from_secs(seconds.into())))
            }
            _ => bail!("templates are sent \"once\" or \"every-S\" (seconds), not {text:?}"),
        }
    }
}

impl TryFrom<String> for Templates {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl Load {
    /// Reads a load from a TOML file; errors name the file, the line and the column.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("load file {}", path.display()))
    }
}

fn one() -> u32 {
    1
}
fn one_time() -> u64 {
    1
}
fn two() -> usize {
    2
}
fn eight() -> usize {
    8
}
fn ten() -> u64 {
    10
}
fn hundred() -> u64 {
    100
}
fn thousand() -> f64 {
    1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_file_is_read_with_defaults() {
        let text = r#"
            seed = 7
            [[bmp]]
            sessions = 64
            sources = ["10.8.0.0/24"]
            target = ["192.0.2.1:1790"]
            rate = 500
            [[ipfix]]
            exporters = 10
            sources = ["10.8.1.0/24"]
            target = ["192.0.2.1:4739", "[2001:db8:ffff::1]:4739"]
            rate = 10
            templates = "every-30"
        "#;
        let load: Load = toml::from_str(text).unwrap();
        assert_eq!((load.seed, load.bmp[0].peers, load.bmp[0].chunk), (7, 2, Chunk::Random));
        assert_eq!(load.ipfix[0].templates, Templates::Every(Duration::from_secs(30)));
    }

    #[test]
    fn wrong_words_are_refused_with_their_place() {
        let unknown = toml::from_str::<Load>("sed = 7").unwrap_err().to_string();
        assert!(unknown.contains("line 1") && unknown.contains("sed"), "{unknown}");
        assert!("sometimes".parse::<Templates>().is_err());
        assert!("every-0".parse::<Templates>().is_err());
    }
}
