// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop itself: takes in what comes, lets the conductor decide, writes down, and only then tells
//! routers and the provider. One thread; everything slow has its own.
//!
//! - `inputs`: events, tables, tickets, circuits, routers. `outputs`: orders, wishes, lines, views.
//! - `unsure`: reservations that were under way when the loop before ended. `bad`: why it cannot begin.

mod bad;
mod inputs;
mod outputs;
#[cfg(test)]
mod tests;
mod unsure;

pub use bad::Bad;

use crate::announce;
use crate::audit::Audit;
use crate::bell::Bell;
use crate::clock::now;
use crate::conductor::{Conductor, Line, What};
use crate::crash::Crash;
use crate::face::Face;
use crate::feed::{Feed, Speaker, feed};
use crate::http::{Bounds, Hosts, Keys, Server, serve_hosts};
use crate::journal::{self, Journal};
use crate::network::Network;
use crate::nightly::Night;
use crate::panorama::{Promised, Told};
use crate::provider::{self, Office, Orders};
use crate::record::{Record, State};
use crate::router::{Report, Station};
use crate::schedule::Clock;
use crate::settings::Settings;
use crate::ticket::Book;
use crate::ticket::book::Saved;
use crate::ticket::counters::Counters as TicketCounters;
use crate::view::Delay;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use telesteer_circuit::topology::Topology;
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, Ns};
use unsure::Unsure;

/// The longest sleep.
const SLEEP: Ns = SECOND / 2;
/// From one view to the next.
const SHOW: Ns = SECOND / 2;

/// With reservations that may still be taken up, circuits are listed so often at least, in seconds.
const LIST_S: f64 = 1.0;

/// How a loop is run.
#[derive(Default)]
pub struct Options {
    /// Nothing is touched: routers are read, no provider is asked, nothing is stored.
    pub dry_run: bool,
    /// Everything is given back: routes, then circuits; the loop ends when all is gone.
    pub release: bool,
    /// A hook for tests.
    pub crash: Crash,
    /// Where lines of the audit log go too.
    pub echo: Option<Box<dyn Write + Send>>,
    /// The program whose `fam` analyses a day.
    pub program: Option<PathBuf>,
}

/// A loop.
pub struct Service {
    settings: Settings,
    network: Network,
    topology: Option<Topology>,
    dry_run: bool,
    release: bool,
    program: Option<PathBuf>,
    started: Ns,
    bell: Arc<Bell>,
    face: Arc<Face>,
    server: Option<Server>,
    journal: Option<Arc<Mutex<Journal>>>,
    conductor: Conductor,
    feed: Feed,
    /// Nobody speaks any more.
    deaf: bool,
    office: Office,
    office_report: provider::Report,
    unsure: Unsure,
    orders: Orders,
    ordered: bool,
    stations: BTreeMap<String, Station>,
    reports: BTreeMap<String, Report>,
    clock: Option<Clock>,
    table: Option<inputs::TableFile>,
    look_at: Ns,
    night: Option<Night>,
    nights: Option<String>,
    night_not_before: Ns,
    announced: announce::Counters,
    promised: Promised,
    told: BTreeMap<FiveTuple, Told>,
    given_up: u64,
    detection: Delay,
    installation: Delay,
    troubles: BTreeMap<&'static str, String>,
    show_at: Ns,
}

