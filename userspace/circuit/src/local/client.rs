// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Linux routers as a provider of circuits.

use crate::circuits::{Answer, Circuits, Held, Id, Notice, Remote, Seen};
use crate::clock::now;
use crate::counters::{Counters, count};
use crate::error::{Error, Why};
use crate::local::node::Node;
use crate::local::store::{self, Phase, Record};
use crate::path::sooner_us;
use crate::plan::{Admission, Numbers};
use crate::request::{Name, Request};
use crate::time::{At, Span};
use crate::topology::{Hop, Topology};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Routers of a topology.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The topology file.
    pub topology: PathBuf,
    /// Where circuits are remembered.
    pub state: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// Labels and tables to give out.
    #[serde(default)]
    pub numbers: Numbers,
    /// How long a circuit is held.
    #[serde(default = "two_minutes")]
    pub hold_ms: u64,
    /// From one read-back to the next.
    #[serde(default = "ten_seconds")]
    pub poll_ms: u64,
}

fn two_minutes() -> u64 {
    120_000
}

fn ten_seconds() -> u64 {
    10_000
}

pub(super) struct Inner {
    pub(super) admission: Admission,
    pub(super) records: BTreeMap<Name, Record>,
    pub(super) nodes: Vec<Node>,
    /// Found to be there.
    pub(super) up: BTreeSet<Name>,
    pub(super) notices: Vec<(Id, Notice)>,
    /// Not by the clock on the wall: that may step.
    poll_at: Instant,
}

/// The provider.
pub struct Local {
    pub(super) settings: Settings,
    server: String,
    pub(super) counters: Arc<Counters>,
    pub(super) inner: Mutex<Inner>,
}

/// Where the table of a circuit is, for whoever steers packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The router.
    pub node: String,
    /// Its namespace.
    pub netns: Option<String>,
    /// The routing table.
    pub table: u32,
    /// The label packets get.
    pub label: u32,
    /// How much sooner packets come by it than by IP routing, us, by the topology; less than 0: later.
    pub sooner_us: Option<i64>,
}

impl Local {
    /// Takes up what is remembered, and makes the routers have that and nothing else of ours.
    pub async fn start(settings: Settings, counters: Arc<Counters>) -> Result<Self, Error> {
        let server = format!("local {}", settings.topology.display());
        let bad =
            |key: &str, said: String| Error::new(&server, "starting", key, Why::Refused(said));
        let topology = Topology::read(&settings.topology)
            .map_err(|error| bad("topology", error.to_string()))?;
        let node = |node: &crate::topology::Node| Node::new(&settings.agent, node.netns.as_deref());
        let nodes = topology.nodes().iter().map(node).collect();
        let mut admission = Admission::new(topology, settings.numbers);
        let mut records = BTreeMap::new();
        let stored =
            store::read(&settings.state).map_err(|error| bad("state", error.to_string()))?;
        for record in stored {
            let name = record.plan.request.name.clone();
            // What does not fit any more is not ours to promise. Its items go as strays.
            if admission.restore(record.plan.clone()).is_ok() {
                records.insert(name, record);
            }
        }
        let (up, notices, poll_at) = (BTreeSet::new(), Vec::new(), Instant::now());
        let inner = Inner { admission, records, nodes, up, notices, poll_at };
        let local = Self { settings, server, counters, inner: Mutex::new(inner) };
        local.sweep().await?;
        Ok(local)
    }

    /// Where packets of a circuit go in: at its beginning, and at its end if it goes both ways.
    pub async fn entrances(&self, id: &Id) -> Vec<Entrance> {
        let inner = self.inner.lock().await;
        let Some(record) = Name::parse(&id.0).and_then(|name| inner.records.get(&name)) else {
            return Vec::new();
        };
        let entrance = |lsp: &crate::plan::Lsp| {
            let topology = inner.admission.topology();
            let node = topology.nodes().get(lsp.from)?;
            let (_, label) = lsp.hops.first()?;
            let hops = lsp.hops.iter().map(|(hop, _)| *hop);
            Some(Entrance {
                node: node.name.clone(),
                netns: node.netns.clone(),
                table: lsp.table,
                label: *label,
                sooner_us: sooner_us(topology, lsp.from, lsp.to, hops),
            })
        };
        record.plan.lsps.iter().filter_map(entrance).collect()
    }

