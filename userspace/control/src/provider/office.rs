// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The thread that drives the provider. It takes the latest orders, never a queue of them, and tells how
//! all circuits are.

use super::desk::{Desk, Steps};
use super::settings::{Path, Settings};
use super::ways::{rehearsal, start};
use super::witness::Witness;
use crate::bell::Bell;
use crate::conductor::{Asked, Circuit};
use crate::crash::Crash;
use crate::journal::Journal;
use crate::network::Network;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use telesteer_circuit::book::{Book, Lost};
use telesteer_circuit::driver::Driver;
use telesteer_circuit::request::Name;
use telesteer_fam::Ns;
use tokio::sync::Notify;
use tokio::time::timeout;

/// From one look at everything to the next, if nothing happens.
const LOOK_MS: u64 = 200;
/// Waits after the provider could not be started: doubled, up to the second.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Calls under way when the thread is to end may take so long.
const LAST: Duration = Duration::from_secs(2);
/// Steps and troubles kept for the loop.
const KEPT: usize = 4096;

/// What the loop wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The circuits wanted.
    pub asked: Asked,
    /// Packets may still be sent into these.
    pub steered: BTreeSet<Name>,
    /// The report these orders follow from.
    pub after: u64,
}

/// How circuits are.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Counts up.
    pub number: u64,
    /// All circuits; none before the provider listed them.
    pub circuits: Option<BTreeMap<Name, Circuit>>,
    /// When the newest list was asked for of those that the provider has told.
    pub listed: Option<Ns>,
    /// The routers of each direction of a circuit, the first of them first, as far as the provider tells.
    pub courses: BTreeMap<Name, Vec<Vec<String>>>,
    /// What circuits have booked now of each link of the topology, Mb/s, as far as the provider tells.
    pub booked: Vec<u64>,
    /// Circuits there that are not ours.
    pub foreign: usize,
    /// Circuits that could not be given back.
    pub stuck: usize,
    /// What fell off.
    pub lost: Lost,
    /// What the provider counted.
    pub counters: Vec<(&'static str, u64)>,
    /// What is wrong with the provider now, if it does not even start.
    pub trouble: Option<String>,
    steps: Steps,
    troubles: Vec<String>,
    /// Steps and troubles that were dropped.
    pub dropped: u64,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Option<Orders>>,
    report: Mutex<Report>,
    woken: Notify,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread of the provider.
pub struct Office {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What it works with.
struct Work {
    settings: Settings,
    paths: BTreeMap<String, Path>,
    network: Network,
    journal: Option<Arc<Mutex<Journal>>>,
    crash: Crash,
    home: Arc<Bell>,
    shared: Arc<Shared>,
}

impl Office {
    /// Starts the thread; it rings `home` when something is to be told. Without a journal it is a
    /// rehearsal: no provider is asked.
    pub fn start(
        settings: Settings,
        paths: BTreeMap<String, Path>,
        network: Network,
        journal: Option<Arc<Mutex<Journal>>>,
        crash: Crash,
        home: Arc<Bell>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let work = Work { settings, paths, network, journal, crash, home, shared: of_thread };
        let thread = Some(thread::spawn(move || work.run()));
        Self { shared, thread }
    }

    /// Gives it orders in place of those before.
    pub fn order(&self, orders: Orders) {
        *lock(&self.shared.orders) = Some(orders);
        self.shared.woken.notify_one();
    }

    /// How circuits are, with steps (and why) and troubles since the last call.
    pub fn report(&self) -> (Report, Steps, Vec<String>) {
        let mut report = lock(&self.shared.report);
        let (steps, troubles) =
            (std::mem::take(&mut report.steps), std::mem::take(&mut report.troubles));
        (report.clone(), steps, troubles)
    }

    /// Ends the thread. Circuits stay as they are.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Work {
    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn run(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => self.trouble(format!("starting a runtime: {error}")),
        }
    }

    fn trouble(&self, said: String) {
        let mut report = lock(&self.shared.report);
        if report.trouble.as_ref() != Some(&said) {
            report.troubles.push(said.clone());
            report.trouble = Some(said);
        }
        drop(report);
        self.home.ring();
    }

    async fn serve(&self) {
        let mut wait = RESTART.0;
        let provider = loop {
            if self.stopped() {
                return;
            }
            let started = match self.journal {
                Some(_) => start(&self.settings).await,
                None => Ok(rehearsal()),
            };
            match started {
                Ok(provider) => break provider,
                Err(said) => self.trouble(format!("circuits: {said}")),
            }
            let _ = timeout(wait, self.shared.woken.notified()).await;
            wait = (wait * 2).min(RESTART.1);
        };
        lock(&self.shared.report).trouble = None;
        let witness =
            Witness::new(provider.circuits.clone(), self.journal.clone(), self.crash.clone());
        let witness = Arc::new(witness);
        let every_ms = (self.settings.list_every_s.max(0.1) * 1000.0) as u64;
        let book = Book::new(self.settings.manner).owned(self.settings.owner.clone());
        let driver = Driver::new(book, witness.clone(), every_ms);
        self.keep(Desk::new(provider, witness, driver)).await;
    }

    async fn keep(&self, mut desk: Desk) {
        while !self.stopped() {
            let orders = lock(&self.shared.orders).clone();
            let Some(orders) = orders else {
                // What is wanted has to be known before what there is, or that would be given back.
                self.shared.woken.notified().await;
                continue;
            };
            desk.take(&orders);
            let steps = desk.turn().await;
            let ways = desk.look(&self.paths, &self.network).await;
            let booked = desk.booked().await;
            self.tell(&mut desk, ways, steps, booked);
            tokio::select! {
                () = desk.driver.rest(LOOK_MS) => {}
                () = self.shared.woken.notified() => {}
            }
        }
        // Calls under way have a last chance to be answered; a restart finds what became of others.
        let until = Instant::now() + LAST;
        while desk.is_busy() && Instant::now() < until {
            desk.driver.rest(LOOK_MS).await;
            desk.settle();
        }
    }

    fn tell(
        &self,
        desk: &mut Desk,
        circuits: Option<BTreeMap<Name, Circuit>>,
        steps: Steps,
        booked: Vec<u64>,
    ) {
        let troubles = desk.driver.said();
        let mut report = lock(&self.shared.report);
        let news = report.circuits != circuits || !steps.is_empty() || !troubles.is_empty();
        if report.circuits != circuits {
            report.number += 1;
            desk.told(report.circuits.as_ref(), circuits.as_ref(), report.number);
            report.circuits = circuits;
        }
        if report.courses != *desk.courses() {
            report.courses = desk.courses().clone();
        }
        report.booked = booked;
        report.listed = desk.listed();
        report.foreign = desk.driver.foreign().len();
        report.stuck = desk.driver.book.stuck().len();
        report.lost = desk.driver.book.lost();
        report.counters = desk.counters();
        for step in steps {
            if report.steps.len() < KEPT {
                report.steps.push(step);
            } else {
                report.dropped += 1;
            }
        }
        for said in troubles {
            if report.troubles.len() < KEPT {
                report.troubles.push(said);
            } else {
                report.dropped += 1;
            }
        }
        drop(report);
        if news {
            self.home.ring();
        }
    }
}
