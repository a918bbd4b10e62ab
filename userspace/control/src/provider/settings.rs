// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `[circuits]`: who provides circuits; `[paths.NAME]`: how routers reach circuits of others.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use telesteer_circuit::manner::Manner;
use telesteer_circuit::request::{Excess, Pair, Rate};
use telesteer_circuit::word::Word;
use telesteer_circuit::{local, nsi, oscars};
use telesteer_redirect::PathName;
use telesteer_redirect::path::{Paths, Target};

/// Who provides circuits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Which kind.
    pub provider: Kind,
    /// Whose circuits are ours, where others ask the same provider in the same way.
    #[serde(default)]
    pub owner: Option<Word>,
    /// How circuits are asked for, kept and given up.
    #[serde(default)]
    pub manner: Manner,
    /// Seconds from one list of all circuits to the next.
    #[serde(default = "minute")]
    pub list_every_s: f64,
    /// For `local`.
    #[serde(default)]
    pub local: Option<local::client::Settings>,
    /// For `nsi`.
    #[serde(default)]
    pub nsi: Option<nsi::client::Settings>,
    /// For `oscars`.
    #[serde(default)]
    pub oscars: Option<oscars::client::Settings>,
    /// For `file`.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

fn minute() -> f64 {
    60.0
}

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Static MPLS paths of Linux routers.
    Local,
    /// NSI CS 2.1, over SOAP or gRPC, as its URL says.
    Nsi,
    /// OSCARS 1.x.
    Oscars,
    /// A file that is no network.
    File,
}

/// How packets of a router get into circuits toward another one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Path {
    /// The router where packets come in.
    pub from: String,
    /// The router where they leave.
    pub to: String,
    /// Their mark there.
    pub mark: u32,
    /// The routing table that leads into the circuit there.
    pub table: u32,
    /// Of circuits of this rate, Mb/s; rate-unlimited if left out.
    #[serde(default)]
    pub rate_mbps: Option<u64>,
    /// And of this treatment of what is above it.
    #[serde(default)]
    pub excess: Excess,
    /// The table leads IPv6 into the circuit too.
    #[serde(default = "yes")]
    pub ipv6: bool,
    /// How much sooner packets come by it than by IP routing, us; less than 0: later. Not known if left
    /// out.
    #[serde(default)]
    pub sooner_us: Option<i64>,
}

fn yes() -> bool {
    true
}

impl Path {
    /// Of which circuits.
    pub fn rate(&self) -> Rate {
        match self.rate_mbps {
            None => Rate::Unlimited,
            Some(mbps) => Rate::Specified { mbps, excess: self.excess },
        }
    }

    /// Mark and table.
    pub fn target(&self) -> Target {
        Target { mark: self.mark, table: self.table }
    }

    /// Its ends.
    pub fn pair(&self) -> Pair {
        Pair::new(&self.from, &self.to)
    }
}

/// Whether the paths of each router can be told apart.
///
/// # Errors
///
/// The name of the first that cannot, and why.
pub fn check(paths: &BTreeMap<String, Path>) -> Result<(), (String, String)> {
    let mut of_router: BTreeMap<&str, Paths> = BTreeMap::new();
    let mut seen: BTreeMap<(Pair, Rate), &str> = BTreeMap::new();
    for (name, path) in paths {
        let bad = |why: String| (name.clone(), why);
        let known = PathName::new(name).map_err(|error| bad(error.to_string()))?;
        if path.from == path.to {
            return Err(bad("from and to are one router".into()));
        }
        let own = of_router.entry(&path.from).or_default();
        own.insert(known, path.target()).map_err(|error| bad(error.to_string()))?;
        if let Some(other) = seen.insert((path.pair(), path.rate()), name) {
            return Err(bad(format!("the same ends and rate as path {other}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> BTreeMap<String, Path> {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn paths_of_a_router_differ() {
        let one = "[a]\nfrom = 'r1'\nto = 'r2'\nmark = 1\ntable = 101\n";
        assert_eq!(check(&paths(one)), Ok(()));
        let with = |more: &str| check(&paths(&format!("{one}{more}"))).unwrap_err();
        let (name, why) = with("[b]\nfrom = 'r1'\nto = 'r3'\nmark = 1\ntable = 102\n");
        assert_eq!((name.as_str(), why.contains("shares its mark")), ("b", true));
        assert!(with("[b]\nfrom = 'r1'\nto = 'r2'\nmark = 2\ntable = 102\n").1.contains("path a"));
        assert!(
            with("[c]\nfrom = 'r1'\nto = 'r1'\nmark = 2\ntable = 102\n").1.contains("one router")
        );
        let other = "[b]\nfrom = 'r2'\nto = 'r1'\nmark = 1\ntable = 101\n";
        assert_eq!(check(&paths(&format!("{one}{other}"))), Ok(()));
        let rated = "[b]\nfrom = 'r1'\nto = 'r2'\nmark = 2\ntable = 102\nrate-mbps = 50\n";
        assert_eq!(check(&paths(&format!("{one}{rated}"))), Ok(()));
    }
}
