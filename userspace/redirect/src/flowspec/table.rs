// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The routes that a receiver has been told, as far as they stand for entries of ours.
//!
//! A route counts if it matches exactly what an entry does and its only action is to redirect to a path
//! that is known. Half of what a route asks for is never done: any other is refused and counted, and
//! ends one that was there with the same match before.

use super::action::{Action, Redirect};
use crate::bgp::Update;
use crate::bgp::update::Found;
use crate::matching::Match;
use crate::path::PathName;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages with routes.
    pub updates: u64,
    /// Routes announced that count.
    pub announced: u64,
    /// Routes withdrawn that counted.
    pub withdrawn: u64,
    /// Routes that are not well-formed, or have a component nobody knows.
    pub malformed: u64,
    /// Routes that match what no entry does.
    pub useless: u64,
    /// Routes that do not redirect, or not only.
    pub unfit: u64,
    /// Routes that redirect to where no path is.
    pub unknown: u64,
    /// Routes of messages that were taken as withdrawn because an attribute was wrong (RFC 7606).
    pub spoilt: u64,
    /// Routes that have been through our AS.
    pub looped: u64,
    /// Routes there was no room for.
    pub full: u64,
    /// Messages with routes of families nobody asked for.
    pub others: u64,
}

/// What a message changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Such packets go onto the path.
    Set(Match, PathName),
    /// They do so no more.
    Gone(Match),
}

/// The routes that count.
#[derive(Clone, Debug)]
pub struct Table {
    redirects: BTreeMap<Redirect, PathName>,
    local_as: u32,
    limit: usize,
    routes: BTreeMap<Match, PathName>,
    counters: Counters,
}

impl Table {
    /// For a speaker of this AS, with so many routes at most.
    pub fn new(redirects: BTreeMap<Redirect, PathName>, local_as: u32, limit: usize) -> Self {
        Self { redirects, local_as, limit, routes: BTreeMap::new(), counters: Counters::default() }
    }

    /// What came so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Routes that count now.
    pub fn routes(&self) -> &BTreeMap<Match, PathName> {
        &self.routes
    }

    /// Takes a message in.
    pub fn take(&mut self, update: &Update) -> Vec<Step> {
        self.counters.updates += 1;
        self.counters.others += u64::from(update.others);
        let mut steps = Vec::new();
        for found in &update.withdrawn {
            if let Some(matching) = self.meaning(found) {
                self.remove(matching, &mut steps);
            }
        }
        for found in &update.announced {
            let path = self.path(update);
            let Some(matching) = self.meaning(found) else { continue };
            match path {
                Some(path) => self.set(matching, path, &mut steps),
                None => self.remove(matching, &mut steps),
            }
        }
        steps
    }

