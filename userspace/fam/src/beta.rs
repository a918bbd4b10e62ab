// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Beta traffic that a PBR table would have redirected beside the alpha flows, and how much of it
//! would have met them on its LSP.
//!
//! A third pass over the records, of any days: [`Plan`] says which tables and which alpha flows to
//! hold them against, [`BetaPass`] takes them, [`BetaPass::finish`] gives a row per day and table.

use crate::aging::{Aged, InForce, Policy};
use crate::day::{AlphaDay, RawFlow};
use crate::detect::Report;
use crate::key::{FiveTuple, PrefixFlow};
use crate::lsp::{self, Lsp};
use crate::reading::{Directions, Duplicates, Reading};
use crate::record::Record;
use crate::screen;
use crate::series::{Days, range};
use crate::span::{self, Span};
use crate::time::{Day, Ns};
use crate::utilisation::Load;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// What the third pass holds records against.
#[derive(Debug)]
pub struct Plan<'d> {
    reading: &'d Reading,
    days: &'d Days,
    policies: Vec<(Policy, InForce)>,
    /// The alpha raw flows of each day.
    alpha: HashMap<Day, HashSet<FiveTuple>>,
    /// When redirected alpha flows were on each LSP of each policy.
    busy: Vec<HashMap<Lsp, Vec<Span>>>,
    /// Super-prefix flows with an alpha history: an LSP exists for these only.
    lsps: HashSet<Lsp>,
}

impl<'d> Plan<'d> {
    /// Holds records against the tables of `aged`, which were run over `days`.
    pub fn new(days: &'d Days, aged: Vec<(Policy, Aged)>, reading: &'d Reading) -> Self {
        let policies: Vec<_> = aged.into_iter().map(|(p, aged)| (p, aged.in_force)).collect();
        let busy = policies.iter().map(|(policy, table)| busy(days, *policy, table)).collect();
        let alpha = days
            .iter()
            .map(|(day, alpha)| (*day, alpha.flows.iter().map(|flow| flow.key).collect()))
            .collect();
        let mut lsps: HashSet<Lsp> =
            days.values().flat_map(|day| day.flows.iter().map(RawFlow::lsp)).collect();
        if reading.directions == Directions::Both {
            let back: Vec<Lsp> = lsps.iter().filter_map(|lsp| lsp.reverse()).collect();
            lsps.extend(back);
        }
        Self { reading, days, policies, alpha, busy, lsps }
    }
}

/// The alpha flows of `days` that `table` redirected, with their days.
fn redirected<'d>(
    days: &'d Days,
    policy: Policy,
    table: &'d InForce,
) -> impl Iterator<Item = (Day, &'d RawFlow)> {
    days.iter()
        .flat_map(|(day, alpha)| alpha.flows.iter().map(|flow| (*day, flow)))
        .filter(move |(day, flow)| table.has(&PrefixFlow::of(&flow.key, policy.width), *day))
}

fn busy(days: &Days, policy: Policy, table: &InForce) -> HashMap<Lsp, Vec<Span>> {
    let mut spans: HashMap<Lsp, Vec<Span>> = HashMap::new();
    for (_, flow) in redirected(days, policy, table) {
        let of_lsp = spans.entry(flow.lsp()).or_default();
        of_lsp.extend(flow.alpha_reports().map(|report| (report.first, report.last)));
    }
    spans.into_iter().map(|(lsp, spans)| (lsp, span::union(spans, 0))).collect()
}

/// Bytes of a record in proportion to the part of its life that lies in `busy`.
fn exposed(bytes: u64, life: Span, busy: Option<&Vec<Span>>) -> u64 {
    let Some(busy) = busy else { return 0 };
    if life.0 == life.1 {
        // A single packet is there or not.
        return if span::overlap((life.0, life.0.saturating_add(1)), busy) > 0 { bytes } else { 0 };
    }
    span::share(bytes, span::overlap(life, busy), span::length(life))
}

