// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a router must be able to do.

use crate::error::DeviceError;
use crate::matching::Match;
use crate::path::{PathName, Paths};
use crate::rule::{Change, ReadBack, Rule};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Ns;

/// What a device can do, found when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It matches ports, so 5-tuples can be told apart.
    pub ports: bool,
    /// It matches IPv6.
    pub ipv6: bool,
    /// A change takes effect as a whole or not at all.
    pub atomic: bool,
    /// Rules it holds.
    pub limit: usize,
}

/// When a change is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Now.
    Done,
    /// At that time; reading back earlier shows the old rules.
    Due(Ns),
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What a device counted since a rule was installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By what is matched.
    pub by_match: BTreeMap<Match, Count>,
    /// By path.
    pub by_path: BTreeMap<PathName, Count>,
}

impl Counts {
    /// Adds what a rule counted.
    pub fn add(&mut self, matching: Match, path: &PathName, count: Count) {
        self.by_match.entry(matching).or_default().add(count);
        self.by_path.entry(path.clone()).or_default().add(count);
    }
}

/// A router, or whatever redirects packets as one does.
///
/// A device keeps nothing that matters: a new one finds the rules of the one before. Paths are passed
/// to every call, so that marks and tables it reads have names.
pub trait Device {
    /// For messages.
    fn name(&self) -> &str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// What it holds at `now`, asked of the router itself.
    ///
    /// # Errors
    ///
    /// If the router does not answer or cannot be understood.
    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError>;

    /// Makes a change. That it returns well is a claim, not a proof.
    ///
    /// # Errors
    ///
    /// If the router says no. Without [`Capabilities::atomic`] a part of the change may be in force.
    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError>;

    /// Which of `rules` it holds, without reading all; none if it cannot tell so.
    ///
    /// # Errors
    ///
    /// If the router does not answer or cannot be understood.
    fn find(
        &mut self,
        paths: &Paths,
        rules: &[Rule],
        now: Ns,
    ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
        let _ = (paths, rules, now);
        Ok(None)
    }

    /// What it counted, if it counts.
    ///
    /// # Errors
    ///
    /// If the router does not answer or cannot be understood.
    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        let _ = paths;
        Ok(None)
    }
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        (**self).read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        (**self).apply(paths, change, now)
    }

    fn find(
        &mut self,
        paths: &Paths,
        rules: &[Rule],
        now: Ns,
    ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
        (**self).find(paths, rules, now)
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        (**self).counts(paths)
    }
}
