// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FRR's pbrd, in the form that works: pairs of prefixes to a VRF whose table holds the route onto the
//! LSP. Three other forms look installed and are not what they seem (FRR 10.3): a match on ports makes a
//! kernel rule without ports, a labelled next hop loses its label, and there is no `set table`. So a
//! rule counts when the configuration has it *and* the kernel does, on every interface.

mod config;

use crate::device::{Capabilities, Commit, Device};
use crate::error::{DeviceError, Kind};
use crate::iprule::LinkRules;
use crate::matching::Match;
use crate::path::{PathName, Paths};
use crate::process::Program;
use crate::rule::{Change, ReadBack, Rule};
use config::{Config, Sequence};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;

/// Pairs it holds, of hosts and networks together: a pbr-map has 700 sequences, half of them for each.
pub const LIMIT: usize = 350;
/// zebra puts rules into the kernel after `vtysh` has returned; so long is waited for that.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Where pbrd is, and what it is told to use.
#[derive(Clone, Debug)]
pub struct Site {
    /// How `vtysh` is called, such as `vtysh -N r1`.
    pub vtysh: Vec<String>,
    /// The pbr-map that is ours.
    pub map: String,
    /// Interfaces where packets to redirect come in.
    pub interfaces: Vec<String>,
    /// The VRF of each path; its table is the path's.
    pub vrfs: BTreeMap<PathName, String>,
}

/// A router that runs FRR, in the network namespace of the calling thread.
#[derive(Debug)]
pub struct Frr {
    name: String,
    vtysh: Program,
    site: Site,
    kernel: LinkRules,
}

impl Frr {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// If pbrd does not answer, or the kernel's rules cannot be listed.
    pub fn open(name: &str, site: Site) -> Result<Self, DeviceError> {
        let words: Vec<&str> = site.vtysh.iter().map(String::as_str).collect();
        let vtysh = Program::new(name, &words);
        let kernel = LinkRules::open(name)?;
        let frr = Self { name: name.to_owned(), vtysh, site, kernel };
        frr.config()?;
        Ok(frr)
    }

    fn config(&self) -> Result<Config, DeviceError> {
        let text = self.vtysh.run(&["-d", "pbrd", "-c", "show running-config"], "")?;
        Ok(config::parse(&text))
    }

    fn vrf(&self, paths: &Paths, rule: &Rule) -> Result<&str, DeviceError> {
        let known = paths.get(&rule.path).and_then(|_| self.site.vrfs.get(&rule.path));
        known.map(String::as_str).ok_or_else(|| {
            let said = format!("path {} has no VRF", rule.path);
            self.vtysh.error(&[], Kind::Unsupported, said).about(rule.matching)
        })
    }

    /// The rule a sequence of ours stands for.
    fn rule(&self, paths: &Paths, sequence: &Sequence) -> Option<(Rule, u32)> {
        let (matching, vrf) = sequence.meaning()?;
        let (path, _) = self.site.vrfs.iter().find(|(_, one)| *one == vrf)?;
        let target = paths.get(path)?;
        Some((Rule { matching, path: path.clone() }, target.table))
    }

    /// Whether the kernel sends such packets to the table, wherever they come in.
    fn in_kernel(&self, rules: &BTreeSet<(String, Match, u32)>, one: Match, table: u32) -> bool {
        let mut interfaces = self.site.interfaces.iter();
        interfaces.all(|link| rules.contains(&(link.clone(), one, table)))
    }

    /// Our sequences that are as they should be, those that are not, and the rest.
    fn sort(&mut self, paths: &Paths) -> Result<Sorted, DeviceError> {
        let config = self.config()?;
        let rules = self.kernel.list()?;
        let mut sorted = Sorted::default();
        for sequence in &config.sequences {
            if sequence.map != self.site.map {
                sorted.back.foreign.push(sequence.text());
                continue;
            }
            sorted.used.insert(sequence.number);
            let good = match self.rule(paths, sequence) {
                Some((rule, table)) if self.in_kernel(&rules, rule.matching, table) => {
                    let new = sorted.back.rules.insert(rule.clone());
                    new.then(|| sorted.numbers.insert(rule, sequence.number)).is_some()
                }
                _ => false,
            };
            if !good {
                sorted.back.amiss.push(format!("{}; or not in the kernel", sequence.text()));
                sorted.amiss.push(sequence.number);
            }
        }
        for (link, map) in config.policies {
            if map != self.site.map && self.site.interfaces.contains(&link) {
                sorted.back.foreign.push(format!("interface {link}: pbr-policy {map}"));
                sorted.taken.get_or_insert(link);
            }
        }
        Ok(sorted)
    }

