// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a workload holds by construction, reckoned from its plan and not from its records.

use crate::generate::beta::{self, Place};
use crate::generate::export::Export;
use crate::generate::pairs::month;
use crate::generate::profile::{Profile, Workload};
use crate::generate::records::day_of;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The ages whose effectiveness is reckoned.
pub const AGES: [(&str, u16); 4] = [("7", 7), ("14", 14), ("30", 30), ("never", u16::MAX)];

/// One day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrueDay {
    /// Raw flows.
    pub raw_flows: u64,
    /// Bytes of alpha reports.
    pub alpha_bytes: u64,
    /// Milliseconds of alpha reports.
    pub alpha_time_ms: u64,
    /// Most raw flows of one /24 prefix flow.
    pub most_of_one: u64,
}

/// Beta traffic that tables which never forget redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrueBeta {
    /// Bytes of no alpha report.
    pub beta1_bytes: u64,
    /// Bytes of no alpha raw flow.
    pub beta2_bytes: u64,
    /// Records of those.
    pub beta2_records: u64,
}

/// The truth of a workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The profile.
    pub profile: Profile,
    /// The seed.
    pub seed: u64,
    /// Date of day 1.
    pub first_day: &'static str,
    /// Raw flows in all.
    pub raw_flows: u64,
    /// Prefix flows by width.
    pub prefix_flows: BTreeMap<&'static str, u64>,
    /// Percent of alpha bytes by width and age.
    pub effectiveness: BTreeMap<&'static str, BTreeMap<&'static str, f64>>,
    /// Egress routers known by the end of each month.
    pub lsps: Vec<u64>,
    /// Egress routers with alpha flows in each month.
    pub lsps_active: Vec<u64>,
    /// Most alpha raw flows at once to one egress router, by number of the router.
    pub most_at_once: Vec<u64>,
    /// Redirected beta traffic by width.
    pub beta: BTreeMap<&'static str, TrueBeta>,
    /// The days, from day 1.
    pub days: Vec<TrueDay>,
    /// What was exported, where it was messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
}

/// A raw flow: what a session has of alpha reports on a day.
struct Raw {
    day: u16,
    pair: usize,
    host: usize,
    egress: usize,
    bytes: u64,
    time_ms: u64,
    /// Bytes of its other reports of that day.
    rest: u64,
    /// Begin and end of its reports of that day, in milliseconds since day 0.
    stays: Vec<(u64, u64)>,
}

fn raw_flows(of: &Workload) -> Vec<Raw> {
    let mut found = Vec::new();
    for session in &of.plan.sessions {
        let cell = &of.plan.cells[session.cell];
        let mut days: BTreeMap<u16, Raw> = BTreeMap::new();
        for cut in &session.cuts {
            let day = day_of(cell.day, session.start_ms + cut.from_ms);
            let raw = days.entry(day).or_insert_with(|| Raw {
                day,
                pair: of.identity(cell.pair, cell.day),
                host: cell.host,
                egress: of.plan.pairs[cell.pair].egress,
                bytes: 0,
                time_ms: 0,
                rest: 0,
                stays: Vec::new(),
            });
            if cut.alpha() {
                raw.bytes += cut.bytes;
                raw.time_ms += cut.length_ms;
            } else {
                raw.rest += cut.bytes;
            }
            let from = u64::from(cell.day) * 86_400_000 + session.start_ms + cut.from_ms;
            raw.stays.push((from, from + cut.length_ms));
        }
        let made = |raw: &Raw| raw.bytes > 0 && raw.day <= of.scale.days;
        found.extend(days.into_values().filter(made));
    }
    found.sort_by_key(|raw| (raw.day, raw.pair, raw.host));
    found
}

/// Percent by age: bytes whose key was last seen at most so many days before.
fn effectiveness<K: Ord + Copy>(
    flows: &[Raw],
    key: impl Fn(&Raw) -> K,
) -> BTreeMap<&'static str, f64> {
    let mut last: BTreeMap<K, u16> = BTreeMap::new();
    let mut matched = [0u64; AGES.len()];
    let mut total = 0;
    for day in flows.chunk_by(|a, b| a.day == b.day) {
        for raw in day {
            total += raw.bytes;
            if let Some(last) = last.get(&key(raw)) {
                for (matched, (_, age)) in matched.iter_mut().zip(AGES) {
                    *matched += if raw.day - last <= age { raw.bytes } else { 0 };
                }
            }
        }
        last.extend(day.iter().map(|raw| (key(raw), raw.day)));
    }
    let percent = |matched: u64| matched as f64 * 100.0 / total as f64;
    AGES.iter().zip(matched).map(|((name, _), matched)| (*name, percent(matched))).collect()
}