    /// The routers of each direction of a circuit, the first of them first.
    pub async fn courses(&self, id: &Id) -> Vec<Vec<String>> {
        let inner = self.inner.lock().await;
        let Some(record) = Name::parse(&id.0).and_then(|name| inner.records.get(&name)) else {
            return Vec::new();
        };
        let topology = inner.admission.topology();
        let course = |lsp: &crate::plan::Lsp| {
            let first = topology.nodes().get(lsp.from).map(|node| node.name.clone());
            let ends = lsp.hops.iter().filter_map(|(hop, _)| topology.ends(*hop));
            first.into_iter().chain(ends.map(|(_, far)| far.node.clone())).collect()
        };
        record.plan.lsps.iter().map(course).collect()
    }

    /// What circuits have booked now of each link, by its number, Mb/s: of the direction that has more.
    pub async fn booked(&self) -> Vec<u64> {
        let inner = self.inner.lock().await;
        let from = now();
        let span = Span { from, until: Some(from.plus(1)) };
        let peak = |link, forth| inner.admission.budget().peak(Hop { link, forth }, span);
        let links = 0..inner.admission.topology().links().len();
        links.map(|link| peak(link, true).max(peak(link, false))).collect()
    }

    pub(super) fn error(&self, request: &'static str, key: impl ToString, why: Why) -> Error {
        if let Why::Refused(_) = why {
            count(&self.counters.refused);
        }
        Error::new(&self.server, request, key, why)
    }

    fn save(&self, inner: &Inner, request: &'static str, name: &Name) -> Result<(), Error> {
        store::write(&self.settings.state, &inner.records)
            .map_err(|error| self.error(request, name, Why::Refused(error.to_string())))
    }

    fn name(&self, request: &'static str, id: &Id) -> Result<Name, Error> {
        Name::parse(&id.0)
            .ok_or_else(|| self.error(request, id, Why::Refused("there is none".into())))
    }

    async fn reserve(&self, request: &Request) -> Result<Held, Error> {
        const REQUEST: &str = "reserve";
        count(&self.counters.requests);
        let mut inner = self.inner.lock().await;
        let until = now().plus(self.settings.hold_ms);
        let id = Id(request.name.to_string());
        if !inner.records.contains_key(&request.name) {
            let refuse = |said: String| self.error(REQUEST, &request.name, Why::Refused(said));
            let plan =
                inner.admission.admit(request).map_err(|refusal| refuse(refusal.to_string()))?;
            inner.records.insert(request.name.clone(), Record { plan, phase: Phase::Held(until) });
            if let Err(error) = self.save(&inner, REQUEST, &request.name) {
                inner.records.remove(&request.name);
                inner.admission.remove(&request.name);
                return Err(error);
            }
        }
        Ok(Held { id, until: Some(until) })
    }

    async fn commit(&self, id: &Id) -> Result<(), Error> {
        const REQUEST: &str = "commit";
        count(&self.counters.requests);
        let mut inner = self.inner.lock().await;
        let name = self.name(REQUEST, id)?;
        let Some(record) = inner.records.get_mut(&name) else {
            return Err(self.error(REQUEST, id, Why::Refused("there is none".into())));
        };
        match record.phase {
            Phase::Held(until) if until <= now() => {
                Err(self.error(REQUEST, id, Why::Refused("the hold has run out".into())))
            }
            Phase::Held(_) => {
                record.phase = Phase::Committed;
                self.save(&inner, REQUEST, &name)
            }
            Phase::Committed | Phase::Provisioned => Ok(()),
        }
    }

    async fn provision(&self, id: &Id) -> Result<(), Error> {
        const REQUEST: &str = "provision";
        count(&self.counters.requests);
        let mut inner = self.inner.lock().await;
        let name = self.name(REQUEST, id)?;
        let Some(record) = inner.records.get_mut(&name) else {
            return Err(self.error(REQUEST, id, Why::Refused("there is none".into())));
        };
        if let Phase::Held(_) = record.phase {
            return Err(self.error(REQUEST, id, Why::Refused("it is not committed".into())));
        }
        record.phase = Phase::Provisioned;
        let is_due = due(record, now());
        self.save(&inner, REQUEST, &name)?;
        if !is_due {
            return Ok(());
        }
        if let Err(error) = self.activate(&mut inner, &name).await {
            // What was put there goes again, as far as it can; the next start sweeps the rest.
            let _ = self.deactivate(&mut inner, REQUEST, &name).await;
            if let Some(record) = inner.records.get_mut(&name) {
                record.phase = Phase::Committed;
            }
            self.save(&inner, REQUEST, &name)?;
            return Err(error);
        }
        inner.up.insert(name);
        inner.notices.push((id.clone(), Notice::Active));
        Ok(())
    }

