// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account of BMP: what was sent on each connection, and what of it was written down.

use crate::bmp::Messages;
use crate::cover::{Added, Cover};
use crate::outputs::{Line, unhex};
use crate::scene::Timeline;
use crate::stream::{Connection, Connections, Tuple};
use std::collections::HashMap;

/// What the collectors said about one connection.
#[derive(Debug, Default)]
struct Delivered {
    messages: Messages,
    cover: Cover,
    /// (time, instance, stream offset, takeovers) of each accept.
    accepts: Vec<(i64, u64, u64, u64)>,
    /// Offset behind the last message the victim wrote down before its death.
    victim_end: u64,
    /// Output lines whose bytes are not those of the capture.
    wrong: u64,
}

/// Sums of a phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Established connections seen in the phase.
    pub connections: u64,
    /// Established connections open at the kill.
    pub at_kill: u64,
    /// Connections the collectors' side ended before the exporters stopped.
    pub reset: u64,
    /// RST packets of the collectors' side on established connections, before the exporters stopped.
    pub rst: u64,
    /// Connections the collectors' side ended by FIN, before the exporters stopped.
    pub fin: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages sent and acknowledged.
    pub acked: u64,
    /// Messages all of whose bytes stand in the outputs.
    pub delivered: u64,
    /// Output lines that bring nothing new.
    pub duplicated: u64,
    /// Output lines whose bytes differ from the capture's.
    pub wrong: u64,
    /// Output lines that disagree with another about where messages begin.
    pub overlapping: u64,
    /// Output lines of no captured connection, or beyond the bytes sent.
    pub unknown: u64,
    /// Output lines without their bytes, which prove nothing.
    pub without_raw: u64,
    /// Messages written down raw because the collector could not decode them.
    pub undecoded: u64,
    /// Connections whose deduplicated outputs are exactly the messages sent.
    pub identical: u64,
    /// Connections with at least one message.
    pub with_messages: u64,
    /// Bytes of messages sent.
    pub bytes: u64,
    /// Connections the capture does not hold from their first byte, or not without a gap.
    pub unprovable: u64,
    /// Sessions of the victim at the kill.
    pub of_victim: u64,
    /// Of these: with bytes on the wire that the victim had not written down.
    pub unread: u64,
    /// Such bytes.
    pub unread_bytes: u64,
    /// Of these: whose bytes on the wire end inside a message.
    pub mid_message: u64,
    /// kill() to the heir's accept(), in ms, ascending.
    pub takeover_ms: Vec<f64>,
    /// Connections opened when the drained one was no longer chosen, and yet accepted by it.
    pub new_to_drained: u64,
    /// SIGTERM to the heir's accept(), in ms, ascending.
    pub drain_takeover_ms: Vec<f64>,
}

impl Totals {
    /// Messages sent that are in no output.
    pub fn lost(&self) -> u64 {
        self.sent - self.delivered
    }
}

/// The account, while outputs are read into it.
pub struct Sessions<'a> {
    connections: &'a [Connection],
    timeline: &'a Timeline,
    by_tuple: HashMap<Tuple, Vec<usize>>,
    delivered: Vec<Delivered>,
    totals: Totals,
    bytes: Vec<u8>,
}

impl<'a> Sessions<'a> {
    /// An account of what was sent; nothing has arrived yet.
    pub fn new(connections: &'a Connections, timeline: &'a Timeline) -> Self {
        let connections = &connections.all[..];
        let mut by_tuple: HashMap<Tuple, Vec<usize>> = HashMap::new();
        let mut delivered = Vec::with_capacity(connections.len());
        for (index, connection) in connections.iter().enumerate() {
            by_tuple.entry(connection.tuple).or_default().push(index);
            let messages = Messages::of(&connection.bytes);
            delivered.push(Delivered { messages, ..Delivered::default() });
        }
        let (totals, bytes) = (Totals::default(), Vec::new());
        Self { connections, timeline, by_tuple, delivered, totals, bytes }
    }

    /// The connections a line may be about, the likeliest first.
    fn candidates(&self, line: &Line<'_>) -> Vec<usize> {
        let (Some(exporter), Some(local)) = (line.exporter(), line.local) else {
            return Vec::new();
        };
        let local = local.to_canonical();
        let tuple = Tuple { exporter, port: line.port, local, local_port: line.local_port };
        let Some(all) = self.by_tuple.get(&tuple) else { return Vec::new() };
        let begun = all.partition_point(|i| self.connections[*i].opened_us <= line.ts_us());
        all[..begun].iter().rev().chain(&all[begun..]).copied().collect()
    }

