// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Admission: which path, which labels, and whether there is room.

use crate::budget::Budget;
use crate::path::{ip_links, path};
use crate::pool::{Pool, Range};
use crate::request::{Name, Request};
use crate::time::{At, Span};
use crate::topology::{Hop, Topology};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most circuits at a time.
pub const CIRCUITS: usize = 1024;

/// A label switched path, one direction of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lsp {
    /// Number of the node where it begins.
    pub from: usize,
    /// Number of the node where it ends.
    pub to: usize,
    /// Routing table at its beginning that leads into it.
    pub table: u32,
    /// Its hops, each with the label packets carry on it.
    pub hops: Vec<(Hop, u32)>,
}

/// An admitted circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// One or both directions.
    pub lsps: Vec<Lsp>,
}

/// Why a circuit is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such router.
    #[error("no router `{0}` in the topology")]
    NoNode(String),
    /// Both ends are one router.
    #[error("both ends are `{0}`")]
    OneNode(String),
    /// A span without an instant.
    #[error("it ends before it begins")]
    Empty,
    /// No path.
    #[error("no path from `{0}` to `{1}` with room for it")]
    NoPath(String, String),
    /// The link has no room for a longer time.
    #[error("no room on the link of `{0}` and `{1}` for that long")]
    NoRoom(String, String),
    /// No label or table is left.
    #[error("no {what} is left at `{node}`")]
    NoNumber {
        /// What ran out.
        what: &'static str,
        /// Where.
        node: String,
    },
    /// Too many circuits.
    #[error("{0} circuits are enough")]
    Full(usize),
    /// There is one of that name.
    #[error("there is one of that name")]
    Twice,
    /// There is none of that name.
    #[error("there is none of that name")]
    Unknown,
    /// A stored plan does not fit the topology any more.
    #[error("it does not fit the topology: {0}")]
    Misfit(&'static str),
}

/// Where labels and tables come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Numbers {
    /// Labels, at each node.
    pub labels: Range,
    /// Routing tables, at each node.
    pub tables: Range,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            labels: Range { first: 100_000, last: 131_071 },
            tables: Range { first: 10_000, last: 41_071 },
        }
    }
}

/// All admitted circuits and what they use.
#[derive(Clone, Debug)]
pub struct Admission {
    topology: Topology,
    budget: Budget,
    labels: Vec<Pool>,
    tables: Vec<Pool>,
    plans: BTreeMap<Name, Plan>,
}

impl Admission {
    /// None admitted.
    pub fn new(topology: Topology, numbers: Numbers) -> Self {
        let count = topology.nodes().len();
        Self {
            budget: Budget::new(&topology),
            labels: vec![Pool::new(numbers.labels); count],
            tables: vec![Pool::new(numbers.tables); count],
            plans: BTreeMap::new(),
            topology,
        }
    }

    /// The network.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// What is booked.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Admitted circuits.
    pub fn plans(&self) -> &BTreeMap<Name, Plan> {
        &self.plans
    }

    /// Labels and tables given out, all nodes together.
    pub fn numbers_taken(&self) -> usize {
        self.labels.iter().chain(&self.tables).map(Pool::taken).sum()
    }

    /// Admits a circuit, or says why not and changes nothing.
    pub fn admit(&mut self, request: &Request) -> Result<Plan, Refusal> {
        if self.plans.contains_key(&request.name) {
            return Err(Refusal::Twice);
        }
        if self.plans.len() >= CIRCUITS {
            return Err(Refusal::Full(CIRCUITS));
        }
        if request.span.is_empty() {
            return Err(Refusal::Empty);
        }
        let pair = request.name.pair();
        let find = |name: &String| self.topology.find(name).ok_or(Refusal::NoNode(name.clone()));
        let (from, to) = (find(&pair.ingress)?, find(&pair.egress)?);
        if from == to {
            return Err(Refusal::OneNode(pair.ingress));
        }
        let mut plan = Plan { request: request.clone(), lsps: Vec::new() };
        let mut ways = vec![self.way(request, from, to)?];
        if request.both {
            ways.push(self.way(request, to, from)?);
        }
        for hops in ways {
            match self.numbered(&hops) {
                Ok(lsp) => plan.lsps.push(lsp),
                Err(refusal) => {
                    self.give(&plan);
                    return Err(refusal);
                }
            }
        }
        let hops = hops(&plan);
        if let Err(full) = self.budget.book(&request.name, &hops, request.span, request.rate.mbps())
        {
            self.give(&plan);
            return Err(self.no_room(full));
        }
        self.plans.insert(request.name.clone(), plan.clone());
        Ok(plan)
    }

    /// Takes a plan of another life of the program as it was.
    pub fn restore(&mut self, plan: Plan) -> Result<(), Refusal> {
        if self.plans.contains_key(&plan.request.name) {
            return Err(Refusal::Twice);
        }
        let mut taken = Plan { request: plan.request.clone(), lsps: Vec::new() };
        for lsp in &plan.lsps {
            if let Err(misfit) = self.take_these(lsp) {
                self.give(&taken);
                return Err(Refusal::Misfit(misfit));
            }
            taken.lsps.push(lsp.clone());
        }
        let (name, span, mbps) = (&plan.request.name, plan.request.span, plan.request.rate.mbps());
        if let Err(full) = self.budget.book(name, &hops(&plan), span, mbps) {
            self.give(&plan);
            return Err(self.no_room(full));
        }
        self.plans.insert(name.clone(), plan);
        Ok(())
    }

