// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The conductor: what alpha flows, tickets and the offline table mean for circuits and routers.
//!
//! It does no I/O and reads no clock. What comes in are events, tables, announced transfers, and how
//! circuits and routers are found to be; what goes out is the whole set of circuits wanted
//! ([`Conductor::asked`]) and the whole set of routes wanted of each router ([`Conductor::wish`]), both
//! functions of what is known, so the order in which it became known does not matter, but for a bound
//! of what may overtake: what is wanted already stays, and what is not may wait. Beside that
//! come [`Line`]s for the audit log, and [`Record`]s to be written down before a wish is acted on.
//!
//! Three rules hold whatever happens. A route is wanted only onto a circuit that is up. A route is
//! wanted as long as its flow lives and its circuit is up, or is held until the flow is idle, its circuit
//! with it. A circuit counts as free of packets
//! ([`Conductor::steered`]) only when each router at its ends has been told and read back since.

mod back;
mod entries;
mod events;
mod line;
mod seen;
mod settings;
mod why;

pub use events::text;
pub use line::{Line, What};
pub use seen::{Announced, Asked, Circuit, Seen, Way, Wish};
pub use settings::{Reach, Settings};
pub use why::Why;

use crate::network::Network;
use crate::record::{Idle, Live, Record, State};
use crate::table::Table;
use back::Back;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use telesteer_circuit::request::Name;
use telesteer_fam::{FiveTuple, Ns, PrefixFlow};
use telesteer_online::Gate;
use telesteer_redirect::{Match, PathName};

/// What fell off, and what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events taken.
    pub events: u64,
    /// Flows not in the offline table, left alone.
    pub outside: u64,
    /// Flows of which nobody knows where they come in or leave.
    pub nowhere: u64,
    /// Flows that leave where they come in.
    pub local: u64,
    /// Flows of protocols without ports, given a pair of hosts instead.
    pub portless: u64,
    /// Flows that no router matches.
    pub unmatched: u64,
    /// Flows not taken, flows being enough.
    pub full: u64,
    /// Ends of flows that were not known.
    pub unknown_ends: u64,
    /// Flows given up because nobody has seen them since a restart.
    pub given_up: u64,
    /// Entries that aged out.
    pub aged: u64,
    /// Entries that went with their last flow, those that wait to age being enough.
    pub idle_full: u64,
    /// Tables taken.
    pub tables: u64,
    /// Entries that wait for a circuit, by the last look.
    pub waiting: u64,
    /// Of these, entries of IPv6 for which only circuits of IPv4 are up.
    pub unfit: u64,
    /// Entries that wait until their flow is idle, by the last look: too much of it would overtake.
    pub held: u64,
    /// Lines dropped because nobody fetched them.
    pub lines_dropped: u64,
}

/// Which circuits and routes are wanted.
#[derive(Clone, Debug)]
pub struct Conductor {
    settings: Settings,
    network: Network,
    table: Table,
    gate: Gate,
    flows: BTreeMap<FiveTuple, Known>,
    idle: BTreeMap<Match, Idle>,
    announced: Vec<Announced>,
    /// None before they have been listed.
    circuits: Option<BTreeMap<Name, Circuit>>,
    routers: BTreeMap<String, Router>,
    /// Something changed since wishes were made.
    stale: bool,
    /// When something changes though nothing happens.
    due: Option<Ns>,
    asked: Asked,
    /// Entries kept back though a circuit is up, by router: that was told.
    kept_back: BTreeSet<(String, Match, Back)>,
    counters: Counters,
    lines: VecDeque<Line>,
    records: Vec<Record>,
}

/// A flow, and where it goes.
#[derive(Clone, Debug)]
struct Known {
    live: Live,
    matching: Match,
    pair: telesteer_circuit::request::Pair,
    /// It counts as alive until then, unless it is seen again.
    doubt: Option<Ns>,
}

/// A router, as far as the conductor is concerned.
#[derive(Clone, Debug, Default)]
struct Router {
    wish: Option<Wish>,
    /// Why each entry is wanted.
    why: BTreeMap<Match, Why>,
    seen: Seen,
    /// Paths not to be used, since which wish.
    down: BTreeMap<PathName, u64>,
}

impl Conductor {
    /// Of routers of these names, with what was known before. Flows that lived then count as alive
    /// for a while.
    pub fn new(
        settings: Settings,
        network: Network,
        routers: &[&str],
        state: &State,
        now: Ns,
    ) -> Self {
        let routers = routers.iter().map(|name| ((*name).to_owned(), Router::default()));
        let mut conductor = Self {
            settings,
            network,
            table: Table::default(),
            gate: Gate::default(),
            flows: BTreeMap::new(),
            idle: BTreeMap::new(),
            announced: Vec::new(),
            circuits: None,
            routers: routers.collect(),
            stale: true,
            due: None,
            asked: Asked::default(),
            kept_back: BTreeSet::new(),
            counters: Counters::default(),
            lines: VecDeque::new(),
            records: Vec::new(),
        };
        conductor.keep(state.table.clone());
        let doubt = Some(now.saturating_add(conductor.settings.doubt));
        for (flow, live) in &state.flows {
            // One that fits nothing any more is forgotten by its end.
            match conductor.place(flow, live.exporter) {
                Some((matching, pair)) => {
                    let known = Known { live: *live, matching, pair, doubt };
                    conductor.flows.insert(*flow, known);
                }
                None => conductor.records.push(Record::Over(*flow)),
            }
        }
        conductor.counters = Counters::default();
        conductor.idle = state.idle.clone();
        conductor
    }

