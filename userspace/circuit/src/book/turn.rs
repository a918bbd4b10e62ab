// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What time does to circuits, and the calls that are due.

use super::entry::postpone;
use super::{Action, Book, Entry, Key, serves};
use crate::life::{Call, Life, State};
use crate::request::{Name, Request};
use crate::time::{At, Span};
use std::collections::BTreeMap;

impl Book {
    /// The calls to make now. Each is noted as made.
    pub fn actions(&mut self, now: At) -> Vec<Action> {
        let mut actions = Vec::new();
        self.pass(now);
        self.open(now);
        let names: Vec<Name> = self.entries.keys().cloned().collect();
        for name in names {
            let Some((call, until)) = self.next_call(&name, now) else { continue };
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            if entry.life.ask(call, now).is_ok() {
                let (request, id) = (entry.request.clone(), entry.id.clone());
                actions.push(Action { request, id, call, until });
            }
        }
        actions
    }

    /// When the newest circuit of each key was asked for that is up and suffices: it may have come up in
    /// place of another one.
    fn newest(&self, now: At) -> BTreeMap<Key, At> {
        let mut newest = BTreeMap::new();
        for entry in self.entries.values() {
            if entry.life.state() == State::Up && self.suffices(entry, now) {
                let at = entry.request.name.at();
                let known = newest.entry(entry.key()).or_insert(at);
                *known = at.max(*known);
            }
        }
        newest
    }

    /// Lets time pass, and marks what nobody wants.
    fn pass(&mut self, now: At) {
        let manner = self.manner;
        let names: Vec<Name> = self.entries.keys().cloned().collect();
        let newest = self.newest(now);
        for name in &names {
            let Some(entry) = self.entries.get_mut(name) else { continue };
            let asked = entry.life.pending();
            let steps = entry.life.tick(now);
            if asked == Some(Call::Terminate) && entry.life.pending().is_none() {
                postpone(&mut entry.failures, &mut entry.not_before, now, &manner);
                self.lost.stuck += u64::from(entry.failures == manner.attempts);
            }
            let key = entry.key();
            let wanted = self.wants.get(&key).is_some_and(|want| want.wanted(now, &manner));
            // Packets need time to be steered away while there is still something under them.
            let over = entry.ends_within(manner.margin_ms(), now)
                || newest.get(&key).is_some_and(|at| entry.request.name.at() < *at);
            if entry.leaving.is_none() && (!wanted || over || entry.life.state() == State::Failed) {
                // An extension's next attempt is nothing to wait for any more.
                (entry.leaving, entry.not_before) = (Some(now), None);
            }
            self.after(name, &steps, now);
        }
        self.wants.retain(|_, want| want.wanted(now, &manner));
    }

    /// Begins a circuit for each want that has none.
    fn open(&mut self, now: At) {
        let manner = self.manner;
        for (key, want) in &self.wants {
            let served =
                self.entries.values().any(|entry| serves(entry, key) && self.suffices(entry, now));
            let early = want.not_before.is_some_and(|at| now < at);
            // One that only lingers is for nobody: when it is left, none comes after it.
            let live = want.offline || !want.flows.is_empty();
            if served || early || !live || want.failures >= manner.attempts {
                continue;
            }
            if self.entries.len() >= manner.circuits.saturating_mul(2) {
                self.lost.circuits += 1;
                continue;
            }
            let until = (!want.offline).then(|| now.plus(manner.lease_ms));
            let span = Span { from: now, until };
            let (owner, service) = (self.owner.as_ref(), key.service.as_ref());
            let Ok(name) = Name::made(&key.pair, now, owner, service) else { continue };
            if self.entries.contains_key(&name) {
                continue;
            }
            let (best, off_ip_path) = (manner.best, manner.off_ip_path);
            let request =
                Request { name: name.clone(), rate: key.rate, span, best, off_ip_path, both: true };
            self.entries.insert(name, Entry::new(request, Life::new(span, manner.waits)));
        }
    }

    fn next_call(&mut self, name: &Name, now: At) -> Option<(Call, Option<At>)> {
        let manner = self.manner;
        let entry = self.entries.get_mut(name)?;
        let state = entry.life.state();
        if entry.life.pending().is_some() {
            return None;
        }
        if let Some(since) = entry.leaving {
            if entry.not_before.is_some_and(|at| now < at) || entry.failures >= manner.attempts {
                return None;
            }
            if !entry.life.owes() {
                self.entries.remove(name);
                return None;
            }
            if entry.steered && state != State::Failed {
                if now < since.plus(manner.withdraw_ms) {
                    return None;
                }
                entry.steered = false;
                self.lost.under_traffic += 1;
            }
            // An orderly end: first no traffic, then no reservation. A refused release does not keep
            // it from being terminated.
            let call = match state {
                State::Provisioned | State::Up if !entry.released => {
                    entry.released = true;
                    Call::Release
                }
                _ => Call::Terminate,
            };
            return Some((call, None));
        }
        let key = entry.key();
        let want = self.wants.get(&key)?;
        match state {
            State::Requested if entry.life.owes() => None,
            State::Requested => Some((Call::Reserve, None)),
            State::Held => Some((Call::Commit, None)),
            State::Committed | State::Released => Some((Call::Provision, None)),
            State::Provisioned | State::Up => {
                let end = entry.life.span().until?;
                let near = end.since(now) < manner.lease_ms / 2;
                let early = entry.not_before.is_some_and(|at| now < at);
                let live = want.offline || !want.flows.is_empty();
                if early || !live || !(near || want.offline) {
                    return None;
                }
                (entry.unextended, entry.not_before) = (true, Some(now.plus(manner.retry_ms)));
                Some((Call::Extend, (!want.offline).then(|| now.plus(manner.lease_ms))))
            }
            State::Failed | State::Down => None,
        }
    }
}
