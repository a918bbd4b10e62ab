// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A transport session: datagrams in, records out.

use std::collections::BTreeMap;

use super::domain::{Domain, SetView};
use super::options::Options;
use super::record::{MessageHeader, Record};
use super::report::{Counters, DatagramReport, Error, Late, Problem, ProblemAt, Sequence};
use super::state::{DomainState, StreamState};
use super::template::{Announcement, Span, announcement};
use super::waiting::Waiting;
use super::{Arrival, IPFIX, Limits, NETFLOW_V9};
use crate::cursor::Cursor;

/// Octets of the message header.
const V9_HEADER: usize = 20;
const IPFIX_HEADER: usize = 16;
/// Octets of a set header.
const SET_HEADER: usize = 4;

/// The decoder of one (exporter address, exporter port, local port).
pub struct Session {
    limits: Limits,
    /// By (version, domain): v9 source ids and IPFIX domains are different number spaces.
    domains: BTreeMap<(u16, u32), Domain>,
    /// Sampling and the exporter's start as told in domain 0, by version.
    shared: [Options; 2],
    waiting: Waiting,
    scratch: Vec<Span>,
    counters: Counters,
}

impl Session {
    /// A session that knows no template yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            domains: BTreeMap::new(),
            shared: Default::default(),
            waiting: Waiting::default(),
            scratch: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// What it has seen.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sets waiting for their template now.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The domains heard of, in rising order, each once.
    pub fn domains(&self) -> Vec<u32> {
        let mut domains: Vec<u32> = self.domains.keys().map(|(_, domain)| *domain).collect();
        domains.sort_unstable();
        domains.dedup();
        domains
    }