    fn keep(&mut self, table: Table) {
        let pairs = table.entries.iter().map(|entry| {
            let (src, dst) = (entry.matching.src(), entry.matching.dst());
            PrefixFlow { src, dst }
        });
        self.gate = Gate::new(pairs, table.both);
        self.table = table;
        self.stale = true;
    }

    /// Another offline table is in force.
    pub fn take_table(&mut self, table: Table, now: Ns) {
        if table == self.table {
            return;
        }
        self.counters.tables += 1;
        self.say(now, What::TableTaken, format!("table of {}", table.day), {
            let (entries, left_out) = (table.entries.len(), table.left_out);
            format!("{entries} entries, {left_out} left out; before, {}", self.table.entries.len())
        });
        self.records.push(Record::Table(Box::new(table.clone())));
        self.keep(table);
    }

    /// The whole set of announced transfers.
    pub fn take_announced(&mut self, mut announced: Vec<Announced>) {
        announced.sort();
        announced.dedup();
        if announced != self.announced {
            self.announced = announced;
            self.stale = true;
        }
    }

    /// All circuits, as the provider and we know them.
    pub fn take_circuits(&mut self, circuits: BTreeMap<Name, Circuit>) {
        let circuits = Some(circuits);
        if circuits != self.circuits {
            self.circuits = circuits;
            self.stale = true;
        }
    }

    /// A router was read back, or could not be.
    pub fn take_router(&mut self, name: &str, seen: Seen) {
        if let Some(router) = self.routers.get_mut(name) {
            router.seen = seen;
        }
    }

    /// Time passes: flows in doubt are given up, idle entries age.
    pub fn tick(&mut self, now: Ns) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.stale = true;
        let doubtful = |known: &Known| known.doubt.is_some_and(|until| until <= now);
        let gone: Vec<FiveTuple> =
            self.flows.iter().filter(|(_, known)| doubtful(known)).map(|(flow, _)| *flow).collect();
        for flow in gone {
            self.counters.given_up += 1;
            self.end(&flow, now, "not seen since the restart", false);
        }
        let (seed, range, age) = (self.settings.seed, self.settings.jitter, self.settings.age);
        let old = |(matching, idle): (&Match, &Idle)| {
            let jitter = telesteer_redirect::aging::jitter(seed, matching, range);
            (idle.since.saturating_add(age).saturating_add(jitter) <= now).then_some(*matching)
        };
        let aged: Vec<Match> = self.idle.iter().filter_map(old).collect();
        for matching in aged {
            self.counters.aged += 1;
            self.idle.remove(&matching);
            self.records.push(Record::NotIdle(matching));
            self.say(now, What::Aged, matching.to_string(), "no alpha flow for its age".into());
        }
    }

    /// When [`Self::tick`] or [`Self::settle`] has something to do though nothing happens.
    pub fn next_due(&self) -> Option<Ns> {
        self.due
    }

    fn reckon_due(&mut self, now: Ns) {
        let doubts = self.flows.values().filter_map(|known| known.doubt);
        let (seed, range, age) = (self.settings.seed, self.settings.jitter, self.settings.age);
        let ages = self.idle.iter().map(|(matching, idle)| {
            let jitter = telesteer_redirect::aging::jitter(seed, matching, range);
            idle.since.saturating_add(age).saturating_add(jitter)
        });
        let lead = self.settings.lead;
        let edges = self.announced.iter().flat_map(|one| {
            [one.from.saturating_sub(lead), one.from, one.until].into_iter().filter(|at| *at > now)
        });
        self.due = doubts.chain(ages).chain(edges).min();
    }

    fn say(&mut self, at: Ns, what: What, subject: String, reason: String) {
        self.push(Line { at, what, subject, router: None, path: None, reason });
    }

    fn push(&mut self, line: Line) {
        if self.lines.len() >= self.settings.lines {
            self.lines.pop_front();
            self.counters.lines_dropped += 1;
        }
        self.lines.push_back(line);
    }

    /// What is to be told, since the last call.
    pub fn lines(&mut self) -> Vec<Line> {
        self.lines.drain(..).collect()
    }

    /// What is to be written down before wishes are acted on, since the last call.
    pub fn records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// What could not be written down is given back, to be tried again.
    pub fn unwritten(&mut self, mut records: Vec<Record>) {
        records.append(&mut self.records);
        self.records = records;
    }

    /// The circuits wanted.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The routes wanted of a router; none before circuits were listed.
    pub fn wish(&self, router: &str) -> Option<&Wish> {
        self.routers.get(router)?.wish.as_ref()
    }

    /// Why an entry of the wish is wanted.
    pub fn why(&self, router: &str, matching: &Match) -> Option<&Why> {
        self.routers.get(router)?.why.get(matching)
    }

    /// Flows that live, and where each goes.
    pub fn flows(
        &self,
    ) -> impl Iterator<Item = (&FiveTuple, &Live, &telesteer_circuit::request::Pair)> {
        self.flows.iter().map(|(flow, known)| (flow, &known.live, &known.pair))
    }

    /// Whether the flow lives, as far as is known.
    pub fn knows(&self, flow: &FiveTuple) -> bool {
        self.flows.contains_key(flow)
    }

    /// Since when the flow is known that an entry is for; none if it is for no single one.
    pub fn since(&self, matching: &Match) -> Option<Ns> {
        let (proto, src_port, dst_port) = matching.ports()?;
        let (src, dst) = (matching.src().addr(), matching.dst().addr());
        let flow = FiveTuple { src, dst, proto, src_port, dst_port };
        self.flows.get(&flow).map(|known| known.live.since)
    }

    /// The offline table in force.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Which flows the offline table has.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// All circuits; none before they were listed.
    pub fn circuits(&self) -> Option<&BTreeMap<Name, Circuit>> {
        self.circuits.as_ref()
    }

    /// What fell off.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests;
