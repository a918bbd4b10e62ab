// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Beta traffic that PBR tables would have redirected beside the alpha flows, day by day.
//!
//! A third pass over the records, of any days: [`Plan`] says what to hold them against, [`BetaPass`]
//! takes them, [`BetaPass::finish`] gives a [`BetaDay`] for each day, which can be kept, and
//! [`crate::redirected`] makes tables of them.
//!
//! Memory: O(prefix flows with an alpha history × exporters that see them) sums, the 5-tuples of each
//! day between those, once however many tables there are, and of each day, LSP, width and level the
//! bins with bytes. What no table has costs nothing.

use crate::key::{FiveTuple, PrefixFlow, Width};
use crate::lsp::Lsp;
use crate::plan::Plan;
use crate::record::Record;
use crate::screen;
use crate::span::{self, Span};
use crate::time::Day;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// The beta traffic of one day between networks that have an entry in some table. Lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BetaDay {
    /// Bytes of all records that are of no alpha raw flow, redirected or not, every view of them.
    pub bytes: u64,
    /// By width, prefix flow and exporter.
    pub pairs: Vec<PairBeta>,
    /// Records that were not over at the end of the day: with whom they met then, the next day tells.
    pub open: Vec<Open>,
    /// Bytes on LSPs over time.
    pub loads: Vec<LspLoad>,
}

/// The beta traffic of one prefix flow as one exporter saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairBeta {
    /// Width of the prefix flow.
    pub width: Width,
    /// The prefix flow.
    pub pair: PrefixFlow,
    /// Who saw it.
    pub exporter: IpAddr,
    /// Records.
    pub records: u64,
    /// Transport flows.
    pub flows: u64,
    /// Scaled bytes.
    pub bytes: u64,
    /// Bytes that were on the LSP together with alpha flows: of records that ended that day, and by
    /// level, those of the levels below not again.
    pub exposed: BTreeMap<u32, u64>,
}

impl PairBeta {
    pub(crate) fn name(&self) -> (Width, PrefixFlow, IpAddr) {
        (self.width, self.pair, self.exporter)
    }
}

/// A record that was not over at the end of its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Open {
    /// From its first packet to its last.
    pub life: Span,
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// The way it went, or would have gone.
    pub lsp: Lsp,
    /// Scaled bytes.
    pub bytes: u64,
}

/// Bytes on one LSP from one level on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LspLoad {
    /// The LSP.
    pub lsp: Lsp,
    /// Width of the entries.
    pub width: Width,
    /// Tables from this level on have them.
    pub level: u32,
    /// Bytes by number of the bin, those without any left out.
    pub bins: Vec<(i64, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    records: u64,
    bytes: u64,
    exposed: BTreeMap<u32, u64>,
}

/// Bytes by width and level, then by bin.
type Bins = BTreeMap<(Width, u32), BTreeMap<i64, u64>>;

#[derive(Clone, Debug, Default)]
struct Part {
    bytes: u64,
    pairs: HashMap<(Width, PrefixFlow, IpAddr), Sums>,
    /// Of all prefix flows in `pairs`, each once.
    flows: HashSet<(FiveTuple, IpAddr)>,
    open: Vec<Open>,
    loads: HashMap<Lsp, Bins>,
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// Third pass: everything that is not an alpha raw flow.
#[derive(Clone, Debug)]
pub struct BetaPass<'p> {
    plan: &'p Plan<'p>,
    days: BTreeMap<Day, Part>,
}

impl<'p> BetaPass<'p> {
    /// Nothing read yet.
    pub fn new(plan: &'p Plan<'p>) -> Self {
        Self { plan, days: BTreeMap::new() }
    }

