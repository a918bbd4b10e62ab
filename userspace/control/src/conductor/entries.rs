// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what is known to what is wanted.

use super::seen::{Asked, Wish};
use super::{Conductor, Line, What};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use telesteer_circuit::book::Key;
use telesteer_circuit::request::{Name, Pair, Rate};
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::path::Target;
use telesteer_redirect::{Match, PathName};

/// Why an entry is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// An alpha flow lives, or did until lately.
    Online,
    /// Somebody announced it.
    Ticket(String),
    /// It is in the offline table of this day.
    Offline(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online => f.write_str("alpha flow"),
            Self::Ticket(name) => write!(f, "ticket {name}"),
            Self::Offline(day) => write!(f, "table of {day}"),
        }
    }
}

/// An entry of a router, before a path is found for it.
#[derive(Clone, Debug)]
struct Desire {
    toward: String,
    rate: Rate,
    why: Why,
}

/// Desires by router and by what is matched. What comes first stays.
type Desires = BTreeMap<String, BTreeMap<Match, Desire>>;

/// A path that begins at a router: for which circuits, and whether it is up.
struct Path<'c> {
    rate: Rate,
    usable: bool,
    name: &'c PathName,
    target: Target,
}

fn number(matching: &Match) -> u64 {
    let mut hasher = DefaultHasher::new();
    matching.hash(&mut hasher);
    hasher.finish()
}

impl Conductor {
    /// Makes all that is wanted anew, if anything changed. Returns whether a wish or the circuits
    /// wanted are others now.
    pub fn settle(&mut self, now: Ns) -> bool {
        if self.due.is_some_and(|due| due <= now) {
            self.stale = true;
        }
        if !std::mem::take(&mut self.stale) {
            return false;
        }
        self.reckon_due(now);
        let asked = self.circuits_wanted(now);
        let mut changed = asked != self.asked;
        self.asked = asked;
        if self.circuits.is_none() {
            // What is up is not known yet; to want no route now would take away those there are.
            self.stale = true;
            return changed;
        }
        let desires = self.desires(now);
        let wishes = self.wishes(&desires);
        for (name, (wish, why)) in wishes {
            changed |= self.replace(&name, wish, why, &desires, now);
        }
        changed
    }

    fn circuits_wanted(&self, now: Ns) -> Asked {
        let mut asked = Asked::default();
        if self.settings.offline_circuits {
            asked.offline = self.table.entries.iter().map(|one| one.pair.canonical()).collect();
        }
        let rate = self.settings.rate;
        let live = self.flows.values().map(|known| (&known.pair, &known.matching, rate));
        let idle = self.idle.iter().map(|(matching, idle)| (&idle.pair, matching, rate));
        let soon = |from: Ns| from.saturating_sub(self.settings.lead) <= now;
        let announced = self.announced.iter().filter(|one| soon(one.from) && now < one.until);
        let announced = announced.map(|one| (&one.pair, &one.matching, one.rate));
        for (pair, matching, rate) in live.chain(idle).chain(announced) {
            let key = Key { pair: pair.canonical(), rate };
            asked.online.entry(key).or_default().insert(number(matching));
        }
        asked
    }

    fn desires(&self, now: Ns) -> Desires {
        let mut desires = Desires::new();
        let live = self.flows.values().map(|known| (known.matching, &known.pair));
        let idle = self.idle.iter().map(|(matching, idle)| (*matching, &idle.pair));
        let rate = self.settings.rate;
        let online: Vec<_> =
            live.chain(idle).map(|(matching, pair)| (matching, pair, rate, Why::Online)).collect();
        self.enter(&mut desires, &online, self.settings.both);
        let tickets: Vec<_> = self
            .announced
            .iter()
            // A route may be there before the first packet; it costs nothing.
            .filter(|one| one.from.saturating_sub(self.settings.lead) <= now && now < one.until)
            .map(|one| (one.matching, &one.pair, one.rate, Why::Ticket(one.ticket.clone())))
            .collect();
        self.enter(&mut desires, &tickets, self.settings.both);
        if self.settings.offline_routes {
            let why = Why::Offline(self.table.day.clone());
            let table: Vec<_> = self
                .table
                .entries
                .iter()
                .map(|one| (one.matching, &one.pair, Rate::Unlimited, why.clone()))
                .collect();
            self.enter(&mut desires, &table, self.table.both);
        }
        desires
    }

    /// First what was said, then the reverses, where nothing else was said.
    fn enter(&self, desires: &mut Desires, all: &[(Match, &Pair, Rate, Why)], both: bool) {
        let mut one = |router: &str, toward: &str, matching: Match, rate: Rate, why: &Why| {
            if self.routers.contains_key(router) {
                let toward = toward.to_owned();
                let of_router = desires.entry(router.to_owned()).or_default();
                of_router.entry(matching).or_insert_with(|| Desire {
                    toward,
                    rate,
                    why: why.clone(),
                });
            }
        };
        for (matching, pair, rate, why) in all {
            one(&pair.ingress, &pair.egress, *matching, *rate, why);
        }
        for (matching, pair, rate, why) in all.iter().filter(|_| both) {
            one(&pair.egress, &pair.ingress, matching.reverse(), *rate, why);
        }
    }

