// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device whose every change is written down before it is made, and its outcome after.

use crate::crash::{Crash, Point, Side};
use crate::journal::Journal;
use crate::record::Intent;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use telesteer_fam::Ns;
use telesteer_redirect::device::{Capabilities, Commit, Counts, Device};
use telesteer_redirect::error::{DeviceError, Kind};
use telesteer_redirect::path::Paths;
use telesteer_redirect::rule::{Change, ReadBack, Rule};

/// The device inside, with its intents in the journal.
pub struct Guard<D> {
    inner: D,
    journal: Arc<Mutex<Journal>>,
    crash: Crash,
}

impl<D: Device> Guard<D> {
    /// Wraps a device.
    pub fn new(inner: D, journal: Arc<Mutex<Journal>>, crash: Crash) -> Self {
        Self { inner, journal, crash }
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Device> Device for Guard<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.crash.pass(Point::ReadBack, Side::Before);
        let back = self.inner.read_back(paths, now);
        self.crash.pass(Point::ReadBack, Side::After);
        back
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        let intent = Intent::Routes {
            router: self.inner.name().to_owned(),
            add: change.add.len(),
            remove: change.remove.len(),
            purge: change.purge,
        };
        // Not written down, not done. It is nobody's fault but ours, so it is tried again.
        let number = self.journal().begin(intent).map_err(|bad| {
            DeviceError::new(self.inner.name(), "writing down the change", Kind::Late, bad)
        })?;
        let withdraws = !change.remove.is_empty() || change.purge;
        let pass = |side| {
            if withdraws {
                self.crash.pass(Point::Withdraw, side);
            }
            if !change.add.is_empty() {
                self.crash.pass(Point::Install, side);
            }
        };
        pass(Side::Before);
        let result = self.inner.apply(paths, change, now);
        pass(Side::After);
        let said = result.as_ref().err().map(DeviceError::to_string);
        // It was made all the same. What is not written down stays open, and is looked at after a
        // restart.
        let _ = self.journal().end(number, said);
        result
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::net;
    use telesteer_redirect::memory::Memory;
    use telesteer_redirect::path::{PathName, Target};

    #[test]
    fn a_change_is_between_its_intent_and_its_result() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), 1 << 20, Crash::default()).unwrap().0;
        let journal = Arc::new(Mutex::new(journal));
        let mut device = Guard::new(Memory::new("r1"), journal.clone(), Crash::default());
        let name = PathName::new("a").unwrap();
        let mut paths = Paths::default();
        paths.insert(name.clone(), Target { mark: 1, table: 101 }).unwrap();
        let rule = Rule { matching: net(1), path: name };
        let change = Change { add: vec![rule.clone()], ..Change::default() };
        device.apply(&paths, &change, 0).unwrap();
        assert_eq!(journal.lock().unwrap().state().open.len(), 0);
        assert_eq!(journal.lock().unwrap().counters().records, 2);
        assert!(device.apply(&paths, &change, 0).is_err());
        assert_eq!(journal.lock().unwrap().counters().records, 4);
        let text = std::fs::read_to_string(dir.path().join("journal")).unwrap();
        assert!(text.contains("it is there already"), "{text}");
        assert!(device.read_back(&paths, 0).unwrap().rules.contains(&rule));
    }
}