    /// Decodes one UDP payload and hands every record to `sink` in wire order.
    ///
    /// # Errors
    ///
    /// Only a payload without a readable header is refused; anything smaller is in the report.
    pub fn decode(
        &mut self,
        datagram: &[u8],
        arrival: Arrival,
        sink: &mut dyn FnMut(&Record<'_>),
    ) -> Result<DatagramReport, Error> {
        self.counters.sets_given_up += self.waiting.expire(arrival.now_s, &self.limits);
        let (header, mut sets, told_len) = match header(datagram, arrival.tag) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.counters.refused += 1;
                return Err(error);
            }
        };
        self.counters.datagrams += 1;
        let mut report = DatagramReport {
            version: header.version,
            domain: header.domain,
            export_time: header.export_time,
            sequence_number: header.sequence,
            ..DatagramReport::default()
        };
        match told_len.cmp(&datagram.len()) {
            std::cmp::Ordering::Greater => {
                self.problem(&mut report, 0, 0, Problem::MessageTruncated)
            }
            std::cmp::Ordering::Less => {
                self.problem(&mut report, told_len as u32, 0, Problem::TrailingOctets);
            }
            std::cmp::Ordering::Equal => {}
        }
        let key = (header.version, header.domain);
        self.enter(key, arrival.now_s);
        if let Some(domain) = self.domains.get_mut(&key) {
            report.sequence = domain.follow(header.sequence);
            match report.sequence {
                Sequence::Lost(count) => self.counters.sequence_lost += u64::from(count),
                Sequence::Back => self.counters.sequence_back += 1,
                Sequence::Unknown | Sequence::InOrder => {}
            }
        }
        let mut countable = told_len <= datagram.len();
        let mut templates_came = false;
        while sets.remaining() >= SET_HEADER {
            let offset = (header_len(header.version) + sets.position()) as u32;
            let (Some(id), Some(len)) = (sets.u16(), sets.u16()) else { break };
            if id == 0 && len == 0 {
                break; // v9 exporters pad the end of a datagram with zeros
            }
            let body = usize::from(len).checked_sub(SET_HEADER).and_then(|len| sets.take(len));
            let Some(body) = body else {
                self.problem(&mut report, offset, id, Problem::BadSetLength);
                countable = false;
                break;
            };
            match (header.version, id) {
                (NETFLOW_V9, 0 | 1) | (IPFIX, 2 | 3) => {
                    let options = id % 2 == 1;
                    self.template_set(body, key, options, offset, id, arrival, &mut report);
                    templates_came = true;
                }
                (_, 256..) => {
                    let view = SetView {
                        header,
                        id,
                        bytes: body,
                        offset: offset + SET_HEADER as u32,
                        index: report.data_records + report.options_records,
                        late: false,
                    };
                    countable &= self.data_set(&view, key, arrival, &mut report, sink);
                }
                _ => self.problem(&mut report, offset, id, Problem::ReservedSet),
            }
            if templates_came && !self.waiting.is_empty() {
                self.release(Some(key), &mut report, sink);
                templates_came = false;
            }
        }
        let records = report.data_records + report.options_records;
        let step =
            if header.version == NETFLOW_V9 { Some(1) } else { countable.then_some(records) };
        if let Some(domain) = self.domains.get_mut(&key) {
            domain.advance(header.sequence, step);
        }
        Ok(report)
    }

    /// Makes sure the domain exists, at the cost of the one silent for longest.
    fn enter(&mut self, key: (u16, u32), now_s: u64) {
        if !self.domains.contains_key(&key) && self.domains.len() >= self.limits.domains {
            let silent = self.domains.iter().min_by_key(|(_, domain)| domain.heard_s);
            if let Some(silent) = silent.map(|(key, _)| *key) {
                self.domains.remove(&silent);
                self.counters.domains_evicted += 1;
            }
        }
        self.domains.entry(key).or_default().heard_s = now_s;
    }

    fn problem(&mut self, report: &mut DatagramReport, offset: u32, set: u16, problem: Problem) {
        if let Some(counter) = self.counters.problems.get_mut(problem as usize) {
            *counter += 1;
        }
        if report.problems.len() < DatagramReport::PROBLEMS_MAX {
            report.problems.push(ProblemAt { offset, set, problem });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    fn template_set(
        &mut self,
        body: &[u8],
        key: (u16, u32),
        options: bool,
        offset: u32,
        set: u16,
        arrival: Arrival,
        report: &mut DatagramReport,
    ) {
        let mut cursor = Cursor::new(body);
        while let Some(said) = announcement(&mut cursor, key.0, options, &self.limits) {
            let Some(domain) = self.domains.get_mut(&key) else { return };
            let outcome = match said {
                Announcement::Template(template) => {
                    self.counters.templates += 1;
                    domain.announce(template, arrival.now_s, &self.limits)
                }
                Announcement::Withdrawn(id) => {
                    let gone = domain.withdraw(id, options);
                    self.counters.withdrawn += gone;
                    Ok(gone > 0)
                }
                Announcement::Unusable(problem) => Err(problem),
            };
            match outcome {
                Ok(changed) => report.state_changed |= changed,
                Err(problem) => self.problem(report, offset, set, problem),
            }
        }
    }

    /// Decodes a data set or puts it aside; says whether its records could be counted.
    fn data_set(
        &mut self,
        view: &SetView<'_>,
        key: (u16, u32),
        arrival: Arrival,
        report: &mut DatagramReport,
        sink: &mut dyn FnMut(&Record<'_>),
    ) -> bool {
        let Some(domain) = self.domains.get_mut(&key) else { return false };
        let shared = &self.shared[usize::from(key.0 == IPFIX)];
        let done = domain.decode_set(view, shared, &mut self.scratch, &self.limits, sink);
        let Some(done) = done else {
            self.counters.sets_waited += 1;
            self.counters.sets_given_up += self.waiting.push(
                view.header,
                view.id,
                view.bytes,
                view.offset,
                arrival.now_s,
                &self.limits,
            );
            if !report.missing.contains(&view.id) {
                report.missing.push(view.id);
            }
            return false;
        };
        report.data_records += done.data;
        report.options_records += done.options;
        report.state_changed |= done.changed;
        self.counters.data_records += u64::from(done.data);
        self.counters.options_records += u64::from(done.options);
        if done.changed {
            self.share(key);
        }
        if let Some(problem) = done.problem {
            let offset = view.offset - SET_HEADER as u32;
            self.problem(report, offset, view.id, problem);
        }
        done.problem != Some(Problem::TruncatedRecord)
    }

    /// Domain 0 speaks for all domains of its version.
    fn share(&mut self, key: (u16, u32)) {
        if key.1 != 0 {
            return;
        }
        if let Some(domain) = self.domains.get(&key) {
            let shared = &mut self.shared[usize::from(key.0 == IPFIX)];
            shared.samplers.clone_from(&domain.options.samplers);
            shared.interface_sampling.clone_from(&domain.options.interface_sampling);
            shared.sampling = domain.options.sampling;
            shared.system_init_ms = domain.options.system_init_ms;
        }
    }

    /// Decodes what waits and can be decoded now, of one domain or of all.
    fn release(
        &mut self,
        only: Option<(u16, u32)>,
        report: &mut DatagramReport,
        sink: &mut dyn FnMut(&Record<'_>),
    ) {
        let domains = &self.domains;
        let ready = self.waiting.take(|set| {
            let key = (set.header.version, set.header.domain);
            only.is_none_or(|only| only == key)
                && domains.get(&key).is_some_and(|domain| domain.has(set.id))
        });
        for set in ready {
            let key = (set.header.version, set.header.domain);
            let view = SetView {
                header: set.header,
                id: set.id,
                bytes: &set.bytes,
                offset: set.offset,
                index: 0,
                late: true,
            };
            let Some(domain) = self.domains.get_mut(&key) else { continue };
            let shared = &self.shared[usize::from(key.0 == IPFIX)];
            let done = domain.decode_set(&view, shared, &mut self.scratch, &self.limits, sink);
            let Some(done) = done else { continue };
            self.counters.sets_late += 1;
            self.counters.data_records += u64::from(done.data);
            self.counters.options_records += u64::from(done.options);
            report.state_changed |= done.changed;
            if done.changed {
                self.share(key);
            }
            report.late.push(Late {
                tag: set.header.tag,
                domain: key.1,
                set: set.id,
                data_records: done.data,
                options_records: done.options,
            });
            if let Some(problem) = done.problem {
                self.problem(report, set.offset, set.id, problem);
            }
        }
    }

    /// The state of a domain, to be stored; `None` if nothing was heard of it.
    pub fn snapshot(&self, domain: u32) -> Option<DomainState> {
        let streams: Vec<StreamState> = [NETFLOW_V9, IPFIX]
            .into_iter()
            .filter_map(|version| {
                Some(StreamState::of(version, self.domains.get(&(version, domain))?))
            })
            .collect();
        (!streams.is_empty()).then_some(DomainState { domain, streams })
    }

    /// Takes stored state in. What this session has heard itself wins over what was stored. Sets
    /// that waited for one of these templates stay where they are until [`Self::drain_waiting`].
    /// Returns how many templates were taken.
    pub fn restore(&mut self, state: &DomainState, now_s: u64) -> usize {
        let mut taken = 0;
        for stream in &state.streams {
            if stream.version != NETFLOW_V9 && stream.version != IPFIX {
                continue;
            }
            let key = (stream.version, state.domain);
            self.enter(key, now_s);
            let Some(domain) = self.domains.get_mut(&key) else { continue };
            for template in stream.templates.iter().take(self.limits.templates_per_domain) {
                if domain.has(template.id) {
                    continue;
                }
                if let Ok(template) = template.compile(&self.limits) {
                    taken += usize::from(domain.announce(template, now_s, &self.limits).is_ok());
                }
            }
            domain.options.fill_from(&stream.options, self.limits.options_per_table);
            domain.sequence_next = domain.sequence_next.or(stream.sequence_next);
            self.share(key);
        }
        taken
    }

    /// Decodes the waiting sets whose template is known by now, after [`Self::restore`].
    pub fn drain_waiting(&mut self, sink: &mut dyn FnMut(&Record<'_>)) -> Vec<Late> {
        let mut report = DatagramReport::default();
        self.release(None, &mut report, sink);
        report.late
    }
}

fn header_len(version: u16) -> usize {
    if version == NETFLOW_V9 { V9_HEADER } else { IPFIX_HEADER }
}

/// The message header, the sets behind it, and the length the message says it has.
fn header(datagram: &[u8], tag: u64) -> Result<(MessageHeader, Cursor<'_>, usize), Error> {
    let short = Error::TooShort(datagram.len());
    let mut cursor = Cursor::new(datagram);
    let version = cursor.u16().ok_or(short)?;
    if version != NETFLOW_V9 && version != IPFIX {
        return Err(Error::UnknownVersion(version));
    }
    // v9 counts records here, and exporters count differently: only the sets are believed.
    let length = usize::from(cursor.u16().ok_or(short)?);
    let mut word = || cursor.u32().ok_or(short);
    let uptime_ms = if version == NETFLOW_V9 { word()? } else { 0 };
    let (export_time, sequence, domain) = (word()?, word()?, word()?);
    let length = if version == NETFLOW_V9 { datagram.len() } else { length };
    let end = length.clamp(header_len(version), datagram.len());
    let sets = datagram.get(header_len(version)..end).unwrap_or_default();
    let header = MessageHeader { version, domain, export_time, sequence, uptime_ms, tag };
    Ok((header, Cursor::new(sets), length))
}
