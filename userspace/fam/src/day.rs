// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From records to the alpha raw flows of each day, in two passes over the same records.
//!
//! The first pass finds 5-tuples that may have an alpha report ([`Suspects`]), the second keeps the
//! reports of those ([`Gather`]); so memory grows with alpha flows, not with flows. Both states are
//! kept per day and merge in any order. What comes out, an [`AlphaDay`], depends on that day's
//! records alone: a new day never asks for an old one again, and a day read twice is the same day.

use crate::detect::{self, Report};
use crate::key::{FiveTuple, PrefixFlow, Width};
use crate::lsp::{self, Lsp};
use crate::reading::{Duplicates, Reading};
use crate::record::Record;
use crate::screen::{Fault, Totals, bytes};
use crate::span::{self, Span};
use crate::suspects::{Round, Suspects};
use crate::time::Day;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// The reports of one 5-tuple on one day, at least one of them an alpha report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawFlow {
    /// The transport flow.
    pub key: FiveTuple,
    /// Who saw it: the ingress router.
    pub exporter: IpAddr,
    /// Other exporters that saw it as alpha and whose reports do not count.
    pub others: u32,
    /// Whether bytes of a report longer than T were spread to find it.
    pub approx: bool,
    /// All its reports that day, sorted.
    pub reports: Vec<Report>,
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

impl RawFlow {
    /// Its alpha reports.
    pub fn alpha_reports(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter().filter(|report| report.alpha)
    }

    /// Bytes of its alpha reports.
    pub fn alpha_bytes(&self) -> u64 {
        sum(self.alpha_reports().map(|report| report.bytes))
    }

    /// Bytes of all its reports.
    pub fn whole_bytes(&self) -> u64 {
        sum(self.reports.iter().map(|report| report.bytes))
    }

    /// Duration of its alpha reports, one after the other.
    pub fn alpha_time(&self) -> u64 {
        sum(self.alpha_reports().map(Report::duration))
    }

    /// From its first packet to its last.
    pub fn span(&self) -> Span {
        let first = self.reports.iter().map(|report| report.first).min().unwrap_or(0);
        (first, self.reports.iter().map(|report| report.last).max().unwrap_or(first))
    }

    /// Its super-prefix flow: the way of its earliest alpha report.
    pub fn lsp(&self) -> Lsp {
        let egress = self.alpha_reports().next().map_or(lsp::Egress::Unknown, |r| r.egress);
        Lsp { ingress: self.exporter, egress }
    }
}

/// What a day's alpha flows of one prefix flow came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairDay {
    /// Raw flows.
    pub flows: u64,
    /// Bytes of alpha reports.
    pub alpha_bytes: u64,
    /// All bytes of the raw flows.
    pub whole_bytes: u64,
    /// Of `alpha_bytes`, those of reports that began when an alpha report had already ended.
    pub later_alpha: u64,
    /// The same of `whole_bytes`.
    pub later_whole: u64,
}

/// One day's alpha raw flows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlphaDay {
    /// What was read.
    pub totals: Totals,
    /// The flows, sorted by 5-tuple and exporter.
    pub flows: Vec<RawFlow>,
}

impl AlphaDay {
    /// The day by prefix flows.
    pub fn pairs(&self, width: Width) -> BTreeMap<PrefixFlow, PairDay> {
        let mut by_pair: BTreeMap<PrefixFlow, Vec<&RawFlow>> = BTreeMap::new();
        for flow in &self.flows {
            by_pair.entry(PrefixFlow::of(&flow.key, width)).or_default().push(flow);
        }
        by_pair
            .into_iter()
            .map(|(pair, flows)| {
                let reports = || flows.iter().flat_map(|flow| &flow.reports);
                let ends = reports().filter(|report| report.alpha).map(|report| report.last);
                let seen = ends.min().unwrap_or(0);
                let all = |_: &Report| true;
                let later = |report: &Report| report.first >= seen;
                let bytes = |of: &dyn Fn(&Report) -> bool, alpha: bool| {
                    let picked = reports().filter(|report| report.alpha || !alpha);
                    sum(picked.filter(|report| of(report)).map(|report| report.bytes))
                };
                let day = PairDay {
                    flows: flows.len() as u64,
                    alpha_bytes: bytes(&all, true),
                    whole_bytes: bytes(&all, false),
                    later_alpha: bytes(&later, true),
                    later_whole: bytes(&later, false),
                };
                (pair, day)
            })
            .collect()
    }

    /// Time with at least one alpha report, overlap counted once.
    pub fn alpha_union(&self) -> u64 {
        let reports = self.flows.iter().flat_map(RawFlow::alpha_reports);
        span::total(&span::union(reports.map(|report| (report.first, report.last)).collect(), 0))
    }
}

