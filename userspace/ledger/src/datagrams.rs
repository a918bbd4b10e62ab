// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account of datagrams: each one sent, against the journals, as a multiset by
//! (exporter, port, local port, FNV-1a of the payload).

use crate::fnv::fnv1a64;
use crate::moves::{Moves, Window};
use crate::outputs::Line;
use crate::records::Records;
use crate::scene::{Ports, Timeline};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// How much earlier than its capture a journal line may seem, in microseconds.
const SKEW_US: i64 = 2_000;
/// A datagram counts to an event from this long before it: it may have waited in a queue.
const LEAD_US: i64 = 1_000_000;

/// Transport flow of a datagram: exporter, its port, the collector's port.
type Flow = (IpAddr, u16, u16);

#[derive(Clone, Copy, Debug)]
struct Sent {
    ts_us: i64,
    flow: u32,
    receiver: Option<u64>,
}

/// Datagrams with the same bytes on the same flow.
#[derive(Debug, Default)]
struct Group {
    sent: Vec<u32>,
    got: Vec<(i64, u64)>,
    records: u64,
    undecodable: u64,
}

/// Sums of a phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams found in a journal.
    pub received: u64,
    /// Lost in steady state.
    pub lost_steady: u64,
    /// Lost around the kill and until the drain.
    pub lost_by_crash: u64,
    /// Of these: sent to the victim before it was gone; they died unread in its sockets.
    pub died_unread: u64,
    /// Lost around the drain and after it.
    pub lost_by_drain: u64,
    /// Journal lines that no captured datagram explains.
    pub phantom: u64,
    /// Flow records sent.
    pub records_sent: u64,
    /// Flow records in received datagrams that were never decoded.
    pub undecodable: u64,
    /// Records decoded beyond those that were sent.
    pub unexpected: u64,
    /// Flow records the journals speak of, less the flow lines, over all instances.
    pub missing_lines: u64,
    /// The same for the victim, which may have died between the two.
    pub missing_lines_of_victim: u64,
    /// Sent when the drained one was no longer chosen, and yet received by it.
    pub new_to_drained: u64,
    /// Sent then, while it still had its sockets, in flows that had been its own: what it could have
    /// got.
    pub offered_to_drained: u64,
}

/// Datagrams per second: instance to (second since the phase began, count).
pub type Rates = BTreeMap<u64, BTreeMap<i64, u64>>;

/// The account.
#[derive(Debug, Default)]
pub struct Datagrams {
    ports: Ports,
    numbers: HashMap<Flow, u32>,
    flows: Vec<Flow>,
    sent: Vec<Sent>,
    groups: HashMap<(u32, u64), Group>,
    records: Records,
    /// Per instance: records in the journal, flow lines.
    lines: BTreeMap<u64, (u64, u64)>,
    phantom: u64,
    rates: Rates,
}

impl Datagrams {
    /// An empty account.
    pub fn new(ports: Ports) -> Self {
        Self { ports, ..Self::default() }
    }

    /// Takes a captured datagram in.
    pub fn sent(&mut self, flow: Flow, ts_us: i64, payload: &[u8]) {
        let next = self.flows.len() as u32;
        let number = *self.numbers.entry(flow).or_insert(next);
        if number == next {
            self.flows.push(flow);
        }
        let fnv = fnv1a64(payload);
        let index = self.sent.len() as u32;
        self.sent.push(Sent { ts_us, flow: number, receiver: None });
        self.groups.entry((number, fnv)).or_default().sent.push(index);
        if self.ports.is_flow(flow.2) {
            self.records.add(flow.0, flow.1, flow.2, payload);
        } else {
            self.records.skip();
        }
    }

    /// Takes a journal line in, `datagram` or `late`.
    pub fn journal(&mut self, line: &Line<'_>) {
        let records = if self.ports.is_flow(line.local_port) { line.records } else { 0 };
        self.lines.entry(line.instance).or_default().0 += records;
        let first = line.kind == "datagram";
        if first {
            let second = line.ts_us().div_euclid(1_000_000);
            *self.rates.entry(line.instance).or_default().entry(second).or_default() += 1;
        }
        let flow = line.exporter().map(|exporter| (exporter, line.port, line.local_port));
        let number = flow.and_then(|flow| self.numbers.get(&flow));
        let fnv = u64::from_str_radix(&line.fnv, 16).ok();
        let group = number.zip(fnv).and_then(|(n, fnv)| self.groups.get_mut(&(*n, fnv)));
        match group {
            Some(group) => {
                group.records += records;
                if first {
                    group.got.push((line.ts_us(), line.instance));
                    group.undecodable += u64::from(line.outcome.starts_with("undecodable"));
                }
            }
            None => self.phantom += u64::from(first),
        }
    }

