// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Looks for alpha flows beside the loop: a thread that reads, and says what its detector says. Input
//! that breaks off is opened again: nobody looks after a loop at night.

use super::tallies::Tallies;
use crate::input::Assume;
use crate::online::source::{Item, Kind, STDIN, Source};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use telesteer_control::clock::now;
use telesteer_control::feed::{Heard, Speaker};
use telesteer_control::settings::{Collector, Source as Of};
use telesteer_fam::Ns;
use telesteer_online::clock::Clock;
use telesteer_online::hold::Hold;
use telesteer_online::{Detector, Event, Gate};

/// Silence after which time goes on by our own clock.
const WAIT: Duration = Duration::from_millis(100);
/// Input that was told to end may take so long.
const ENDS: Duration = Duration::from_secs(2);
/// Most reports held back.
const HELD: usize = 1 << 20;
/// Waits before input that broke off is opened again: doubled, up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Input that lives for so long after it was opened again is well.
const WELL: Duration = Duration::from_secs(3);

/// The thread.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    /// Waits for its end, which comes once the loop has ended and it was told to.
    pub(super) fn end(self) {
        let _ = self.0.join();
    }
}

/// An input that is open, and a detector of its own: what was half read before it broke off would be
/// counted twice by one that goes on.
struct Open {
    source: Source,
    /// Ends the source alone.
    over: Arc<AtomicBool>,
    detector: Detector,
    hold: Hold,
    /// The clock of reports as the last one came, and when that was.
    heard: Option<(Ns, Instant)>,
}

struct Listening {
    of: Collector,
    assume: Assume,
    open: Open,
    gated: bool,
    gate: Option<Arc<Gate>>,
    speaker: Speaker,
    stop: Arc<AtomicBool>,
    events: Vec<Event>,
    tallies: Tallies,
    /// When it was opened again, until it is known to be well.
    again: Option<Instant>,
}

/// Begins to read.
///
/// # Errors
///
/// If there is nothing to read.
pub(super) fn start(
    of: Collector,
    assume: Assume,
    gated: bool,
    speaker: Speaker,
    stop: Arc<AtomicBool>,
) -> Result<Listener> {
    let gate = speaker.gate().filter(|_| gated);
    let open = open(&of, &assume, gate.as_deref())?;
    let (events, tallies, again) = (Vec::new(), Tallies::default(), None);
    let mut listening =
        Listening { of, assume, open, gated, gate, speaker, stop, events, tallies, again };
    listening.count();
    Ok(Listener(thread::spawn(move || listening.listen())))
}

fn open(of: &Collector, assume: &Assume, gate: Option<&Gate>) -> Result<Open> {
    let kind = match of.source {
        Of::Records => Kind::Records(assume.clone()),
        Of::Packets | Of::Mirror => Kind::Packets,
    };
    let over = Arc::new(AtomicBool::new(false));
    let source = match (&of.interface, &of.path) {
        (Some(interface), _) if of.source == Of::Mirror => {
            Source::interface(interface, Arc::clone(&over))?
        }
        (_, Some(path)) => Source::open(path, kind, of.follow, Arc::clone(&over))?,
        _ => anyhow::bail!("collector: neither a path nor an interface"),
    };
    let detector = Detector::new(of.setting(), gate.cloned()).context("collector")?;
    let (by, jump) = of.hold_and_jump();
    let hold = Hold::new(by, HELD, Clock::new(jump));
    Ok(Open { source, over, detector, hold, heard: None })
}

impl Drop for Open {
    fn drop(&mut self) {
        // What follows a file would go on to look at it.
        self.over.store(true, Ordering::Relaxed);
        self.source.close();
    }
}

impl Listening {
    fn listen(&mut self) {
        while let Some(why) = self.listen_once() {
            self.finish(why);
            if !self.is_endless() || !self.open_again() {
                return;
            }
        }
    }

    /// Whether it is input that has no end, so that there is one only if something is wrong.
    fn is_endless(&self) -> bool {
        match self.of.source {
            Of::Mirror => true,
            Of::Records | Of::Packets => {
                self.of.follow && self.of.path.as_deref() != Some(Path::new(STDIN))
            }
        }
    }

