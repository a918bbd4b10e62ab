// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device in memory: for dry runs, and to try decisions on.

use crate::device::{Capabilities, Commit, Device};
use crate::error::{DeviceError, Kind};
use crate::path::Paths;
use crate::rule::{Change, ReadBack, Rule};
use std::collections::BTreeSet;
use telesteer_fam::Ns;

/// Redirects nothing, keeps everything.
#[derive(Clone, Debug)]
pub struct Memory {
    /// For messages.
    pub name: String,
    /// What it pretends to be able to do.
    pub capabilities: Capabilities,
    /// Rules that are ours.
    pub rules: BTreeSet<Rule>,
    /// What is ours and amiss.
    pub amiss: Vec<String>,
    /// What is not ours.
    pub foreign: Vec<String>,
}

impl Memory {
    /// An empty one that can do all.
    pub fn new(name: &str) -> Self {
        let capabilities = Capabilities { ports: true, ipv6: true, atomic: true, limit: 65_536 };
        Self {
            name: name.to_owned(),
            capabilities,
            rules: BTreeSet::new(),
            amiss: Vec::new(),
            foreign: Vec::new(),
        }
    }

    fn error(&self, kind: Kind, said: &str) -> DeviceError {
        DeviceError::new(&self.name, "change", kind, said)
    }

    fn one(&self, rules: &mut BTreeSet<Rule>, rule: &Rule) -> Result<(), DeviceError> {
        let able = self.capabilities;
        if (rule.matching.ports().is_some() && !able.ports)
            || (!rule.matching.is_ipv4() && !able.ipv6)
        {
            return Err(self.error(Kind::Unsupported, "no such match").about(rule.matching));
        }
        if rules.len() >= able.limit {
            return Err(self.error(Kind::Full, "no room").about(rule.matching));
        }
        if !rules.insert(rule.clone()) {
            return Err(self.error(Kind::Refused, "it is there already").about(rule.matching));
        }
        Ok(())
    }
}

impl Device for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        let mut back = ReadBack::default();
        for rule in &self.rules {
            if paths.get(&rule.path).is_some() {
                back.rules.insert(rule.clone());
            } else {
                back.amiss.push(format!("{rule}: unknown path"));
            }
        }
        self.amiss.iter().for_each(|text| back.amiss.push(text));
        self.foreign.iter().for_each(|text| back.foreign.push(text));
        Ok(back)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        let mut rules = self.rules.clone();
        for rule in &change.remove {
            if !rules.remove(rule) {
                return Err(self.error(Kind::Refused, "it is not there").about(rule.matching));
            }
        }
        for rule in &change.add {
            if paths.get(&rule.path).is_none() {
                let said = format!("unknown path {}", rule.path);
                return Err(self.error(Kind::Unsupported, &said).about(rule.matching));
            }
            let result = self.one(&mut rules, rule);
            if result.is_err() && !self.capabilities.atomic {
                self.rules = rules;
                return result.map(|()| Commit::Done);
            }
            result?;
        }
        if change.purge {
            rules.retain(|rule| paths.get(&rule.path).is_some());
            self.amiss.clear();
        }
        self.rules = rules;
        Ok(Commit::Done)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Names, pairs and flows for tests.

    use crate::matching::Match;
    use crate::path::PathName;
    use telesteer_fam::{FiveTuple, Prefix, PrefixFlow, Width};

    pub(crate) fn name(text: &str) -> PathName {
        PathName::new(text).unwrap()
    }

    pub(crate) fn tuple(n: u8, port: u16) -> FiveTuple {
        FiveTuple {
            src: [10, 1, n, 1].into(),
            dst: [10, 2, n, 1].into(),
            proto: 6,
            src_port: port,
            dst_port: 5201,
        }
    }

    pub(crate) fn net(n: u8) -> Match {
        let of = |site| Prefix::of([10, site, n, 0].into(), Width::NET);
        Match::pair(PrefixFlow { src: of(1), dst: of(2) }).unwrap()
    }
}
