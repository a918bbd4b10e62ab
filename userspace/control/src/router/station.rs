// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The thread of a router. It takes the latest wish, never a queue of them, and tells how the router was
//! found. When it ends, what the router holds stays.

use super::dry::Dry;
use super::guard::Guard;
use super::keeper::Keeper;
use super::open::open;
use super::settings::Settings;
use crate::bell::Bell;
use crate::clock::Steady;
use crate::conductor::{Seen, Wish};
use crate::crash::Crash;
use crate::journal::Journal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::audit::{Counters, Transition};
use telesteer_redirect::life::State;
use telesteer_redirect::{Device, Match, Outcome, quick, round};

/// Waits after a device could not be opened: doubled, up to the second.
const REOPEN: (Ns, Ns) = (SECOND, 60 * SECOND);
/// The longest sleep.
const SLEEP: Ns = 3600 * SECOND;
/// Turns in a row without a look at whether to stop.
const TURNS: usize = 64;
/// Steps and troubles kept for the loop; older ones go.
const KEPT: usize = 65_536;

/// How a router is.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// For the conductor.
    pub seen: Seen,
    /// Its rules.
    pub states: Arc<BTreeMap<Match, State>>,
    /// It holds what is wanted, by the last reading.
    pub settled: bool,
    /// What its controller counted.
    pub counters: Counters,
    /// Rules there that are not ours, and that are ours and amiss.
    pub odd: (usize, usize),
    /// What is wrong with it now, if anything.
    pub trouble: Option<String>,
    /// Steps since the loop took them.
    steps: Vec<Transition>,
    /// Troubles since the loop took them.
    troubles: Vec<String>,
    /// Steps and troubles that were dropped.
    pub dropped: u64,
}

impl Report {
    fn step(&mut self, steps: Vec<Transition>) {
        self.steps.extend(steps);
        let over = self.steps.len().saturating_sub(KEPT);
        self.dropped += over as u64;
        self.steps.drain(..over);
    }

    fn trouble(&mut self, said: Option<String>) {
        if let Some(said) = &said
            && self.trouble.as_ref() != Some(said)
        {
            if self.troubles.len() < KEPT {
                self.troubles.push(said.clone());
            } else {
                self.dropped += 1;
            }
        }
        self.trouble = said;
    }
}

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Option<Arc<Wish>>>,
    report: Mutex<Report>,
    bell: Bell,
    stop: Arc<AtomicBool>,
}

/// A router's thread.
#[derive(Debug)]
pub struct Station {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    last: u64,
}