fn lock(journal: &Arc<Mutex<Journal>>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tickets as they were stored.
fn tickets(settings: &Settings, state: &State) -> Book {
    let tickets = state.tickets.values().cloned().collect();
    let next = state.last_ticket.saturating_add(1);
    Book::load(settings.tickets, Saved { next, tickets, counters: TicketCounters::default() })
}

impl Service {
    /// Begins a loop. Events are said to the speaker.
    ///
    /// # Errors
    ///
    /// If the store, the audit log or the interface cannot be opened.
    pub fn start(settings: Settings, options: Options) -> Result<(Self, Speaker), Bad> {
        let Options { dry_run, release, crash, echo, program } = options;
        let at = now();
        let bell: Arc<Bell> = Arc::default();
        let network = settings.network().map_err(Bad::Network)?;
        let dir = settings.store.dir.clone();
        let (journal, state, found) = if dry_run {
            (None, journal::peek(&dir).map_err(Bad::Store)?, journal::Found::default())
        } else {
            let long = settings.store.journal_bytes;
            let opened = Journal::open(&dir, long, crash.clone()).map_err(Bad::Store)?;
            let (journal, found) = opened;
            let state = journal.state().clone();
            (Some(Arc::new(Mutex::new(journal))), state, found)
        };
        let store = &settings.store;
        let kept = (!dry_run).then_some(dir.as_path());
        let audit = Audit::open(kept, store.audit_bytes, store.audit_files).map_err(Bad::Audit)?;
        let book = tickets(&settings, &state);
        let face = Face::new(audit, book, journal.clone(), bell.clone(), echo);
        let face = Arc::new(face);
        let (speaker, feed) = feed(bell.clone());
        let names: Vec<&str> = settings.routers.keys().map(String::as_str).collect();
        let none = State::default();
        let known = if release { &none } else { &state };
        // Anything that differs from one loop to the other will do.
        let seed = at.unsigned_abs();
        let mut of = settings.conductor(seed);
        if release {
            (of.offline_routes, of.offline_circuits) = (false, false);
        }
        let conductor = Conductor::new(of, network.clone(), &names, known, at);
        feed.set_gate(conductor.gate().clone());
        let mut of_office = settings.circuits.clone();
        let unsure = Unsure::new(&settings, &state, at);
        if release && !unsure.is_empty() {
            of_office.list_every_s = of_office.list_every_s.min(LIST_S);
        }
        let office = Office::start(
            of_office,
            settings.paths.clone(),
            network.clone(),
            journal.clone(),
            crash.clone(),
            bell.clone(),
        );
        let clock = match &settings.offline {
            Some(of) => Some(Clock::new(&of.at, &of.zone).map_err(Bad::Clock)?),
            None => None,
        };
        let station = |(name, of): (&String, &crate::router::Settings)| {
            let bounds = telesteer_redirect::Settings { seed, ..Default::default() };
            let (journal, crash) = (journal.clone(), crash.clone());
            let station = Station::start(name, of.clone(), bounds, journal, crash, bell.clone());
            (name.clone(), station)
        };
        let stations = settings.routers.iter().map(station).collect();
        let topology = settings.circuits.local.as_ref();
        let topology = topology.and_then(|local| Topology::read(&local.topology).ok());
        let mut service = Self {
            network,
            topology,
            dry_run,
            release,
            program,
            started: at,
            bell,
            face,
            server: None,
            journal,
            conductor,
            feed,
            deaf: false,
            office,
            office_report: provider::Report::default(),
            unsure,
            orders: Orders::default(),
            ordered: false,
            stations,
            reports: BTreeMap::new(),
            clock,
            table: None,
            look_at: Ns::MIN,
            night: None,
            nights: state.night.clone(),
            night_not_before: Ns::MIN,
            announced: announce::Counters::default(),
            promised: Promised::new(),
            told: BTreeMap::new(),
            given_up: 0,
            detection: Delay::new("detection", "from a flow's first packet to its event"),
            installation: Delay::new(
                "installation",
                "from a flow's event to its route being read back",
            ),
            troubles: BTreeMap::new(),
            show_at: Ns::MIN,
            settings,
        };
        service.listen()?;
        service.recover(&state, found, at);
        Ok((service, speaker))
    }

    /// Opens the interface.
    fn listen(&mut self) -> Result<(), Bad> {
        let Some(http) = self.settings.http.as_ref().filter(|_| !self.release) else {
            return Ok(());
        };
        let bad = |error| Bad::Listen(http.listen, error);
        let listener = std::net::TcpListener::bind(http.listen).map_err(bad)?;
        let keys = match &http.tokens {
            Some(path) => Keys::file(path).map_err(Bad::Keys)?,
            None => Keys::none(),
        };
        let board = self.face.clone();
        let hosts = Hosts::new(&http.hosts);
        let served = serve_hosts(listener, board, keys, Bounds::default(), hosts);
        self.server = Some(served.map_err(bad)?);
        Ok(())
    }

    /// Tells what was found, and closes what the loop before left open.
    fn recover(&mut self, state: &State, found: journal::Found, at: Ns) {
        let dir = self.settings.store.dir.display().to_string();
        let line = |what, subject: String, reason: String| Line {
            at,
            what,
            subject,
            router: None,
            path: None,
            reason,
        };
        let mut lines = vec![line(
            What::Started,
            dir.clone(),
            format!(
                "{} records, {} flows, {} idle entries, {} table entries, {} tickets{}",
                found.records,
                state.flows.len(),
                state.idle.len(),
                state.table.entries.len(),
                state.tickets.len(),
                if self.dry_run { "; dry run" } else { "" }
            ),
        )];
        if found.torn > 0 {
            let reason = format!("{} bytes after the last whole record, set aside", found.torn);
            lines.push(line(What::Trouble, dir, reason));
        }
        let mut records = Vec::new();
        for (number, intent) in &state.open {
            let reason = "the loop ended before its outcome was known; all is read back".to_owned();
            lines.push(line(What::Interrupted, intent.to_string(), reason));
            // It may be there later: until that is known, a loop after this one has to know of it.
            if self.unsure.has(*number) {
                continue;
            }
            records.push(Record::Result(*number, Some("interrupted".into())));
        }
        if self.release {
            records.extend(state.flows.keys().map(|flow| Record::Over(*flow)));
            records.extend(state.idle.keys().map(|matching| Record::NotIdle(*matching)));
        }
        self.face.write(&lines);
        self.conductor.unwritten(records);
    }

    /// Where the interface listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(Server::address)
    }

    /// What the interface shows.
    pub fn face(&self) -> Arc<Face> {
        self.face.clone()
    }

    /// What wakes the loop: ring it after `stop` was set.
    pub fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// Turns until it is to stop, or all is given back if that was asked for. Routes and circuits stay
    /// as they are.
    pub fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let at = now();
            self.turn(at);
            if self.release && self.is_empty() {
                break;
            }
            let due = self.conductor.next_due().into_iter().chain(self.face.tickets().next_due());
            let due = due.chain([at.saturating_add(SLEEP)]).min().unwrap_or(at);
            let wait = due.saturating_sub(now()).clamp(SECOND / 1000, SLEEP);
            self.bell.wait(Duration::from_nanos(wait.unsigned_abs()));
        }
        self.end();
    }

    /// Takes in what came, decides, and puts out.
    fn turn(&mut self, at: Ns) {
        self.take_in(at);
        self.conductor.tick(at);
        let given_up = self.conductor.counters().given_up;
        if std::mem::replace(&mut self.given_up, given_up) != given_up {
            // Nobody tells the end of these.
            let conductor = &self.conductor;
            self.told.retain(|flow, _| conductor.knows(flow));
        }
        self.conductor.settle(at);
        self.put_out(at);
    }

    /// No route of ours is on a router, no circuit of ours is left.
    fn is_empty(&self) -> bool {
        let circuits = self.office_report.circuits.as_ref();
        self.unsure.is_empty()
            && circuits.is_some_and(BTreeMap::is_empty)
            && self.reports.len() == self.stations.len()
            && self.reports.iter().all(|(name, report)| {
                let told = self.conductor.wish(name).map(|wish| wish.generation);
                report.seen.read
                    && Some(report.seen.generation) == told
                    && report.settled
                    && report.states.is_empty()
                    && report.odd.1 == 0
            })
    }

    fn end(&mut self) {
        self.face.end();
        self.server = None;
        self.stations.values_mut().for_each(Station::stop);
        self.office.stop();
        let at = now();
        self.take_in(at);
        if let Some(night) = self.night.take() {
            // The next loop begins it anew.
            let said = night.stop().err();
            self.trouble("offline.flows", said, at);
        }
        self.write_down(at);
        let (subject, reason) = (self.settings.store.dir.display().to_string(), String::new());
        let (what, router, path) = (What::Stopped, None, None);
        self.tell();
        self.face.write(&[Line { at, what, subject, router, path, reason }]);
    }

    /// Says that something is wrong, once as long as it is the same.
    fn trouble(&mut self, of: &'static str, said: Option<String>, at: Ns) {
        match said {
            None => drop(self.troubles.remove(of)),
            Some(said) if self.troubles.get(of) == Some(&said) => {}
            Some(said) => {
                let (what, subject, reason) = (What::Trouble, of.to_owned(), said.clone());
                self.face.write(&[Line { at, what, subject, router: None, path: None, reason }]);
                self.troubles.insert(of, said);
            }
        }
    }

    /// Names of circuits that packets may still be sent into.
    fn steered(&self) -> BTreeSet<telesteer_circuit::request::Name> {
        self.conductor.steered()
    }
}
