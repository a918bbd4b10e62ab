// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IPFIX and NetFlow v9: every record a line, templates shared with the siblings through the store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use telesteer_wire::flow::{
    Arrival, DatagramReport, DomainState, Late, NETFLOW_V9, Problem, Record, Sequence, Session,
};

use super::{
    Arrived, Lines,
    journal::Outcome,
    peers::{DomainNote, Peer, Peers},
};
use crate::{checkpoint::About, line::Line, shared::Shared, sink::Row};

/// Least time between two searches of the store for one domain.
const SEARCH_EVERY: Duration = Duration::from_secs(1);
/// After this much silence an exporter may have been at a sibling and announced new templates there.
const MAY_HAVE_BEEN_AWAY: Duration = Duration::from_secs(5);
/// Bytes of datagrams waiting for templates, over all exporters of the socket.
const WAITING_BYTES: usize = 256 << 20;
/// Domains with a note, per exporter.
const NOTES: usize = 1024;

/// The decoder of one flow socket.
pub(super) struct Flow {
    shared: Arc<Shared>,
    service: &'static str,
    peers: Peers,
}

impl Flow {
    pub(super) fn new(shared: Arc<Shared>, service: &'static str) -> Self {
        Self { shared, service, peers: Peers::default() }
    }

    /// Decodes one datagram.
    pub(super) fn take(&mut self, of: &Arrived<'_>, lines: &mut Lines) {
        let (shared, service) = (&*self.shared, self.service);
        let (peer, evicted) = self.peers.get(of.from, shared.limits.exporters, || {
            Peer::new(shared.metrics.exporters.row(service, of.from.ip()))
        });
        shared.metrics.exporters_evicted.add(evicted);
        peer.row.messages.inc();
        peer.row.bytes.add(of.payload.len() as u64);
        peer.row.last_seen.set(of.ts.as_secs());
        let store = Templates { shared, from: of.from, local_port: of.local_port };
        let away = of.ts.saturating_sub(peer.last_seen) > MAY_HAVE_BEEN_AWAY;
        if (peer.gap || away) && !peer.last_seen.is_zero() {
            store.refresh(peer, of.ts);
            peer.gap = false;
        }
        peer.last_seen = of.ts;

        let mut writer = Writer::new(shared, of, lines);
        let arrival = Arrival { now_s: of.ts.as_secs(), tag: of.fnv };
        let counted = *peer.session.counters();
        let decoded = peer.session.decode(of.payload, arrival, &mut |record| writer.record(record));
        let report = match decoded {
            Ok(report) => report,
            Err(error) => {
                peer.row.undecodable.inc();
                shared.metrics.datagrams_by_kind.add("unknown", 1);
                return writer.undecodable(error.reason());
            }
        };
        if report.state_changed {
            store.save(peer, report.domain);
        }
        let mut late = report.late.clone();
        if !report.missing.is_empty() && store.search(peer, report.domain, of.ts) {
            late.extend(peer.session.drain_waiting(&mut |record| writer.record(record)));
        }
        let now = *peer.session.counters();
        let metrics = &shared.metrics;
        metrics.flow_records.add(now.data_records - counted.data_records);
        metrics.flow_sets_waiting.add(now.sets_waited - counted.sets_waited);
        metrics.flow_sets_late.add(now.sets_late - counted.sets_late);
        metrics.flow_sets_expired.add(now.sets_given_up - counted.sets_given_up);
        peer.row.records.add(now.data_records - counted.data_records);
        if let Sequence::Lost(n) = report.sequence {
            metrics.flow_sequence_gaps.inc();
            metrics.flow_sequence_lost.add(u64::from(n));
            peer.row.sequence_lost.add(u64::from(n));
            peer.gap = true;
        }
        writer.finish(&report, &late, &peer.row);
        let was = peer.waiting_bytes;
        if peer.session.waiting() == 0 {
            peer.waiting_bytes = 0;
        } else if !report.missing.is_empty() {
            peer.waiting_bytes += of.payload.len();
        }
        let is = peer.waiting_bytes;
        self.peers.waiting_bytes = self.peers.waiting_bytes - was + is;
        if self.peers.waiting_bytes > WAITING_BYTES {
            metrics.flow_sets_expired.add(self.peers.forget(&of.from));
            metrics.exporters_evicted.inc();
        }
    }
}

