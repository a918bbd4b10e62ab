// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device that is read and never changed: changes are laid over what it holds, in memory.

use std::collections::BTreeSet;
use telesteer_fam::Ns;
use telesteer_redirect::device::{Capabilities, Commit, Counts, Device};
use telesteer_redirect::error::DeviceError;
use telesteer_redirect::path::Paths;
use telesteer_redirect::rule::{Change, Listed, ReadBack, Rule};

/// What a device would hold.
pub struct Dry<D> {
    inner: D,
    added: BTreeSet<Rule>,
    removed: BTreeSet<Rule>,
    purged: bool,
}

impl<D: Device> Dry<D> {
    /// Over what the device holds.
    pub fn new(inner: D) -> Self {
        Self { inner, added: BTreeSet::new(), removed: BTreeSet::new(), purged: false }
    }
}

impl<D: Device> Device for Dry<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        let mut back = self.inner.read_back(paths, now)?;
        back.rules.retain(|rule| !self.removed.contains(rule));
        back.rules.extend(self.added.iter().cloned());
        if self.purged {
            back.amiss = Listed::default();
        }
        Ok(back)
    }

    fn apply(&mut self, _paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        for rule in &change.remove {
            if !self.added.remove(rule) {
                self.removed.insert(rule.clone());
            }
        }
        for rule in &change.add {
            if !self.removed.remove(rule) {
                self.added.insert(rule.clone());
            }
        }
        self.purged |= change.purge;
        Ok(Commit::Done)
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        self.inner.counts(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::net;
    use telesteer_redirect::memory::Memory;
    use telesteer_redirect::path::{PathName, Target};

    #[test]
    fn it_shows_what_would_be_and_leaves_what_is() {
        let name = PathName::new("a").unwrap();
        let mut paths = Paths::default();
        paths.insert(name.clone(), Target { mark: 1, table: 101 }).unwrap();
        let rule = |n| Rule { matching: net(n), path: name.clone() };
        let mut memory = Memory::new("r1");
        memory.rules = [rule(1)].into();
        memory.amiss.push("odd".into());
        let mut dry = Dry::new(memory);
        let change = Change { remove: vec![rule(1)], add: vec![rule(2)], purge: true };
        dry.apply(&paths, &change, 0).unwrap();
        let back = dry.read_back(&paths, 0).unwrap();
        assert_eq!((back.rules, back.amiss.total), ([rule(2)].into(), 0));
        let undo = Change { remove: vec![rule(2)], add: vec![rule(1)], purge: false };
        dry.apply(&paths, &undo, 0).unwrap();
        assert_eq!(dry.read_back(&paths, 0).unwrap().rules, [rule(1)].into());
        assert_eq!(dry.inner.rules, [rule(1)].into());
        assert_eq!(dry.inner.amiss.len(), 1);
    }
}
