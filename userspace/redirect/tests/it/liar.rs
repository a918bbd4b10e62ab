// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that say more than they do.

use std::collections::BTreeSet;
use telesteer_fam::{Ns, PrefixFlow};
use telesteer_redirect::device::Counts;
use telesteer_redirect::{
    Capabilities, Change, Commit, Device, DeviceError, Match, Paths, ReadBack, Rule,
};

/// What it lies about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    /// It takes everything and does nothing.
    Nothing,
    /// It leaves out every so-many-th entry.
    Every(usize),
    /// It installs a pair of hosts where a 5-tuple was asked for.
    WithoutPorts,
    /// It says that it removed, and keeps.
    Keeps,
}

pub(crate) struct Liar {
    inner: Box<dyn Device>,
    lie: Lie,
    entries: usize,
}

impl Liar {
    pub(crate) fn new(inner: Box<dyn Device>, lie: Lie) -> Self {
        Self { inner, lie, entries: 0 }
    }

    fn twist(&mut self, rule: &Rule) -> Option<Rule> {
        self.entries += 1;
        match self.lie {
            Lie::Nothing => None,
            Lie::Every(k) => (!self.entries.is_multiple_of(k)).then(|| rule.clone()),
            Lie::Keeps => Some(rule.clone()),
            Lie::WithoutPorts => {
                let matching = rule.matching;
                let hosts = PrefixFlow { src: matching.src(), dst: matching.dst() };
                let matching = Match::pair(hosts).unwrap();
                Some(Rule { matching, path: rule.path.clone() })
            }
        }
    }
}

impl Device for Liar {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.inner.read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        let add = change.add.iter().filter_map(|rule| self.twist(rule)).collect();
        let remove = match self.lie {
            Lie::Keeps => Vec::new(),
            _ => change.remove.clone(),
        };
        self.inner.apply(paths, &Change { add, remove, purge: change.purge }, now)
    }

    fn find(
        &mut self,
        paths: &Paths,
        rules: &[Rule],
        now: Ns,
    ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
        self.inner.find(paths, rules, now)
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        self.inner.counts(paths)
    }
}
