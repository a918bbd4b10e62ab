// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What each table redirected of the beta traffic of days, and what LSPs carried.

use crate::aging::Policy;
use crate::beta::{BetaDay, PairBeta};
use crate::day::{AlphaDay, RawFlow};
use crate::detect::Report;
use crate::key::PrefixFlow;
use crate::lsp::Lsp;
use crate::plan::{Plan, Wide};
use crate::reading::Duplicates;
use crate::series::range;
use crate::span::Span;
use crate::time::Day;
use crate::utilisation::Load;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

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
    /// Bytes of every exporter's view, as they are counted in what is not redirected too: what a share
    /// of all beta traffic is made of.
    pub views: u64,
}

impl Beta {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.flows += other.flows;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.exposed = self.exposed.saturating_add(other.exposed);
        self.views = self.views.saturating_add(other.views);
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
    /// All bytes, redirected or not, that are no alpha report; every view of flows that are not alpha.
    pub all_beta1: u64,
    /// All bytes, redirected or not, of no alpha raw flow, every view of them.
    pub all_beta2: u64,
}

/// What one table redirected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBeta {
    /// The table.
    pub policy: Policy,
    /// The days of which the beta traffic is known.
    pub rows: Vec<BetaRow>,
}

/// A prefix flow's beta traffic and the level of its entry that day.
type Leveled = (Option<u32>, PairBeta);

/// The beta traffic of days under the tables of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Redirected<'p> {
    plan: &'p Plan<'p>,
    beta: &'p BTreeMap<Day, BetaDay>,
}

impl<'p> Redirected<'p> {
    /// `beta` holds days that a pass under this plan made, or one under a plan with the same
    /// [`crate::plan::Needs`] on them.
    pub fn new(plan: &'p Plan<'p>, beta: &'p BTreeMap<Day, BetaDay>) -> Self {
        Self { plan, beta }
    }

    /// Days with records whose beta traffic is not known; they have no rows, and nothing of them is in
    /// any load.
    pub fn unknown(&self) -> Vec<Day> {
        self.plan.days.keys().filter(|day| !self.beta.contains_key(day)).copied().collect()
    }

