// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Generated IPFIX (RFC 7011) and NetFlow v9 (RFC 3954) exporters.
//!
//! Each exporter has its templates, options and sequence numbers per observation domain. Domains
//! of one exporter use the same template ids for different layouts, as real line cards do.

use super::rng::Rng;

/// The two export formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// NetFlow version 9.
    V9,
    /// IPFIX, version 10.
    Ipfix,
}

/// Information elements of a template: number and length; length [`VARIABLE`] is IPFIX only.
type Layout = &'static [(u16, u16)];
const VARIABLE: u16 = 0xffff;
/// Marks an element of the enterprise [`PEN`] (in IPFIX templates only).
const ENTERPRISE: u16 = 0x8000;
/// The reverse elements of RFC 5103.
const PEN: u32 = 29_305;

const V4: Layout = &[
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (6, 1),
    (1, 8),
    (2, 8),
    (10, 4),
    (14, 4),
    (152, 8),
    (153, 8),
    (61, 1),
];
const V6: Layout =
    &[(27, 16), (28, 16), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (31, 4), (21, 4), (22, 4)];
const NAMED: Layout = &[
    (8, 4),
    (82, VARIABLE),
    (12, 4),
    (1, 8),
    (2, 4),
    (96, VARIABLE),
    (ENTERPRISE | 1, 8),
    (ENTERPRISE | 2, 8),
];
const MPLS_V9: Layout =
    &[(8, 4), (12, 4), (70, 3), (71, 3), (1, 4), (2, 4), (16, 4), (17, 4), (22, 4), (21, 4)];

/// Templates 256 to 258 of an even domain; an odd one swaps the first two.
fn layouts(format: Format, domain: u32) -> [(u16, Layout); 3] {
    let third = if format == Format::Ipfix { NAMED } else { MPLS_V9 };
    if domain.is_multiple_of(2) {
        [(256, V4), (257, V6), (258, third)]
    } else {
        [(256, V6), (257, V4), (258, third)]
    }
}
const OPTIONS_ID: u16 = 259;

/// A finished datagram body with the number of data records in it.
#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    records: u32,
}

#[derive(Debug)]
struct Domain {
    id: u32,
    sequence: u32,
    bodies: Vec<Body>,
    turn: usize,
}

/// One exporter with its observation domains.
#[derive(Debug)]
pub(crate) struct Exporter {
    format: Format,
    domains: Vec<Domain>,
    turn: usize,
}

impl Exporter {
    /// An exporter whose datagrams carry up to `records` records, in `domains` domains.
    pub(crate) fn new(format: Format, domains: u32, records: usize, rng: &mut Rng) -> Self {
        let domains = (0..domains.clamp(1, 64))
            .map(|id| Domain {
                id,
                sequence: 0,
                bodies: (0..6)
                    .map(|turn| data(format, id, turn, records.clamp(1, 20), rng))
                    .collect(),
                turn: rng.length(0, 5),
            })
            .collect();
        Self { format, domains, turn: 0 }
    }

    /// The datagrams that define everything: templates, then sampling. Returns (templates, records).
    pub(crate) fn templates(&mut self, now_s: u32, mut send: impl FnMut(Vec<u8>)) -> (u64, u64) {
        let format = self.format;
        let mut counted = (0, 0);
        for domain in &mut self.domains {
            let (bytes, templates) = definitions(format, domain.id);
            let body = Body { bytes, records: 0 };
            send(datagram(format, domain.id, &mut domain.sequence, now_s, &body, templates));
            let body = sampling(format, domain.id);
            send(datagram(format, domain.id, &mut domain.sequence, now_s, &body, 0));
            counted = (counted.0 + u64::from(templates), counted.1 + u64::from(body.records));
        }
        counted
    }

    /// The next data datagram and the number of records in it.
    pub(crate) fn data(&mut self, now_s: u32) -> (Vec<u8>, u64) {
        let count = self.domains.len();
        self.turn = (self.turn + 1) % count;
        let domain = &mut self.domains[self.turn];
        domain.turn = (domain.turn + 1) % domain.bodies.len();
        let body = &domain.bodies[domain.turn];
        (
            datagram(self.format, domain.id, &mut domain.sequence, now_s, body, 0),
            u64::from(body.records),
        )
    }
}

/// Puts the message header before a body. `sequence` moves on by records (IPFIX) or one (v9).
fn datagram(
    format: Format,
    domain: u32,
    sequence: &mut u32,
    now_s: u32,
    body: &Body,
    templates: u32,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + body.bytes.len());
    match format {
        Format::Ipfix => {
            out.extend_from_slice(&10_u16.to_be_bytes());
            out.extend_from_slice(&((16 + body.bytes.len()) as u16).to_be_bytes());
            out.extend_from_slice(&now_s.to_be_bytes());
            out.extend_from_slice(&sequence.to_be_bytes());
            *sequence = sequence.wrapping_add(body.records);
        }
        Format::V9 => {
            out.extend_from_slice(&9_u16.to_be_bytes());
            out.extend_from_slice(&((body.records + templates) as u16).to_be_bytes());
            out.extend_from_slice(&(now_s % 4_000_000).wrapping_mul(1000).to_be_bytes());
            out.extend_from_slice(&now_s.to_be_bytes());
            out.extend_from_slice(&sequence.to_be_bytes());
            *sequence = sequence.wrapping_add(1);
        }
    }
    out.extend_from_slice(&domain.to_be_bytes());
    out.extend_from_slice(&body.bytes);
    out
}

