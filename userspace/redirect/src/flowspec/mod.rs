// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BGP FlowSpec (RFC 8955, RFC 8956): an entry is a route that a speaker announces, with a redirection
//! into the VRF of its path. The speaker is GoBGP, told by its command; it carries one community by
//! which ours are known. What the speaker announces says nothing of what a router does, so an entry
//! counts when the router itself shows it: it is read by another device, such as [`crate::nft`] where the
//! router runs our [`receiver`]. What is amiss inside the router is the router's to mend.
//!
//! A real router looks at routes in the order of RFC 8955, section 5.1: longer prefixes and more
//! components go first, which is the order of our ranks.

pub mod action;
mod gobgp;
pub mod meaning;
pub mod nlri;
pub mod receiver;
pub mod table;

pub use action::{Redirect, RouteTarget};
pub use receiver::Receiver;

use crate::device::{Capabilities, Commit, Counts, Device};
use crate::error::{DeviceError, Kind};
use crate::matching::Match;
use crate::path::{PathName, Paths};
use crate::rule::{Change, ReadBack, Rule};
use gobgp::GoBgp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;

/// Routes unless said otherwise; routers that hold more are few.
pub const LIMIT: usize = 4096;
/// The community unless said otherwise: 64512:84.
pub const COMMUNITY: u32 = (64_512 << 16) | 84;
/// A router has what its speaker announced after a while; so long is waited for that.
const SETTLE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Where the speaker is, and what it is told to use.
#[derive(Clone, Debug)]
pub struct Site {
    /// How `gobgp` is called, such as `gobgp -u 127.0.0.1 -p 50051`.
    pub gobgp: Vec<String>,
    /// The VRF of each path, by what it imports.
    pub targets: BTreeMap<PathName, RouteTarget>,
    /// Our routes carry it and no others do. [`COMMUNITY`] will do.
    pub community: u32,
}

/// A router that a speaker tells, and that can be read.
pub struct FlowSpec {
    name: String,
    gobgp: GoBgp,
    site: Site,
    router: Box<dyn Device + Send>,
    limit: usize,
}

impl fmt::Debug for FlowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let router = self.router.name();
        f.debug_struct("FlowSpec").field("site", &self.site).field("router", &router).finish()
    }
}

/// What is announced beside what is there.
#[derive(Debug, Default)]
struct Sorted {
    back: ReadBack,
    /// Announced as ours, and not in force as announced.
    stale: BTreeSet<Match>,
    /// In force, and not announced.
    silent: Vec<Rule>,
}

impl FlowSpec {
    /// Opens it; `router` reads what is in force there, and is asked for nothing else. Entries beyond
    /// `limit` are refused; [`LIMIT`] will do.
    ///
    /// # Errors
    ///
    /// If the speaker does not answer.
    pub fn open(
        name: &str,
        site: Site,
        router: Box<dyn Device + Send>,
        limit: usize,
    ) -> Result<Self, DeviceError> {
        let gobgp = GoBgp::new(name, &site.gobgp, site.community);
        gobgp.list()?;
        Ok(Self { name: name.to_owned(), gobgp, site, router, limit })
    }

    fn target(&self, paths: &Paths, rule: &Rule) -> Result<RouteTarget, DeviceError> {
        let known = paths.get(&rule.path).and_then(|_| self.site.targets.get(&rule.path));
        known.copied().ok_or_else(|| {
            let said = format!("path {} has no route target", rule.path);
            DeviceError::new(&self.name, "announce", Kind::Unsupported, said).about(rule.matching)
        })
    }

    fn path(&self, paths: &Paths, target: RouteTarget) -> Option<PathName> {
        let mut targets = self.site.targets.iter();
        let (path, _) = targets.find(|(_, one)| **one == target)?;
        paths.get(path).map(|_| path.clone())
    }

