// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Brings a [`Book`] up to what a provider says it has: after a restart, and whenever an answer or a
//! notification may have been lost.

use crate::book::{Book, Entry, Key, serves};
use crate::circuits::{Id, Remote, Seen};
use crate::life::{Event, Life, State};
use crate::request::{Name, Request};
use crate::time::{At, Span};
use std::cmp::Reverse;
use std::collections::BTreeSet;

impl Book {
    /// What the provider has. Circuits of ours nobody here knows are taken up if they are wanted and
    /// given back if not, after [`Book::steer`] has said that no packets take them; what is known is
    /// brought up to what the provider says. Returns the ids of circuits that are not ours. The
    /// provider was asked at `asked`: what it named since then may be missing in what it told.
    pub fn reconcile(&mut self, remotes: &[Remote], asked: At, now: At) -> Vec<Id> {
        let mut foreign = Vec::new();
        let mut told = BTreeSet::new();
        // Of two of a kind one that is up is kept, and of such the one that lasts longest.
        let mut remotes: Vec<&Remote> = remotes.iter().collect();
        remotes.sort_by_key(|remote| {
            let lasts = remote.until.unwrap_or(At(u64::MAX));
            (remote.seen != Seen::Up, Reverse(lasts))
        });
        for remote in remotes {
            let ours = |name: &&Name| name.owner() == self.owner;
            let Some(name) = remote.name.as_ref().filter(ours) else {
                foreign.push(remote.id.clone());
                continue;
            };
            if remote.seen == Seen::Gone {
                continue;
            }
            told.insert(name.clone());
            if !self.entries.contains_key(name) {
                self.take_up(name, remote, now);
            }
            self.identify(name, remote.id.clone(), asked);
            let state = self.entries.get(name).map(|entry| entry.life.state());
            for event in events(remote.seen, state.map_or(0, far)) {
                self.hear(name, event, now);
            }
        }
        // What the provider had under an id it gave and has no more.
        let gone: Vec<Name> = self
            .entries
            .iter()
            .filter(|(name, entry)| {
                entry.since.is_some_and(|since| since < asked) && !told.contains(*name)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(entry) = self.entries.get(&name)
                && !entry.is_leaving()
            {
                self.hear(
                    &name,
                    Event::Ended("the provider does not know it any more".into()),
                    now,
                );
            }
            self.hear(&name, Event::Terminated, now);
        }
        foreign
    }

    fn take_up(&mut self, name: &Name, remote: &Remote, now: At) {
        let key = Key::of(name, remote.rate).canonical();
        let served =
            self.entries.values().any(|entry| serves(entry, &key) && self.suffices(entry, now));
        let wanted = self.wants.get(&key).is_some_and(|want| want.wanted(now, &self.manner));
        let span = Span { from: now, until: remote.until };
        let (best, off_ip_path) = (self.manner.best, self.manner.off_ip_path);
        let request =
            Request { name: name.clone(), rate: remote.rate, span, best, off_ip_path, both: true };
        let mut entry = Entry::new(request, Life::found(span, self.manner.waits, now));
        // Nobody has said yet that no packets are steered into it: routers are read later than this.
        entry.steered = true;
        // And nobody knows any more whether its end was to be moved and was not.
        entry.unextended = true;
        if served || !wanted {
            entry.leaving = Some(now);
        }
        self.entries.insert(name.clone(), entry);
    }
}

/// How many of the events of [`events`] have been heard in this state.
fn far(state: State) -> usize {
    match state {
        State::Requested | State::Failed | State::Down => 0,
        State::Held => 1,
        State::Committed | State::Released => 2,
        State::Provisioned => 3,
        State::Up => 4,
    }
}

/// What must have been heard of a circuit that is so far, beyond the first `known` events.
fn events(seen: Seen, known: usize) -> Vec<Event> {
    let all = [Event::Reserved(None), Event::Committed, Event::Provisioned, Event::Active];
    let far = match seen {
        Seen::Requested | Seen::Gone => 0,
        Seen::Held => 1,
        Seen::Committed => 2,
        Seen::Provisioned => 3,
        Seen::Up => 4,
        Seen::Failed => return vec![Event::Ended("the provider says it failed".into())],
    };
    if known > far && known == 4 {
        return vec![Event::Inactive];
    }
    all.into_iter().take(far).skip(known).collect()
}
