// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All circuits that are wanted and all there are: decides what to ask the provider next.
//!
//! A circuit is wanted *offline* (its pair is in FAM's LSP set: no end) or *online* (alpha flows live
//! on it: an end, moved on while they live). Wants of one pair and rate share a circuit, unless it is
//! reserved for one of them. Whoever steers packets asks [`Book::usable`] and says with
//! [`Book::steer`] whether packets are sent into it: a circuit is not taken down under them before a
//! last wait is over.

mod entry;
mod turn;

pub use entry::{Entry, Key};

use crate::circuits::Id;
use crate::life::{Call, Event, State, Step};
pub use crate::manner::Manner;
use crate::request::{BadName, Name, Pair, Rate, Request};
use crate::time::At;
use crate::word::Word;
pub(crate) use entry::serves;
use entry::{Want, postpone};
use std::collections::{BTreeMap, BTreeSet};

/// A call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Of this circuit.
    pub request: Request,
    /// What the provider calls it; `None` before it is reserved.
    pub id: Option<Id>,
    /// This call.
    pub call: Call,
    /// Its new end, for [`Call::Extend`].
    pub until: Option<At>,
}

/// What fell off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Wants not taken, circuits being enough.
    pub circuits: u64,
    /// Flows not counted, flows being enough.
    pub flows: u64,
    /// Wants given up after the last attempt.
    pub given_up: u64,
    /// Circuits that could not be given back.
    pub stuck: u64,
    /// Circuits taken down with packets still steered into them.
    pub under_traffic: u64,
    /// Steps nobody fetched in time.
    pub steps: u64,
}

/// All circuits.
#[derive(Clone, Debug)]
pub struct Book {
    pub(crate) manner: Manner,
    pub(crate) owner: Option<Word>,
    pub(crate) wants: BTreeMap<Key, Want>,
    pub(crate) entries: BTreeMap<Name, Entry>,
    lost: Lost,
    steps: Vec<(Name, Step)>,
}

/// Most steps kept for who asks.
const STEPS: usize = 4096;

impl Book {
    /// None.
    pub fn new(manner: Manner) -> Self {
        Self {
            manner,
            owner: None,
            wants: BTreeMap::new(),
            entries: BTreeMap::new(),
            lost: Lost::default(),
            steps: Vec::new(),
        }
    }

    /// The same, of an owner: its word is in the names of circuits, and those without it are foreign.
    #[must_use]
    pub fn owned(self, owner: Option<Word>) -> Self {
        Self { owner, ..self }
    }

    /// The whole set of pairs wanted offline, rate-unlimited: FAM's LSPs. Pairs that were in it and
    /// are not any more lose that want.
    pub fn offline(&mut self, pairs: &BTreeSet<Pair>) -> Result<(), BadName> {
        for pair in pairs {
            Name::of(pair, At(0))?;
        }
        let pairs: BTreeSet<Pair> = pairs.iter().map(Pair::canonical).collect();
        for (key, want) in &mut self.wants {
            want.offline = want.offline && pairs.contains(&key.pair);
        }
        for pair in pairs {
            let attempts = self.manner.attempts;
            if let Some(want) = self.want(Key::shared(pair, Rate::Unlimited)) {
                want.offline = true;
                if want.failures >= attempts {
                    (want.failures, want.not_before) = (0, None);
                }
            }
        }
        Ok(())
    }

    /// An alpha flow lives, and wants a circuit.
    pub fn flow(&mut self, key: Key, flow: u64) -> Result<(), BadName> {
        Name::of(&key.pair, At(0))?;
        let Manner { flows, attempts, .. } = self.manner;
        let Some(want) = self.want(key.canonical()) else { return Ok(()) };
        want.idle_since = None;
        let full = want.flows.len() >= flows && !want.flows.contains(&flow);
        // A new flow is worth one more attempt.
        if !full && want.flows.insert(flow) && want.failures >= attempts {
            want.failures = attempts.saturating_sub(1);
        }
        self.lost.flows += u64::from(full);
        Ok(())
    }

    /// That flow is over.
    pub fn flow_over(&mut self, key: &Key, flow: u64, now: At) {
        if let Some(want) = self.wants.get_mut(&key.canonical())
            && want.flows.remove(&flow)
            && want.flows.is_empty()
        {
            want.idle_since = Some(now);
        }
    }

    /// Whether a flow more would be counted there, of so many that live.
    pub fn lacks(&self, key: &Key, flows: usize) -> bool {
        let want = self.wants.get(&key.canonical());
        want.is_some_and(|want| want.flows.len() < flows.min(self.manner.flows))
    }

    fn want(&mut self, key: Key) -> Option<&mut Want> {
        if self.wants.len() >= self.manner.circuits && !self.wants.contains_key(&key) {
            self.lost.circuits += 1;
            return None;
        }
        Some(self.wants.entry(key).or_default())
    }