    fn sort(&mut self, paths: &Paths, now: Ns) -> Result<Sorted, DeviceError> {
        let announced = self.gobgp.list()?;
        let there = self.router.read_back(paths, now)?;
        let mut sorted = Sorted::default();
        sorted.back.foreign = there.foreign;
        let (mut good, mut theirs) = (BTreeSet::new(), BTreeSet::new());
        for one in announced {
            if !one.ours {
                sorted.back.foreign.push(format!("announced: {}", one.text));
                theirs.extend(one.matching);
                continue;
            }
            let path = one.target.and_then(|target| self.path(paths, target));
            match (one.matching, path) {
                (Some(matching), Some(path)) => {
                    let rule = Rule { matching, path };
                    if there.rules.contains(&rule) {
                        good.insert(rule);
                    } else {
                        sorted.back.amiss.push(format!("{rule}: announced, not in the router"));
                        sorted.stale.insert(matching);
                    }
                }
                (matching, _) => {
                    sorted.back.amiss.push(format!("announced, none of ours: {}", one.text));
                    sorted.stale.extend(matching);
                }
            }
        }
        for rule in there.rules {
            if good.contains(&rule) {
                sorted.back.rules.insert(rule);
            } else if theirs.contains(&rule.matching) {
                sorted.back.foreign.push(format!("in the router: {rule}"));
            } else {
                // Packets follow it, so its path is in use.
                sorted.back.amiss.push(format!("{rule}: in the router, not announced"));
                sorted.back.rules.insert(rule.clone());
                sorted.silent.push(rule);
            }
        }
        Ok(sorted)
    }

    /// Whether the router has what was announced and nothing of what was withdrawn.
    fn reached(
        &mut self,
        paths: &Paths,
        add: &[Rule],
        gone: &BTreeSet<Match>,
        now: Ns,
    ) -> Result<bool, DeviceError> {
        if gone.is_empty() {
            let found = self.router.find(paths, add, now)?;
            if let Some(found) = found {
                return Ok(add.iter().all(|rule| found.contains(rule)));
            }
        }
        let rules = match self.router.read_back(paths, now) {
            Ok(back) => back.rules,
            // It is at work, and changes under the reading.
            Err(error) if error.kind == Kind::Late => return Ok(false),
            Err(error) => return Err(error),
        };
        let left = rules.iter().any(|rule| gone.contains(&rule.matching));
        Ok(!left && add.iter().all(|rule| rules.contains(rule)))
    }

