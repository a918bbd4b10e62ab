// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what is known to what is wanted.

use super::back::{Back, KeptBack, overtaking};
use super::seen::{Asked, Wish};
use super::why::Why;
use super::{Conductor, Line, What};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use telesteer_circuit::book::Key;
use telesteer_circuit::request::{Name, Pair, Rate};
use telesteer_circuit::word::Word;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::path::Target;
use telesteer_redirect::{Match, PathName};

/// An entry of a router, before a path is found for it.
#[derive(Clone, Debug)]
struct Desire {
    toward: String,
    rate: Rate,
    /// Of a circuit that is for this one alone.
    service: Option<Word>,
    why: Why,
    /// Rates of its flows as they were last told, bit/s.
    flowing: u64,
}

/// What was said to be wanted, before the ends of its pair are asked for it.
struct Said<'s> {
    matching: Match,
    pair: &'s Pair,
    rate: Rate,
    service: Option<Word>,
    why: Why,
    flowing: u64,
}

/// Desires by router and by what is matched. What comes first stays.
type Desires = BTreeMap<String, BTreeMap<Match, Desire>>;

/// A path that begins at a router: for which circuits, and whether it is up.
pub(super) struct Path<'c> {
    rate: Rate,
    service: Option<Word>,
    usable: bool,
    ipv6: bool,
    pub(super) name: &'c PathName,
    target: Target,
    pub(super) sooner_us: Option<i64>,
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
                flowing: 0,
            })
            .collect();
        // First, for a flow that was announced stays on what was reserved for it when it is found.
        self.enter(&mut desires, &tickets, self.settings.both);
        let shared = |matching: Match, pair, rate, why, flowing| {
            let service = None;
            Said { matching, pair, rate, service, why, flowing }
        };
        // Flows that match the same may come in at several routers.
        let mut online: BTreeMap<(Match, &Pair), u64> = BTreeMap::new();
        for known in self.flows.values() {
            let flowing = online.entry((known.matching, &known.pair)).or_default();
            *flowing = flowing.saturating_add(known.live.rate);
        }
        for (matching, idle) in &self.idle {
            online.entry((*matching, &idle.pair)).or_default();
        }
        let online: Vec<_> = online
            .into_iter()
            .map(|((matching, pair), flowing)| {
                shared(matching, pair, self.settings.rate, Why::Online(None), flowing)
            })
            .collect();
        self.enter(&mut desires, &online, self.settings.both);
        if self.settings.offline_routes {
            let why = Why::Offline(self.table.day.clone());
            let table = self.table.entries.iter();
            let table: Vec<_> = table
                .map(|one| shared(one.matching, &one.pair, Rate::Unlimited, why.clone(), 0))
                .collect();
            self.enter(&mut desires, &table, self.table.both);
        }
        desires
    }

    /// First what was said, then the reverses, where nothing else was said.
    fn enter(&self, desires: &mut Desires, all: &[Said<'_>], both: bool) {
        let mut one = |router: &str, toward: &str, matching: Match, said: &Said<'_>, flowing| {
            if self.routers.contains_key(router) {
                let of_router = desires.entry(router.to_owned()).or_default();
                of_router.entry(matching).or_insert_with(|| Desire {
                    toward: toward.to_owned(),
                    rate: said.rate,
                    service: said.service.clone(),
                    why: said.why.clone(),
                    flowing,
                });
            }
        };
        for said in all {
            one(&said.pair.ingress, &said.pair.egress, said.matching, said, said.flowing);
        }
        for said in all.iter().filter(|_| both) {
            // How fast its answers are nobody knows; mostly they are few.
            one(&said.pair.egress, &said.pair.ingress, said.matching.reverse(), said, 0);
        }
    }

    /// Paths of each router toward each other one.
    fn paths(&self) -> BTreeMap<(&str, &str), Vec<Path<'_>>> {
        let mut paths: BTreeMap<(&str, &str), Vec<Path<'_>>> = BTreeMap::new();
        for (name, circuit) in self.circuits.iter().flatten() {
            for way in &circuit.ways {
                let (rate, service, usable) = (circuit.rate, name.service(), circuit.usable);
                let (ipv6, name, target) = (way.ipv6, &way.path, way.target);
                let sooner_us = way.sooner_us;
                let path = Path { rate, service, usable, ipv6, name, target, sooner_us };
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
        let (mut waiting, mut kept_back) = (0, KeptBack::new());
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
                let ways = paths.get(&key).map_or(&[][..], Vec::as_slice);
                let up = || ways.iter().filter(|path| path.usable);
                // What is reserved for others is not taken for want of one's own.
                let best = |fits: &dyn Fn(&Path<'_>) -> bool| {
                    let own = up().find(|path| path.is_for(desire) && fits(path));
                    own.or_else(|| up().find(|path| path.is_open() && fits(path)))
                };
                let Some(path) = best(&|path| path.carries(matching)) else {
                    waiting += 1;
                    if let Some(path) = best(&|_| true) {
                        let told = (path.name.to_string(), desire.why.to_string());
                        kept_back.insert((router.clone(), *matching, Back::Unfit), told);
                    }
                    continue;
                };
                let overtakes = path.sooner_us.map(|sooner| {
                    let carried_us = self.carried_us(router, matching, ways);
                    overtaking(desire.flowing, sooner.saturating_sub(carried_us))
                });
                if let Some(bytes) = overtakes
                    && self.settings.overtake.is_some_and(|most| bytes > most)
                    && self.may_be_held(router, matching)
                {
                    let told = format!("{}: {bytes} bytes may overtake others", desire.why);
                    let told = (path.name.to_string(), told);
                    kept_back.insert((router.clone(), *matching, Back::Held), told);
                    continue;
                }
                wish.entries.insert(*matching, path.name.clone());
                let reason = match (&desire.why, desire.flowing) {
                    (Why::Online(_), 1..) => Why::Online(overtakes),
                    (other, _) => other.clone(),
                };
                why.insert(*matching, reason);
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
        self.tell_kept_back(kept_back, now);
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
                let reason = self.why(name, matching).map_or(String::new(), Why::told);
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