    /// Takes a BMP line in.
    pub fn message(&mut self, line: &Line<'_>) {
        let Some(raw) = line.raw.as_deref() else {
            self.totals.without_raw += 1;
            return;
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        let candidates = self.candidates(line);
        let readable = unhex(raw, &mut bytes).is_some() && bytes.len() as u64 == line.len;
        let (start, end) = (line.offset, line.offset.saturating_add(bytes.len() as u64));
        let within = |index: usize| {
            let stream = &self.connections[index].bytes;
            stream.get(start as usize..).and_then(|rest| rest.get(..bytes.len()))
        };
        let same = candidates.iter().find(|index| within(**index) == Some(&bytes[..]));
        match (same.copied(), candidates.first().copied()) {
            (Some(index), _) if readable => self.add(index, line, start, end),
            (_, Some(index)) if !readable || within(index).is_some() => {
                self.delivered[index].wrong += 1;
            }
            _ => self.totals.unknown += 1,
        }
        self.bytes = bytes;
    }

    fn add(&mut self, index: usize, line: &Line<'_>, start: u64, end: u64) {
        // What an exporter that ended inside a message had sent of it is no message.
        let cut_off = start >= self.delivered[index].messages.end();
        self.totals.undecoded += u64::from(line.error.is_some() && !cut_off);
        let delivered = &mut self.delivered[index];
        match delivered.cover.add(start, end) {
            Added::New => {}
            Added::Duplicate => self.totals.duplicated += 1,
            Added::Overlap => self.totals.overlapping += 1,
        }
        if line.instance == self.timeline.killed && line.ts_us() <= self.timeline.reaped_us {
            delivered.victim_end = delivered.victim_end.max(end);
        }
    }

    /// Takes an `accept` or `heir` event in.
    pub fn accepted(&mut self, line: &Line<'_>) {
        let Some(exporter) = line.exporter() else { return };
        let (ts, port) = (line.ts_us(), line.port);
        // Events name the exporter's end only.
        let newest = self.connections.iter().enumerate().rev().find(|(_, c)| {
            (c.tuple.exporter, c.tuple.port) == (exporter, port) && c.opened_us <= ts
        });
        if let Some((index, _)) = newest {
            let accept = (ts, line.instance, line.offset, line.takeovers);
            self.delivered[index].accepts.push(accept);
        }
    }

    /// Closes the account; `left_us` is when the drained one said that it is chosen no more.
    pub fn settle(mut self, left_us: i64) -> Totals {
        let stop = self.timeline.senders_stop_us;
        for (connection, delivered) in self.connections.iter().zip(&mut self.delivered) {
            delivered.accepts.sort_unstable();
            let totals = &mut self.totals;
            let messages = &delivered.messages;
            let lost_count = messages.spans().filter(|(s, e)| !delivered.cover.contains(*s, *e));
            let lost = lost_count.count() as u64;
            let sent = messages.ends.len() as u64;
            totals.sent += sent;
            totals.delivered += sent - lost;
            totals.acked += messages.ends.partition_point(|end| *end <= connection.acked) as u64;
            totals.bytes += messages.end();
            totals.wrong += delivered.wrong;
            if sent > 0 {
                totals.with_messages += 1;
                let whole = delivered.cover.pieces() == 1
                    && delivered.cover.prefix() == messages.end()
                    && delivered.wrong == 0;
                totals.identical += u64::from(whole);
            }
            let provable = connection.anchored
                && connection.stranded() == 0
                && connection.rewritten == 0
                && messages.broken_at.is_none();
            totals.unprovable += u64::from(!provable);
            let Some(established) = connection.established_us else { continue };
            totals.connections += 1;
            if let Some(end) = connection.collector_end().filter(|end| end.ts_us() < stop) {
                totals.reset += 1;
                totals.fin += u64::from(connection.collector_fin_us == Some(end.ts_us()));
                let rsts = connection.collector_rst_us.iter().filter(|ts| **ts < stop);
                totals.rst += rsts.count() as u64;
            }
            let late = connection.opened_us > left_us;
            let drained = self.timeline.drained;
            let new = late && delivered.accepts.iter().any(|(_, one, ..)| *one == drained);
            totals.new_to_drained += u64::from(new);
            let kill = self.timeline.kill_us;
            let open = established <= kill && connection.end_us().is_none_or(|end| end > kill);
            totals.at_kill += u64::from(open);
            if open {
                at_kill(connection, delivered, self.timeline, totals);
            }
            let handed = (self.timeline.drain_start_us, i64::MAX, self.timeline.drained);
            totals.drain_takeover_ms.extend(takeover(delivered, handed));
        }
        self.totals.takeover_ms.sort_by(f64::total_cmp);
        self.totals.drain_takeover_ms.sort_by(f64::total_cmp);
        self.totals
    }
}

/// What the kill met on one open connection.
fn at_kill(c: &Connection, delivered: &Delivered, timeline: &Timeline, totals: &mut Totals) {
    let kill = timeline.kill_us;
    let owner = delivered.accepts.iter().rev().find(|(ts, ..)| *ts <= kill);
    let Some((_, _, from, _)) = owner.filter(|(_, instance, ..)| *instance == timeline.killed)
    else {
        return;
    };
    totals.of_victim += 1;
    let on_wire = c.sent_by(kill);
    let unread = on_wire.saturating_sub(delivered.victim_end.max(*from));
    totals.unread += u64::from(unread > 0);
    totals.unread_bytes += unread;
    totals.mid_message += u64::from(!delivered.messages.is_boundary(on_wire));
    totals
        .takeover_ms
        .extend(takeover(delivered, (kill, timeline.drain_start_us, timeline.killed)));
}

/// Time from an event to the heir's accept, in ms, if the session was the leaver's.
fn takeover(delivered: &Delivered, (from, until, leaver): (i64, i64, u64)) -> Option<f64> {
    let owner = delivered.accepts.iter().rev().find(|(ts, ..)| *ts <= from)?;
    let heir = delivered
        .accepts
        .iter()
        .find(|(ts, _, _, takeovers)| *ts > from && *ts < until && *takeovers > owner.3)?;
    (owner.1 == leaver).then(|| (heir.0 - from) as f64 / 1000.0)
}
