// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many flow records a datagram carries: IPFIX (RFC 7011) and NetFlow v9 (RFC 3954).
//!
//! Only template lengths are kept, nothing is decoded. A set whose template comes later in the
//! capture is counted then: the account asks what the exporter sent, not what could be read.

use std::collections::HashMap;
use std::net::IpAddr;

/// Templates believed per observation domain.
const MAX_TEMPLATES: usize = 4096;
/// Sets kept per observation domain while their template is missing.
const MAX_WAITING: usize = 65_536;
/// Length that says "variable" (RFC 7011, section 7).
const VARIABLE: u16 = 65_535;

/// A transport session and an observation domain in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Domain {
    exporter: IpAddr,
    port: u16,
    local_port: u16,
    version: u16,
    id: u32,
}

#[derive(Debug)]
struct Template {
    options: bool,
    fields: Vec<u16>,
}

#[derive(Debug)]
struct Waiting {
    datagram: usize,
    set: u16,
    body: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    templates: HashMap<u16, Template>,
    waiting: Vec<Waiting>,
}

/// What was found in one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Records of data templates.
    pub flows: u32,
    /// Records of options templates.
    pub options: u32,
    /// Data sets that no template in the capture explains (yet).
    pub unexplained: u32,
    /// Whether the datagram is not well formed.
    pub malformed: bool,
}

/// Counts records over a whole capture.
#[derive(Debug, Default)]
pub struct Records {
    domains: HashMap<Domain, State>,
    found: Vec<Found>,
    dropped: u64,
}

impl Records {
    /// Counts the records of the next datagram; its number is the count of calls before.
    pub fn add(&mut self, exporter: IpAddr, port: u16, local_port: u16, datagram: &[u8]) {
        let number = self.found.len();
        self.found.push(Found::default());
        if self.walk(number, exporter, port, local_port, datagram).is_none() {
            self.found[number].malformed = true;
        }
    }

    /// A datagram that is no flow datagram; keeps the numbering.
    pub fn skip(&mut self) {
        self.found.push(Found::default());
    }

    /// What each datagram carries, in the order they were added.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Data sets let go because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn walk(&mut self, number: usize, ip: IpAddr, port: u16, to: u16, data: &[u8]) -> Option<()> {
        let version = be16(data, 0)?;
        let (header, id, data) = match version {
            9 => (20, be32(data, 16)?, data),
            10 => (16, be32(data, 12)?, data.get(..usize::from(be16(data, 2)?))?),
            _ => return None,
        };
        let key = Domain { exporter: ip, port, local_port: to, version, id };
        let state = self.domains.entry(key).or_default();
        let mut at = header;
        while at + 4 <= data.len() {
            let (set, length) = (be16(data, at)?, usize::from(be16(data, at + 2)?));
            let body = data.get(at + 4..at + length)?;
            at += length;
            match (version, set) {
                (9, 0) | (10, 2) => templates(state, body, version, false)?,
                (9, 1) | (10, 3) => templates(state, body, version, true)?,
                (_, 0..=255) => {}
                _ => match state.templates.get(&set) {
                    Some(template) => count(template, body, &mut self.found[number])?,
                    None if state.waiting.len() < MAX_WAITING => {
                        self.found[number].unexplained += 1;
                        state.waiting.push(Waiting { datagram: number, set, body: body.to_vec() });
                    }
                    None => {
                        self.found[number].unexplained += 1;
                        self.dropped += 1;
                    }
                },
            }
        }
        let State { templates, waiting } = state;
        let found = &mut self.found;
        waiting.retain(|wait| {
            let Some(template) = templates.get(&wait.set) else { return true };
            let entry = &mut found[wait.datagram];
            entry.unexplained -= 1;
            if count(template, &wait.body, entry).is_none() {
                entry.malformed = true;
            }
            false
        });
        Some(())
    }
}

