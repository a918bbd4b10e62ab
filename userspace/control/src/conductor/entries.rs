// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what is known to what is wanted.

use super::seen::{Asked, Wish};
use super::{Conductor, Line, What};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use telesteer_circuit::book::Key;
use telesteer_circuit::request::{Name, Pair, Rate};
use telesteer_circuit::word::Word;
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
    /// Of a circuit that is for this one alone.
    service: Option<Word>,
    why: Why,
}

/// What was said to be wanted, before the ends of its pair are asked for it.
struct Said<'s> {
    matching: Match,
    pair: &'s Pair,
    rate: Rate,
    service: Option<Word>,
    why: Why,
}

/// Desires by router and by what is matched. What comes first stays.
type Desires = BTreeMap<String, BTreeMap<Match, Desire>>;

/// A path that begins at a router: for which circuits, and whether it is up.
struct Path<'c> {
    rate: Rate,
    service: Option<Word>,
    usable: bool,
    ipv6: bool,
    name: &'c PathName,
    target: Target,
}

impl Path<'_> {
    /// Whether it is what was asked for.
    fn is_for(&self, desire: &Desire) -> bool {
        self.rate == desire.rate && self.service == desire.service
    }

    /// Whether such packets get into it at all.
    fn carries(&self, matching: &Match) -> bool {
        self.ipv6 || matching.src().addr().is_ipv4()
    }

    /// Whether anybody may use it: nothing of it is promised to others.
    fn is_open(&self) -> bool {
        self.rate == Rate::Unlimited && self.service.is_none()
    }
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
        let wishes = self.wishes(&desires, now);
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
        let live = self.flows.values().map(|known| (&known.pair, &known.matching, rate, None));
        let idle = self.idle.iter().map(|(matching, idle)| (&idle.pair, matching, rate, None));
        let soon = |from: Ns| from.saturating_sub(self.settings.lead) <= now;
        let announced = self.announced.iter().filter(|one| soon(one.from) && now < one.until);
        let announced = announced.map(|one| (&one.pair, &one.matching, one.rate, one.service()));
        for (pair, matching, rate, service) in live.chain(idle).chain(announced) {
            let key = Key { pair: pair.canonical(), rate, service };
            asked.online.entry(key).or_default().insert(number(matching));
        }
        asked
    }

    fn desires(&self, now: Ns) -> Desires {
        let mut desires = Desires::new();
        let tickets: Vec<_> = self
            .announced
            .iter()
            // A route may be there before the first packet; it costs nothing.
            .filter(|one| one.from.saturating_sub(self.settings.lead) <= now && now < one.until)
            .map(|one| Said {
                matching: one.matching,
                pair: &one.pair,
                rate: one.rate,
                service: one.service(),
                why: Why::Ticket(one.ticket.clone()),
            })
            .collect();
        // First, for a flow that was announced stays on what was reserved for it when it is found.
        self.enter(&mut desires, &tickets, self.settings.both);
        let shared = |matching: Match, pair, rate, why| {
            let service = None;
            Said { matching, pair, rate, service, why }
        };
        let live = self.flows.values().map(|known| (known.matching, &known.pair));
        let idle = self.idle.iter().map(|(matching, idle)| (*matching, &idle.pair));
        let online: Vec<_> = live
            .chain(idle)
            .map(|(matching, pair)| shared(matching, pair, self.settings.rate, Why::Online))
            .collect();
        self.enter(&mut desires, &online, self.settings.both);
        if self.settings.offline_routes {
            let why = Why::Offline(self.table.day.clone());
            let table = self.table.entries.iter();
            let table: Vec<_> = table
                .map(|one| shared(one.matching, &one.pair, Rate::Unlimited, why.clone()))
                .collect();
            self.enter(&mut desires, &table, self.table.both);
        }
        desires
    }

    /// First what was said, then the reverses, where nothing else was said.
    fn enter(&self, desires: &mut Desires, all: &[Said<'_>], both: bool) {
        let mut one = |router: &str, toward: &str, matching: Match, said: &Said<'_>| {
            if self.routers.contains_key(router) {
                let of_router = desires.entry(router.to_owned()).or_default();
                of_router.entry(matching).or_insert_with(|| Desire {
                    toward: toward.to_owned(),
                    rate: said.rate,
                    service: said.service.clone(),
                    why: said.why.clone(),
                });
            }
        };
        for said in all {
            one(&said.pair.ingress, &said.pair.egress, said.matching, said);
        }
        for said in all.iter().filter(|_| both) {
            one(&said.pair.egress, &said.pair.ingress, said.matching.reverse(), said);
        }
    }

    /// Paths of each router toward each other one.
    fn paths(&self) -> BTreeMap<(&str, &str), Vec<Path<'_>>> {
        let mut paths: BTreeMap<(&str, &str), Vec<Path<'_>>> = BTreeMap::new();
        for (name, circuit) in self.circuits.iter().flatten() {
            for way in &circuit.ways {
                let (rate, service, usable) = (circuit.rate, name.service(), circuit.usable);
                let (ipv6, name, target) = (way.ipv6, &way.path, way.target);
                let path = Path { rate, service, usable, ipv6, name, target };
                paths.entry((&way.router, &way.toward)).or_default().push(path);
            }
        }
        paths
    }

    fn wishes(
        &mut self,
        desires: &Desires,
        now: Ns,
    ) -> BTreeMap<String, (Wish, BTreeMap<Match, Why>)> {
        let paths = self.paths();
        let (mut waiting, mut unfit) = (0, BTreeMap::new());
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
                // What is reserved for others is not taken for want of one's own.
                let best = |fits: &dyn Fn(&Path<'_>) -> bool| {
                    let own = up().find(|path| path.is_for(desire) && fits(path));
                    own.or_else(|| up().find(|path| path.is_open() && fits(path)))
                };
                let Some(path) = best(&|path| path.carries(matching)) else {
                    waiting += 1;
                    if let Some(path) = best(&|_| true) {
                        let told = (path.name.to_string(), desire.why.to_string());
                        unfit.insert((router.clone(), *matching), told);
                    }
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
        self.tell_unfit(unfit, now);
        wishes
    }

    /// Of each entry once, as long as it is so: which path it would be on, and why it is wanted.
    fn tell_unfit(&mut self, unfit: BTreeMap<(String, Match), (String, String)>, now: Ns) {
        self.counters.unfit = unfit.len() as u64;
        let known: BTreeSet<(String, Match)> = unfit.keys().cloned().collect();
        let known = std::mem::replace(&mut self.unfit, known);
        let new = unfit.into_iter().filter(|(of, _)| !known.contains(of));
        for ((router, matching), (path, why)) in new {
            self.push(Line {
                at: now,
                what: What::RouteUnwanted,
                subject: matching.to_string(),
                router: Some(router),
                path: Some(path),
                reason: format!("{why}: the path carries no IPv6"),
            });
        }
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