    /// Paths of each router toward each other one.
    fn paths(&self) -> BTreeMap<(&str, &str), Vec<Path<'_>>> {
        let mut paths: BTreeMap<(&str, &str), Vec<Path<'_>>> = BTreeMap::new();
        for circuit in self.circuits.iter().flat_map(BTreeMap::values) {
            for way in &circuit.ways {
                let (rate, usable) = (circuit.rate, circuit.usable);
                let path = Path { rate, usable, name: &way.path, target: way.target };
                paths.entry((&way.router, &way.toward)).or_default().push(path);
            }
        }
        paths
    }

    fn wishes(&mut self, desires: &Desires) -> BTreeMap<String, (Wish, BTreeMap<Match, Why>)> {
        let paths = self.paths();
        let mut waiting = 0;
        let mut wishes: BTreeMap<String, (Wish, BTreeMap<Match, Why>)> =
            self.routers.keys().map(|name| (name.clone(), Default::default())).collect();
        for ((router, _), ways) in &paths {
            let Some((wish, _)) = wishes.get_mut(*router) else { continue };
            for path in ways {
                let known = wish.paths.entry(path.name.clone()).or_insert((path.target, false));
                known.1 |= path.usable;
            }
        }
        for (router, of_router) in desires {
            let Some((wish, why)) = wishes.get_mut(router) else { continue };
            for (matching, desire) in of_router {
                let key = (router.as_str(), desire.toward.as_str());
                let up = || paths.get(&key).into_iter().flatten().filter(|path| path.usable);
                let best = up().find(|path| path.rate == desire.rate).or_else(|| up().next());
                let Some(path) = best else {
                    waiting += 1;
                    continue;
                };
                wish.entries.insert(*matching, path.name.clone());
                why.insert(*matching, desire.why.clone());
            }
        }
        for (flow, known) in &self.flows {
            if let Some((wish, _)) = wishes.get_mut(&known.pair.ingress) {
                wish.live.insert(*flow);
            }
            if let Some((wish, _)) = wishes.get_mut(&known.pair.egress) {
                wish.live.insert(reverse(flow));
            }
        }
        self.counters.waiting = waiting;
        wishes
    }

    fn replace(
        &mut self,
        name: &str,
        mut wish: Wish,
        why: BTreeMap<Match, Why>,
        desires: &Desires,
        now: Ns,
    ) -> bool {
        let Some(router) = self.routers.get_mut(name) else { return false };
        let generation = router.wish.as_ref().map_or(0, |wish| wish.generation);
        wish.generation = generation;
        if router.wish.as_ref() == Some(&wish) {
            router.why = why;
            return false;
        }
        wish.generation = generation + 1;
        router.down.retain(|path, _| wish.paths.get(path).is_some_and(|(_, up)| !up));
        for (path, _) in wish.paths.iter().filter(|(_, (_, up))| !up) {
            router.down.entry(path.clone()).or_insert(wish.generation);
        }
        let old_why = std::mem::replace(&mut router.why, why);
        let old = router.wish.replace(wish.clone()).unwrap_or_default();
        let line = |what, matching: &Match, path: &PathName, reason: String| Line {
            at: now,
            what,
            subject: matching.to_string(),
            router: Some(name.to_owned()),
            path: Some(path.to_string()),
            reason,
        };
        let mut lines = Vec::new();
        for (matching, path) in &old.entries {
            if wish.entries.contains_key(matching) {
                continue;
            }
            let still = desires.get(name).is_some_and(|of_router| of_router.contains_key(matching));
            let before = old_why.get(matching).map_or(String::new(), Why::to_string);
            let reason = match still {
                true => format!("{before}: no circuit is up"),
                false => format!("{before}: over"),
            };
            lines.push(line(What::RouteUnwanted, matching, path, reason));
        }
        for (matching, path) in &wish.entries {
            if old.entries.get(matching) != Some(path) {
                let reason = self.why(name, matching).map_or(String::new(), Why::to_string);
                lines.push(line(What::RouteWanted, matching, path, reason));
            }
        }
        lines.into_iter().for_each(|line| self.push(line));
        true
    }

    /// Circuits that packets may still be sent into: all but those whose paths are not to be used, by
    /// wishes that each router has acted on and been read back after.
    pub fn steered(&self) -> BTreeSet<Name> {
        let circuits = self.circuits.iter().flatten();
        let busy = circuits.filter(|(name, circuit)| {
            circuit.ways.iter().any(|way| {
                let Some(router) = self.routers.get(&way.router) else { return false };
                !self.is_free(router, name, way)
            })
        });
        busy.map(|(name, _)| name.clone()).collect()
    }

    fn is_free(&self, router: &super::Router, name: &Name, way: &super::Way) -> bool {
        // Another circuit has taken over the path: what is sent there goes into that one.
        let mut others = self.circuits.iter().flatten().filter(|(other, _)| *other != name);
        let taken = |other: &super::Circuit| {
            let same = |one: &super::Way| one.router == way.router && one.path == way.path;
            other.usable && other.ways.iter().any(same)
        };
        let usable = self.circuits.as_ref().and_then(|all| all.get(name)).is_some_and(|c| c.usable);
        if !usable && others.any(|(_, other)| taken(other)) {
            return true;
        }
        let Some(since) = router.down.get(&way.path) else { return false };
        let seen = &router.seen;
        seen.read && seen.generation >= *since && !seen.on.contains(&way.path)
    }
}

fn reverse(flow: &FiveTuple) -> FiveTuple {
    FiveTuple {
        src: flow.dst,
        dst: flow.src,
        proto: flow.proto,
        src_port: flow.dst_port,
        dst_port: flow.src_port,
    }
}
