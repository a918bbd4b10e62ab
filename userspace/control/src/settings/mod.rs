// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The configuration file of `hntes run`, TOML. docs/run.md explains every key.

mod check;
mod collector;

pub use collector::{Collector, Source};

use crate::conductor::{self, Reach};
use crate::network::{Network, Place};
use crate::provider::settings::Path as FixedPath;
use crate::{provider, router, ticket};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use telesteer_circuit::request::{Excess, Rate};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// Longest file.
const BYTES: u64 = 16 << 20;

/// A file that is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {key}: {why}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Bad {
    /// The file.
    pub file: String,
    /// The line, where it is known.
    pub line: Option<usize>,
    /// What of it.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// Least default of `online.doubt-s`.
const DOUBT_S: f64 = 150.0;

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// What is remembered.
    pub store: Store,
    /// Where flows are seen while they live; nothing is found online if left out.
    #[serde(default)]
    pub collector: Option<Collector>,
    /// The offline table; there is none if left out.
    #[serde(default)]
    pub offline: Option<Offline>,
    /// What becomes of flows that are found online.
    #[serde(default)]
    pub online: Online,
    /// Bounds of tickets.
    #[serde(default)]
    pub tickets: ticket::Limits,
    /// Who provides circuits.
    pub circuits: provider::Settings,
    /// How routers reach circuits, where the provider does not tell.
    #[serde(default)]
    pub paths: BTreeMap<String, FixedPath>,
    /// The routers.
    pub routers: BTreeMap<String, router::Settings>,
    /// The interface for people and programs; none if left out.
    #[serde(default)]
    pub http: Option<Http>,
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Store {
    /// The folder of the journal and of the audit log.
    pub dir: PathBuf,
    /// The journal is written anew when it is so long.
    #[serde(default = "journal_bytes")]
    pub journal_bytes: u64,
    /// A file of the audit log is closed when it is so long.
    #[serde(default = "audit_bytes")]
    pub audit_bytes: u64,
    /// And so many closed ones are kept.
    #[serde(default = "audit_files")]
    pub audit_files: u32,
}

fn journal_bytes() -> u64 {
    crate::journal::LONG
}

fn audit_bytes() -> u64 {
    64 << 20
}

fn audit_files() -> u32 {
    8
}

/// `[offline]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Offline {
    /// The folder of tables, `pbr-DAY.json`. The newest that is not of a later day is in force.
    pub tables: PathBuf,
    /// The folder of flow records that are analysed once a day; if left out, somebody else writes
    /// tables.
    #[serde(default)]
    pub flows: Option<PathBuf>,
    /// When, as HH:MM in `zone`.
    #[serde(default = "at")]
    pub at: String,
    /// The time zone of days.
    #[serde(default = "zone")]
    pub zone: String,
    /// Days without alpha flows after which an entry goes, or `never`.
    #[serde(default = "aging")]
    pub aging: String,
    /// IPv4 prefix length of entries: 24 or 32.
    #[serde(default = "width")]
    pub width: u8,
    /// More arguments of `hntes fam`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The analysis may take so long, in seconds.
    #[serde(default = "most")]
    pub most_s: u64,
    /// Seconds from one look into `tables` to the next.
    #[serde(default = "ten")]
    pub look_every_s: u64,
    /// Entries are put onto routers; if not, the table only says which flows are looked for.
    #[serde(default = "yes")]
    pub routes: bool,
    /// A circuit is kept for each pair of routers of the table.
    #[serde(default = "yes")]
    pub circuits: bool,
}

fn at() -> String {
    "02:30".to_owned()
}

fn zone() -> String {
    "UTC".to_owned()
}

fn aging() -> String {
    "30".to_owned()
}

fn width() -> u8 {
    24
}

fn most() -> u64 {
    6 * 3600
}

fn ten() -> u64 {
    10
}

fn yes() -> bool {
    true
}