/// One day's part of the second pass.
#[derive(Clone, Debug, Default)]
struct Part {
    totals: Totals,
    flows: HashMap<(FiveTuple, IpAddr), Vec<Report>>,
}

/// Second pass: the reports of what is suspected.
#[derive(Clone, Debug)]
pub struct Gather<'s> {
    suspects: &'s Suspects<'s>,
    round: Round,
    days: BTreeMap<Day, Part>,
}

impl<'s> Gather<'s> {
    /// Nothing gathered yet. `suspects` has seen all records of the days to come; those of one of its
    /// rounds are gathered.
    pub fn new(suspects: &'s Suspects<'s>, round: Round) -> Self {
        Self { suspects, round, days: BTreeMap::new() }
    }

    /// Takes a record.
    pub fn observe(&mut self, record: &Record) {
        let reading = self.suspects.reading();
        let outcome = bytes(record, reading);
        let day = reading.calendar.day(record.first);
        self.days.entry(day).or_default().totals.add(record.octets, outcome, reading);
        self.keep(record, day, outcome);
    }

    /// Takes a record that [`Self::add_totals`] counts, or another round did.
    pub fn observe_counted(&mut self, record: &Record) {
        let reading = self.suspects.reading();
        self.keep(record, reading.calendar.day(record.first), bytes(record, reading));
    }

    /// Adds what records of a day came to that are shown to nobody, or to
    /// [`Self::observe_counted`] where they may be suspected.
    pub fn add_totals(&mut self, day: Day, totals: &Totals) {
        self.days.entry(day).or_default().totals.merge(totals);
    }

    fn keep(&mut self, record: &Record, day: Day, outcome: Result<u64, Fault>) {
        if let Ok(bytes) = outcome
            && self.suspects.suspected(day, &record.key, &self.round)
        {
            let flows = &mut self.days.entry(day).or_default().flows;
            let reports = flows.entry((record.key, record.exporter)).or_default();
            reports.push(detect::report(record, bytes, self.suspects.reading()));
        }
    }

    /// Adds what another worker gathered.
    pub fn merge(&mut self, other: Self) {
        for (day, theirs) in other.days {
            let ours = self.days.entry(day).or_default();
            ours.totals.merge(&theirs.totals);
            for (key, reports) in theirs.flows {
                ours.flows.entry(key).or_default().extend(reports);
            }
        }
    }

    /// The days, each with what is alpha.
    pub fn finish(self) -> BTreeMap<Day, AlphaDay> {
        let reading = self.suspects.reading();
        self.days.into_iter().map(|(day, part)| (day, finish(part, reading))).collect()
    }
}

fn finish(part: Part, reading: &Reading) -> AlphaDay {
    let mut flows: Vec<RawFlow> = Vec::new();
    for ((key, exporter), mut reports) in part.flows {
        let approx = detect::mark(&mut reports, reading);
        if reports.iter().any(|report| report.alpha) {
            flows.push(RawFlow { key, exporter, others: 0, approx, reports });
        }
    }
    flows.sort_unstable_by_key(|flow| (flow.key, flow.exporter));
    if reading.duplicates == Duplicates::Once {
        let mut once: Vec<RawFlow> = Vec::with_capacity(flows.len());
        for flow in flows {
            match once.last_mut() {
                Some(best) if best.key == flow.key => {
                    let others = best.others + 1;
                    if flow.alpha_bytes() > best.alpha_bytes() {
                        *best = flow;
                    }
                    best.others = others;
                }
                _ => once.push(flow),
            }
        }
        flows = once;
    }
    AlphaDay { totals: part.totals, flows }
}

/// Adds what another round found: the flows of two rounds are others.
pub fn join(days: &mut BTreeMap<Day, AlphaDay>, more: BTreeMap<Day, AlphaDay>) {
    for (day, more) in more {
        let own = days.entry(day).or_default();
        own.totals.merge(&more.totals);
        own.flows.extend(more.flows);
        own.flows.sort_unstable_by_key(|flow| (flow.key, flow.exporter));
    }
}

/// Both passes over records at hand.
pub fn read(records: &[Record], reading: &Reading) -> BTreeMap<Day, AlphaDay> {
    let mut suspects = Suspects::new(reading);
    records.iter().for_each(|record| suspects.observe(record));
    let mut days = BTreeMap::new();
    for (number, round) in suspects.rounds().into_iter().enumerate() {
        let mut gather = Gather::new(&suspects, round);
        for record in records {
            match number {
                0 => gather.observe(record),
                _ => gather.observe_counted(record),
            }
        }
        join(&mut days, gather.finish());
    }
    days
}

#[cfg(test)]
#[path = "day_tests.rs"]
mod tests;
