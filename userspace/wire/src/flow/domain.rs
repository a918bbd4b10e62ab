// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One observation domain: its templates, its options, its sequence number.

use std::collections::HashMap;

use super::Limits;
use super::options::{Options, interval};
use super::record::{MessageHeader, Record, slice, unsigned};
use super::report::{Problem, Sequence};
use super::template::{Span, Template};

/// What a record sees of the options while it is itself being learned from.
static NO_OPTIONS: Options = Options {
    samplers: std::collections::BTreeMap::new(),
    interface_sampling: std::collections::BTreeMap::new(),
    sampling: None,
    system_init_ms: None,
    interfaces: std::collections::BTreeMap::new(),
    vrfs: std::collections::BTreeMap::new(),
};

/// How far back a sequence number may be and still count as reordered, not as a restart.
const REORDER_WINDOW: u32 = 1024;

struct Known {
    template: Template,
    announced_s: u64,
}

/// The state of one domain.
#[derive(Default)]
pub(super) struct Domain {
    templates: HashMap<u16, Known>,
    pub(super) options: Options,
    pub(super) sequence_next: Option<u32>,
    pub(super) heard_s: u64,
}

/// The parts of a datagram a set is decoded with.
pub(super) struct SetView<'a> {
    pub(super) header: MessageHeader,
    pub(super) id: u16,
    pub(super) bytes: &'a [u8],
    /// Octet of the datagram at which `bytes` starts.
    pub(super) offset: u32,
    /// Records of the datagram delivered before.
    pub(super) index: u32,
    pub(super) late: bool,
}

/// What a data set came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetReport {
    pub(super) data: u32,
    pub(super) options: u32,
    pub(super) changed: bool,
    pub(super) problem: Option<Problem>,
}

impl Domain {
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values().map(|known| &known.template)
    }

    pub(super) fn has(&self, id: u16) -> bool {
        self.templates.contains_key(&id)
    }

    /// Takes a template; says whether it is new or differs from what the id meant before.
    pub(super) fn announce(
        &mut self,
        template: Template,
        now_s: u64,
        limits: &Limits,
    ) -> Result<bool, Problem> {
        if let Some(known) = self.templates.get_mut(&template.id) {
            known.announced_s = now_s;
            let changed = known.template != template;
            if changed {
                known.template = template;
            }
            return Ok(changed);
        }
        if self.templates.len() >= limits.templates_per_domain {
            let stale = self
                .templates
                .iter()
                .filter(|(_, known)| {
                    now_s.saturating_sub(known.announced_s) > limits.template_stale_s
                })
                .min_by_key(|(_, known)| known.announced_s)
                .map(|(id, _)| *id);
            match stale {
                Some(id) => self.templates.remove(&id),
                None => return Err(Problem::TooManyTemplates),
            };
        }
        self.templates.insert(template.id, Known { template, announced_s: now_s });
        Ok(true)
    }

    /// Forgets one template, or all of a kind; says how many.
    pub(super) fn withdraw(&mut self, id: Option<u16>, options: bool) -> u64 {
        let before = self.templates.len();
        match id {
            Some(id) => {
                self.templates.remove(&id);
            }
            None => self.templates.retain(|_, known| known.template.options != options),
        }
        (before - self.templates.len()) as u64
    }

    /// Decodes a data set whose template is known; `None` if it is not.
    pub(super) fn decode_set(
        &mut self,
        set: &SetView<'_>,
        shared: &Options,
        scratch: &mut Vec<Span>,
        limits: &Limits,
        sink: &mut dyn FnMut(&Record<'_>),
    ) -> Option<SetReport> {
        let template = &self.templates.get(&set.id)?.template;
        let mut report = SetReport::default();
        let mut at = 0usize;
        while set.bytes.len() - at >= template.record_len {
            let rest = &set.bytes[at..];
            let (len, spans) = match &template.spans {
                Some(spans) => (template.record_len, &**spans),
                None => match template.walk(rest, scratch) {
                    Some(len) => (len, scratch.as_slice()),
                    None => {
                        report.problem = Some(Problem::TruncatedRecord);
                        break;
                    }
                },
            };
            let mut record = Record {
                header: set.header,
                template,
                bytes: &rest[..len],
                spans,
                options: &NO_OPTIONS,
                sampling: None,
                system_init_ms: None,
                index: set.index + report.data + report.options,
                offset: set.offset + at as u32,
                late: set.late,
            };
            at += len;
            if template.options {
                let learned = self.options.learn(&record, limits.options_per_table);
                report.changed |= learned.changed;
                if learned.refused > 0 {
                    report.problem = Some(Problem::TooManyOptions);
                }
                report.options += 1;
            } else {
                record.sampling = sampling(&record, &self.options, shared);
                record.system_init_ms = self.options.system_init_ms.or(shared.system_init_ms);
                report.data += 1;
            }
            record.options = &self.options;
            sink(&record);
        }
        Some(report)
    }

    /// Compares a message's sequence number with the expected one.
    pub(super) fn follow(&mut self, sequence: u32) -> Sequence {
        let Some(next) = self.sequence_next else {
            self.sequence_next = Some(sequence);
            return Sequence::Unknown;
        };
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 {
            return Sequence::InOrder;
        }
        if ahead < 1 << 31 {
            self.sequence_next = Some(sequence);
            return Sequence::Lost(ahead);
        }
        if ahead.wrapping_neg() > REORDER_WINDOW {
            self.sequence_next = Some(sequence); // restarted
        }
        Sequence::Back
    }

    /// Moves the expectation past a message; `None` when its records could not be counted.
    pub(super) fn advance(&mut self, sequence: u32, count: Option<u32>) {
        match count {
            Some(count) if self.sequence_next == Some(sequence) => {
                self.sequence_next = Some(sequence.wrapping_add(count));
            }
            Some(_) => {} // an old message does not move it
            None => self.sequence_next = None,
        }
    }
}

/// The interval that applies to a data record, its own word first, the domain's second, that of
/// domain 0 (which speaks for the whole exporting process, RFC 7011 section 3.1) last.
fn sampling(record: &Record<'_>, own: &Options, shared: &Options) -> Option<u32> {
    let fields = record.template.sampling;
    if fields.interval.is_some()
        && let Some(told) = interval(record)
    {
        return Some(told);
    }
    if !own.knows_sampling() && !shared.knows_sampling() {
        return None;
    }
    let read =
        |index: Option<u16>| unsigned(slice(record.bytes, *record.spans.get(usize::from(index?))?));
    let (sampler, ingress) = (read(fields.sampler), read(fields.ingress));
    own.interval_for(sampler, ingress).or_else(|| shared.interval_for(sampler, ingress))
}
