// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop at one instant, as the interface shows it. No I/O and no clock.

mod flows;
mod lost;
#[cfg(test)]
mod tests;

use crate::clock::ms;
use crate::conductor::{Circuit, Conductor, Why};
use crate::feed::Tally;
use crate::metrics::Text;
use crate::ticket::Book;
use crate::view::{Delay, Event, Flow, Input, LINES, Link, Lost, Lsp, Mode, Router, VERSION, View};
use crate::{announce, journal, provider, router};
use serde_json::Value;
use std::collections::BTreeMap;
use telesteer_circuit::topology::Topology;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::life::State;
use telesteer_redirect::{Match, PathName};

/// What is known of a flow beside what the conductor keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its first packet.
    pub begun: Ns,
    /// Bytes when it was told.
    pub bytes: u64,
    /// Bit/s then.
    pub rate: u64,
}

/// What tickets announce, each with its first instant, the first after it, and the ticket.
pub type Promised = BTreeMap<Match, Vec<(Ns, Ns, String)>>;

/// All that there is to show.
pub struct Panorama<'p> {
    /// Now.
    pub now: Ns,
    /// When the loop began.
    pub started: Ns,
    /// Whether it acts.
    pub mode: Mode,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Routers of the configuration: name, address, device.
    pub routers: &'p [(String, String, &'static str)],
    /// The network, where it is known.
    pub topology: Option<&'p Topology>,
    /// What is wanted.
    pub conductor: &'p Conductor,
    /// How circuits are.
    pub office: &'p provider::Report,
    /// How routers are.
    pub stations: &'p BTreeMap<String, router::Report>,
    /// Tickets.
    pub book: &'p Book,
    /// The newest lines of the audit log, the newest first.
    pub history: Vec<Value>,
    /// Histograms.
    pub delays: Vec<Delay>,
    /// What detectors told of flows.
    pub told: &'p BTreeMap<FiveTuple, Told>,
    /// What tickets announce.
    pub promised: &'p Promised,
    /// Of the journal.
    pub journal: journal::Counters,
    /// Of tickets that cannot be acted on as they are.
    pub announced: announce::Counters,
    /// Lines of the audit log that could not be written.
    pub audit_failures: u64,
    /// Flow reports read.
    pub reports: u64,
    /// What detectors left out or lost.
    pub tallies: Vec<Tally>,
}

/// The name of a state.
pub fn state_name(state: &State) -> &'static str {
    match state {
        State::Absent => "absent",
        State::Pending => "pending",
        State::Installed { .. } => "installed",
        State::Idle { .. } => "idle",
        State::Withdrawing => "withdrawing",
        State::Failed(_) => "failed",
    }
}

/// A value as its serde name.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

