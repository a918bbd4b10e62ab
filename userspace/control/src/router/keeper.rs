// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Between the conductor's wish, which says all at once, and the controller of a router, which is told
//! of changes. No I/O and no clock.

use crate::conductor::{Seen, Wish};
use std::collections::BTreeSet;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::{Aging, Capabilities, Controller, Entry, Match, PathName, Settings};

/// Keeps a controller to the latest wish.
#[derive(Debug)]
pub struct Keeper {
    /// Decides what the router is asked.
    pub controller: Controller,
    generation: u64,
    live: BTreeSet<FiveTuple>,
    /// Paths not to be used that no rule is on.
    freed: BTreeSet<PathName>,
    refused: BTreeSet<String>,
}

/// Most words of refused paths and entries.
const REFUSED: usize = 64;

impl Keeper {
    /// For a device with these capabilities.
    pub fn new(settings: Settings, capabilities: Capabilities) -> Self {
        Self {
            controller: Controller::new(settings, capabilities),
            generation: 0,
            live: BTreeSet::new(),
            freed: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// The wish that was taken last.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes a wish in place of the one before. Returns what of it cannot be.
    pub fn take(&mut self, wish: &Wish, now: Ns) -> Vec<String> {
        self.refused.clear();
        self.take_paths(wish);
        let wishes = self.controller.wanted().wishes();
        let old: Vec<Match> = wishes
            .map(|one| one.entry.matching)
            .filter(|one| !wish.entries.contains_key(one))
            .collect();
        old.iter().for_each(|matching| self.controller.unwant(matching));
        for (matching, path) in &wish.entries {
            let known = self.controller.wanted().wish(matching);
            if known.is_some_and(|known| known.entry.path == *path) {
                continue;
            }
            let (matching, path) = (*matching, path.clone());
            let entry = Entry { matching, path, back: None, aging: Aging::Kept };
            if let Err(full) = self.controller.want(entry, now) {
                self.refuse(full.to_string());
            }
        }
        let gone: Vec<FiveTuple> = self.live.difference(&wish.live).copied().collect();
        gone.iter().for_each(|flow| self.controller.alpha_ends(flow, now));
        let new: Vec<FiveTuple> = wish.live.difference(&self.live).copied().collect();
        new.iter().for_each(|flow| self.controller.alpha_begins(flow, now));
        self.live.clone_from(&wish.live);
        self.generation = wish.generation;
        std::mem::take(&mut self.refused).into_iter().collect()
    }

    fn refuse(&mut self, said: String) {
        if self.refused.len() < REFUSED {
            self.refused.insert(said);
        }
    }

    fn take_paths(&mut self, wish: &Wish) {
        self.freed.retain(|path| wish.paths.get(path).is_some_and(|(_, up)| !up));
        for (path, (target, up)) in &wish.paths {
            let known = self.controller.paths().get(path).is_some();
            let was_up = self.controller.wanted().is_up(path);
            if (known && was_up == *up) || self.freed.contains(path) {
                continue;
            }
            // One that is down is made known all the same: rules of an earlier life may be on it.
            if (*up || !known)
                && let Err(bad) = self.controller.path_up(path.clone(), *target)
            {
                self.refuse(bad.to_string());
                continue;
            }
            if !up {
                self.controller.path_down(path);
            }
        }
        let gone: Vec<PathName> =
            self.controller.paths().iter().map(|(path, _)| path.clone()).collect();
        for path in gone.iter().filter(|path| !wish.paths.contains_key(*path)) {
            if self.controller.wanted().is_up(path) {
                self.controller.path_down(path);
            }
        }
    }

    /// How the router was found, by the last reading. Lets go of paths that nobody uses.
    pub fn seen(&mut self) -> Seen {
        let names: Vec<PathName> =
            self.controller.paths().iter().map(|(path, _)| path.clone()).collect();
        let mut on = BTreeSet::new();
        for path in names {
            if self.controller.wanted().is_up(&path) || !self.controller.release(&path) {
                on.insert(path);
            } else {
                self.freed.insert(path);
            }
        }
        Seen { generation: self.generation, read: self.controller.was_read(), on }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::net;
    use std::collections::BTreeMap;
    use telesteer_redirect::memory::Memory;
    use telesteer_redirect::path::Target;
    use telesteer_redirect::{Device, Rule, round};

    fn name(text: &str) -> PathName {
        PathName::new(text).unwrap()
    }

    fn wish(generation: u64, paths: &[(&str, bool)], entries: &[(u8, &str)]) -> Wish {
        let number = |path: &str| u32::from(path.as_bytes()[0]);
        let target = |path: &str| Target { mark: number(path), table: 1000 + number(path) };
        let paths = paths.iter().map(|(path, up)| (name(path), (target(path), *up)));
        let entries = entries.iter().map(|(n, path)| (net(*n), name(path)));
        let (paths, entries) = (paths.collect(), entries.collect());
        Wish { generation, paths, entries, live: BTreeSet::new() }
    }

    fn turn(keeper: &mut Keeper, device: &mut Memory, wish: &Wish) -> Seen {
        assert_eq!(keeper.take(wish, 0), Vec::<String>::new());
        for _ in 0..4 {
            round(&mut keeper.controller, device, 0).unwrap();
        }
        keeper.seen()
    }

    fn rules(device: &Memory) -> BTreeMap<Match, PathName> {
        device.rules.iter().map(|rule| (rule.matching, rule.path.clone())).collect()
    }

    #[test]
    fn the_router_comes_to_hold_the_wish() {
        let mut device = Memory::new("r1");
        // Of an earlier life, onto a path that is known and onto one that nobody knows.
        device.rules.insert(Rule { matching: net(7), path: name("a") });
        device.rules.insert(Rule { matching: net(8), path: name("z") });
        let mut keeper = Keeper::new(Settings::default(), device.capabilities());
        assert!(!keeper.seen().read);
        let one = wish(1, &[("a", true), ("b", false)], &[(1, "a"), (2, "a")]);
        let seen = turn(&mut keeper, &mut device, &one);
        assert_eq!(rules(&device), one.entries);
        assert_eq!(seen, Seen { generation: 1, read: true, on: [name("a")].into() });

        let two = wish(2, &[("a", false), ("b", true)], &[(2, "b")]);
        let seen = turn(&mut keeper, &mut device, &two);
        assert_eq!(rules(&device), two.entries);
        assert_eq!(seen, Seen { generation: 2, read: true, on: [name("b")].into() });

        // A path that was let go may be used again, and one that is gone is forgotten.
        let three = wish(3, &[("a", true)], &[(2, "a")]);
        let seen = turn(&mut keeper, &mut device, &three);
        assert_eq!(rules(&device), three.entries);
        assert_eq!(seen.on, [name("a")].into());
        assert_eq!(keeper.controller.paths().get(&name("b")), None);
    }

    #[test]
    fn a_path_is_on_until_it_was_read_back_as_empty() {
        let mut device = Memory::new("r1");
        let mut keeper = Keeper::new(Settings::default(), device.capabilities());
        turn(&mut keeper, &mut device, &wish(1, &[("a", true)], &[(1, "a")]));
        let down = wish(2, &[("a", false)], &[]);
        keeper.take(&down, 0);
        assert_eq!(keeper.seen().on, [name("a")].into());
        // It says done, and nothing is gone.
        let change = keeper.controller.plan(0).unwrap();
        assert_eq!(change.remove.len(), 1);
        keeper.controller.applied(&Ok(telesteer_redirect::Commit::Done), 0);
        let back = device.read_back(keeper.controller.paths(), 0).unwrap();
        keeper.controller.observe(back, 0);
        assert_eq!(keeper.seen().on, [name("a")].into());
        device.rules.clear();
        let back = device.read_back(keeper.controller.paths(), 0).unwrap();
        keeper.controller.observe(back, 0);
        assert!(keeper.seen().on.is_empty());
        keeper.take(&down, 0);
        assert!(keeper.seen().on.is_empty());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let device = Memory::new("r1");
        let settings = Settings { entries: 1, ..Settings::default() };
        let mut keeper = Keeper::new(settings, device.capabilities());
        let mut odd = wish(1, &[("a", true), ("b", true)], &[(1, "a"), (2, "a")]);
        odd.paths.insert(name("c"), (Target { mark: 0, table: 7 }, true));
        let said = keeper.take(&odd, 0);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said.iter().any(|text| text.contains("mark 0")), "{said:?}");
    }
}
