// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the third pass holds records against: the tables of all policies, and the alpha flows.
//!
//! Policies are never looked at one by one while records go by. Whether an entry is in force is a matter
//! of its gap ([`Gaps`]), and a gap falls on a level ([`Levels`]) which every table from that level on
//! has. So what is kept of beta traffic is kept once, by level.

use crate::aging::{Aging, Policy, Traffic};
use crate::busy::Busy;
use crate::day::{AlphaDay, RawFlow};
use crate::gaps::{Gaps, Levels};
use crate::key::{FiveTuple, PrefixFlow, Width};
use crate::lsp::{self, Lsp};
use crate::reading::{Directions, Reading};
use crate::record::Record;
use crate::series::{Days, PairHistory};
use crate::span::Span;
use crate::time::{Day, Ns};
use crate::utilisation::BIN_LEAST;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Everything about the prefix flows of one width.
#[derive(Debug)]
pub(crate) struct Wide {
    /// The width.
    pub(crate) width: Width,
    /// How old its entries are.
    gaps: Gaps,
    /// When its redirected alpha flows were on each LSP.
    busy: HashMap<Lsp, Busy>,
}

impl Wide {
    /// When redirected alpha flows were on `lsp`, if ever.
    pub(crate) fn busy(&self, lsp: &Lsp) -> Option<&Busy> {
        self.busy.get(lsp)
    }
}

/// What the third pass holds records against. Memory: O(alpha raw flows and their reports).
#[derive(Debug)]
pub struct Plan<'d> {
    pub(crate) reading: &'d Reading,
    pub(crate) days: &'d Days,
    policies: Vec<Policy>,
    levels: Levels,
    wides: Vec<Wide>,
    /// The alpha raw flows of each day.
    alpha: HashMap<Day, HashSet<FiveTuple>>,
    /// What [`lsps`] gives: an LSP exists for these only.
    lsps: BTreeSet<Lsp>,
    /// The days whose records are shown to the pass; `None` for all.
    read: Option<BTreeSet<Day>>,
    keeps: bool,
}

impl<'d> Plan<'d> {
    /// Tables of the widths of `histories`, which are of `days`, with each of `agings`.
    pub fn new(
        days: &'d Days,
        histories: &[PairHistory],
        agings: &[Aging],
        traffic: &Traffic,
        reading: &'d Reading,
    ) -> Self {
        let of_width = |history: &PairHistory| {
            let width = history.width;
            agings.iter().map(move |aging| Policy { width, aging: *aging })
        };
        let policies: Vec<Policy> = histories.iter().flat_map(of_width).collect();
        let levels = Levels::new(&policies, reading);
        let wide = |history: &PairHistory| {
            let gaps = Gaps::new(history, traffic, reading);
            Wide { width: history.width, busy: busy(days, history.width, &gaps, &levels), gaps }
        };
        let wides = histories.iter().map(wide).collect();
        let alpha = days
            .iter()
            .map(|(day, alpha)| (*day, alpha.flows.iter().map(|flow| flow.key).collect()))
            .collect();
        let lsps = lsps(days, reading);
        let (read, keeps) = (None, false);
        Self { reading, days, policies, levels, wides, alpha, lsps, read, keeps }
    }

    /// The records of `read` will be shown whole, those of other days not at all or in part: these are
    /// passed over.
    #[must_use]
    pub fn only(mut self, read: BTreeSet<Day>) -> Self {
        self.read = Some(read);
        self
    }

    /// What is found shall be good for later too, when LSPs may have an alpha history that have none
    /// yet.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// Every prefix flow that ever has an entry, of all widths, in no order.
    pub fn pairs(&self) -> impl Iterator<Item = PrefixFlow> {
        self.wides.iter().flat_map(|wide| wide.gaps.pairs())
    }

