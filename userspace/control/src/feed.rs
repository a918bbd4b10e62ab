// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What comes from whoever looks for alpha flows: events, within a bound. Who is too fast waits.

use crate::bell::Bell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use telesteer_fam::Ns;
use telesteer_online::{Event, Gate};

/// Events that may wait.
pub const WAITING: usize = 4096;

/// Something heard.
#[derive(Clone, Debug)]
pub enum Heard {
    /// From a detector.
    Event(Event),
    /// Its input has ended, or broke off, and why. It may be tried again.
    Ended(String),
    /// What broke off is read again.
    Again,
}

/// A counter of who looks for alpha flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Its name in the metrics, without their prefix.
    pub name: &'static str,
    /// So many since the loop began.
    pub count: u64,
    /// What it counts, in words.
    pub meaning: &'static str,
}

#[derive(Debug, Default)]
struct Shared {
    bell: Arc<Bell>,
    gate: Mutex<Option<Arc<Gate>>>,
    reports: AtomicU64,
    last: AtomicI64,
    tallies: Mutex<Vec<Tally>>,
}

/// The loop's end.
#[derive(Debug)]
pub struct Feed {
    events: Receiver<Heard>,
    shared: Arc<Shared>,
}

/// The detector's end.
#[derive(Clone, Debug)]
pub struct Speaker {
    events: SyncSender<Heard>,
    shared: Arc<Shared>,
}

/// Both ends; what is said rings the bell.
pub fn feed(bell: Arc<Bell>) -> (Speaker, Feed) {
    let (send, receive) = sync_channel(WAITING);
    let shared = Arc::new(Shared { bell, ..Shared::default() });
    (Speaker { events: send, shared: shared.clone() }, Feed { events: receive, shared })
}

impl Speaker {
    /// Says something. False if the loop has ended.
    pub fn say(&self, heard: Heard) -> bool {
        let taken = self.events.send(heard).is_ok();
        self.shared.bell.ring();
        taken
    }

    /// Reports came, the last of them now.
    pub fn read(&self, reports: u64, now: Ns) {
        self.shared.reports.fetch_add(reports, Ordering::Relaxed);
        self.shared.last.fetch_max(now, Ordering::Relaxed);
    }

    /// What fell off before it could be said, all of it, in place of what was told before.
    pub fn count(&self, tallies: Vec<Tally>) {
        *self.shared.tallies.lock().unwrap_or_else(PoisonError::into_inner) = tallies;
    }

    /// The offline table, if there is another since the last call.
    pub fn gate(&self) -> Option<Arc<Gate>> {
        self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Feed {
    /// What is heard next, if anything is.
    pub fn next(&self) -> Result<Option<Heard>, Gone> {
        match self.events.try_recv() {
            Ok(heard) => Ok(Some(heard)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Gone),
        }
    }

    /// Flows of this table are looked for from now on.
    pub fn set_gate(&self, gate: Gate) {
        *self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(gate));
    }

    /// Reports so far, and when the last came.
    pub fn reports(&self) -> (u64, Option<Ns>) {
        let last = self.shared.last.load(Ordering::Relaxed);
        (self.shared.reports.load(Ordering::Relaxed), (last > 0).then_some(last))
    }

    /// What fell off, as the detector's end told it last.
    pub fn tallies(&self) -> Vec<Tally> {
        self.shared.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Nobody speaks any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_in_order() {
        let (speaker, feed) = feed(Arc::default());
        assert!(matches!(feed.next(), Ok(None)));
        for text in ["a", "b"] {
            assert!(speaker.say(Heard::Ended(text.into())));
        }
        let heard = || match feed.next() {
            Ok(Some(Heard::Ended(text))) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!((heard(), heard()), ("a".into(), "b".into()));
        speaker.read(3, 7);
        speaker.read(1, 5);
        assert_eq!(feed.reports(), (4, Some(7)));
        feed.set_gate(Gate::default());
        assert!(speaker.gate().is_some() && speaker.gate().is_none());
        let tally = Tally { name: "reports_late", count: 2, meaning: "late reports" };
        speaker.count(vec![tally]);
        drop(speaker);
        assert_eq!(feed.next().unwrap_err(), Gone);
        // What was counted outlives who counted.
        assert_eq!((feed.reports(), feed.tallies()), ((4, Some(7)), vec![tally]));
    }
}