/// A template set and an options template set; returns the bytes and the templates in them.
fn definitions(format: Format, domain: u32) -> (Vec<u8>, u32) {
    let (template_set, options_set) = if format == Format::Ipfix { (2, 3) } else { (0, 1) };
    let mut out = Vec::new();
    let start = begin(&mut out, template_set);
    for (id, layout) in layouts(format, domain) {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&(layout.len() as u16).to_be_bytes());
        for &(element, length) in layout {
            out.extend_from_slice(&element.to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            if element & ENTERPRISE != 0 {
                out.extend_from_slice(&PEN.to_be_bytes());
            }
        }
    }
    end(&mut out, start);
    let start = begin(&mut out, options_set);
    let words: &[u16] = match format {
        // Scope: observationDomainId; samplingInterval, samplingAlgorithm, samplerName.
        Format::Ipfix => &[OPTIONS_ID, 4, 1, 149, 4, 34, 4, 35, 1, 84, VARIABLE],
        // Scope System (1); lengths of scope and options in octets.
        Format::V9 => &[OPTIONS_ID, 4, 8, 1, 4, 34, 4, 35, 1],
    };
    words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    end(&mut out, start);
    (out, 4)
}

/// One options record: the sampling of this domain.
fn sampling(format: Format, domain: u32) -> Body {
    let mut out = Vec::new();
    let start = begin(&mut out, OPTIONS_ID);
    out.extend_from_slice(&domain.to_be_bytes());
    out.extend_from_slice(&(100 * (domain + 1)).to_be_bytes());
    out.push(2);
    if format == Format::Ipfix {
        out.push(7);
        out.extend_from_slice(b"sampler");
    }
    end(&mut out, start);
    Body { bytes: out, records: 1 }
}

/// A body of `1..=most` records; the layout goes round with `turn`.
fn data(format: Format, domain: u32, turn: usize, most: usize, rng: &mut Rng) -> Body {
    let (id, layout) = layouts(format, domain)[turn % 3];
    let mut out = Vec::new();
    let start = begin(&mut out, id);
    let records = rng.length(1, most);
    for _ in 0..records {
        layout.iter().for_each(|&(element, length)| value(&mut out, element, length, rng));
    }
    end(&mut out, start);
    Body { bytes: out, records: records as u32 }
}

fn begin(out: &mut Vec<u8>, set: u16) -> usize {
    let start = out.len();
    out.extend_from_slice(&set.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    start
}

/// Pads the set to four octets and writes its length.
fn end(out: &mut Vec<u8>, start: usize) {
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let length = (out.len() - start) as u16;
    out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A plausible value of an element.
fn value(out: &mut Vec<u8>, element: u16, length: u16, rng: &mut Rng) {
    const NAMES: [&str; 4] = ["ge-0/0/1.100", "Ethernet1", "dns", "https-over-a-rather-long-name"];
    let word = rng.next();
    let number: u64 = match element {
        8 => 0xc633_6400 | (word & 0xff),
        12 => 0xcb00_7100 | (word & 0xff),
        7 | 11 => [53, 80, 123, 443, 8080][(word % 5) as usize] + (word >> 32) % 3,
        4 => [6, 17, 1][(word % 3) as usize],
        61 => word & 1,
        10 | 14 => 1 + word % 48,
        152 | 153 => 1_790_000_000_000 + word % 1_000_000,
        _ => word % 100_000,
    };
    match (element, length) {
        (27 | 28, _) => {
            out.extend_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0]);
            out.extend_from_slice(&(word & 0xffff).to_be_bytes());
        }
        (_, VARIABLE) => {
            let name = NAMES[(word % 4) as usize];
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
        }
        _ => out.extend_from_slice(&number.to_be_bytes()[8 - usize::from(length.min(8))..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }

    #[test]
    fn ipfix_sequence_counts_records_and_lengths_are_true() {
        let mut exporter = Exporter::new(Format::Ipfix, 1, 10, &mut Rng::new(1, 0));
        let mut expected = 0;
        let mut first = Vec::new();
        exporter.templates(1000, |datagram| first.push(datagram));
        assert_eq!((word(&first[0], 8), word(&first[1], 8)), (0, 0));
        expected += 1; // the sampling record
        for _ in 0..20 {
            let (datagram, records) = exporter.data(1000);
            assert_eq!(word(&datagram, 8), expected);
            assert_eq!(usize::from(u16::from_be_bytes([datagram[2], datagram[3]])), datagram.len());
            expected += records as u32;
        }
    }

    #[test]
    fn v9_sequence_counts_datagrams_per_domain() {
        let mut exporter = Exporter::new(Format::V9, 2, 10, &mut Rng::new(1, 0));
        exporter.templates(1000, |_| {});
        let mut next = [2, 2];
        for _ in 0..10 {
            let (datagram, _) = exporter.data(1000);
            let domain = word(&datagram, 16) as usize;
            assert_eq!(word(&datagram, 12), next[domain]);
            next[domain] += 1;
        }
    }

    #[test]
    fn domains_share_template_ids_with_other_layouts() {
        let [even, odd] = [0, 1].map(|domain| layouts(Format::Ipfix, domain));
        assert_eq!(even[0].0, odd[0].0);
        assert_ne!(even[0].1, odd[0].1);
    }
}
