// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All flows, within a bound of memory.
//!
//! Flows of the table, or all if there is none, are kept exactly, up to [`Setting::flows`]. The others,
//! and those for which there is no room, share [`Setting::rest`] counters: of any number of flows the
//! heaviest keep one ([`SpaceSaving`]). Every T their weights are halved, so a flow without a counter has
//! sent in the last T at most twice what the lightest counter has: [`Detector::rest_bound`].

use crate::counters::Counters;
use crate::event::{End, Event, What, rate};
use crate::flow::Flow;
use crate::gate::Gate;
use crate::idle::Idle;
use crate::report::Report;
use crate::score::Score;
use crate::setting::{BadSetting, Setting};
use crate::space_saving::{Added, SpaceSaving};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use telesteer_fam::{FiveTuple, Ns};

/// Halvings after which nothing is left of a weight.
const AGES_MAX: i64 = 64;

/// Finds alpha flows.
#[derive(Clone, Debug)]
pub struct Detector {
    setting: Setting,
    gate: Option<Gate>,
    exact: HashMap<FiveTuple, Flow>,
    rest: SpaceSaving<FiveTuple, Option<Flow>>,
    idle: Idle,
    end: Endings,
    now: Ns,
    /// When weights are halved next.
    age_at: Option<Ns>,
}

/// What is kept of flows that have ended.
#[derive(Clone, Copy, Debug, Default)]
struct Endings {
    counters: Counters,
    score: Score,
}

impl Endings {
    /// Counts the end of a flow, and says it if anything was said of the flow before.
    fn take(&mut self, flow: &Flow, key: FiveTuple, why: End, now: Ns, out: &mut Vec<Event>) {
        let Self { counters, score } = self;
        counters.ended_idle += u64::from(why == End::Idle);
        counters.ended_fin += u64::from(why == End::Fin);
        if why == End::Displaced && flow.alpha.is_none() {
            score.unknown += 1;
        } else {
            score.judge(flow.early, flow.alpha);
        }
        if flow.alpha.is_some() && !flow.gated {
            let bytes = &mut counters.would_have_been_seen_bytes;
            *bytes = bytes.saturating_add(flow.bytes);
        }
        if flow.alpha.is_some() || flow.early.is_some() {
            out.push(Event {
                at: flow.last,
                what: What::Ended(why),
                key,
                exporter: flow.exporter,
                now,
                begun: flow.begun,
                bytes: flow.bytes,
                window: 0,
                rate: rate(flow.bytes, flow.last.saturating_sub(flow.begun)),
                approx: false,
                gated: flow.gated,
                missed: flow.missed,
            });
        }
    }
}

impl Detector {
    /// A detector that has seen nothing. Without a gate every flow is looked for.
    ///
    /// # Errors
    ///
    /// A setting that makes no sense.
    pub fn new(setting: Setting, gate: Option<Gate>) -> Result<Self, BadSetting> {
        setting.check()?;
        Ok(Self {
            setting,
            gate,
            exact: HashMap::new(),
            rest: SpaceSaving::new(setting.rest),
            idle: Idle::default(),
            end: Endings::default(),
            now: Ns::MIN,
            age_at: None,
        })
    }

    /// Another table: it is what new flows are looked for by. Flows that are kept stay where they are.
    pub fn set_gate(&mut self, gate: Option<Gate>) {
        self.gate = gate;
    }

    /// Takes a report. `now` says which flows have been silent for long; where it is less than it was,
    /// it is what it was.
    pub fn observe(&mut self, report: &Report, now: Ns, out: &mut Vec<Event>) {
        self.tick(now, out);
        let counters = &mut self.end.counters;
        counters.reports += 1;
        if report.last < report.first {
            counters.backward += 1;
            return;
        }
        counters.bytes = counters.bytes.saturating_add(report.bytes);
        if self.exact.contains_key(&report.key) {
            return self.in_exact(report, out);
        }
        let gated = self.gate.as_ref().is_none_or(|gate| gate.admits(&report.key));
        if !gated {
            counters.outside_reports += 1;
            counters.outside_bytes = counters.outside_bytes.saturating_add(report.bytes);
            return self.in_rest(report, false, out);
        }
        let full = self.exact.len() >= self.setting.flows;
        if full || self.rest.value(&report.key).is_some_and(Option::is_some) {
            self.in_rest(report, true, out);
        } else {
            self.in_exact(report, out);
        }
    }

