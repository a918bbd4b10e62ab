// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A switch that speaks OpenFlow 1.3, by Open vSwitch's `ovs-ofctl`. Changes are bundles: all of them
//! or none. Our flows are known by their cookie, whose lower half is the path's mark. Those of 5-tuples
//! may have times after which the switch ages them out.

mod aging;
mod flow;

pub use flow::{Egress, Timeouts};

use crate::device::{Capabilities, Commit, Counts, Device};
use crate::error::{DeviceError, Kind};
use crate::matching::{Match, Rank};
use crate::path::{PathName, Paths};
use crate::process::Program;
use crate::rule::{Change, ReadBack, Rule};
use aging::{Aging, Sight};
use flow::Flow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;

/// Flows unless said otherwise.
pub const LIMIT: usize = 65_536;

/// A bridge.
#[derive(Debug)]
pub struct OpenFlow {
    name: String,
    program: Program,
    /// As `ovs-ofctl` wants it: a name, or `unix:` and a socket.
    bridge: String,
    egress: BTreeMap<PathName, Egress>,
    limit: usize,
    timeouts: Timeouts,
    aging: Aging,
    /// Flows of others that are where ours would go: to add ours would replace them.
    taken: BTreeSet<Match>,
}

impl OpenFlow {
    /// Opens a bridge; `egress` says how packets leave onto each path.
    ///
    /// # Errors
    ///
    /// If its flows cannot be listed.
    pub fn open(
        name: &str,
        bridge: &str,
        egress: BTreeMap<PathName, Egress>,
        limit: usize,
    ) -> Result<Self, DeviceError> {
        let program = Program::new(name, &["ovs-ofctl", "-t", "50", "-O", "OpenFlow13"]);
        let (name, bridge) = (name.to_owned(), bridge.to_owned());
        let (timeouts, aging, taken) = (Timeouts::default(), Aging::default(), BTreeSet::new());
        let this = Self { name, program, bridge, egress, limit, timeouts, aging, taken };
        this.list()?;
        Ok(this)
    }

    /// The same, with times for flows of 5-tuples.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    fn list(&self) -> Result<Vec<Flow>, DeviceError> {
        let args = ["--no-names", "dump-flows", &self.bridge];
        let text = self.program.run(&args, "")?;
        let flows = text.lines().filter_map(flow::parse);
        flows
            .map(|flow| flow.map_err(|line| self.program.error(&args, Kind::Garbled, line)))
            .collect()
    }

    fn rule(&self, paths: &Paths, flow: &Flow) -> Option<Rule> {
        let matching = flow.matching?;
        let path = paths.with_mark(flow::mark(flow.cookie)?)?;
        let right = flow.table == flow::TABLE
            && flow.priority == flow::priority(matching.rank())
            && flow.timeouts == self.timeouts.of(matching.rank())
            && flow.actions == self.egress.get(path)?.actions();
        right.then(|| Rule { matching, path: path.clone() })
    }

    fn sort(&mut self, paths: &Paths) -> Result<(ReadBack, Vec<Flow>), DeviceError> {
        let ours = flow::priority(Rank::Net)..=flow::priority(Rank::Flow);
        let (mut back, mut amiss) = (ReadBack::default(), Vec::new());
        let mut taken = BTreeSet::new();
        let mut timed = BTreeMap::new();
        // Before it is asked: what is gone then was gone at this time or later.
        let now = Instant::now();
        for flow in self.list()? {
            if flow::mark(flow.cookie).is_none() {
                if flow.table == flow::TABLE && ours.contains(&flow.priority) {
                    back.foreign.push(format!("{} actions={}", flow.spec, flow.actions));
                    let same = |one: &Match| flow::priority(one.rank()) == flow.priority;
                    taken.extend(flow.matching.filter(same));
                }
                continue;
            }
            match self.rule(paths, &flow) {
                Some(rule) => {
                    if flow.timeouts != Timeouts::default() {
                        let age = Duration::try_from_secs_f64(flow.age).unwrap_or_default();
                        let (timeouts, packets) = (flow.timeouts, flow.count.packets);
                        timed.insert(rule.clone(), Sight { timeouts, age, packets });
                    }
                    back.rules.insert(rule);
                }
                None => {
                    let timeouts = flow.timeouts.words();
                    back.amiss.push(format!("{timeouts}{} actions={}", flow.spec, flow.actions));
                    amiss.push(flow);
                }
            }
        }
        self.taken = taken;
        back.expired = self.aging.look(now, timed);
        Ok((back, amiss))
    }

    fn spec(&self, paths: &Paths, rule: &Rule) -> Result<(u64, String), DeviceError> {
        let error = |kind, said: String| {
            Err(self.program.error(&["add-flows"], kind, said).about(rule.matching))
        };
        let Some(target) = paths.get(&rule.path) else {
            return error(Kind::Unsupported, format!("unknown path {}", rule.path));
        };
        match flow::spec(&rule.matching) {
            Some(spec) => Ok((flow::cookie(target.mark), spec)),
            None => error(Kind::Unsupported, "no ports of this protocol".to_owned()),
        }
    }
}

impl Device for OpenFlow {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: true, ipv6: true, atomic: true, limit: self.limit }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        Ok(self.sort(paths)?.0)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        let mut text = String::new();
        // Writing into a String cannot fail.
        if change.purge {
            for flow in self.sort(paths)?.1 {
                let _ = writeln!(text, "delete_strict cookie={:#x}/-1,{}", flow.cookie, flow.spec);
            }
        }
        for rule in &change.remove {
            let (cookie, spec) = self.spec(paths, rule)?;
            let _ = writeln!(text, "delete_strict cookie={cookie:#x}/-1,{spec}");
            self.aging.forget(rule);
        }
        for rule in &change.add {
            let (cookie, spec) = self.spec(paths, rule)?;
            let error = |kind, said: String| {
                self.program.error(&["add-flows"], kind, said).about(rule.matching)
            };
            if self.taken.contains(&rule.matching) {
                return Err(error(Kind::Refused, "a foreign flow is in its place".to_owned()));
            }
            let Some(egress) = self.egress.get(&rule.path) else {
                let said = format!("no egress is known for path {}", rule.path);
                return Err(error(Kind::Unsupported, said));
            };
            let timeouts = self.timeouts.of(rule.matching.rank()).words();
            let actions = egress.actions();
            let _ = writeln!(text, "add cookie={cookie:#x},{timeouts}{spec},actions={actions}");
        }
        if !text.is_empty() {
            self.program.run(&["--bundle", "add-flows", &self.bridge, "-"], &text)?;
        }
        Ok(Commit::Done)
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        let mut counts = Counts::default();
        for flow in self.list()? {
            if let Some(rule) = self.rule(paths, &flow) {
                counts.add(rule.matching, &rule.path, flow.count);
            }
        }
        Ok(Some(counts))
    }
}