/// Beta traffic of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Beta {
    /// Records.
    pub records: u64,
    /// Transport flows.
    pub flows: u64,
    /// Scaled bytes.
    pub bytes: u64,
    /// Bytes that were on the LSP together with alpha flows.
    pub exposed: u64,
}

impl Beta {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.flows += other.flows;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.exposed = self.exposed.saturating_add(other.exposed);
    }
}

/// One day of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BetaRow {
    /// The day.
    pub day: Day,
    /// Bytes of redirected alpha reports. With those of `beta1` they are all that the LSPs carried.
    pub alpha: u64,
    /// β1: what was redirected and is no alpha report.
    pub beta1: Beta,
    /// β2: what was redirected and is no part of an alpha raw flow.
    pub beta2: Beta,
    /// All bytes, redirected or not, that are no alpha report.
    pub all_beta1: u64,
    /// All bytes, redirected or not, of no alpha raw flow.
    pub all_beta2: u64,
}

#[derive(Clone, Debug, Default)]
struct Pair {
    beta: Beta,
    flows: HashSet<FiveTuple>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    bytes: u64,
    pairs: HashMap<(usize, PrefixFlow, IpAddr), Pair>,
}

/// Bytes by policy, LSP and bin.
type Bins = HashMap<(usize, Lsp), Load>;

/// Third pass: everything that is not an alpha raw flow.
#[derive(Clone, Debug)]
pub struct BetaPass<'p> {
    plan: &'p Plan<'p>,
    days: BTreeMap<Day, Part>,
    bins: Bins,
}

impl<'p> BetaPass<'p> {
    /// Nothing read yet.
    pub fn new(plan: &'p Plan<'p>) -> Self {
        Self { plan, days: BTreeMap::new(), bins: Bins::new() }
    }

    /// Takes a record.
    pub fn observe(&mut self, record: &Record) {
        let plan = self.plan;
        let Ok(bytes) = screen::bytes(record, plan.reading) else { return };
        let day = plan.reading.calendar.day(record.first);
        if plan.alpha.get(&day).is_some_and(|flows| flows.contains(&record.key)) {
            return;
        }
        self.add_bytes(day, bytes);
        let part = self.days.entry(day).or_default();
        for (index, (policy, table)) in plan.policies.iter().enumerate() {
            let pair = PrefixFlow::of(&record.key, policy.width);
            if !table.has(&pair, day) {
                continue;
            }
            let egress = lsp::egress(record, plan.reading);
            let lsp = Lsp { ingress: record.exporter, egress };
            let life = (record.first, record.last);
            let met = exposed(bytes, life, plan.busy[index].get(&lsp));
            let seen = part.pairs.entry((index, pair, record.exporter)).or_default();
            seen.flows.insert(record.key);
            seen.beta.add(&Beta { records: 1, flows: 0, bytes, exposed: met });
            if plan.lsps.contains(&lsp) {
                let load = self.bins.entry((index, lsp)).or_default();
                load.add_beta(bytes, life, plan.reading.utilisation_bin);
            }
        }
    }

    /// Adds the bytes of records of a day that are of no alpha raw flow and in no table.
    pub fn add_bytes(&mut self, day: Day, bytes: u64) {
        let part = self.days.entry(day).or_default();
        part.bytes = part.bytes.saturating_add(bytes);
    }

    /// Adds what another worker took.
    pub fn merge(&mut self, other: Self) {
        for (day, theirs) in other.days {
            let ours = self.days.entry(day).or_default();
            ours.bytes = ours.bytes.saturating_add(theirs.bytes);
            for (key, pair) in theirs.pairs {
                let into = ours.pairs.entry(key).or_default();
                into.beta.add(&pair.beta);
                into.flows.extend(pair.flows);
            }
        }
        for (key, load) in other.bins {
            self.bins.entry(key).or_default().merge(&load);
        }
    }