/// Writes the lines of one datagram.
struct Writer<'a> {
    shared: &'a Shared,
    of: &'a Arrived<'a>,
    lines: &'a mut Lines,
    /// What every line of this datagram starts with.
    head: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared, of: &'a Arrived<'a>, lines: &'a mut Lines) -> Self {
        Self { shared, of, lines, head: Vec::new() }
    }

    /// One record of traffic. Options records are about the exporter and make no line.
    fn record(&mut self, record: &Record<'_>) {
        if record.is_options() {
            return;
        }
        if self.head.is_empty() {
            let line = Line::begin(&mut self.head, "flow", self.shared.instance, self.of.ts);
            // Not ended: every record goes on from here.
            let _ = line
                .ip("exporter", self.of.from.ip())
                .number("port", u64::from(self.of.from.port()))
                .number("local_port", u64::from(self.of.local_port));
        }
        let times = record.times();
        if self.shared.sink.is_some() {
            match Row::of(record, self.of.from.ip(), times) {
                Ok(row) => self.lines.rows.push(row),
                Err(lacks) => {
                    self.shared.metrics.parquet_records_left_out.add(lacks.reason(), 1);
                }
            }
        }
        let header = record.header();
        let mut line = Line::resume(&mut self.lines.data, &self.head)
            .number("domain", u64::from(header.domain))
            .number("version", u64::from(header.version))
            .number("export_time", u64::from(header.export_time))
            .number("seq", u64::from(header.sequence))
            .number("template", u64::from(record.template().id))
            .number("record", u64::from(record.index()))
            .times(times)
            .json("fields", |out| record.write_json(out))
            .optional("sampling_interval", record.sampling_interval().map(u64::from));
        if record.is_late() {
            line = line.hex64("late", header.tag);
        }
        line.end();
        self.lines.count += 1;
    }

    /// A datagram that could not be read at all.
    fn undecodable(mut self, reason: &str) {
        self.shared.metrics.flow_undecodable.add(reason, 1);
        self.raw(reason);
        if self.shared.journal {
            let outcome = Outcome::Undecodable(reason);
            self.lines.datagram(self.shared.instance, self.of, "unknown", 0, outcome);
        }
    }

    fn raw(&mut self, reason: &str) {
        Line::begin(&mut self.lines.data, "flow_raw", self.shared.instance, self.of.ts)
            .ip("exporter", self.of.from.ip())
            .number("port", u64::from(self.of.from.port()))
            .number("local_port", u64::from(self.of.local_port))
            .string("reason", reason)
            .hex("raw", self.of.payload)
            .end();
        self.lines.count += 1;
    }

    /// The journal and the counters after everything was decoded.
    fn finish(mut self, report: &DatagramReport, late: &[Late], row: &crate::metrics::ExporterRow) {
        let kind = if report.version == NETFLOW_V9 { "netflow9" } else { "ipfix" };
        let metrics = &self.shared.metrics;
        metrics.datagrams_by_kind.add(kind, 1);
        for at in &report.problems {
            metrics.flow_undecodable.add(at.problem.reason(), 1);
        }
        let worst = report.problems.iter().find(|at| loses_data(at.problem));
        if let Some(at) = worst {
            row.undecodable.inc();
            self.raw(at.problem.reason());
        }
        if !self.shared.journal {
            return;
        }
        let outcome = match worst {
            Some(at) => Outcome::Undecodable(at.problem.reason()),
            None if !report.missing.is_empty() => Outcome::Waiting,
            None => Outcome::Ok,
        };
        let (instance, of) = (self.shared.instance, self.of);
        self.lines.datagram(instance, of, kind, u64::from(report.data_records), outcome);
        for late in late {
            let records = u64::from(late.data_records);
            self.lines.late(instance, of.ts, of.from, of.local_port, late.tag, records);
        }
    }
}