    /// The policies: each width with each aging.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The days whose records count.
    pub fn read(&self) -> impl Iterator<Item = Day> + '_ {
        self.days.keys().copied().filter(move |day| self.reads(*day))
    }

    pub(crate) fn reads(&self, day: Day) -> bool {
        self.days.contains_key(&day) && self.read.as_ref().is_none_or(|read| read.contains(&day))
    }

    pub(crate) fn wides(&self) -> &[Wide] {
        &self.wides
    }

    /// The bin of utilisation.
    pub fn bin(&self) -> Ns {
        self.reading.utilisation_bin.max(BIN_LEAST)
    }

    /// Whether `key` is an alpha raw flow of `day`.
    pub(crate) fn is_alpha(&self, day: Day, key: &FiveTuple) -> bool {
        self.alpha.get(&day).is_some_and(|flows| flows.contains(key))
    }

    /// The level from which on tables have an entry for `pair` on `day`; `None` if none has.
    pub(crate) fn level(&self, wide: &Wide, pair: &PrefixFlow, day: Day) -> Option<u32> {
        self.levels.of(wide.gaps.gap(pair, day)?)
    }

    /// The level up to which a policy's table goes; `None` for a table that is always empty.
    pub(crate) fn limit(&self, policy: Policy) -> Option<u32> {
        policy.aging.longest(self.reading.gap)
    }

    /// The LSP that a record would have been on.
    pub(crate) fn lsp(&self, record: &Record) -> Lsp {
        Lsp { ingress: record.exporter, egress: lsp::egress(record, self.reading) }
    }

    /// LSPs there are, sorted.
    pub(crate) fn lsps(&self) -> &BTreeSet<Lsp> {
        &self.lsps
    }

    /// Whether bytes on `lsp` matter.
    pub(crate) fn weighs(&self, lsp: &Lsp) -> bool {
        self.keeps || self.lsps.contains(lsp)
    }

    /// What the beta traffic of each day was or would be held against.
    pub fn needs(&self) -> BTreeMap<Day, Needs<'_>> {
        let (bin, levels) = (self.bin(), self.levels.all());
        let mut needs: BTreeMap<Day, Needs<'_>> = self
            .days
            .iter()
            .map(|(day, alpha)| {
                (*day, Needs { bin, levels, alpha, table: Vec::new(), busy: Vec::new() })
            })
            .collect();
        for wide in &self.wides {
            let mut pairs: Vec<PrefixFlow> = wide.gaps.pairs().collect();
            pairs.sort_unstable();
            for (day, needs) in &mut needs {
                let level =
                    |pair: &PrefixFlow| Some((wide.width, *pair, self.level(wide, pair, *day)?));
                needs.table.extend(pairs.iter().filter_map(level));
            }
            let mut lsps: Vec<(&Lsp, &Busy)> = wide.busy.iter().collect();
            lsps.sort_unstable_by_key(|(lsp, _)| **lsp);
            for (lsp, busy) in lsps {
                busy.by_day(&self.reading.calendar, |day, span, level| {
                    if let Some(needs) = needs.get_mut(&day) {
                        needs.busy.push((wide.width, *lsp, span, level));
                    }
                });
            }
        }
        needs
    }
}

/// What the beta traffic of one day depends on beside its records: kept beta traffic is good as long as
/// this stays the same. Lists are sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needs<'p> {
    /// Bin of utilisation.
    bin: Ns,
    /// All levels.
    levels: &'p [u32],
    /// The day itself.
    alpha: &'p AlphaDay,
    /// The entries in force under any policy, with their levels.
    table: Vec<(Width, PrefixFlow, u32)>,
    /// When redirected alpha flows were on LSPs that day.
    busy: Vec<(Width, Lsp, Span, u32)>,
}

/// Super-prefix flows with an alpha history, and their reverses if entries stand for both directions.
pub fn lsps(days: &Days, reading: &Reading) -> BTreeSet<Lsp> {
    let flows = days.values().flat_map(|day| &day.flows);
    let mut lsps: BTreeSet<Lsp> = flows.map(RawFlow::lsp).collect();
    if reading.directions == Directions::Both {
        let back: Vec<Lsp> = lsps.iter().filter_map(|lsp| lsp.reverse()).collect();
        lsps.extend(back);
    }
    lsps
}

/// The alpha reports that any table of a width redirected, by LSP.
fn busy(days: &Days, width: Width, gaps: &Gaps, levels: &Levels) -> HashMap<Lsp, Busy> {
    let mut reports: HashMap<Lsp, Vec<(Span, u32)>> = HashMap::new();
    for (day, alpha) in days {
        for flow in &alpha.flows {
            let gap = gaps.gap(&PrefixFlow::of(&flow.key, width), *day);
            if let Some(level) = gap.and_then(|gap| levels.of(gap)) {
                let spans = flow.alpha_reports().map(|report| ((report.first, report.last), level));
                reports.entry(flow.lsp()).or_default().extend(spans);
            }
        }
    }
    reports.into_iter().map(|(lsp, reports)| (lsp, Busy::new(reports))).collect()
}