/// What a thread works with.
struct Work {
    name: String,
    settings: Settings,
    bounds: telesteer_redirect::Settings,
    dry: bool,
    journal: Option<Arc<Mutex<Journal>>>,
    crash: Crash,
    home: Arc<Bell>,
    shared: Arc<Shared>,
    /// Not the one that can be set: set back by an hour, it would hold up for an hour what has to go.
    clock: Steady,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Station {
    /// Starts the thread; it rings `home` when something is to be told. Without a journal it is a dry
    /// run: the router is read and not changed.
    pub fn start(
        name: &str,
        settings: Settings,
        bounds: telesteer_redirect::Settings,
        journal: Option<Arc<Mutex<Journal>>>,
        crash: Crash,
        home: Arc<Bell>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let dry = journal.is_none();
        let name = name.to_owned();
        let of_thread = shared.clone();
        let clock = Steady::begin();
        let work =
            Work { name, settings, bounds, dry, journal, crash, home, shared: of_thread, clock };
        let thread = Some(thread::spawn(move || work.run()));
        Self { shared, thread, last: 0 }
    }

    /// Gives it a wish in place of the one before, if it is another.
    pub fn wish(&mut self, wish: &Wish) {
        if wish.generation > self.last {
            self.last = wish.generation;
            *lock(&self.shared.wish) = Some(Arc::new(wish.clone()));
            self.shared.bell.ring();
        }
    }

    /// How the router is.
    pub fn report(&self) -> Report {
        let report = lock(&self.shared.report);
        Report { steps: Vec::new(), troubles: Vec::new(), ..report.clone() }
    }

    /// Steps and troubles since the last call.
    pub fn news(&self) -> (Vec<Transition>, Vec<String>) {
        let mut report = lock(&self.shared.report);
        (std::mem::take(&mut report.steps), std::mem::take(&mut report.troubles))
    }

    /// Ends the thread. The router keeps what it holds.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Work {
    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn rest(&self, time: Ns) {
        let time = u64::try_from(time.clamp(0, SLEEP)).unwrap_or(0);
        self.shared.bell.wait(Duration::from_nanos(time));
    }

    fn run(&self) {
        let mut wait = REOPEN.0;
        while !self.stopped() {
            let device = open(&self.name, &self.settings, &self.shared.stop);
            match device {
                Ok(device) => {
                    wait = REOPEN.0;
                    self.keep(device);
                }
                Err(said) => {
                    lock(&self.shared.report).trouble(Some(format!("{}: {said}", self.name)));
                    self.home.ring();
                }
            }
            if !self.stopped() {
                // A wish that comes meanwhile does not hurry it.
                let until = self.clock.now().saturating_add(wait);
                while self.clock.now() < until && !self.stopped() {
                    self.rest(until.saturating_sub(self.clock.now()));
                }
                wait = wait.saturating_mul(2).min(REOPEN.1);
            }
        }
    }

    fn keep(&self, device: Box<dyn Device>) {
        match &self.journal {
            Some(journal) if !self.dry => {
                self.keep_to(Guard::new(device, journal.clone(), self.crash.clone()));
            }
            _ => self.keep_to(Dry::new(device)),
        }
    }

    /// Until it is to stop, or the session with the router is of no use any more.
    fn keep_to(&self, mut device: impl Device) {
        let mut capabilities = device.capabilities();
        capabilities.limit = capabilities.limit.min(self.settings.limit.unwrap_or(usize::MAX));
        let mut keeper = Keeper::new(self.bounds, capabilities);
        let every = ((self.settings.read_every_s * SECOND as f64) as Ns).max(SECOND / 100);
        let mut read_at = Ns::MIN;
        let mut unread_since: Option<Ns> = None;
        while !self.stopped() {
            let wish = lock(&self.shared.wish).clone();
            let Some(wish) = wish else {
                self.rest(SLEEP);
                continue;
            };
            let mut said = Vec::new();
            if wish.generation != keeper.generation() {
                said = keeper.take(&wish, self.clock.now());
            }
            let mut trouble = None;
            for _ in 0..TURNS {
                let at = self.clock.now();
                let whole = at >= read_at;
                let outcome = match whole {
                    true => round(&mut keeper.controller, &mut device, at),
                    false => quick(&mut keeper.controller, &mut device, at),
                };
                if whole {
                    read_at = at.saturating_add(every);
                }
                match outcome {
                    Ok(Outcome::Changed { .. }) => self.tell(&mut keeper, &said, None),
                    Ok(Outcome::Quiet | Outcome::Due(_)) => break,
                    Err(error) => {
                        trouble = Some(error.to_string());
                        break;
                    }
                }
            }
            self.tell(&mut keeper, &said, trouble.clone());
            // A session that broke does not mend by itself.
            match (&trouble, unread_since) {
                (None, _) => unread_since = None,
                (Some(_), None) => unread_since = Some(self.clock.now()),
                (Some(_), Some(since)) if self.clock.now().saturating_sub(since) > REOPEN.1 => {
                    return;
                }
                (Some(_), Some(_)) => {}
            }
            let due = keeper.controller.next_due().into_iter().chain([read_at]).min();
            // Never busier than this, whatever is said to be due.
            let least = SECOND / 200;
            self.rest(due.unwrap_or(read_at).saturating_sub(self.clock.now()).max(least));
        }
    }

    fn tell(&self, keeper: &mut Keeper, said: &[String], trouble: Option<String>) {
        let seen = keeper.seen();
        let controller = &mut keeper.controller;
        let steps = controller.take_transitions();
        let mut report = lock(&self.shared.report);
        if !steps.is_empty() || report.seen.generation != seen.generation {
            report.states = Arc::new(controller.states().collect());
        }
        let news = report.seen != seen || !steps.is_empty() || report.trouble != trouble;
        report.seen = seen;
        report.settled = controller.settled();
        report.counters = controller.counters();
        report.odd = (controller.foreign().total, controller.amiss().total);
        report.step(steps);
        said.iter().for_each(|text| report.trouble(Some(text.clone())));
        report.trouble(trouble);
        drop(report);
        if news || !said.is_empty() {
            self.home.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::STEP;
    use crate::record::testing::net;
    use std::sync::mpsc;
    use telesteer_redirect::memory::Memory;
    use telesteer_redirect::path::Target;
    use telesteer_redirect::{
        Capabilities, Change, Commit, DeviceError, PathName, Paths, ReadBack, Rule,
    };

    /// Tells of each reading. As soon as one shows something, the clock is set back by a day.
    struct Setting(Memory, mpsc::Sender<ReadBack>);

    impl Device for Setting {
        fn name(&self) -> &str {
            self.0.name()
        }

        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }

        fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
            let back = self.0.read_back(paths, now)?;
            if self.1.send(back.clone()).is_ok() && !back.rules.is_empty() {
                STEP.set(-86_400 * SECOND);
                // And somebody takes it away.
                self.0.rules.clear();
            }
            Ok(back)
        }

        fn apply(
            &mut self,
            paths: &Paths,
            change: &Change,
            now: Ns,
        ) -> Result<Commit, DeviceError> {
            self.0.apply(paths, change, now)
        }
    }

    #[test]
    fn a_clock_that_is_set_back_holds_up_nothing() {
        let (told, readings) = mpsc::channel();
        let text = "device = \"file\"\nfile = \"none\"\nread-every-s = 0.05\n";
        let shared = Arc::new(Shared::default());
        let work = Work {
            name: "r1".into(),
            settings: toml::from_str(text).unwrap(),
            bounds: telesteer_redirect::Settings::default(),
            dry: false,
            journal: None,
            crash: Crash::default(),
            home: Arc::default(),
            shared: shared.clone(),
            clock: Steady::begin(),
        };
        let path = PathName::new("a").unwrap();
        let rule = Rule { matching: net(1), path: path.clone() };
        *lock(&shared.wish) = Some(Arc::new(Wish {
            generation: 1,
            paths: [(path.clone(), (Target { mark: 1, table: 101 }, true))].into(),
            entries: [(net(1), path)].into(),
            live: [].into(),
        }));
        let thread = thread::spawn(move || work.keep_to(Setting(Memory::new("r1"), told)));
        // Seen to be gone, and installed again, and so on.
        let mut installed = 0;
        while installed < 5 {
            let back = readings.recv_timeout(Duration::from_secs(20)).unwrap();
            installed += usize::from(back.rules.contains(&rule));
        }
        shared.stop.store(true, Ordering::Relaxed);
        shared.bell.ring();
        thread.join().unwrap();
    }
}