/// Whether a problem costs records or templates.
fn loses_data(problem: Problem) -> bool {
    !matches!(problem, Problem::TrailingOctets | Problem::TooManyOptions)
}

/// The store as one exporter's transport session sees it.
struct Templates<'a> {
    shared: &'a Shared,
    from: SocketAddr,
    local_port: u16,
}

impl Templates<'_> {
    fn key(&self, domain: u32) -> String {
        format!("{}-{}-{}-{domain}", self.from.ip(), self.from.port(), self.local_port)
    }

    /// Stores what is known of a domain, for siblings and for our own next start.
    fn save(&self, peer: &mut Peer, domain: u32) {
        let Some(mut state) = peer.session.snapshot(domain) else { return };
        for stream in &mut state.streams {
            // Long past when somebody reads it: he would count what we received as lost.
            stream.sequence_next = None;
        }
        // These types have no value that JSON cannot hold.
        let Ok(body) = serde_json::to_vec(&state) else { return };
        let known = peer.domains.get(&domain).is_some_and(|note| note.stamp.is_some());
        let stamp = self.shared.store.put(About::Templates, &self.key(domain), known, &body);
        if stamp.is_some() {
            self.shared.metrics.templates_saved.inc();
            note(peer, domain).stamp = stamp;
        }
    }

    fn load(&self, domain: u32) -> Option<(DomainState, crate::checkpoint::Stamp)> {
        let (body, stamp) = self.shared.store.get(About::Templates, &self.key(domain))?;
        match serde_json::from_slice::<DomainState>(&body) {
            Ok(state) if state.domain == domain => Some((state, stamp)),
            _ => {
                self.shared.metrics.templates_unusable.inc();
                None
            }
        }
    }

    /// Looks for templates a set lacks; says whether something new was found.
    fn search(&self, peer: &mut Peer, domain: u32, now: Duration) -> bool {
        let noted = note(peer, domain);
        if now < noted.not_before {
            return false;
        }
        noted.not_before = now + SEARCH_EVERY;
        let before = noted.stamp;
        match self.load(domain) {
            Some((state, stamp)) if Some(stamp) != before => {
                note(peer, domain).stamp = Some(stamp);
                self.shared.metrics.templates_restored.inc();
                peer.session.restore(&state, now.as_secs()) > 0
            }
            _ => {
                self.shared.metrics.templates_not_found.inc();
                false
            }
        }
    }

    /// After an exporter may have been at a sibling: what the store has newer than ours wins.
    fn refresh(&self, peer: &mut Peer, now: Duration) {
        let newer: Vec<(DomainState, crate::checkpoint::Stamp)> = peer
            .session
            .domains()
            .into_iter()
            .filter(|domain| {
                let ours = peer.domains.get(domain).and_then(|note| note.stamp);
                let theirs = self.shared.store.stamp(About::Templates, &self.key(*domain));
                theirs.is_some() && theirs != ours
            })
            .filter_map(|domain| self.load(domain))
            .collect();
        if newer.is_empty() {
            return;
        }
        // A session lets what it heard itself win, so the newer states go into a fresh one first.
        let mut fresh = Session::new(telesteer_wire::flow::Limits::default());
        for (state, stamp) in newer {
            fresh.restore(&state, now.as_secs());
            note(peer, state.domain).stamp = Some(stamp);
            self.shared.metrics.templates_restored.inc();
        }
        for domain in peer.session.domains() {
            if let Some(state) = peer.session.snapshot(domain) {
                fresh.restore(&state, now.as_secs());
            }
        }
        self.shared.metrics.flow_sets_expired.add(peer.session.waiting() as u64);
        peer.session = fresh;
    }
}

/// The note of a domain; the table is bounded, what falls off is only searched for again.
fn note(peer: &mut Peer, domain: u32) -> &mut DomainNote {
    if peer.domains.len() >= NOTES && !peer.domains.contains_key(&domain) {
        peer.domains.clear();
    }
    peer.domains.entry(domain).or_default()
}
