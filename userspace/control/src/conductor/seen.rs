// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the conductor is shown, and what it shows.

use std::collections::{BTreeMap, BTreeSet};
use telesteer_circuit::book::Key;
use telesteer_circuit::circuits::Id;
use telesteer_circuit::life::State;
use telesteer_circuit::request::{Pair, Rate};
use telesteer_circuit::time::At;
use telesteer_circuit::word::Word;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::path::Target;
use telesteer_redirect::{Match, PathName};

/// A transfer that somebody announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Announced {
    /// What it will be.
    pub matching: Match,
    /// Where it comes in and leaves.
    pub pair: Pair,
    /// Its first instant.
    pub from: Ns,
    /// The first after it.
    pub until: Ns,
    /// Of which circuit.
    pub rate: Rate,
    /// That rate is for it alone.
    pub reserved: bool,
    /// By which ticket.
    pub ticket: String,
}

impl Announced {
    /// For whom alone its circuit is, if for anybody.
    pub(super) fn service(&self) -> Option<Word> {
        self.reserved.then(|| Word::new(&self.ticket).ok()).flatten()
    }
}

/// How packets get into one direction of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// At this router.
    pub router: String,
    /// To get to this one.
    pub toward: String,
    /// What the router calls it.
    pub path: PathName,
    /// Mark and table.
    pub target: Target,
    /// It carries IPv6 too, not IPv4 alone.
    pub ipv6: bool,
    /// How much sooner packets come by it than by IP routing, us, as far as that is known; less than 0:
    /// later.
    pub sooner_us: Option<i64>,
}

/// A circuit, as the provider and we know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Its ends; circuits go both ways.
    pub pair: Pair,
    /// How much.
    pub rate: Rate,
    /// How far it is.
    pub state: State,
    /// What the provider calls it.
    pub id: Option<Id>,
    /// Its end.
    pub until: Option<At>,
    /// It is up and not about to go.
    pub usable: bool,
    /// It is to be given back.
    pub leaving: bool,
    /// How packets get into it, as far as that is known.
    pub ways: Vec<Way>,
}

/// The circuits that are wanted, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Without an end.
    pub offline: BTreeSet<Pair>,
    /// As long as these live, each by a number.
    pub online: BTreeMap<Key, BTreeSet<u64>>,
}

/// The routes wanted of a router, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Counts up with every change.
    pub generation: u64,
    /// Paths that begin at the router, and whether packets may be sent into each.
    pub paths: BTreeMap<PathName, (Target, bool)>,
    /// What goes where.
    pub entries: BTreeMap<Match, PathName>,
    /// Alpha flows that come in there.
    pub live: BTreeSet<FiveTuple>,
}

/// How a router was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The wish that was acted on last.
    pub generation: u64,
    /// It has been read back since this process began.
    pub read: bool,
    /// Paths that rules may be on, by what was read back.
    pub on: BTreeSet<PathName>,
}