    /// Waits until the router has followed, or for so long that it will not.
    fn settle(
        &mut self,
        paths: &Paths,
        add: &[Rule],
        gone: &BTreeSet<Match>,
        now: Ns,
    ) -> Result<(), DeviceError> {
        let end = Instant::now() + SETTLE;
        // If it has not, reading back will tell.
        while !self.reached(paths, add, gone, now)? && Instant::now() < end {
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Device for FlowSpec {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let ipv6 = self.router.capabilities().ipv6;
        Capabilities { ports: true, ipv6, atomic: false, limit: self.limit }
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        Ok(self.sort(paths, now)?.back)
    }

    /// Announces before it withdraws. A route is known by what it matches, so one that is to go and to
    /// come with another path is announced only: that replaces it, and packets are never without.
    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        let targets: Result<Vec<RouteTarget>, DeviceError> =
            change.add.iter().map(|rule| self.target(paths, rule)).collect();
        let mut add: Vec<(Rule, RouteTarget)> = change.add.iter().cloned().zip(targets?).collect();
        let mut gone: BTreeSet<Match> = change.remove.iter().map(|rule| rule.matching).collect();
        if change.purge {
            let sorted = self.sort(paths, now)?;
            for rule in sorted.silent.into_iter().filter(|rule| !gone.contains(&rule.matching)) {
                let target = self.target(paths, &rule)?;
                add.push((rule, target));
            }
            gone.extend(sorted.stale);
        }
        for (rule, target) in &add {
            self.gobgp.announce(&rule.matching, *target)?;
            gone.remove(&rule.matching);
        }
        for matching in &gone {
            self.gobgp.withdraw(matching)?;
        }
        let add: Vec<Rule> = add.into_iter().map(|(rule, _)| rule).collect();
        self.settle(paths, &add, &gone, now)?;
        Ok(Commit::Done)
    }

    fn find(
        &mut self,
        paths: &Paths,
        rules: &[Rule],
        now: Ns,
    ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
        self.router.find(paths, rules, now)
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        self.router.counts(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::memory::testing::{name, net};

    /// No speaker there: the error says which command failed and that nobody was reached.
    #[test]
    fn a_speaker_that_is_away_is_told_so() {
        let site = Site {
            gobgp: vec!["/does/not/exist/gobgp".to_owned()],
            targets: BTreeMap::new(),
            community: COMMUNITY,
        };
        let router = Box::new(Memory::new("m"));
        let error = FlowSpec::open("r1", site, router, LIMIT).unwrap_err();
        assert_eq!(error.kind, Kind::Unreachable);
        assert!(error.to_string().starts_with("r1, `/does/not/exist/gobgp global rib"), "{error}");
    }

    /// What `gobgp` is told, in a folder of the test's own: a program that notes its words and knows one
    /// route of ours, to 64512:101, from 10.1.0.0/24 to 10.2.0.0/24.
    struct Noting(std::path::PathBuf);

    impl Noting {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("gobgp-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("listed"), include_str!("listed4.json")).unwrap();
            let noting = Self(dir);
            let script = format!(
                "#!/bin/sh\ncd {} || exit 9\ncase \"$*\" in *ipv4*-j) cat listed ;; *-j) echo {{}} ;; \
                 *) echo \"$*\" >> told ;; esac\n",
                noting.0.display()
            );
            std::fs::write(noting.0.join("gobgp"), script).unwrap();
            noting
        }

        fn open(&self, router: Memory) -> FlowSpec {
            let program = self.0.join("gobgp").display().to_string();
            let targets = [("a", 101), ("b", 102)]
                .map(|(path, number)| (name(path), RouteTarget::As2 { asn: 64_512, number }));
            let site = Site {
                gobgp: vec!["sh".to_owned(), program],
                targets: targets.into(),
                community: COMMUNITY,
            };
            FlowSpec::open("r1", site, Box::new(router), LIMIT).unwrap()
        }

        fn told(&self) -> Vec<String> {
            let told = std::fs::read_to_string(self.0.join("told")).unwrap_or_default();
            told.lines().map(str::to_owned).collect()
        }
    }

    impl Drop for Noting {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn paths() -> Paths {
        let mut paths = Paths::default();
        for (path, mark) in [("a", 1), ("b", 2)] {
            let target = crate::path::Target { mark, table: 100 + mark };
            paths.insert(name(path), target).unwrap();
        }
        paths
    }

    /// 1. What the speaker announces is not there unless the router holds it.
    /// 2. What comes is announced before what goes is withdrawn, with the community that makes it ours.
    #[test]
    fn what_is_announced_is_looked_for_in_the_router() {
        let noting = Noting::new("order");
        let mut speaker = noting.open(Memory::new("m"));
        let back = speaker.read_back(&paths(), 0).unwrap();
        assert_eq!(back.rules.len(), 0, "{back:?}");
        assert!(back.amiss.total > 0 && back.foreign.total > 0, "{back:?}");
        drop(speaker);

        // A router that has it, and has followed already.
        let mut router = Memory::new("m");
        let rule = |n, path| Rule { matching: net(n), path: name(path) };
        router.rules = [rule(0, "a"), rule(1, "b")].into();
        let mut speaker = noting.open(router);
        let back = speaker.read_back(&paths(), 0).unwrap();
        assert!(back.rules.contains(&rule(0, "a")), "{back:?}");
        let change =
            Change { remove: vec![rule(2, "a")], add: vec![rule(1, "b")], ..Change::default() };
        speaker.apply(&paths(), &change, 0).unwrap();
        let pair = |n| format!("destination 10.2.{n}.0/24 source 10.1.{n}.0/24");
        assert_eq!(
            noting.told(),
            [
                format!(
                    "global rib add -a ipv4-flowspec match {} then redirect 64512:102 community \
                     64512:84",
                    pair(1)
                ),
                format!("global rib del -a ipv4-flowspec match {}", pair(2)),
            ]
        );
    }
}