    /// Takes a record.
    pub fn observe(&mut self, record: &Record) {
        let plan = self.plan;
        let Ok(bytes) = screen::bytes(record, plan.reading) else { return };
        let day = plan.reading.calendar.day(record.first);
        if !plan.reads(day) || plan.is_alpha(day, &record.key) {
            return;
        }
        let part = self.days.entry(day).or_default();
        add(&mut part.bytes, bytes);
        let life = (record.first, record.last);
        let mut on: Option<(Lsp, bool)> = None;
        for wide in plan.wides() {
            let pair = PrefixFlow::of(&record.key, wide.width);
            let Some(level) = plan.level(wide, &pair, day) else { continue };
            let (lsp, open) = *on.get_or_insert_with(|| {
                let until = plan.reading.calendar.around(record.first).1;
                (plan.lsp(record), record.last > until)
            });
            let sums = part.pairs.entry((wide.width, pair, record.exporter)).or_default();
            sums.records += 1;
            add(&mut sums.bytes, bytes);
            if !open && let Some(busy) = wide.busy(&lsp) {
                busy.exposed(bytes, life, |level, more| {
                    add(sums.exposed.entry(level).or_default(), more);
                });
            }
            if plan.weighs(&lsp) {
                let bins = part.loads.entry(lsp).or_default();
                let bins = bins.entry((wide.width, level)).or_default();
                span::for_bins(bytes, life, plan.bin(), |number, bytes| {
                    add(bins.entry(number).or_default(), bytes);
                });
            }
        }
        if let Some((lsp, open)) = on {
            part.flows.insert((record.key, record.exporter));
            if open {
                let FiveTuple { src, dst, .. } = record.key;
                part.open.push(Open { life, src, dst, lsp, bytes });
            }
        }
    }

    /// Adds the bytes of records of a day that are of no alpha raw flow and in no table.
    pub fn add_bytes(&mut self, day: Day, bytes: u64) {
        if self.plan.reads(day) {
            add(&mut self.days.entry(day).or_default().bytes, bytes);
        }
    }

    /// Adds what another worker took.
    pub fn merge(&mut self, other: Self) {
        for (day, theirs) in other.days {
            let ours = self.days.entry(day).or_default();
            add(&mut ours.bytes, theirs.bytes);
            for (key, sums) in theirs.pairs {
                let into = ours.pairs.entry(key).or_default();
                into.records += sums.records;
                add(&mut into.bytes, sums.bytes);
                for (level, bytes) in sums.exposed {
                    add(into.exposed.entry(level).or_default(), bytes);
                }
            }
            ours.flows.extend(theirs.flows);
            ours.open.extend(theirs.open);
            for (lsp, theirs) in theirs.loads {
                let ours = ours.loads.entry(lsp).or_default();
                for (of, theirs) in theirs {
                    let ours = ours.entry(of).or_default();
                    for (number, bytes) in theirs {
                        add(ours.entry(number).or_default(), bytes);
                    }
                }
            }
        }
    }

    /// The days read, each with its beta traffic.
    pub fn finish(mut self) -> BTreeMap<Day, BetaDay> {
        let plan = self.plan;
        plan.read()
            .map(|day| (day, finish(self.days.remove(&day).unwrap_or_default(), plan)))
            .collect()
    }
}

fn finish(part: Part, plan: &Plan<'_>) -> BetaDay {
    let Part { bytes, pairs, flows, mut open, loads } = part;
    let pair = |(key, sums): ((Width, PrefixFlow, IpAddr), Sums)| {
        let Sums { records, bytes, exposed } = sums;
        let (width, pair, exporter) = key;
        (key, PairBeta { width, pair, exporter, records, flows: 0, bytes, exposed })
    };
    let mut pairs: BTreeMap<_, PairBeta> = pairs.into_iter().map(pair).collect();
    for (key, exporter) in flows {
        for wide in plan.wides() {
            let pair = PrefixFlow::of(&key, wide.width);
            if let Some(sums) = pairs.get_mut(&(wide.width, pair, exporter)) {
                sums.flows += 1;
            }
        }
    }
    open.sort_unstable();
    let loads: BTreeMap<Lsp, Bins> = loads.into_iter().collect();
    let of_lsp = |(lsp, bins): (Lsp, Bins)| {
        bins.into_iter().map(move |((width, level), bins)| LspLoad {
            lsp,
            width,
            level,
            bins: bins.into_iter().collect(),
        })
    };
    BetaDay {
        bytes,
        pairs: pairs.into_values().collect(),
        open,
        loads: loads.into_iter().flat_map(of_lsp).collect(),
    }
}

#[cfg(test)]
#[path = "beta_tests.rs"]
mod tests;