    /// Waits until the kernel has what was told, or for so long that it will not.
    fn settle(&mut self, paths: &Paths, change: &Change) -> Result<(), DeviceError> {
        let end = Instant::now() + SETTLE;
        loop {
            let rules = self.kernel.list()?;
            let is = |rule: &Rule| {
                let table = paths.get(&rule.path).map(|target| target.table);
                table.is_some_and(|table| self.in_kernel(&rules, rule.matching, table))
            };
            let gone = !change.remove.iter().any(is);
            if (gone && change.add.iter().all(is)) || Instant::now() >= end {
                // If it has not, reading back will tell.
                return Ok(());
            }
            thread::sleep(LOOK);
        }
    }

    fn commands(&mut self, paths: &Paths, change: &Change) -> Result<Vec<String>, DeviceError> {
        let mut sorted = self.sort(paths)?;
        if let Some(link) = &sorted.taken {
            let said = format!("interface {link} has another pbr-policy");
            return Err(self.vtysh.error(&[], Kind::Refused, said));
        }
        let map = &self.site.map;
        let mut lines = Vec::new();
        // What comes, comes before what it replaces goes.
        for rule in &change.add {
            let vrf = self.vrf(paths, rule)?;
            let error = |kind, said: &str| self.vtysh.error(&[], kind, said).about(rule.matching);
            let numbers = config::numbers(rule.matching.rank())
                .ok_or_else(|| error(Kind::Unsupported, "pbrd forgets ports"))?;
            let number = numbers.into_iter().find(|number| !sorted.used.contains(number));
            let number = number.ok_or_else(|| error(Kind::Full, "no sequence is free"))?;
            sorted.used.insert(number);
            lines.extend(config::add(map, number, rule, vrf));
        }
        let gone = change.remove.iter().map(|rule| sorted.numbers.get(rule).copied());
        let gone: Option<Vec<u16>> = gone.collect();
        let Some(mut gone) = gone else {
            let said = "a rule to remove is not there any more";
            return Err(self.vtysh.error(&[], Kind::Refused, said));
        };
        if change.purge {
            gone.extend(&sorted.amiss);
        }
        lines.extend(gone.iter().map(|number| format!("no pbr-map {map} seq {number}")));
        for link in &self.site.interfaces {
            lines.push(format!("interface {link}"));
            lines.push(format!("pbr-policy {map}"));
            lines.push("exit".to_owned());
        }
        Ok(lines)
    }
}

#[derive(Debug, Default)]
struct Sorted {
    back: ReadBack,
    /// Sequence of each good rule.
    numbers: BTreeMap<Rule, u16>,
    used: BTreeSet<u16>,
    amiss: Vec<u16>,
    /// An interface of ours with another's policy.
    taken: Option<String>,
}

impl Device for Frr {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: false, ipv6: self.kernel.ipv6(), atomic: false, limit: LIMIT }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        Ok(self.sort(paths)?.back)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        let lines = self.commands(paths, change)?;
        let mut args = vec!["-c", "configure terminal"];
        for line in &lines {
            args.extend(["-c", line]);
        }
        let told = self.vtysh.output(&args, "")?;
        if !told.status.success() {
            // pbrd says what it does not like on its output.
            let said = String::from_utf8_lossy(&told.stdout).into_owned();
            return Err(self.vtysh.error(&["-c", "configure terminal"], Kind::Refused, said));
        }
        self.settle(paths, change)?;
        Ok(Commit::Done)
    }
}
