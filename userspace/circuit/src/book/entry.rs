// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wanted, and a circuit that there is or will be.

use crate::circuits::Id;
use crate::life::{Life, State};
use crate::manner::Manner;
use crate::request::{Name, Pair, Rate, Request};
use crate::time::At;
use crate::word::Word;
use std::collections::BTreeSet;

/// What a circuit is for. Circuits go both ways, so a pair and its reverse are one here. A rate that
/// somebody reserved is a circuit of its own: shared, it would be promised twice and be there once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its ends.
    pub pair: Pair,
    /// How much.
    pub rate: Rate,
    /// For whom alone; `None`: for all that ask for this pair and rate.
    pub service: Option<Word>,
}

impl Key {
    /// A circuit for all that ask for one of this pair and rate.
    pub fn shared(pair: Pair, rate: Rate) -> Self {
        Self { pair, rate, service: None }
    }

    /// What the circuit of a name and a rate is for.
    pub fn of(name: &Name, rate: Rate) -> Self {
        Self { pair: name.pair(), rate, service: name.service() }
    }

    pub(crate) fn canonical(&self) -> Self {
        Self { pair: self.pair.canonical(), ..self.clone() }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Want {
    pub(super) offline: bool,
    pub(super) flows: BTreeSet<u64>,
    /// Online circuits end when this is over.
    pub(super) idle_since: Option<At>,
    pub(super) failures: u32,
    pub(super) not_before: Option<At>,
}

impl Want {
    pub(crate) fn wanted(&self, now: At, manner: &Manner) -> bool {
        let lingers = |since: At| now < since.plus(manner.linger_ms);
        self.offline || !self.flows.is_empty() || self.idle_since.is_some_and(lingers)
    }
}

/// A circuit.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was asked for.
    pub request: Request,
    /// What the provider calls it, once known.
    pub id: Option<Id>,
    /// How far it is.
    pub life: Life,
    /// When it got its id.
    pub(crate) since: Option<At>,
    /// Packets are steered into it, as far as is known.
    pub(crate) steered: bool,
    /// Since when it is to go.
    pub(crate) leaving: Option<At>,
    /// Its end was not moved since that was asked for, or is to be.
    pub(crate) unextended: bool,
    /// The orderly end has begun.
    pub(super) released: bool,
    pub(super) failures: u32,
    pub(super) not_before: Option<At>,
}

impl Entry {
    pub(crate) fn new(request: Request, life: Life) -> Self {
        Self {
            request,
            life,
            id: None,
            since: None,
            steered: false,
            leaving: None,
            unextended: false,
            released: false,
            failures: 0,
            not_before: None,
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::of(&self.request.name, self.request.rate).canonical()
    }

    /// Whether its end comes in so many milliseconds.
    pub(crate) fn ends_within(&self, ms: u64, now: At) -> bool {
        self.life.span().until.is_some_and(|until| until <= now.plus(ms))
    }

    /// Whether it is to be given back.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some() || self.life.state() == State::Failed
    }
}

/// Whether a circuit is what a want asks for.
pub(crate) fn serves(entry: &Entry, key: &Key) -> bool {
    entry.key() == *key
}

/// Notes a failure, and when to try again: the wait doubles.
pub(super) fn postpone(failures: &mut u32, not_before: &mut Option<At>, now: At, manner: &Manner) {
    let wait = manner.retry_ms.saturating_mul(1 << (*failures).min(10));
    *failures = failures.saturating_add(1);
    *not_before = Some(now.plus(wait));
}
