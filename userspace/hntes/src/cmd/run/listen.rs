// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Looks for alpha flows beside the loop: a thread that reads, and says what its detector says.

use crate::input::Assume;
use crate::online::source::{Item, Kind, Source};
use anyhow::{Context, Result};
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
use telesteer_online::{Detector, Event};

/// Silence after which time goes on by our own clock.
const WAIT: Duration = Duration::from_millis(100);
/// Input that was told to end may take so long.
const ENDS: Duration = Duration::from_secs(2);
/// Most reports held back.
const HELD: usize = 1 << 20;

/// The thread.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    /// Waits for its end, which comes once the loop has ended and it was told to.
    pub(super) fn end(self) {
        let _ = self.0.join();
    }
}

struct Listening {
    source: Source,
    gated: bool,
    detector: Detector,
    hold: Hold,
    speaker: Speaker,
    stop: Arc<AtomicBool>,
    events: Vec<Event>,
    /// The clock of reports as the last one came, and when that was.
    heard: Option<(Ns, Instant)>,
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
    let kind = match of.source {
        Of::Records => Kind::Records(assume),
        Of::Packets | Of::Mirror => Kind::Packets,
    };
    let source = match (&of.interface, &of.path) {
        (Some(interface), _) if of.source == Of::Mirror => {
            Source::interface(interface, Arc::clone(&stop))?
        }
        (_, Some(path)) => Source::open(path, kind, of.follow, Arc::clone(&stop))?,
        _ => anyhow::bail!("collector: neither a path nor an interface"),
    };
    let gate = speaker.gate().filter(|_| gated).map(|gate| (*gate).clone());
    let detector = Detector::new(of.setting(), gate).context("collector")?;
    let (by, jump) = of.hold_and_jump();
    let hold = Hold::new(by, HELD, Clock::new(jump));
    let (events, heard) = (Vec::new(), None);
    let mut listening = Listening { source, gated, detector, hold, speaker, stop, events, heard };
    Ok(Listener(thread::spawn(move || listening.listen())))
}

impl Listening {
    fn listen(&mut self) {
        let mut stopped: Option<Instant> = None;
        loop {
            if let Some(gate) = self.speaker.gate().filter(|_| self.gated) {
                self.detector.set_gate(Some((*gate).clone()));
            }
            let over = match self.source.items.recv_timeout(WAIT) {
                Ok(item) => self.take(item),
                Err(RecvTimeoutError::Timeout) => {
                    self.quiet();
                    None
                }
                Err(RecvTimeoutError::Disconnected) => {
                    Some(format!("{}: its reader died", self.source.name))
                }
            };
            if let Some(why) = over {
                self.finish(why);
                return;
            }
            if !self.say() {
                return;
            }
            if self.stop.load(Ordering::Relaxed) {
                self.source.close();
                if stopped.get_or_insert_with(Instant::now).elapsed() > ENDS {
                    return;
                }
            }
        }
    }

    /// Takes what was read; why it was the last, if it was.
    fn take(&mut self, item: Item) -> Option<String> {
        match item {
            Item::Report(report) => {
                self.speaker.read(1, now());
                let Self { detector, hold, events, .. } = self;
                hold.push(report, |report, now| detector.observe(report, now, events));
                if self.source.is_live() {
                    self.heard = self.hold.clock.now().map(|at| (at, Instant::now()));
                }
                None
            }
            Item::LeftOut(_) | Item::Metered(..) => None,
            Item::End(Ok(report)) => {
                let failed = report.failed.or_else(|| self.source.broke_off());
                let why = failed.unwrap_or_else(|| "its end".to_owned());
                Some(format!("{}: {why}", self.source.name))
            }
            Item::End(Err(error)) => Some(format!("{}: {error:#}", self.source.name)),
        }
    }

    /// Nothing has come: the time of reports goes on as ours does.
    fn quiet(&mut self) {
        let Some((at, since)) = self.heard else { return };
        let passed = Ns::try_from(since.elapsed().as_nanos()).unwrap_or(Ns::MAX);
        let now = at.saturating_add(passed);
        let Self { detector, hold, events, .. } = self;
        let until = hold.tick(now, |report, now| detector.observe(report, now, events));
        detector.tick(until, events);
    }

    /// Says what there is to say. False if nobody hears it any more.
    fn say(&mut self) -> bool {
        let mut events = self.events.drain(..);
        events.all(|event| self.speaker.say(Heard::Event(event)))
    }

    fn finish(&mut self, why: String) {
        let Self { detector, hold, events, .. } = self;
        hold.finish(|report, now| detector.observe(report, now, events));
        detector.finish(events);
        if self.say() && !self.stop.load(Ordering::Relaxed) {
            self.speaker.say(Heard::Ended(why));
        }
    }
}