    /// Until the input ends: why. Nothing if it was told to stop, or nobody hears it any more.
    fn listen_once(&mut self) -> Option<String> {
        let mut stopped: Option<Instant> = None;
        loop {
            if let Some(gate) = self.speaker.gate().filter(|_| self.gated) {
                self.open.detector.set_gate(Some((*gate).clone()));
                self.gate = Some(gate);
            }
            let over = match self.open.source.items.recv_timeout(WAIT) {
                Ok(item) => self.take(item),
                Err(RecvTimeoutError::Timeout) => {
                    self.quiet();
                    None
                }
                Err(RecvTimeoutError::Disconnected) => {
                    Some(format!("{}: its reader died", self.open.source.name))
                }
            };
            if over.is_some() {
                return over;
            }
            if !self.say() {
                return None;
            }
            if self.tallies.are_due() {
                self.count();
            }
            if self.again.is_some_and(|at| at.elapsed() > WELL) {
                self.again = None;
                if !self.speaker.say(Heard::Again) {
                    return None;
                }
            }
            if self.stop.load(Ordering::Relaxed) {
                self.open.over.store(true, Ordering::Relaxed);
                self.open.source.close();
                if stopped.get_or_insert_with(Instant::now).elapsed() > ENDS {
                    return None;
                }
            }
        }
    }

    /// Takes what was read; why it was the last, if it was.
    fn take(&mut self, item: Item) -> Option<String> {
        match item {
            Item::Report(report) => {
                self.speaker.read(1, now());
                let Self { open: Open { source, detector, hold, heard, .. }, events, .. } = self;
                hold.push(report, |report, now| detector.observe(report, now, events));
                if source.is_live() {
                    *heard = hold.clock.now().map(|at| (at, Instant::now()));
                }
                None
            }
            Item::LeftOut(fault) => {
                self.tallies.leave_out(fault);
                None
            }
            // No source of the loop has any.
            Item::Metered(..) => None,
            Item::End(outcome) => {
                let name = &self.open.source.name;
                Some(match outcome {
                    Ok(report) => {
                        let failed = report.failed.or_else(|| self.open.source.broke_off());
                        format!("{name}: {}", failed.unwrap_or_else(|| "its end".to_owned()))
                    }
                    Err(error) => format!("{name}: {error:#}"),
                })
            }
        }
    }

    /// Nothing has come: the time of reports goes on as ours does.
    fn quiet(&mut self) {
        let Some((at, since)) = self.open.heard else { return };
        let passed = Ns::try_from(since.elapsed().as_nanos()).unwrap_or(Ns::MAX);
        let now = at.saturating_add(passed);
        let Self { open: Open { detector, hold, .. }, events, .. } = self;
        let until = hold.tick(now, |report, now| detector.observe(report, now, events));
        detector.tick(until, events);
    }

    /// Says what there is to say. False if nobody hears it any more.
    fn say(&mut self) -> bool {
        let mut events = self.events.drain(..);
        events.all(|event| self.speaker.say(Heard::Event(event)))
    }

    /// Tells what fell off.
    fn count(&mut self) {
        let Open { source, detector, hold, .. } = &self.open;
        let told = self.tallies.all(detector, hold, &source.odd);
        self.speaker.count(told);
    }

    fn finish(&mut self, why: String) {
        let Self { open: Open { detector, hold, .. }, events, .. } = self;
        hold.finish(|report, now| detector.observe(report, now, events));
        detector.finish(events);
        if self.say() && !self.stop.load(Ordering::Relaxed) {
            self.tallies.broke_off(self.is_endless());
            self.speaker.say(Heard::Ended(why));
        }
        self.count();
    }

    /// Opens it again, however long that takes. False if it was told to stop.
    fn open_again(&mut self) -> bool {
        let mut wait = match self.again {
            // It broke off before it was well: not again at once.
            Some(_) => AGAIN.1,
            None => AGAIN.0,
        };
        loop {
            let since = Instant::now();
            while since.elapsed() < wait {
                if self.stop.load(Ordering::Relaxed) {
                    return false;
                }
                thread::sleep(WAIT);
            }
            wait = (wait * 2).min(AGAIN.1);
            if let Some(gate) = self.speaker.gate().filter(|_| self.gated) {
                self.gate = Some(gate);
            }
            match open(&self.of, &self.assume, self.gate.as_deref()) {
                Ok(open) => {
                    let Open { source, detector, hold, .. } = &self.open;
                    self.tallies.keep(detector, hold, &source.odd);
                    self.open = open;
                    self.again = Some(Instant::now());
                    return true;
                }
                Err(error) => {
                    let why = format!("{}: {error:#}", self.open.source.name);
                    if !self.speaker.say(Heard::Ended(why)) {
                        return false;
                    }
                }
            }
        }
    }
}
