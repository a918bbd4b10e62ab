// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How packets get into a circuit: told by the provider, or by the configuration.

use super::file::File;
use super::settings::{Kind, Path, Settings};
use crate::conductor::Way;
use crate::network::Network;
use std::collections::BTreeMap;
use std::sync::Arc;
use telesteer_circuit::book::Key;
use telesteer_circuit::circuits::{Circuits, Id};
use telesteer_circuit::counters::Counters;
use telesteer_circuit::local::client::{Entrance, Local};
use telesteer_circuit::nsi::client::Nsi;
use telesteer_circuit::oscars::client::Oscars;
use telesteer_circuit::request::Pair;
use telesteer_redirect::PathName;
use telesteer_redirect::path::Target;

/// A provider, and what it alone can tell.
pub struct Provider {
    /// What all providers can.
    pub circuits: Arc<dyn Circuits>,
    /// What it counts.
    pub counters: Arc<Counters>,
    local: Option<Arc<Local>>,
}

/// Starts the provider.
///
/// # Errors
///
/// With who was asked for what.
pub async fn start(settings: &Settings) -> Result<Provider, String> {
    let lacks = |what: &str| format!("circuits.{what}: missing");
    let counters: Arc<Counters> = Arc::default();
    let own = counters.clone();
    let mut local = None;
    let circuits: Arc<dyn Circuits> = match settings.provider {
        Kind::Local => {
            let of = settings.local.clone().ok_or_else(|| lacks("local"))?;
            let started = Local::start(of, own).await.map_err(|error| error.to_string())?;
            let started = Arc::new(started);
            local = Some(started.clone());
            started
        }
        Kind::Nsi => {
            let of = settings.nsi.clone().ok_or_else(|| lacks("nsi"))?;
            Arc::new(Nsi::start(of, own).await.map_err(|error| error.to_string())?)
        }
        Kind::Oscars => {
            let of = settings.oscars.clone().ok_or_else(|| lacks("oscars"))?;
            Arc::new(Oscars::new(of, own))
        }
        Kind::File => {
            let path = settings.file.clone().ok_or_else(|| lacks("file"))?;
            Arc::new(File::new(Some(path)))
        }
    };
    Ok(Provider { circuits, counters, local })
}

/// A provider that grants everything and does nothing.
pub fn rehearsal() -> Provider {
    let circuits = Arc::new(File::new(None));
    Provider { circuits, counters: Arc::default(), local: None }
}

impl Provider {
    /// The ways into a circuit: those of the configuration, and what the provider tells. Empty as
    /// long as nobody knows.
    pub async fn ways(
        &self,
        key: &Key,
        id: Option<&Id>,
        paths: &BTreeMap<String, Path>,
        network: &Network,
    ) -> Vec<Way> {
        let mut ways = fixed(key, paths);
        if let (Some(local), Some(id)) = (&self.local, id)
            && ways.is_empty()
        {
            let entrances = local.entrances(id).await;
            ways = entrances.iter().filter_map(|one| told(one, &key.pair, network)).collect();
        }
        ways
    }

    /// The routers of each direction of a circuit, the first of them first; none if nobody tells.
    pub async fn courses(&self, id: Option<&Id>) -> Vec<Vec<String>> {
        match (&self.local, id) {
            (Some(local), Some(id)) => local.courses(id).await,
            _ => Vec::new(),
        }
    }

    /// What circuits have booked now of each link of the topology, Mb/s; nothing if nobody tells.
    pub async fn booked(&self) -> Vec<u64> {
        match &self.local {
            Some(local) => local.booked().await,
            None => Vec::new(),
        }
    }
}

/// By the configuration.
pub fn fixed(key: &Key, paths: &BTreeMap<String, Path>) -> Vec<Way> {
    let of_key =
        |path: &Path| path.pair().canonical() == key.pair.canonical() && path.rate() == key.rate;
    let way = |(name, path): (&String, &Path)| {
        let name = PathName::new(name).ok()?;
        Some(Way {
            router: path.from.clone(),
            toward: path.to.clone(),
            path: name,
            target: path.target(),
            ipv6: path.ipv6,
            sooner_us: path.sooner_us,
        })
    };
    paths.iter().filter(|(_, path)| of_key(path)).filter_map(way).collect()
}

/// By a provider that makes a table of its own for each direction. The mark is the table's number; what
/// the table has is a default route of IPv4.
fn told(entrance: &Entrance, pair: &Pair, network: &Network) -> Option<Way> {
    let router = network.router(&entrance.node)?;
    let toward = match router == pair.ingress {
        true => &pair.egress,
        false => &pair.ingress,
    };
    let path = PathName::new(&format!("lsp-{}", entrance.table)).ok()?;
    let target = Target { mark: entrance.table, table: entrance.table };
    let (router, toward) = (router.to_owned(), toward.clone());
    let sooner_us = entrance.sooner_us;
    Some(Way { router, toward, path, target, ipv6: false, sooner_us })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Place;
    use telesteer_circuit::request::Rate;

    #[test]
    fn both_directions_have_a_way() {
        let path = |from: &str, to: &str, mark| Path {
            from: from.into(),
            to: to.into(),
            mark,
            table: 100 + mark,
            rate_mbps: None,
            excess: Default::default(),
            ipv6: mark != 1,
            sooner_us: (mark != 1).then_some(40),
        };
        let paths = BTreeMap::from([
            ("forth".to_owned(), path("r1", "r2", 1)),
            ("back".to_owned(), path("r2", "r1", 1)),
            ("rated".to_owned(), Path { rate_mbps: Some(5), ..path("r1", "r2", 2) }),
            ("else".to_owned(), path("r1", "r3", 3)),
        ]);
        let key = Key::shared(Pair::new("r2", "r1"), Rate::Unlimited);
        let ways = fixed(&key, &paths);
        let of: Vec<_> = ways
            .iter()
            .map(|way| (way.path.as_str(), way.router.as_str(), way.target.table, way.ipv6))
            .collect();
        assert_eq!(of, [("back", "r2", 101, false), ("forth", "r1", 101, false)]);
    }

    #[test]
    fn a_table_of_the_provider_is_a_way() {
        let places = ["r1", "r2"].map(|name| (name.to_owned(), Place::default()));
        let network = Network::new(&BTreeMap::from(places)).unwrap();
        let entrance = |node: &str| Entrance {
            node: node.into(),
            netns: None,
            table: 10_007,
            label: 16,
            sooner_us: Some(-5),
        };
        let pair = Pair::new("r1", "r2");
        let way = told(&entrance("r2"), &pair, &network).unwrap();
        assert_eq!((way.path.as_str(), way.toward.as_str()), ("lsp-10007", "r1"));
        assert_eq!((way.target, way.ipv6), (Target { mark: 10_007, table: 10_007 }, false));
        assert_eq!(way.sooner_us, Some(-5));
        assert_eq!(told(&entrance("r3"), &pair, &network), None);
    }
}