    /// A circuit that packets may be steered into: up, and not about to go. Of two the newer one.
    pub fn usable(&self, key: &Key) -> Option<&Entry> {
        let key = key.canonical();
        let usable = |entry: &&Entry| {
            serves(entry, &key) && entry.life.state() == State::Up && !entry.is_leaving()
        };
        self.entries.values().filter(usable).max_by_key(|entry| entry.request.name.at())
    }

    /// It serves its key, and will for a while: no other one is needed beside it.
    pub(crate) fn suffices(&self, entry: &Entry, now: At) -> bool {
        let ends = || {
            let replaced = entry.unextended && entry.ends_within(self.manner.replace_ms(), now);
            replaced || entry.ends_within(self.manner.margin_ms(), now)
        };
        !entry.is_leaving() && !ends()
    }

    /// Packets are steered into it from now on, or no more.
    pub fn steer(&mut self, name: &Name, steered: bool) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.steered = steered;
        }
    }

    /// All circuits.
    pub fn entries(&self) -> &BTreeMap<Name, Entry> {
        &self.entries
    }

    /// What changed since the last call, by whatever was heard or not heard in time.
    pub fn steps(&mut self) -> Vec<(Name, Step)> {
        std::mem::take(&mut self.steps)
    }

    /// What fell off.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// Something was heard of a circuit. Returns what changed.
    pub fn hear(&mut self, name: &Name, event: Event, now: At) -> Vec<Step> {
        let manner = self.manner;
        let Some(entry) = self.entries.get_mut(name) else { return Vec::new() };
        let asked = entry.life.pending();
        let refused = matches!(event, Event::Refused(_));
        if matches!(event, Event::Extended(_)) && asked == Some(Call::Extend) {
            (entry.unextended, entry.not_before) = (false, None);
        }
        let steps = entry.life.hear(event, now);
        if refused && asked == Some(Call::Terminate) {
            postpone(&mut entry.failures, &mut entry.not_before, now, &manner);
            self.lost.stuck += u64::from(entry.failures == manner.attempts);
        }
        self.after(name, &steps, now);
        steps
    }

    /// The provider has given it this name.
    pub fn identify(&mut self, name: &Name, id: Id, now: At) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.id = Some(id);
            entry.since.get_or_insert(now);
        }
    }

    /// The name of the circuit that the provider calls so.
    pub fn name_of(&self, id: &Id) -> Option<Name> {
        let named =
            |(name, entry): (&Name, &Entry)| (entry.id.as_ref() == Some(id)).then(|| name.clone());
        self.entries.iter().find_map(named)
    }

    fn after(&mut self, name: &Name, steps: &[Step], now: At) {
        let manner = self.manner;
        let Some(entry) = self.entries.get(name) else { return };
        let key = entry.key();
        let mut others = self.entries.iter().filter(|(other, _)| *other != name);
        let used = others.any(|(_, other)| {
            serves(other, &key) && other.life.state() == State::Up && !other.is_leaving()
        });
        for step in steps {
            if self.steps.len() < STEPS {
                self.steps.push((name.clone(), *step));
            } else {
                self.lost.steps += 1;
            }
            match step.to {
                State::Failed => {
                    let Some(want) = self.wants.get_mut(&key) else { continue };
                    if used {
                        // Another one is still there, and may be what it is refused for.
                        want.not_before = Some(now.plus(manner.retry_ms));
                    } else {
                        postpone(&mut want.failures, &mut want.not_before, now, &manner);
                        if want.failures == manner.attempts {
                            self.lost.given_up += 1;
                        }
                    }
                }
                State::Up => {
                    if let Some(want) = self.wants.get_mut(&key) {
                        (want.failures, want.not_before) = (0, None);
                    }
                }
                _ => {}
            }
        }
        let entry = self.entries.get(name);
        if entry.is_some_and(|entry| {
            entry.life.state() == State::Down
                || (entry.life.state() == State::Failed && !entry.life.owes())
        }) {
            self.entries.remove(name);
        }
    }

    /// What was given up after its last attempt is tried again: circuits that could not be given back,
    /// and those wanted that did not come up.
    pub fn retry_stuck(&mut self) {
        let attempts = self.manner.attempts;
        let entries = self.entries.values_mut().map(|one| (&mut one.failures, &mut one.not_before));
        let wants = self.wants.values_mut().map(|one| (&mut one.failures, &mut one.not_before));
        for (failures, not_before) in entries.chain(wants) {
            if *failures >= attempts {
                (*failures, *not_before) = (0, None);
            }
        }
    }

    /// Names of circuits that could not be given back.
    pub fn stuck(&self) -> Vec<&Name> {
        let stuck =
            |entry: &Entry| entry.leaving.is_some() && entry.failures >= self.manner.attempts;
        self.entries.iter().filter(|(_, entry)| stuck(entry)).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
