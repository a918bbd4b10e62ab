// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Profiles: the calibrated workload as it is, or with one thing added that real networks have.

use crate::generate::beta;
use crate::generate::flow::H;
use crate::generate::pairs::DAYS;
use crate::generate::plan::{Plan, plan};
use crate::generate::records;
use crate::rng::Rng;
use clap::ValueEnum;
use serde::Serialize;
use std::collections::BTreeSet;
use telesteer_fam::Record;

/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;

/// Streams of the random numbers that additions draw from.
const ADDITIONS: u64 = 1 << 32;

/// What the workload is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The published figures, and nothing else.
    Slides,
    /// Flows of a prefix flow come 4 to 16 at once, as the streams of a transfer do.
    Parallel,
    /// Beta traffic of a campus's TCP flow sizes, a known part of it inside alpha prefix flows.
    Beta,
    /// Hosts and networks get other addresses every three days: the slides' hypothesis is false.
    Renumbered,
    /// Egress routers export what the ingress router has exported already.
    Duplicates,
    /// One record of a hundred is lost, or one message where it is messages that are made, and the
    /// rest comes in any order.
    Loss,
    /// Everything is IPv6.
    Ipv6,
    /// Many flows cross midnight.
    Midnight,
    /// 1:1000 packet sampling. Alpha reports keep away from H, so that none is lost in the noise.
    Sampled,
}

/// Least bytes of an alpha report and most of any other when sampled.
const SAMPLED: (u64, u64) = (H / 4 * 5, H / 5 * 4);

/// How much is made of a workload, and how it leaves the exporters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Days from the first, at most [`DAYS`].
    pub days: u16,
    /// Beta flows of a day, at most [`beta::FLOWS_MAX`]; other profiles than `beta` have none.
    pub beta_flows: u32,
    /// Whether what gets lost is what [`Workload::lose`] is told, in place of records of the plan.
    pub in_messages: bool,
}

impl Default for Scale {
    fn default() -> Self {
        Self { days: DAYS, beta_flows: beta::FLOWS, in_messages: false }
    }
}

/// A profile of a seed.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The profile.
    pub profile: Profile,
    /// The seed.
    pub seed: u64,
    /// How much of it.
    pub scale: Scale,
    /// Its flows. Sessions may go on into the day after their cell's.
    pub plan: Plan,
}

impl Workload {
    /// Lays the workload out; `None` for a seed that has none.
    pub fn new(profile: Profile, seed: u64, scale: Scale) -> Option<Self> {
        let mut plan = plan(seed)?;
        let mut rng = Rng::new(seed, ADDITIONS);
        match profile {
            Profile::Parallel => parallel(&mut plan, &mut rng),
            Profile::Loss if scale.in_messages => {}
            Profile::Loss => {
                for session in &mut plan.sessions {
                    session.cuts.retain(|_| rng.below(100) != 0);
                }
            }
            Profile::Midnight => midnight(&mut plan, &mut rng),
            Profile::Sampled => {
                for cut in plan.sessions.iter_mut().flat_map(|session| &mut session.cuts) {
                    cut.bytes = match cut.alpha() {
                        true => cut.bytes.max(SAMPLED.0),
                        false => cut.bytes.min(SAMPLED.1),
                    };
                }
            }
            Profile::Slides
            | Profile::Beta
            | Profile::Renumbered
            | Profile::Duplicates
            | Profile::Ipv6 => {}
        }
        Some(Self { profile, seed, scale, plan })
    }

    /// Takes records of `day` out of the plan: they never arrived.
    pub fn lose(&mut self, day: u16, lost: &[Record]) {
        if lost.is_empty() {
            return;
        }
        let lost: BTreeSet<_> = lost.iter().map(|record| (record.key, record.first)).collect();
        for (at, number) in records::sessions(&self.plan, day) {
            let key = records::key(self, &self.plan.sessions[at], number);
            let cell_day = self.plan.cells[self.plan.sessions[at].cell].day;
            let session = &mut self.plan.sessions[at];
            let start_ms = session.start_ms;
            session.cuts.retain(|cut| {
                !lost.contains(&(key, records::instant(cell_day, start_ms + cut.from_ms)))
            });
        }
    }

    /// Random numbers for what gets lost on the way.
    pub fn loss_rng(&self) -> Rng {
        Rng::new(self.seed, 2 * ADDITIONS)
    }

    /// Random numbers for what is added to a day.
    pub fn rng(&self, day: u16) -> Rng {
        Rng::new(self.seed, ADDITIONS + 1 + u64::from(day))
    }

    /// Number of the prefix flow that `pair` is on `day`: another one after every renumbering.
    pub fn identity(&self, pair: usize, day: u16) -> usize {
        match self.profile {
            Profile::Renumbered => pair + self.plan.pairs.len() * usize::from(day / 3),
            _ => pair,
        }
    }
}

/// Lets flows of a prefix flow begin together.
fn parallel(plan: &mut Plan, rng: &mut Rng) {
    let cells = &plan.cells;
    let group = |cell: usize| (cells[cell].day, cells[cell].pair);
    for flows in plan.sessions.chunk_by_mut(|a, b| group(a.cell) == group(b.cell)) {
        let mut rest = flows;
        while rest.len() >= 4 {
            let streams = (rng.range(4, 16) as usize).min(rest.len());
            let (batch, after) = rest.split_at_mut(streams);
            let longest = batch.iter().map(|session| session.length_ms()).max().unwrap_or(0);
            let start = rng.below(DAY_MS - longest.min(DAY_MS - 2000) - 1000);
            for session in batch {
                session.start_ms = start + rng.below(900);
            }
            rest = after;
        }
    }
}

/// Moves a fifth of the longer flows so that they cross midnight.
fn midnight(plan: &mut Plan, rng: &mut Rng) {
    let cells = &plan.cells;
    for session in &mut plan.sessions {
        let length = session.length_ms();
        let day = cells[session.cell].day;
        if session.cuts.len() > 1 && day < DAYS && rng.below(5) == 0 {
            session.start_ms = DAY_MS - rng.range(1, length - 1);
        }
    }
}