/// `[online]`. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Online {
    /// An entry goes so long after its last flow.
    pub age_s: f64,
    /// And at a random time within so long after that.
    pub jitter_s: f64,
    /// Only flows of the offline table are redirected.
    pub gated: bool,
    /// Flows that may become alpha are redirected too.
    pub early: bool,
    /// What an entry matches: flow, host or net.
    pub reach: Reach,
    /// Both directions are redirected.
    pub both: bool,
    /// Most bytes of a flow that may overtake others of it when its route is set; with more the route
    /// waits until the flow is idle. No bound if left out.
    pub overtake_bytes: Option<u64>,
    /// Circuits are for so many Mb/s; rate-unlimited if left out.
    pub rate_mbps: Option<u64>,
    /// And what is above that is treated so.
    pub excess: Excess,
    /// Routes and circuits of tickets are made so long before they begin.
    pub lead_s: f64,
    /// A flow that nobody looks at any more counts as alive for so long; see [`Settings::doubt_s`].
    pub doubt_s: Option<f64>,
    /// Most flows.
    pub flows: usize,
    /// When a loop begins, it waits so long for the provider to tell which circuits there are.
    pub start_wait_s: f64,
}

impl Default for Online {
    fn default() -> Self {
        Self {
            age_s: 60.0,
            jitter_s: 30.0,
            gated: false,
            early: false,
            reach: Reach::Flow,
            both: true,
            overtake_bytes: None,
            rate_mbps: None,
            excess: Excess::BestEffort,
            lead_s: 60.0,
            doubt_s: None,
            flows: 65_536,
            start_wait_s: 60.0,
        }
    }
}

/// `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Http {
    /// Where it listens.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Who may make tickets: lines of NAME and the SHA-256 of a token. Nobody if left out.
    #[serde(default)]
    pub tokens: Option<PathBuf>,
    /// Names it is asked by, beside its addresses and `localhost`.
    #[serde(default)]
    pub hosts: Vec<String>,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8642))
}

/// Seconds as nanoseconds.
pub fn ns(seconds: f64) -> Ns {
    (seconds * SECOND as f64) as Ns
}

impl Settings {
    /// Reads a file and checks it.
    ///
    /// # Errors
    ///
    /// With the file, the key, and the line where it is known.
    pub fn read(path: &Path) -> Result<Self, Bad> {
        let file = path.display().to_string();
        let bad = |why: String| Bad { file: file.clone(), line: None, key: "reading".into(), why };
        let told = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?;
        if told.len() > BYTES {
            return Err(bad(format!("it has more than {BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Self::parse(&file, &text)
    }

    /// Reads text and checks it; `file` is for messages.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(file: &str, text: &str) -> Result<Self, Bad> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() + 1);
            let why = error.message().to_owned();
            Bad { file: file.to_owned(), line, key: "syntax".into(), why }
        })?;
        settings.check().map_err(|(key, why)| {
            let line = check::line_of(text, &key);
            Bad { file: file.to_owned(), line, key, why }
        })?;
        Ok(settings)
    }

    /// The routers, as far as flows are concerned.
    pub fn places(&self) -> BTreeMap<String, Place> {
        let place = |(name, router): (&String, &router::Settings)| {
            let (addresses, prefixes) = (router.addresses.clone(), router.prefixes.clone());
            (name.clone(), Place { addresses, prefixes })
        };
        self.routers.iter().map(place).collect()
    }

    /// The same, looked up.
    ///
    /// # Errors
    ///
    /// If two routers cannot be told apart.
    pub fn network(&self) -> Result<Network, crate::network::Shared> {
        Network::new(&self.places())
    }

    /// How long a flow counts as alive that nobody looks at any more: as long as a detector that begins
    /// anew needs to find it again, if nothing is said.
    pub fn doubt_s(&self) -> f64 {
        let found = self.collector.as_ref().map_or(0.0, |of| of.t_s + of.idle_s());
        self.online.doubt_s.unwrap_or(found.max(DOUBT_S))
    }

    /// The rate of online circuits.
    pub fn rate(&self) -> Rate {
        match self.online.rate_mbps {
            None => Rate::Unlimited,
            Some(mbps) => Rate::Specified { mbps, excess: self.online.excess },
        }
    }

    /// What the conductor needs of it; `seed` is for the jitter of ages.
    pub fn conductor(&self, seed: u64) -> conductor::Settings {
        let online = &self.online;
        conductor::Settings {
            age: ns(online.age_s),
            jitter: ns(online.jitter_s),
            seed,
            gated: online.gated,
            early: online.early,
            reach: online.reach,
            both: online.both,
            overtake: online.overtake_bytes,
            rate: self.rate(),
            offline_routes: self.offline.as_ref().is_some_and(|offline| offline.routes),
            offline_circuits: self.offline.as_ref().is_some_and(|offline| offline.circuits),
            lead: ns(online.lead_s),
            doubt: ns(self.doubt_s()),
            flows: online.flows,
            ..conductor::Settings::default()
        }
    }
}

#[cfg(test)]
mod tests;