/// Most stays at one instant, ends before beginnings.
fn most_at_once(stays: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut events: Vec<(u64, i32)> =
        stays.filter(|(from, to)| from < to).flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
    events.sort_unstable();
    let mut now = 0;
    events.into_iter().fold(0, |most, (_, step)| {
        now += step;
        most.max(now)
    }) as u64
}

fn beta_truth(of: &Workload, flows: &[Raw]) -> BTreeMap<&'static str, TrueBeta> {
    let mut nets: BTreeMap<usize, u16> = BTreeMap::new();
    let mut hosts: BTreeMap<(usize, usize), u16> = BTreeMap::new();
    for raw in flows {
        nets.entry(raw.pair).or_insert(raw.day);
        hosts.entry((raw.pair, raw.host)).or_insert(raw.day);
    }
    let (mut of_nets, mut of_hosts) = (TrueBeta::default(), TrueBeta::default());
    for raw in flows {
        of_nets.beta1_bytes += if nets[&raw.pair] < raw.day { raw.rest } else { 0 };
        let known = hosts[&(raw.pair, raw.host)] < raw.day;
        of_hosts.beta1_bytes += if known { raw.rest } else { 0 };
    }
    if of.profile == Profile::Beta {
        for day in 1..=of.scale.days {
            for flow in beta::flows(of, &mut of.rng(day)) {
                let before = |first: Option<&u16>| first.is_some_and(|first| *first < day);
                let (net, host) = match flow.place {
                    Place::Hosts(pair, host) => {
                        (before(nets.get(&pair)), before(hosts.get(&(pair, host))))
                    }
                    Place::Net(pair) => (before(nets.get(&pair)), false),
                    Place::Elsewhere => (false, false),
                };
                for (redirected, sum) in [(net, &mut of_nets), (host, &mut of_hosts)] {
                    if redirected {
                        sum.beta1_bytes += flow.bytes;
                        sum.beta2_bytes += flow.bytes;
                        sum.beta2_records += flow.cuts().len() as u64;
                    }
                }
            }
        }
    }
    [("/24", of_nets), ("/32", of_hosts)].into()
}

/// Reckons the truth of a workload. Sampling noise, duplicates and changed addresses are no part of
/// it: what a sampled workload's truth says is what was sent.
pub fn truth(of: &Workload) -> Truth {
    let flows = raw_flows(of);
    let mut days = vec![TrueDay::default(); usize::from(of.scale.days)];
    let mut of_pair: BTreeMap<(u16, usize), u64> = BTreeMap::new();
    let mut egress: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); month(of.scale.days) + 1];
    for raw in &flows {
        let day = &mut days[usize::from(raw.day) - 1];
        day.raw_flows += 1;
        day.alpha_bytes += raw.bytes;
        day.alpha_time_ms += raw.time_ms;
        let count = of_pair.entry((raw.day, raw.pair)).or_default();
        *count += 1;
        day.most_of_one = day.most_of_one.max(*count);
        egress[month(raw.day)].insert(raw.egress);
    }
    let nets: BTreeSet<_> = flows.iter().map(|raw| raw.pair).collect();
    let hosts: BTreeSet<_> = flows.iter().map(|raw| (raw.pair, raw.host)).collect();
    let mut known: BTreeSet<usize> = BTreeSet::new();
    let lsps = egress.iter().map(|month| {
        known.extend(month);
        known.len() as u64
    });
    let lsps = lsps.collect();
    let most = |router: usize| {
        let own = flows.iter().filter(|raw| raw.egress == router);
        most_at_once(own.flat_map(|raw| raw.stays.iter().copied()))
    };
    Truth {
        profile: of.profile,
        seed: of.seed,
        first_day: "2011-05-01",
        raw_flows: flows.len() as u64,
        prefix_flows: [("/24", nets.len() as u64), ("/32", hosts.len() as u64)].into(),
        effectiveness: [
            ("/24", effectiveness(&flows, |raw| raw.pair)),
            ("/32", effectiveness(&flows, |raw| (raw.pair, raw.host))),
        ]
        .into(),
        lsps,
        lsps_active: egress.iter().map(|month| month.len() as u64).collect(),
        most_at_once: (0..known.last().map_or(0, |last| last + 1)).map(most).collect(),
        beta: beta_truth(of, &flows),
        days,
        export: None,
    }
}