    /// The rows of each policy, in the order of the plan.
    pub fn finish(self) -> Vec<TableBeta> {
        let plan = self.plan;
        let mut tables: Vec<TableBeta> = plan
            .policies
            .iter()
            .enumerate()
            .map(|(index, (policy, table))| {
                let mut rows: BTreeMap<Day, BetaRow> = range(plan.days)
                    .map(|day| {
                        let all_beta1 = plan.days.get(&day).map_or(0, rest);
                        (day, BetaRow { day, all_beta1, ..BetaRow::default() })
                    })
                    .collect();
                let mut loads = BTreeMap::new();
                for (day, flow) in redirected(plan.days, *policy, table) {
                    let row = rows.entry(day).or_default();
                    let busy = plan.busy[index].get(&flow.lsp());
                    let load: &mut Load = loads.entry(flow.lsp()).or_default();
                    take_alpha_flow(flow, row, busy, load, plan.reading.utilisation_bin);
                }
                TableBeta { policy: *policy, rows: rows.into_values().collect(), loads }
            })
            .collect();
        for (day, part) in self.days {
            let sums = by_policy(part.pairs, plan.policies.len(), plan.reading.duplicates);
            for (table, beta2) in tables.iter_mut().zip(sums) {
                let Some(row) = table.rows.iter_mut().find(|row| row.day == day) else { continue };
                row.beta1.add(&beta2);
                row.beta2.add(&beta2);
                row.all_beta2 = part.bytes;
                row.all_beta1 = row.all_beta1.saturating_add(part.bytes);
            }
        }
        for ((index, lsp), load) in self.bins {
            tables[index].loads.entry(lsp).or_default().merge(&load);
        }
        tables
    }
}

/// Bytes of the day's alpha raw flows that are in no alpha report.
fn rest(alpha: &AlphaDay) -> u64 {
    let rest = |flow: &RawFlow| flow.whole_bytes().saturating_sub(flow.alpha_bytes());
    alpha.flows.iter().fold(0, |sum: u64, flow| sum.saturating_add(rest(flow)))
}

/// An alpha raw flow on the LSP: its alpha reports, and its other ones, which are β1.
fn take_alpha_flow(
    flow: &RawFlow,
    row: &mut BetaRow,
    busy: Option<&Vec<Span>>,
    load: &mut Load,
    bin: Ns,
) {
    let mut rest = Beta::default();
    for report in &flow.reports {
        let Report { first, last, bytes, alpha, .. } = *report;
        if alpha {
            row.alpha = row.alpha.saturating_add(bytes);
            load.add_alpha(bytes, (first, last), bin);
        } else {
            let met = exposed(bytes, (first, last), busy);
            rest.add(&Beta { records: 1, flows: 0, bytes, exposed: met });
            rest.flows = 1;
            load.add_beta(bytes, (first, last), bin);
        }
    }
    row.beta1.add(&rest);
}

/// Sums of the prefix flows. One seen by several exporters counts as the exporter with most bytes
/// saw it, the lowest address among equals, unless each is to count.
fn by_policy(
    pairs: HashMap<(usize, PrefixFlow, IpAddr), Pair>,
    policies: usize,
    duplicates: Duplicates,
) -> Vec<Beta> {
    let mut best: HashMap<(usize, PrefixFlow), (IpAddr, Beta)> = HashMap::new();
    let mut sums = vec![Beta::default(); policies];
    for ((index, pair, exporter), Pair { mut beta, flows }) in pairs {
        beta.flows = flows.len() as u64;
        if duplicates == Duplicates::Each {
            sums[index].add(&beta);
            continue;
        }
        let kept = best.entry((index, pair)).or_insert((exporter, beta));
        let rank = |(address, beta): &(IpAddr, Beta)| (beta.bytes, std::cmp::Reverse(*address));
        if rank(&(exporter, beta)) > rank(kept) {
            *kept = (exporter, beta);
        }
    }
    for ((index, _), (_, beta)) in best {
        sums[index].add(&beta);
    }
    sums
}

/// What one table redirected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBeta {
    /// The table.
    pub policy: Policy,
    /// Its days.
    pub rows: Vec<BetaRow>,
    /// Bytes on each LSP over time.
    pub loads: BTreeMap<Lsp, Load>,
}

#[cfg(test)]
#[path = "beta_tests.rs"]
mod tests;