/// Reads a set of templates; field lengths are all that is kept.
fn templates(state: &mut State, body: &[u8], version: u16, options: bool) -> Option<()> {
    let mut at = 0;
    while at + 4 <= body.len() {
        let id = be16(body, at)?;
        let (count, header) = match (version, options) {
            (9, true) => {
                let (scope, option) = (be16(body, at + 2)?, be16(body, at + 4)?);
                ((usize::from(scope) + usize::from(option)) / 4, 6)
            }
            (_, true) => (usize::from(be16(body, at + 2)?), 6),
            _ => (usize::from(be16(body, at + 2)?), 4),
        };
        if id < 256 {
            // Padding of a set, or the withdrawal of all templates.
            return Some(());
        }
        if count == 0 {
            // A withdrawal has no scope count.
            state.templates.remove(&id);
            at += 4;
            continue;
        }
        at += header;
        let mut fields = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let (element, length) = (be16(body, at)?, be16(body, at + 2)?);
            at += if version == 10 && element & 0x8000 != 0 { 8 } else { 4 };
            fields.push(length);
        }
        if state.templates.len() < MAX_TEMPLATES || state.templates.contains_key(&id) {
            state.templates.insert(id, Template { options, fields });
        }
    }
    Some(())
}

/// Counts the records of a data set.
fn count(template: &Template, body: &[u8], found: &mut Found) -> Option<()> {
    let fixed: usize =
        template.fields.iter().filter(|l| **l != VARIABLE).map(|l| usize::from(*l)).sum();
    let variable = template.fields.iter().filter(|l| **l == VARIABLE).count();
    let records = if variable == 0 {
        body.len().checked_div(fixed)?
    } else {
        let (mut at, mut records) = (0, 0);
        while body.len() - at >= fixed + variable {
            for length in &template.fields {
                at += match *length {
                    VARIABLE => match *body.get(at)? {
                        255 => 3 + usize::from(be16(body, at + 1)?),
                        short => 1 + usize::from(short),
                    },
                    length => usize::from(length),
                };
            }
            if at > body.len() {
                return None;
            }
            records += 1;
        }
        records
    };
    let records = u32::try_from(records).ok()?;
    if template.options {
        found.options += records;
    } else {
        found.flows += records;
    }
    Some(())
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::flow;

    fn ip() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    #[test]
    fn ipfix_fixed_and_variable() {
        let mut records = Records::default();
        let sets = [
            flow::set(2, &[256, 2, 8, 4, 12, 4]),
            flow::raw_set(256, &[0; 8 * 3 + 3]),
            flow::set(2, &[257, 2, 8, 4, 82, 65_535]),
            flow::raw_set(257, &[1, 2, 3, 4, 2, 9, 9, 1, 2, 3, 4, 255, 0, 1, 9]),
        ];
        records.add(ip(), 1, 4739, &flow::ipfix(7, &sets.concat()));
        assert_eq!(records.found(), [Found { flows: 5, ..Found::default() }]);
    }

    #[test]
    fn enterprise_options_and_withdrawal() {
        let mut records = Records::default();
        let sets = [
            flow::set(3, &[300, 2, 1, 0x8001, 4, 0, 9, 34, 4]),
            flow::raw_set(300, &[0; 16]),
            flow::set(2, &[300, 0]),
            flow::raw_set(300, &[0; 16]),
        ];
        records.add(ip(), 1, 4739, &flow::ipfix(7, &sets.concat()));
        let expected = Found { options: 2, unexplained: 1, ..Found::default() };
        assert_eq!(records.found(), [expected]);
    }

    #[test]
    fn version_9_and_a_late_template() {
        let mut records = Records::default();
        records.add(ip(), 1, 2055, &flow::v9(3, &flow::raw_set(256, &[0; 18])));
        assert_eq!(records.found()[0].unexplained, 1);
        // Another domain, another port and another exporter must not explain it.
        let template = flow::set(0, &[256, 2, 8, 4, 12, 4]);
        records.add(ip(), 1, 2055, &flow::v9(4, &template));
        records.add(ip(), 2, 2055, &flow::v9(3, &template));
        assert_eq!(records.found()[0].unexplained, 1);
        records.add(ip(), 1, 2055, &flow::v9(3, &template));
        assert_eq!(records.found()[0], Found { flows: 2, ..Found::default() });
        let options = flow::set(1, &[257, 4, 8, 1, 4, 34, 4, 35, 1]);
        let sets = [options, flow::raw_set(257, &[0; 11])].concat();
        records.add(ip(), 1, 2055, &flow::v9(3, &sets));
        assert_eq!(records.found()[4], Found { options: 1, ..Found::default() });
    }

    #[test]
    fn malformed_is_told() {
        let mut records = Records::default();
        records.add(ip(), 1, 4739, b"\x00\x0a\x00");
        records.add(ip(), 1, 4739, &flow::ipfix(7, &[1, 0, 0, 200, 1]));
        assert!(records.found().iter().all(|found| found.malformed));
    }
}