    /// The session is over: no route counts any more.
    pub fn clear(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.routes).into_keys().map(Step::Gone).collect()
    }

    fn meaning(&mut self, found: &Found) -> Option<Match> {
        let Ok(nlri) = &found.nlri else {
            self.counters.malformed += 1;
            return None;
        };
        let matching = nlri.meaning().ok();
        self.counters.useless += u64::from(matching.is_none());
        matching
    }

    /// Where the routes of a message redirect to; none, and counted for one of them, if nowhere.
    fn path(&mut self, update: &Update) -> Option<PathName> {
        let counters = &mut self.counters;
        let counter = if update.spoilt.is_some() {
            &mut counters.spoilt
        } else if update.as_path.contains(&self.local_as) {
            &mut counters.looped
        } else if let [Action::Redirect(redirect)] = update.actions.as_slice() {
            match self.redirects.get(redirect) {
                Some(path) => return Some(path.clone()),
                None => &mut counters.unknown,
            }
        } else {
            &mut counters.unfit
        };
        *counter += 1;
        None
    }

    fn set(&mut self, matching: Match, path: PathName, steps: &mut Vec<Step>) {
        if !self.routes.contains_key(&matching) && self.routes.len() >= self.limit {
            self.counters.full += 1;
            return;
        }
        self.counters.announced += 1;
        if self.routes.insert(matching, path.clone()).as_ref() != Some(&path) {
            steps.push(Step::Set(matching, path));
        }
    }

    fn remove(&mut self, matching: Match, steps: &mut Vec<Step>) {
        if self.routes.remove(&matching).is_some() {
            self.counters.withdrawn += 1;
            steps.push(Step::Gone(matching));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::Family;
    use crate::bgp::update::Spoilt;
    use crate::flowspec::nlri::{BadNlri, Nlri};
    use crate::memory::testing::{name, net};

    fn table(limit: usize) -> Table {
        let redirects = [("64512:101", "a"), ("192.0.2.7", "b")];
        let redirects =
            redirects.map(|(redirect, path)| (redirect.parse().unwrap(), name(path))).into();
        Table::new(redirects, 64_512, limit)
    }

    fn found(n: u8) -> Found {
        Found { family: Family::Ipv4, nlri: Ok(Nlri::of(&net(n))) }
    }

    fn to(redirect: &str) -> Vec<Action> {
        vec![Action::Redirect(redirect.parse().unwrap())]
    }

    fn announce(numbers: &[u8], redirect: &str) -> Update {
        let announced = numbers.iter().copied().map(found).collect();
        Update { announced, actions: to(redirect), ..Update::default() }
    }

    fn withdraw(n: u8) -> Update {
        Update { withdrawn: vec![found(n)], ..Update::default() }
    }

    #[test]
    fn routes_come_change_and_go() {
        let mut table = table(9);
        let set = |n, path| Step::Set(net(n), name(path));
        let steps = table.take(&announce(&[1, 2], "64512:101"));
        assert_eq!(steps, [set(1, "a"), set(2, "a")]);
        assert_eq!(table.take(&announce(&[1], "64512:101")), [], "it is there");
        assert_eq!(table.take(&announce(&[1], "192.0.2.7")), [set(1, "b")]);
        assert_eq!(table.take(&withdraw(2)), [Step::Gone(net(2))]);
        assert_eq!(table.take(&withdraw(2)), []);
        let counters = table.counters();
        assert_eq!((counters.updates, counters.announced, counters.withdrawn), (5, 4, 1));
        assert_eq!(table.clear(), [Step::Gone(net(1))]);
        assert!(table.routes().is_empty());
    }

    /// A route that is told again with something that cannot be done must not stay as it was.
    #[test]
    fn what_cannot_be_done_ends_what_was() {
        let both = [to("64512:101"), vec![Action::Other]].concat();
        let twice = [to("64512:101"), to("192.0.2.7")].concat();
        let with = |actions| Update { actions, ..announce(&[1], "64512:101") };
        let spoilt = Some(Spoilt::Communities);
        type Counter = fn(&Counters) -> u64;
        let broken: [(Update, Counter); 6] = [
            (with(both), |all| all.unfit),
            (with(twice), |all| all.unfit),
            (with(Vec::new()), |all| all.unfit),
            (with(to("64512:999")), |all| all.unknown),
            (Update { spoilt, ..with(to("64512:101")) }, |all| all.spoilt),
            (Update { as_path: vec![1, 64_512], ..with(to("64512:101")) }, |all| all.looped),
        ];
        for (update, counter) in broken {
            let mut table = table(9);
            assert_eq!(table.take(&update), []);
            table.take(&announce(&[1], "64512:101"));
            assert_eq!(table.take(&update), [Step::Gone(net(1))], "{update:?}");
            assert_eq!(counter(&table.counters()), 2, "{update:?}");
        }
    }

    #[test]
    fn what_is_no_entry_is_counted() {
        let mut table = table(9);
        let bad = Found { family: Family::Ipv4, nlri: Err(BadNlri::Unknown(77)) };
        let mut half = Nlri::of(&net(1));
        half.components.truncate(1);
        let half = Found { family: Family::Ipv4, nlri: Ok(half) };
        let update = Update {
            announced: vec![bad.clone(), half, found(3)],
            withdrawn: vec![bad],
            others: true,
            ..announce(&[], "64512:101")
        };
        assert_eq!(table.take(&update), [Step::Set(net(3), name("a"))]);
        let counters = table.counters();
        assert_eq!((counters.malformed, counters.useless, counters.others), (2, 1, 1));
    }

    #[test]
    fn the_table_has_a_bound() {
        let mut table = table(2);
        assert_eq!(table.take(&announce(&[1, 2, 3], "64512:101")).len(), 2);
        assert_eq!(table.counters().full, 1);
        // One that is there may change, and one that goes makes room.
        assert_eq!(table.take(&announce(&[2], "192.0.2.7")).len(), 1);
        table.take(&withdraw(1));
        assert_eq!(table.take(&announce(&[3], "64512:101")).len(), 1);
    }
}
