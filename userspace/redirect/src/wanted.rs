// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The entries that are wanted, the paths there are, and the rules that follow from both.
//!
//! The rules are a function of what is wanted and of which paths are up, so the order in which the two
//! became known does not matter.

use crate::matching::Match;
use crate::path::{BadPath, PathName, Paths, Target};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Ns;

/// How long an entry stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aging {
    /// Until somebody takes it away: an entry of the offline table, which ages by days.
    Kept,
    /// Until so long after its last alpha flow.
    After(Ns),
}

/// A policy route, with its other direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is redirected.
    pub matching: Match,
    /// Where it goes.
    pub path: PathName,
    /// Where the other direction goes; none leaves it where it is.
    pub back: Option<PathName>,
    /// How long it stays.
    pub aging: Aging,
}

/// The table of wishes is full.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry}: {limit} entries are wanted already")]
pub struct Full {
    /// The one that was refused.
    pub entry: Match,
    /// The bound.
    pub limit: usize,
}

/// An entry that is wanted, and what is known of its alpha flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The entry.
    pub entry: Entry,
    /// When an alpha flow was last known to be alive; at first, when the entry was wanted.
    pub last_alpha: Ns,
}

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    wishes: BTreeMap<Match, Wish>,
    paths: Paths,
    up: BTreeSet<PathName>,
}

impl Wanted {
    /// Wants an entry, or wants it otherwise than before. True if that changed anything.
    ///
    /// # Errors
    ///
    /// If `limit` entries are wanted already.
    pub fn want(&mut self, entry: Entry, now: Ns, limit: usize) -> Result<bool, Full> {
        if let Some(wish) = self.wishes.get_mut(&entry.matching) {
            let changed = wish.entry != entry;
            wish.entry = entry;
            wish.last_alpha = wish.last_alpha.max(now);
            return Ok(changed);
        }
        if self.wishes.len() >= limit {
            return Err(Full { entry: entry.matching, limit });
        }
        self.wishes.insert(entry.matching, Wish { entry, last_alpha: now });
        Ok(true)
    }

    /// Wants an entry no more. True if it was wanted.
    pub fn unwant(&mut self, matching: &Match) -> bool {
        self.wishes.remove(matching).is_some()
    }

    /// A path can take packets.
    ///
    /// # Errors
    ///
    /// If [`Paths`] refuses it.
    pub fn path_up(&mut self, name: PathName, target: Target) -> Result<(), BadPath> {
        self.paths.insert(name.clone(), target)?;
        self.up.insert(name);
        Ok(())
    }

    /// A path can take packets no more, or is to be released. It stays known: rules may be on it.
    pub fn path_down(&mut self, name: &PathName) {
        self.up.remove(name);
    }

    /// Forgets a path that is down.
    pub(crate) fn forget(&mut self, name: &PathName) {
        self.up.remove(name);
        self.paths.remove(name);
    }

    /// Whether packets may go there.
    pub fn is_up(&self, name: &PathName) -> bool {
        self.up.contains(name)
    }

    /// Paths that are known.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The entry that `matching` or its reverse stands for.
    pub fn wish(&self, matching: &Match) -> Option<&Wish> {
        self.wishes.get(matching).or_else(|| {
            self.wishes.get(&matching.reverse()).filter(|wish| wish.entry.back.is_some())
        })
    }

    pub(crate) fn wish_mut(&mut self, matching: &Match) -> Option<&mut Wish> {
        let key = self.wish(matching)?.entry.matching;
        self.wishes.get_mut(&key)
    }

    /// All entries.
    pub fn wishes(&self) -> impl ExactSizeIterator<Item = &Wish> {
        self.wishes.values()
    }

    /// What a router should hold: both directions, onto paths that are up. What an entry says of its
    /// own direction goes before what another's reverse would.
    pub fn rules(&self) -> BTreeMap<Match, PathName> {
        let mut rules = BTreeMap::new();
        let up = |path: &PathName| self.up.contains(path).then(|| path.clone());
        for (matching, wish) in &self.wishes {
            if let Some(path) = up(&wish.entry.path) {
                rules.insert(*matching, path);
            }
            let back = matching.reverse();
            if let Some(path) = wish.entry.back.as_ref().and_then(up)
                && !self.wishes.contains_key(&back)
            {
                rules.insert(back, path);
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{name, net};

    fn entry(n: u8, path: &str, back: Option<&str>) -> Entry {
        Entry { matching: net(n), path: name(path), back: back.map(name), aging: Aging::Kept }
    }

    fn with_paths() -> Wanted {
        let mut wanted = Wanted::default();
        wanted.path_up(name("a"), Target { mark: 1, table: 101 }).unwrap();
        wanted.path_up(name("b"), Target { mark: 2, table: 102 }).unwrap();
        wanted
    }

    #[test]
    fn an_entry_stands_for_both_directions() {
        let mut wanted = with_paths();
        wanted.want(entry(1, "a", Some("b")), 0, 9).unwrap();
        wanted.want(entry(2, "a", None), 0, 9).unwrap();
        let rules: Vec<_> = wanted.rules().into_iter().collect();
        let mut expected =
            vec![(net(1), name("a")), (net(1).reverse(), name("b")), (net(2), name("a"))];
        expected.sort();
        assert_eq!(rules, expected);
    }

    #[test]
    fn what_an_entry_says_itself_goes_before_a_reverse() {
        let mut wanted = with_paths();
        wanted.want(entry(1, "a", Some("a")), 0, 9).unwrap();
        let own = Entry { matching: net(1).reverse(), ..entry(1, "b", Some("b")) };
        wanted.want(own, 0, 9).unwrap();
        let rules = wanted.rules();
        assert_eq!((&rules[&net(1)], &rules[&net(1).reverse()]), (&name("a"), &name("b")));
        // Its path down: not redirected, rather than redirected by the other.
        wanted.path_down(&name("b"));
        assert_eq!(wanted.rules().len(), 1);
    }

    #[test]
    fn only_paths_that_are_up() {
        let mut wanted = with_paths();
        wanted.want(entry(1, "a", Some("b")), 0, 9).unwrap();
        wanted.want(entry(2, "later", None), 0, 9).unwrap();
        assert_eq!(wanted.rules().len(), 2);
        wanted.path_down(&name("a"));
        assert_eq!(wanted.rules().keys().copied().collect::<Vec<_>>(), [net(1).reverse()]);
        wanted.path_up(name("later"), Target { mark: 3, table: 103 }).unwrap();
        assert_eq!(wanted.rules()[&net(2)], name("later"));
    }

    #[test]
    fn the_table_has_a_bound() {
        let mut wanted = with_paths();
        wanted.want(entry(1, "a", None), 0, 1).unwrap();
        let error = wanted.want(entry(2, "a", None), 0, 1).unwrap_err();
        assert_eq!(error.limit, 1);
        assert_eq!(wanted.want(entry(1, "a", None), 5, 1), Ok(false));
        assert_eq!(wanted.want(entry(1, "b", None), 5, 1), Ok(true));
        assert!(wanted.unwant(&net(1)) && !wanted.unwant(&net(1)));
    }
}