    fn in_exact(&mut self, report: &Report, out: &mut Vec<Event>) {
        let now = self.now;
        let flow = match self.exact.entry(report.key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                self.end.counters.flows += 1;
                let flow = free.insert(Flow::new(report, true, now));
                enter(&mut self.idle, flow, report.key, &self.setting);
                flow
            }
        };
        flow.take(report, now, &self.setting, &mut self.end.counters, out);
        if report.fin
            && report.exporter == flow.exporter
            && let Some(flow) = self.exact.remove(&report.key)
        {
            leave(&mut self.idle, &flow, report.key);
            self.end.take(&flow, report.key, End::Fin, now, out);
        }
    }

    fn in_rest(&mut self, report: &Report, gated: bool, out: &mut Vec<Event>) {
        let (now, setting, key) = (self.now, self.setting, report.key);
        let Self { rest, idle, end, .. } = self;
        let Added { value, estimate, displaced } = rest.add(key, report.bytes);
        if let Some((key, Some(flow))) = displaced {
            end.counters.displaced += 1;
            let bytes = &mut end.counters.displaced_bytes;
            *bytes = bytes.saturating_add(flow.bytes);
            leave(idle, &flow, key);
            end.take(&flow, key, End::Displaced, now, out);
        }
        if let Some(flow) = value.take_if(|flow| flow.silent(now, &setting)) {
            leave(idle, &flow, key);
            end.take(&flow, key, End::Idle, now, out);
        }
        let flow = value.get_or_insert_with(|| {
            end.counters.flows += 1;
            end.counters.spilled += u64::from(gated);
            let mut flow = Flow::new(report, gated, now);
            flow.missed = estimate.error.saturating_mul(2);
            flow
        });
        flow.take(report, now, &setting, &mut end.counters, out);
        if report.fin && report.exporter == flow.exporter {
            if let Some(flow) = value.take() {
                leave(idle, &flow, key);
                end.take(&flow, key, End::Fin, now, out);
            }
        } else if flow.due.is_none() && (flow.alpha.is_some() || flow.early.is_some()) {
            // Somebody waits for its end.
            enter(idle, flow, key, &setting);
        }
    }

    /// Says that it is `now`: ends flows that have been silent.
    pub fn tick(&mut self, now: Ns, out: &mut Vec<Event>) {
        self.now = self.now.max(now);
        let now = self.now;
        while let Some(key) = self.idle.next(now) {
            let flow = match self.exact.get_mut(&key) {
                Some(flow) => Some(flow),
                None => self.rest.value_mut(&key).and_then(Option::as_mut),
            };
            let Some(flow) = flow else { continue };
            flow.due = None;
            if !flow.silent(now, &self.setting) {
                enter(&mut self.idle, flow, key, &self.setting);
                continue;
            }
            let ended = match self.exact.remove(&key) {
                Some(flow) => Some(flow),
                None => self.rest.value_mut(&key).and_then(Option::take),
            };
            if let Some(flow) = ended {
                self.end.take(&flow, key, End::Idle, now, out);
            }
        }
        self.age();
    }

    fn age(&mut self) {
        let t = self.setting.t;
        let age_at = *self.age_at.get_or_insert(self.now.saturating_add(t));
        if self.now < age_at {
            return;
        }
        let ages = self.now.saturating_sub(age_at) / t + 1;
        (0..ages.min(AGES_MAX)).for_each(|_| self.rest.age());
        self.age_at = Some(self.now.saturating_add(t));
    }

    /// Ends all flows, in order: the detector stops, they may live on.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        let rest = self.rest.values_mut();
        let rest = rest.filter_map(|(key, flow)| Some((key, flow.take()?)));
        let mut flows: Vec<(FiveTuple, Flow)> = rest.chain(self.exact.drain()).collect();
        flows.sort_unstable_by_key(|(key, _)| *key);
        for (key, flow) in flows {
            leave(&mut self.idle, &flow, key);
            self.end.take(&flow, key, End::Stop, self.now, out);
        }
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.end.counters
    }

    /// How good the early rule was, of the flows that have ended.
    pub fn score(&self) -> Score {
        self.end.score
    }

    /// No flow that nobody looks at has sent more in the last T.
    pub fn rest_bound(&self) -> u64 {
        self.rest.bound().saturating_mul(2)
    }

    /// Flows kept exactly, and flows among the rest.
    pub fn flows(&self) -> (usize, usize) {
        (self.exact.len(), self.rest.len())
    }

    /// Flows entered to be looked at.
    pub fn entered(&self) -> usize {
        self.idle.len()
    }
}

fn enter(idle: &mut Idle, flow: &mut Flow, key: FiveTuple, setting: &Setting) {
    let at = flow.touched.saturating_add(setting.idle);
    flow.due = Some(at);
    idle.enter(at, key);
}

fn leave(idle: &mut Idle, flow: &Flow, key: FiveTuple) {
    if let Some(at) = flow.due {
        idle.leave(at, key);
    }
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