    /// Takes a flow line in.
    pub fn flow_line(&mut self, line: &Line<'_>) {
        self.lines.entry(line.instance).or_default().1 += 1;
    }

    /// Addresses that sent datagrams.
    pub fn exporters(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.flows.iter().map(|(exporter, ..)| *exporter)
    }

    /// Journal lines per second.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Closes the account; tells `moves` who received what.
    ///
    /// `left_us` is when the drained one said that the kernel chooses it no more, `deadline_us` how
    /// long the policy may keep exporters from one that has joined.
    pub fn settle(
        mut self,
        timeline: &Timeline,
        (left_us, deadline_us): (i64, i64),
        moves: &mut Moves,
    ) -> Totals {
        let mut totals =
            Totals { sent: self.sent.len() as u64, phantom: self.phantom, ..Totals::default() };
        for group in self.groups.values_mut() {
            totals.phantom += assign(group, &mut self.sent);
            decoded(group, &self.sent, &self.records, &mut totals);
        }
        let mut owners: Vec<Option<u64>> = vec![None; self.flows.len()];
        for sent in &self.sent {
            let owner = &mut owners[sent.flow as usize];
            let leaving = left_us < sent.ts_us && sent.ts_us < timeline.drain_end_us;
            totals.offered_to_drained += u64::from(leaving && *owner == Some(timeline.drained));
            match sent.receiver {
                Some(instance) => {
                    totals.received += 1;
                    *owner = Some(instance);
                    let late = instance == timeline.drained && sent.ts_us > left_us;
                    totals.new_to_drained += u64::from(late);
                    let part = Window::part(timeline, deadline_us, sent.ts_us);
                    for window in [Window::of(timeline, sent.ts_us), part].into_iter().flatten() {
                        moves.seen(window, self.flows[sent.flow as usize], sent.ts_us, instance);
                    }
                }
                None => lost(sent.ts_us, *owner, timeline, &mut totals),
            }
        }
        for (instance, (records, lines)) in &self.lines {
            let missing = records.saturating_sub(*lines);
            if *instance == timeline.killed {
                totals.missing_lines_of_victim += missing;
            } else {
                totals.missing_lines += missing;
            }
        }
        totals
    }
}

/// Gives each journal line the latest datagram it can be about; returns the lines left over.
fn assign(group: &mut Group, sent: &mut [Sent]) -> u64 {
    group.got.sort_unstable();
    let mut free = group.sent.clone();
    let mut phantom = 0;
    for (ts, instance) in group.got.iter().rev() {
        let mut at = free.len();
        while at > 0 && sent[free[at - 1] as usize].ts_us > ts + SKEW_US {
            at -= 1;
        }
        if at == 0 {
            phantom += 1;
        } else {
            sent[free[at - 1] as usize].receiver = Some(*instance);
            free.truncate(at - 1);
        }
    }
    phantom
}

/// Sets the records sent in a group's received datagrams against those decoded.
fn decoded(group: &Group, sent: &[Sent], records: &Records, totals: &mut Totals) {
    let (mut flows, mut unexplained) = (0, 0);
    for index in &group.sent {
        let found = records.found()[*index as usize];
        totals.records_sent += u64::from(found.flows);
        if sent[*index as usize].receiver.is_some() {
            flows += u64::from(found.flows);
            unexplained += u64::from(found.unexplained);
        }
    }
    let missing = flows.saturating_sub(group.records);
    totals.undecodable += (missing + unexplained).max(group.undecodable);
    totals.unexpected += group.records.saturating_sub(flows);
}

/// Puts a lost datagram to the event it was lost by.
fn lost(ts_us: i64, owner: Option<u64>, timeline: &Timeline, totals: &mut Totals) {
    let crash = timeline.stop_us.min(timeline.kill_us) - LEAD_US;
    let drain = timeline.drain_start_us - LEAD_US;
    if ts_us < crash {
        totals.lost_steady += 1;
    } else if ts_us < drain {
        totals.lost_by_crash += 1;
        let unread = ts_us <= timeline.reaped_us && owner == Some(timeline.killed);
        totals.died_unread += u64::from(unread);
    } else {
        totals.lost_by_drain += 1;
    }
}