    /// Moves the end of a circuit.
    pub fn extend(&mut self, name: &Name, until: Option<At>) -> Result<(), Refusal> {
        let plan = self.plans.get(name).ok_or(Refusal::Unknown)?;
        let span = Span { until, ..plan.request.span };
        if span.is_empty() {
            return Err(Refusal::Empty);
        }
        if let Err(full) = self.budget.extend(name, until) {
            return Err(self.no_room(full));
        }
        if let Some(plan) = self.plans.get_mut(name) {
            plan.request.span = span;
        }
        Ok(())
    }

    /// Gives back all that a circuit has.
    pub fn remove(&mut self, name: &Name) -> Option<Plan> {
        let plan = self.plans.remove(name)?;
        self.budget.release(name);
        self.give(&plan);
        Some(plan)
    }

    fn way(&self, request: &Request, from: usize, to: usize) -> Result<Vec<Hop>, Refusal> {
        let avoided =
            if request.off_ip_path { ip_links(&self.topology, from, to) } else { BTreeSet::new() };
        let usable = |hop: Hop| {
            !avoided.contains(&hop.link) && self.budget.room(hop, request.span, request.rate.mbps())
        };
        let name =
            |node: usize| self.topology.nodes().get(node).map_or(String::new(), |n| n.name.clone());
        path(&self.topology, from, to, request.best, usable)
            .filter(|hops| !hops.is_empty())
            .ok_or_else(|| Refusal::NoPath(name(from), name(to)))
    }

    fn node(&self, hop: Hop, far: bool) -> Option<usize> {
        let (near_end, far_end) = self.topology.ends(hop)?;
        self.topology.find(if far { &far_end.node } else { &near_end.node })
    }

    /// Takes a table at the beginning and a label at the far end of each hop, or nothing.
    fn numbered(&mut self, hops: &[Hop]) -> Result<Lsp, Refusal> {
        let misfit = || Refusal::Misfit("a hop of no link");
        let ends = (hops.first().copied(), hops.last().copied());
        let (Some(first), Some(last)) = ends else { return Err(Refusal::Misfit("no hop")) };
        let from = self.node(first, false).ok_or_else(misfit)?;
        let to = self.node(last, true).ok_or_else(misfit)?;
        let none = |this: &Self, what, node: usize| Refusal::NoNumber {
            what,
            node: this.topology.nodes().get(node).map_or(String::new(), |node| node.name.clone()),
        };
        let Some(table) = self.tables.get_mut(from).and_then(Pool::take) else {
            return Err(none(self, "table", from));
        };
        let mut lsp = Lsp { from, to, table, hops: Vec::new() };
        for hop in hops {
            let far = self.node(*hop, true);
            match far.and_then(|far| self.labels.get_mut(far)).and_then(Pool::take) {
                Some(label) => lsp.hops.push((*hop, label)),
                None => {
                    self.give_lsp(&lsp);
                    return Err(none(self, "label", far.unwrap_or(to)));
                }
            }
        }
        Ok(lsp)
    }

    fn take_these(&mut self, lsp: &Lsp) -> Result<(), &'static str> {
        let mut at = lsp.from;
        for (hop, _) in &lsp.hops {
            if self.node(*hop, false) != Some(at) {
                return Err("its hops do not join");
            }
            at = self.node(*hop, true).ok_or("a hop of no link")?;
        }
        if at != lsp.to || lsp.hops.is_empty() {
            return Err("its hops do not reach its end");
        }
        let mut taken = Lsp { hops: Vec::new(), ..lsp.clone() };
        if !self.tables.get_mut(lsp.from).is_some_and(|pool| pool.take_this(lsp.table)) {
            return Err("its table is taken or out of range");
        }
        for (hop, label) in &lsp.hops {
            let far = self.node(*hop, true);
            let pool = far.and_then(|far| self.labels.get_mut(far));
            if !pool.is_some_and(|pool| pool.take_this(*label)) {
                self.give_lsp(&taken);
                return Err("a label is taken or out of range");
            }
            taken.hops.push((*hop, *label));
        }
        Ok(())
    }

    fn give(&mut self, plan: &Plan) {
        plan.lsps.iter().for_each(|lsp| self.give_lsp(lsp));
    }

    fn give_lsp(&mut self, lsp: &Lsp) {
        if let Some(pool) = self.tables.get_mut(lsp.from) {
            pool.give(lsp.table);
        }
        for (hop, label) in &lsp.hops {
            if let Some(pool) = self.node(*hop, true).and_then(|far| self.labels.get_mut(far)) {
                pool.give(*label);
            }
        }
    }

    fn no_room(&self, hop: Hop) -> Refusal {
        let ends = self.topology.ends(hop).map(|(a, b)| (a.node.clone(), b.node.clone()));
        let (a, b) = ends.unwrap_or_default();
        Refusal::NoRoom(a, b)
    }
}

fn hops(plan: &Plan) -> Vec<Hop> {
    plan.lsps.iter().flat_map(|lsp| lsp.hops.iter().map(|(hop, _)| *hop)).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