impl Panorama<'_> {
    /// As a view, and as metrics.
    pub fn show(&self) -> (View, String) {
        let mut left_off = BTreeMap::new();
        let mut bounded = |name: &str, count: usize| {
            if let Some(over) = count.checked_sub(LINES).filter(|over| *over > 0) {
                left_off.insert(name.to_owned(), over as u64);
            }
        };
        let circuits = self.conductor.circuits().into_iter().flatten();
        bounded("lsps", circuits.count());
        bounded("flows", self.conductor.flows().count());
        let lost = self.lost();
        let view = View {
            version: VERSION,
            now_ms: ms(self.now),
            started_ms: ms(self.started),
            mode: self.mode,
            inputs: self.inputs.clone(),
            routers: self.routers(),
            links: self.links(),
            lsps: self.lsps(),
            circuits: self.circuits(),
            routes: self.routes(),
            flows: self.flows(),
            tickets: self.tickets(),
            history: self.history.iter().map(event).collect(),
            delays: self.delays.clone(),
            lost: lost.clone(),
            left_off,
        };
        let metrics = self.metrics(&view, &lost);
        (view, metrics)
    }

    fn routers(&self) -> Vec<Router> {
        let trouble = |name: &str| {
            let report = self.stations.get(name);
            report.and_then(|report| report.trouble.clone()).unwrap_or_default()
        };
        let own = self.routers.iter().map(|(name, address, device)| Router {
            name: name.clone(),
            address: address.clone(),
            device: (*device).to_owned(),
            trouble: trouble(name),
        });
        let mut routers: Vec<Router> = own.collect();
        for node in self.topology.into_iter().flat_map(Topology::nodes) {
            if !routers.iter().any(|router| router.name == node.name) {
                let address = node.address.map_or(String::new(), |address| address.to_string());
                routers.push(Router { name: node.name.clone(), address, ..Router::default() });
            }
        }
        routers.truncate(LINES);
        routers
    }

    fn links(&self) -> Vec<Link> {
        let links = self.topology.into_iter().flat_map(Topology::links);
        let link = |(number, link): (usize, &telesteer_circuit::topology::Link)| Link {
            a: link.a.node.clone(),
            b: link.b.node.clone(),
            mbps: link.mbps,
            reserved_mbps: self.office.booked.get(number).copied().unwrap_or(0),
            reservable_mbps: link.reservable(),
        };
        links.enumerate().take(LINES).map(link).collect()
    }

    /// Why a circuit is there: the strongest reason of what goes into it.
    fn wanted_by(&self, circuit: &Circuit) -> &'static str {
        let asked = self.conductor.asked();
        if asked.offline.contains(&circuit.pair.canonical()) {
            return "offline";
        }
        let ticket = circuit.ways.iter().any(|way| {
            let wish = self.conductor.wish(&way.router);
            let mut entries = wish.into_iter().flat_map(|wish| &wish.entries);
            entries.any(|(matching, path)| {
                let why = self.conductor.why(&way.router, matching);
                *path == way.path && matches!(why, Some(Why::Ticket(_)))
            })
        });
        let pair = circuit.pair.canonical();
        let online = asked.online.keys().any(|key| key.pair == pair && key.rate == circuit.rate);
        match (ticket, online) {
            (true, _) => "ticket",
            (_, true) => "online",
            _ => "",
        }
    }

    fn lsps(&self) -> Vec<Lsp> {
        let mut used: BTreeMap<(&str, &PathName), u64> = BTreeMap::new();
        for (flow, _, pair) in self.conductor.flows() {
            if let Some(path) = self.entry(flow, &pair.ingress).and_then(|entry| entry.path) {
                let rate = self.told.get(flow).map_or(0, |told| told.rate);
                let sum = used.entry((&pair.ingress, path)).or_default();
                *sum = sum.saturating_add(rate);
            }
        }
        let mut lsps = Vec::new();
        for (name, circuit) in self.conductor.circuits().into_iter().flatten() {
            let line = |ingress: &str, egress: &str, path: String, bits: u64| Lsp {
                name: path,
                ingress: ingress.to_owned(),
                egress: egress.to_owned(),
                hops: self.hops(name, ingress, egress),
                state: word(circuit.state),
                wanted_by: self.wanted_by(circuit).to_owned(),
                rate_mbps: Some(circuit.rate.mbps()).filter(|mbps| *mbps > 0),
                used_mbps: bits as f64 / 1e6,
                until_ms: circuit.until.map(|until| until.0),
            };
            if circuit.ways.is_empty() {
                let (a, b) = (&circuit.pair.ingress, &circuit.pair.egress);
                lsps.push(line(a, b, name.to_string(), 0));
            }
            for way in &circuit.ways {
                let bits = used.get(&(way.router.as_str(), &way.path)).copied().unwrap_or(0);
                lsps.push(line(&way.router, &way.toward, way.path.to_string(), bits));
            }
        }
        lsps.truncate(LINES);
        lsps
    }

    fn circuits(&self) -> BTreeMap<String, u64> {
        let mut states = BTreeMap::new();
        for circuit in self.conductor.circuits().into_iter().flat_map(BTreeMap::values) {
            *states.entry(word(circuit.state)).or_default() += 1;
        }
        states
    }

    fn routes(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut routes = BTreeMap::new();
        for (name, report) in self.stations {
            let mut states: BTreeMap<String, u64> = BTreeMap::new();
            for state in report.states.values() {
                *states.entry(state_name(state).to_owned()).or_default() += 1;
            }
            routes.insert(name.clone(), states);
        }
        routes
    }

    fn flows(&self) -> Vec<Flow> {
        let flows = self.conductor.flows().take(LINES);
        let waits = |flow| if self.conductor.is_held(flow) { "held" } else { "" };
        flows
            .map(|(flow, live, pair)| {
                let entry = self.entry(flow, &pair.ingress).unwrap_or_default();
                let told = self.told.get(flow).copied().unwrap_or_default();
                Flow {
                    key: crate::conductor::text(flow),
                    ingress: pair.ingress.clone(),
                    egress: pair.egress.clone(),
                    lsp: entry.path.filter(|_| entry.is_there()).map(PathName::to_string),
                    route: entry.state.map_or(waits(flow), state_name).to_owned(),
                    begun_ms: ms(if told.begun > 0 { told.begun } else { live.since }),
                    detected_ms: ms(live.since),
                    rate_bps: told.rate,
                    bytes: told.bytes,
                    ticket: self.ticket(flow),
                }
            })
            .collect()
    }

    fn tickets(&self) -> BTreeMap<String, u64> {
        let mut states = BTreeMap::new();
        for ticket in self.book.tickets() {
            *states.entry(word(ticket.state)).or_default() += 1;
        }
        states
    }

    fn metrics(&self, view: &View, lost: &[Lost]) -> String {
        let mut text = Text::default();
        let none = String::new;
        text.gauge("started_seconds", "when the loop began", view.started_ms / 1000);
        text.gauge("dry_run", "1: nothing is touched", u64::from(self.mode == Mode::DryRun));
        let broken = self.inputs.iter().filter(|input| !input.trouble.is_empty()).count() as u64;
        text.gauge("inputs_in_trouble", "inputs that are not read as they should be", broken);
        text.gauge("flows", "alpha flows that live", self.conductor.flows().count() as u64);
        let waiting = self.conductor.counters().waiting;
        text.gauge("entries_waiting", "entries without a circuit that is up", waiting);
        let unfit = self.conductor.counters().unfit;
        text.gauge("entries_unfit", "of these, entries of IPv6 where only IPv4 goes", unfit);
        let held = self.conductor.counters().held;
        text.gauge("entries_held", "entries that wait until their flow is idle", held);
        let entries = self.conductor.table().entries.len() as u64;
        text.gauge("table_entries", "entries of the offline table in force", entries);
        let circuits = view.circuits.iter().map(|(state, n)| (state.clone(), none(), *n));
        text.gauges("circuits", "circuits by state", ["state", ""], circuits);
        let routes = view.routes.iter().flat_map(|(router, states)| {
            states.iter().map(|(state, n)| (router.clone(), state.clone(), *n))
        });
        text.gauges("routes", "policy routes by state", ["router", "state"], routes);
        let tickets = view.tickets.iter().map(|(state, n)| (state.clone(), none(), *n));
        text.gauges("tickets", "tickets by state", ["state", ""], tickets);
        let foreign = self.stations.iter().map(|(n, r)| (n.clone(), none(), r.odd.0 as u64));
        text.gauges("rules_foreign", "rules on routers that are not ours", ["router", ""], foreign);
        let amiss = self.stations.iter().map(|(n, r)| (n.clone(), none(), r.odd.1 as u64));
        text.gauges("rules_amiss", "rules of ours that are not as made", ["router", ""], amiss);
        text.gauge("circuits_foreign", "circuits that are not ours", self.office.foreign as u64);
        text.counter("events", "events of detectors", self.conductor.counters().events);
        text.counter("reports", "flow reports read", self.reports);
        text.counter("aged", "entries that aged out", self.conductor.counters().aged);
        text.counter("tables", "offline tables taken", self.conductor.counters().tables);
        text.counter("store_records", "records written", self.journal.records);
        text.counter("store_commits", "times records were brought to disk", self.journal.commits);
        text.counter(
            "store_compactions",
            "times the store was written anew",
            self.journal.compactions,
        );
        for (name, count) in self.book.counters().events() {
            text.counter(&format!("tickets_{name}"), "what became of tickets", count);
        }
        let refusals = self.book.counters().refusals();
        let refusals = refusals.map(|(code, count)| (code.to_owned(), count));
        text.counters(
            "tickets_refused",
            "requests for tickets that were refused",
            "code",
            refusals,
        );
        for (name, count) in &self.office.counters {
            text.counter(&format!("provider_{name}"), "of the provider of circuits", *count);
        }
        text.lost(lost);
        view.delays.iter().for_each(|delay| text.delay(delay));
        text.into_string()
    }
}

fn event(value: &Value) -> Event {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let router = text("router");
    let subject = match router.is_empty() {
        true => text("subject"),
        false => format!("{} at {router}", text("subject")),
    };
    Event {
        seq: value.get("seq").and_then(Value::as_u64).unwrap_or(0),
        at_ms: ms(value.get("at_ns").and_then(Value::as_i64).unwrap_or(0)),
        what: text("what").replace('-', " "),
        subject,
        reason: text("reason"),
    }
}
