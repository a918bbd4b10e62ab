// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device whose every change is written down before it is made, and its outcome after.
//!
//! What cannot be written down is not added. It is taken away all the same: packets on a circuit that is
//! gone are lost, and where they go without a route needs no record, since routers are read after a
//! restart.

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

    fn change(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        let withdraws = !change.remove.is_empty() || change.purge;
        let pass = |crash: &Crash, side| {
            if withdraws {
                crash.pass(Point::Withdraw, side);
            }
            if !change.add.is_empty() {
                crash.pass(Point::Install, side);
            }
        };
        pass(&self.crash, Side::Before);
        let result = self.inner.apply(paths, change, now);
        pass(&self.crash, Side::After);
        result
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
        let begun = self.journal().begin(intent);
        match begun {
            Ok(number) => {
                let result = self.change(paths, change, now);
                let said = result.as_ref().err().map(DeviceError::to_string);
                // It was made all the same. What is not written down stays open, and is looked at after
                // a restart.
                let _ = self.journal().end(number, said);
                result
            }
            Err(bad) => {
                let gone = Change { add: Vec::new(), ..change.clone() };
                let result = if gone.is_empty() {
                    Ok(Commit::Done)
                } else {
                    self.journal().unwritten();
                    self.change(paths, &gone, now)
                };
                if change.add.is_empty() {
                    return result;
                }
                let name = self.inner.name();
                let no = DeviceError::new(name, "writing down the change", Kind::NotAsked, bad);
                result.and(Err(no))
            }
        }
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

    /// It notes what the journal has open when it is asked for a change, and holds nothing of what it is
    /// asked to find.
    struct Noting {
        inner: Memory,
        journal: Arc<Mutex<Journal>>,
        open: Arc<Mutex<Vec<String>>>,
    }

    impl Device for Noting {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn capabilities(&self) -> Capabilities {
            self.inner.capabilities()
        }

        fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
            self.inner.read_back(paths, now)
        }

        fn apply(&mut self, paths: &Paths, change: &Change, n: Ns) -> Result<Commit, DeviceError> {
            let journal = self.journal.lock().unwrap();
            let open = journal.state().open.values().map(ToString::to_string);
            self.open.lock().unwrap().extend(open);
            drop(journal);
            self.inner.apply(paths, change, n)
        }

        fn find(
            &mut self,
            _paths: &Paths,
            _rules: &[Rule],
            _now: Ns,
        ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
            Ok(Some(BTreeSet::new()))
        }
    }

    fn one_path() -> (Paths, PathName) {
        let name = PathName::new("a").unwrap();
        let mut paths = Paths::default();
        paths.insert(name.clone(), Target { mark: 1, table: 101 }).unwrap();
        (paths, name)
    }

    #[test]
    fn a_change_is_made_when_it_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), 1 << 20, Crash::default()).unwrap().0;
        let (journal, open) = (Arc::new(Mutex::new(journal)), Arc::default());
        let noting = Noting {
            inner: Memory::new("r1"),
            journal: Arc::clone(&journal),
            open: Arc::clone(&open),
        };
        let mut device = Guard::new(noting, Arc::clone(&journal), Crash::default());
        let (paths, path) = one_path();
        let rule = Rule { matching: net(1), path };
        let change = Change { add: vec![rule.clone()], ..Change::default() };
        device.apply(&paths, &change, 0).unwrap();
        assert_eq!(*open.lock().unwrap(), ["1 rules onto and 0 off router r1"]);
        // What the device finds is told as it is.
        assert_eq!(device.find(&paths, std::slice::from_ref(&rule), 0), Ok(Some(BTreeSet::new())));
    }

    #[test]
    fn a_change_is_between_its_intent_and_its_result() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), 1 << 20, Crash::default()).unwrap().0;
        let journal = Arc::new(Mutex::new(journal));
        let mut device = Guard::new(Memory::new("r1"), journal.clone(), Crash::default());
        let (paths, path) = one_path();
        let rule = Rule { matching: net(1), path };
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

    #[test]
    fn what_cannot_be_written_down_is_taken_away_and_not_added() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 1 << 20, Crash::default()).unwrap().0;
        journal.take_writes(false);
        let journal = Arc::new(Mutex::new(journal));
        let name = |text| PathName::new(text).unwrap();
        let mut paths = Paths::default();
        paths.insert(name("a"), Target { mark: 1, table: 101 }).unwrap();
        paths.insert(name("b"), Target { mark: 2, table: 102 }).unwrap();
        let rule = |n, path| Rule { matching: net(n), path: name(path) };
        let mut memory = Memory::new("r1");
        memory.rules = [rule(1, "a"), rule(2, "a")].into();
        memory.amiss.push("odd".into());
        let mut device = Guard::new(memory, journal.clone(), Crash::default());
        let held = |device: &Guard<Memory>| Vec::from_iter(device.inner.rules.clone());
        let counted = || journal.lock().unwrap().counters().unwritten;

        let gone = Change { remove: vec![rule(1, "a")], ..Change::default() };
        assert_eq!(device.apply(&paths, &gone, 0), Ok(Commit::Done));
        assert_eq!((held(&device), counted()), (vec![rule(2, "a")], 1));
        // What goes and comes goes.
        let other = Change { remove: vec![rule(2, "a")], add: vec![rule(2, "b")], purge: true };
        let no = device.apply(&paths, &other, 0).unwrap_err();
        assert_eq!(no.kind, Kind::NotAsked, "{no}");
        assert!(no.said.contains("journal"), "{no}");
        assert_eq!((held(&device), counted()), (vec![], 2));
        assert!(device.inner.amiss.is_empty());
        // What only comes does not, and what is not there is the device's to say.
        let new = Change { add: vec![rule(3, "b")], ..Change::default() };
        assert_eq!(device.apply(&paths, &new, 0).unwrap_err().kind, Kind::NotAsked);
        assert_eq!((held(&device), counted()), (vec![], 2));
        assert_eq!(device.apply(&paths, &gone, 0).unwrap_err().kind, Kind::Refused);
        journal.lock().unwrap().take_writes(true);
        device.apply(&paths, &new, 0).unwrap();
        assert_eq!(held(&device), [rule(3, "b")]);
    }
}
