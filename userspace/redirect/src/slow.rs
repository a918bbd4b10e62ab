// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device whose commit takes long, as that of a router that checks and loads its configuration.

use crate::device::{Capabilities, Commit, Counts, Device};
use crate::error::{DeviceError, Kind};
use crate::path::Paths;
use crate::rule::{Change, ReadBack, Rule};
use std::collections::{BTreeSet, VecDeque};
use telesteer_fam::Ns;

/// Commits that may wait.
pub const MAX_WAITING: usize = 16;

/// Lets `delay` pass before it hands a change to the device inside. Commits follow one another: one
/// that comes while another is under way begins after it. Nothing sleeps here, time is the caller's.
#[derive(Debug)]
pub struct Slow<D> {
    inner: D,
    delay: Ns,
    waiting: VecDeque<(Ns, Paths, Change)>,
    /// What the last commits ran into; told at the next reading.
    failed: Option<DeviceError>,
}

impl<D: Device> Slow<D> {
    /// Wraps a device.
    pub fn new(inner: D, delay: Ns) -> Self {
        Self { inner, delay, waiting: VecDeque::new(), failed: None }
    }

    /// The device inside.
    pub fn into_inner(self) -> D {
        self.inner
    }

    fn commit(&mut self, now: Ns) {
        while let Some((due, _, _)) = self.waiting.front()
            && *due <= now
            && let Some((due, paths, change)) = self.waiting.pop_front()
        {
            if let Err(error) = self.inner.apply(&paths, &change, due) {
                self.failed = Some(error);
            }
        }
    }
}

impl<D: Device> Device for Slow<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    /// Also makes the commits that are due. One that failed makes this reading fail, once.
    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.commit(now);
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.inner.read_back(paths, now),
        }
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        self.commit(now);
        if self.waiting.len() >= MAX_WAITING {
            let said = format!("{MAX_WAITING} commits are waiting");
            return Err(DeviceError::new(self.name(), "commit", Kind::Late, said));
        }
        let begins = self.waiting.back().map_or(now, |(due, _, _)| *due).max(now);
        let due = begins.saturating_add(self.delay);
        self.waiting.push_back((due, paths.clone(), change.clone()));
        Ok(Commit::Due(due))
    }

    fn find(
        &mut self,
        paths: &Paths,
        rules: &[Rule],
        now: Ns,
    ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
        self.commit(now);
        self.inner.find(paths, rules, now)
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        self.inner.counts(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::memory::testing::{name, net};
    use crate::path::Target;

    #[test]
    fn a_change_is_in_force_when_its_time_has_come() {
        let mut paths = Paths::default();
        paths.insert(name("a"), Target { mark: 1, table: 101 }).unwrap();
        let mut slow = Slow::new(Memory::new("m"), 60);
        let change = |n| Change {
            add: vec![Rule { matching: net(n), path: name("a") }],
            ..Change::default()
        };
        assert_eq!(slow.apply(&paths, &change(1), 0), Ok(Commit::Due(60)));
        assert_eq!(slow.apply(&paths, &change(2), 10), Ok(Commit::Due(120)));
        assert_eq!(slow.read_back(&paths, 59).unwrap().rules.len(), 0);
        assert_eq!(slow.read_back(&paths, 60).unwrap().rules.len(), 1);
        assert_eq!(slow.read_back(&paths, 120).unwrap().rules.len(), 2);
        // A commit that the device refuses shows at the next reading.
        slow.apply(&paths, &change(2), 200).unwrap();
        assert!(slow.read_back(&paths, 260).is_err());
        assert!(slow.read_back(&paths, 260).is_ok());
        for n in 0..MAX_WAITING {
            assert!(slow.apply(&paths, &change(9), 300).is_ok(), "{n}");
        }
        assert!(slow.apply(&paths, &change(9), 300).is_err());
    }
}