    /// From the first day to the last those that are known; a day without records is.
    fn known(&self) -> impl Iterator<Item = Day> + '_ {
        let Self { plan, beta } = *self;
        let known = move |day: &Day| !plan.days.contains_key(day) || beta.contains_key(day);
        range(plan.days).filter(known)
    }

    /// The rows of each policy, in the order of the plan.
    pub fn tables(&self) -> Vec<TableBeta> {
        let table = |policy: &Policy| TableBeta { policy: *policy, rows: Vec::new() };
        let mut tables: Vec<TableBeta> = self.plan.policies().iter().map(table).collect();
        let none = BetaDay::default();
        for day in self.known() {
            let own = self.beta.get(&day).unwrap_or(&none);
            let pairs = self.leveled(day, own);
            for table in &mut tables {
                table.rows.push(self.row(day, table.policy, own.bytes, &pairs));
            }
        }
        tables
    }

    fn wide(&self, policy: Policy) -> Option<&'p Wide> {
        self.plan.wides().iter().find(|wide| wide.width == policy.width)
    }

    /// The prefix flows of a day, what its open records met with added, and their levels.
    fn leveled(&self, day: Day, own: &BetaDay) -> Vec<Leveled> {
        let mut pairs = own.pairs.clone();
        for open in &own.open {
            for wide in self.plan.wides() {
                let pair = PrefixFlow::between(open.src, open.dst, wide.width);
                let name = (wide.width, pair, open.lsp.ingress);
                if let Ok(at) = pairs.binary_search_by_key(&name, PairBeta::name)
                    && let Some(busy) = wide.busy(&open.lsp)
                {
                    busy.exposed(open.bytes, open.life, |level, more| {
                        let sum = pairs[at].exposed.entry(level).or_default();
                        *sum = sum.saturating_add(more);
                    });
                }
            }
        }
        let level = |pair: &PairBeta| {
            let wide = self.plan.wides().iter().find(|wide| wide.width == pair.width)?;
            self.plan.level(wide, &pair.pair, day)
        };
        pairs.into_iter().map(|pair| (level(&pair), pair)).collect()
    }

    fn row(&self, day: Day, policy: Policy, bytes: u64, pairs: &[Leveled]) -> BetaRow {
        let alpha = self.plan.days.get(&day);
        let all_beta1 = alpha.map_or(0, rest).saturating_add(bytes);
        let mut row = BetaRow { day, all_beta1, all_beta2: bytes, ..BetaRow::default() };
        let (Some(wide), Some(limit)) = (self.wide(policy), self.plan.limit(policy)) else {
            return row;
        };
        let held = |level: Option<u32>| level.is_some_and(|level| level <= limit);
        for flow in alpha.into_iter().flat_map(|alpha| &alpha.flows) {
            let pair = PrefixFlow::of(&flow.key, policy.width);
            if held(self.plan.level(wide, &pair, day)) {
                take_alpha_flow(flow, &mut row, wide, limit);
            }
        }
        for views in pairs.chunk_by(|a, b| (a.1.width, a.1.pair) == (b.1.width, b.1.pair)) {
            if views[0].1.width == policy.width && held(views[0].0) {
                let beta = self.once(views, limit);
                row.beta1.add(&beta);
                row.beta2.add(&beta);
            }
        }
        row
    }

    /// The views of one prefix flow as one. Seen by several exporters it counts as the exporter with
    /// most bytes saw it, the lowest address among equals, unless each is to count.
    fn once(&self, views: &[Leveled], limit: u32) -> Beta {
        let beta = |(_, pair): &Leveled| Beta {
            records: pair.records,
            flows: pair.flows,
            bytes: pair.bytes,
            exposed: pair
                .exposed
                .range(..=limit)
                .fold(0u64, |sum, (_, more)| sum.saturating_add(*more)),
            views: pair.bytes,
        };
        let mut all = Beta::default();
        views.iter().for_each(|view| all.add(&beta(view)));
        if self.plan.reading.duplicates == Duplicates::Each {
            return all;
        }
        let best = views.iter().max_by_key(|(_, pair)| (pair.bytes, Reverse(pair.exporter)));
        best.map_or(all, |best| Beta { views: all.views, ..beta(best) })
    }

    /// Hands what each LSP carried under a policy to `each`, in order; LSPs that carried nothing are
    /// left out. One LSP's bins are in memory at a time.
    pub fn for_loads(&self, policy: Policy, mut each: impl FnMut(Lsp, &Load)) {
        let (Some(wide), Some(limit)) = (self.wide(policy), self.plan.limit(policy)) else {
            return;
        };
        let mut flows: BTreeMap<Lsp, Vec<&RawFlow>> = BTreeMap::new();
        for day in self.beta.keys() {
            for flow in self.plan.days.get(day).into_iter().flat_map(|alpha| &alpha.flows) {
                let pair = PrefixFlow::of(&flow.key, policy.width);
                if self.plan.level(wide, &pair, *day).is_some_and(|level| level <= limit) {
                    flows.entry(flow.lsp()).or_default().push(flow);
                }
            }
        }
        let bin = self.plan.bin();
        for lsp in self.plan.lsps() {
            let mut load = Load::default();
            for report in flows.get(lsp).into_iter().flatten().flat_map(|flow| &flow.reports) {
                let life = (report.first, report.last);
                match report.alpha {
                    true => load.add_alpha(report.bytes, life, bin),
                    false => load.add_beta(report.bytes, life, bin),
                }
            }
            for day in self.beta.values() {
                let from = day.loads.partition_point(|part| part.lsp < *lsp);
                let own = day.loads[from..].iter().take_while(|part| part.lsp == *lsp);
                for part in own.filter(|part| part.width == policy.width && part.level <= limit) {
                    part.bins.iter().for_each(|(number, bytes)| load.add_bin(*number, *bytes));
                }
            }
            if !load.is_empty() {
                each(*lsp, &load);
            }
        }
    }
}

/// Bytes of the day's alpha raw flows that are in no alpha report.
fn rest(alpha: &AlphaDay) -> u64 {
    let rest = |flow: &RawFlow| flow.whole_bytes().saturating_sub(flow.alpha_bytes());
    alpha.flows.iter().fold(0, |sum: u64, flow| sum.saturating_add(rest(flow)))
}

/// A redirected alpha raw flow: its alpha reports, and its other ones, which are β1.
fn take_alpha_flow(flow: &RawFlow, row: &mut BetaRow, wide: &Wide, limit: u32) {
    let busy = wide.busy(&flow.lsp());
    let mut rest = Beta::default();
    for report in &flow.reports {
        let Report { first, last, bytes, alpha, .. } = *report;
        if alpha {
            row.alpha = row.alpha.saturating_add(bytes);
            continue;
        }
        let (life, mut exposed): (Span, u64) = ((first, last), 0);
        if let Some(busy) = busy {
            busy.exposed(bytes, life, |level, more| {
                exposed = exposed.saturating_add(if level <= limit { more } else { 0 });
            });
        }
        rest.add(&Beta { records: 1, flows: 0, bytes, exposed, views: bytes });
        rest.flows = 1;
    }
    row.beta1.add(&rest);
}