    async fn extend(&self, id: &Id, until: Option<At>) -> Result<(), Error> {
        const REQUEST: &str = "extend";
        count(&self.counters.requests);
        let mut inner = self.inner.lock().await;
        let name = self.name(REQUEST, id)?;
        let refused = inner.admission.extend(&name, until).err();
        if let Some(refusal) = refused {
            return Err(self.error(REQUEST, id, Why::Refused(refusal.to_string())));
        }
        if let Some(record) = inner.records.get_mut(&name) {
            record.plan.request.span.until = until;
        }
        self.save(&inner, REQUEST, &name)
    }

    async fn release(&self, id: &Id) -> Result<(), Error> {
        const REQUEST: &str = "release";
        count(&self.counters.requests);
        let mut inner = self.inner.lock().await;
        let name = self.name(REQUEST, id)?;
        self.deactivate(&mut inner, REQUEST, &name).await?;
        match inner.records.get_mut(&name) {
            Some(record) if record.phase == Phase::Provisioned => record.phase = Phase::Committed,
            _ => return Ok(()),
        }
        self.save(&inner, REQUEST, &name)
    }

    async fn terminate(&self, id: &Id) -> Result<(), Error> {
        count(&self.counters.requests);
        let mut inner = self.inner.lock().await;
        let name = self.name("terminate", id)?;
        self.drop_one(&mut inner, &name).await
    }

    pub(super) async fn drop_one(&self, inner: &mut Inner, name: &Name) -> Result<(), Error> {
        const REQUEST: &str = "terminate";
        if inner.records.get(name).is_some_and(|record| record.phase == Phase::Provisioned) {
            self.deactivate(inner, REQUEST, name).await?;
        }
        if inner.records.remove(name).is_some() {
            inner.admission.remove(name);
            self.save(inner, REQUEST, name)?;
        }
        Ok(())
    }

    async fn list(&self) -> Vec<Remote> {
        let inner = self.inner.lock().await;
        let remote = |(name, record): (&Name, &Record)| Remote {
            id: Id(name.to_string()),
            name: Some(name.clone()),
            seen: match record.phase {
                Phase::Held(_) => Seen::Held,
                Phase::Committed => Seen::Committed,
                Phase::Provisioned if inner.up.contains(name) => Seen::Up,
                Phase::Provisioned => Seen::Provisioned,
            },
            rate: record.plan.request.rate,
            until: record.plan.request.span.until,
        };
        inner.records.iter().map(remote).collect()
    }

    async fn notices(&self) -> Result<Vec<(Id, Notice)>, Error> {
        let mut inner = self.inner.lock().await;
        if Instant::now() >= inner.poll_at {
            let wait = Duration::from_millis(self.settings.poll_ms.min(86_400_000));
            inner.poll_at = Instant::now() + wait;
            let polled = self.poll(&mut inner).await;
            // What was found is told first; what failed fails at the next look too.
            if inner.notices.is_empty() {
                polled?;
            }
        }
        Ok(std::mem::take(&mut inner.notices))
    }
}

/// Whether a circuit is to be on the routers.
pub(super) fn due(record: &Record, at: At) -> bool {
    record.phase == Phase::Provisioned && record.plan.request.span.holds(at)
}

impl Circuits for Local {
    fn server(&self) -> &str {
        &self.server
    }

    fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held> {
        Box::pin(self.reserve(request))
    }

    fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.commit(id))
    }

    fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.provision(id))
    }

    fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()> {
        Box::pin(self.extend(id, until))
    }

    fn release<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.release(id))
    }

    fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.terminate(id))
    }

    fn list(&self) -> Answer<'_, Vec<Remote>> {
        Box::pin(async move { Ok(self.list().await) })
    }

    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
        Box::pin(self.notices())
    }
}
