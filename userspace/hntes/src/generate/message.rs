// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IPFIX messages (RFC 7011 section 3) of flow records and of what they mean.
//!
//! | id | what |
//! | --- | --- |
//! | 256 | IPv4 flows |
//! | 257 | IPv6 flows; routers have IPv4 addresses all the same |
//! | 258 | options: the exporter's address and its sampling, scope observation domain |
//!
//! Times are flowStartMilliseconds and flowEndMilliseconds (152, 153), absolute. Sampling is told in the
//! terms of RFC 5477 section 8.2: systematic count-based, of `samplingPacketInterval` and
//! `samplingPacketSpace` packets the first are taken.

use anyhow::{Result, bail};
use std::net::IpAddr;
use telesteer_fam::{Ns, Record, Sampling};

/// Octets of a message at most: with the headers of IPv6 and UDP it fits an Ethernet frame, tunnels
/// included (RFC 7011 section 10.3.3).
pub const MESSAGE_MAX: usize = 1400;

/// Octets of the message header.
const HEADER: usize = 16;

/// Sets of templates and of options templates (section 3.3.2).
const TEMPLATES: u16 = 2;
const OPTIONS_TEMPLATES: u16 = 3;

const IPV4: u16 = 256;
const IPV6: u16 = 257;
const ABOUT: u16 = 258;

const MILLISECOND: Ns = 1_000_000;

/// Number and length of a field.
type Field = (u16, u16);

/// Addresses of a flow.
const ADDRESSES: [[Field; 2]; 2] = [[(8, 4), (12, 4)], [(27, 16), (28, 16)]];

/// What follows the addresses: protocol, tos, ports, interfaces, bgpNextHopIPv4Address, octets, packets,
/// begin and end.
const REST: [Field; 11] = [
    (4, 1),
    (5, 1),
    (7, 2),
    (11, 2),
    (10, 4),
    (14, 4),
    (18, 4),
    (1, 8),
    (2, 8),
    (152, 8),
    (153, 8),
];

/// A message that is being filled.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// All octets, the header to be filled in.
    octets: Vec<u8>,
    /// The set that records are added to: its id and where it begins.
    set: Option<(u16, usize)>,
    /// Data records, those of options included.
    records: u32,
}

impl Message {
    /// Data records in it, those of options included (section 3.1, Sequence Number).
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Adds a flow record; `false` if there is no room for it.
    ///
    /// # Errors
    ///
    /// If no template here has what the record says.
    pub fn add(&mut self, record: &Record) -> Result<bool> {
        let key = &record.key;
        let (id, length) = match (key.src, key.dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (IPV4, length(0)),
            (IpAddr::V6(_), IpAddr::V6(_)) => (IPV6, length(1)),
            (src, dst) => bail!("no template for a flow from {src} to {dst}"),
        };
        let next_hop = match record.next_hop {
            None => [0; 4],
            Some(IpAddr::V4(hop)) => hop.octets(),
            Some(hop) => bail!("no template for the next hop {hop}"),
        };
        if record.first % MILLISECOND != 0 || record.last % MILLISECOND != 0 {
            bail!("no template for {} ns, which is no millisecond", record.first);
        }
        if !self.enter(id, length) {
            return Ok(false);
        }
        self.put_address(key.src);
        self.put_address(key.dst);
        self.put(&[key.proto, record.tos]);
        self.put(&key.src_port.to_be_bytes());
        self.put(&key.dst_port.to_be_bytes());
        self.put(&record.in_if.to_be_bytes());
        self.put(&record.out_if.to_be_bytes());
        self.put(&next_hop);
        self.put(&record.octets.to_be_bytes());
        self.put(&record.packets.to_be_bytes());
        self.put(&(record.first / MILLISECOND).to_be_bytes());
        self.put(&(record.last / MILLISECOND).to_be_bytes());
        self.records += 1;
        Ok(true)
    }

    /// A message of all templates, and of the options record of an exporter.
    pub fn about(domain: u32, exporter: IpAddr, sampling: Sampling) -> Self {
        let mut message = Self::default();
        message.begin(TEMPLATES);
        for (id, addresses) in [IPV4, IPV6].into_iter().zip(&ADDRESSES) {
            message.template(id, &[addresses.as_slice(), &REST].concat(), None);
        }
        let addr = if exporter.is_ipv4() { (130, 4) } else { (131, 16) };
        message.begin(OPTIONS_TEMPLATES);
        let options = [(149, 4), addr, (304, 2), (305, 4), (306, 4)];
        message.template(ABOUT, &options, Some(1));
        message.begin(ABOUT);
        let (observed, taken) = sampling.ratio();
        message.put(&domain.to_be_bytes());
        message.put_address(exporter);
        // selectorAlgorithm 1: systematic count-based.
        message.put(&1_u16.to_be_bytes());
        message.put(&taken.to_be_bytes());
        message.put(&(observed - taken).to_be_bytes());
        message.records = 1;
        message
    }

    /// The whole message.
    pub fn close(mut self, domain: u32, sequence: u32, export_s: u32) -> Vec<u8> {
        self.end();
        if self.octets.is_empty() {
            self.octets.resize(HEADER, 0);
        }
        let length = self.octets.len() as u16;
        let header = [
            &10_u16.to_be_bytes()[..],
            &length.to_be_bytes(),
            &export_s.to_be_bytes(),
            &sequence.to_be_bytes(),
            &domain.to_be_bytes(),
        ];
        self.octets[..HEADER].copy_from_slice(&header.concat());
        self.octets
    }

    /// Makes sure that the set of `id` is open and `length` octets fit.
    fn enter(&mut self, id: u16, length: usize) -> bool {
        let open = self.set.is_some_and(|(have, _)| have == id);
        let needed = self.octets.len().max(HEADER) + length + if open { 0 } else { 4 };
        if needed > MESSAGE_MAX {
            return false;
        }
        if !open {
            self.begin(id);
        }
        true
    }

    /// Opens a set.
    fn begin(&mut self, id: u16) {
        self.end();
        if self.octets.is_empty() {
            self.octets.resize(HEADER, 0);
        }
        self.set = Some((id, self.octets.len()));
        self.put(&id.to_be_bytes());
        self.put(&[0, 0]);
    }

    /// Closes the open set: its length becomes known.
    fn end(&mut self) {
        if let Some((_, at)) = self.set.take() {
            let length = (self.octets.len() - at) as u16;
            self.octets[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// A template (section 3.4.1), or one of options with its number of scope fields (3.4.2).
    fn template(&mut self, id: u16, fields: &[Field], scope: Option<u16>) {
        self.put(&id.to_be_bytes());
        self.put(&(fields.len() as u16).to_be_bytes());
        if let Some(scope) = scope {
            self.put(&scope.to_be_bytes());
        }
        for (element, length) in fields {
            self.put(&element.to_be_bytes());
            self.put(&length.to_be_bytes());
        }
    }

    fn put_address(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(addr) => self.put(&addr.octets()),
            IpAddr::V6(addr) => self.put(&addr.octets()),
        }
    }

    fn put(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }
}

/// Octets of a record of a family.
fn length(family: usize) -> usize {
    ADDRESSES[family].iter().chain(&REST).map(|(_, length)| usize::from(*length)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::FiveTuple;

    fn record() -> Record {
        Record {
            exporter: [10, 0, 0, 1].into(),
            first: 1_304_208_000_123 * MILLISECOND,
            last: 1_304_208_060_123 * MILLISECOND,
            key: FiveTuple {
                src: [198, 18, 0, 1].into(),
                dst: [100, 64, 0, 2].into(),
                proto: 6,
                src_port: 50_000,
                dst_port: 50_001,
            },
            in_if: 1,
            out_if: 100,
            next_hop: Some([10, 0, 1, 1].into()),
            tos: 8,
            octets: 0x0102_0304_0506_0708,
            packets: 9,
            sampling: Some(Sampling::NONE),
        }
    }

    /// By hand, from RFC 7011 section 3.
    #[test]
    fn a_message_is_this_to_the_octet() {
        let mut message = Message::default();
        assert!(message.add(&record()).unwrap());
        let found = message.close(5, 77, 1_304_208_061);
        let mut by_hand = vec![0, 10, 0, 78, 0x4d, 0xbc, 0xa2, 0xbd, 0, 0, 0, 77, 0, 0, 0, 5];
        by_hand.extend([1, 0, 0, 62, 198, 18, 0, 1, 100, 64, 0, 2, 6, 8, 0xc3, 0x50, 0xc3, 0x51]);
        by_hand.extend([0, 0, 0, 1, 0, 0, 0, 100, 10, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
        by_hand.extend([0, 0, 0, 0, 0, 0, 0, 9]);
        by_hand.extend(1_304_208_000_123_u64.to_be_bytes());
        by_hand.extend(1_304_208_060_123_u64.to_be_bytes());
        assert_eq!(found, by_hand);
    }

    #[test]
    fn templates_and_sampling_are_told() {
        let sampling = Sampling::one_in(1000).unwrap();
        let about = Message::about(5, [10, 0, 0, 1].into(), sampling);
        assert_eq!(about.records(), 1);
        let octets = about.close(5, 0, 0);
        assert_eq!(octets.len(), 16 + 4 + 2 * (4 + 13 * 4) + 4 + 6 + 5 * 4 + 4 + 18);
        let options = [1, 2, 0, 22, 0, 0, 0, 5, 10, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 3, 0xe7];
        assert!(octets.ends_with(&options), "{octets:?}");
    }

    #[test]
    fn a_message_is_full_before_it_is_too_long() {
        for v6 in [false, true] {
            let mut record = record();
            if v6 {
                record.key.src = "2001:db8::1".parse().unwrap();
                record.key.dst = "2001:db8::2".parse().unwrap();
            }
            let mut message = Message::default();
            while message.add(&record).unwrap() {}
            assert_eq!(message.records(), if v6 { 16 } else { 23 });
            let length = message.close(1, 0, 0).len();
            assert!((MESSAGE_MAX - 82..=MESSAGE_MAX).contains(&length), "{length}");
        }
    }

    #[test]
    fn what_no_template_has_is_refused() {
        let refused = |change: &dyn Fn(&mut Record)| {
            let mut record = record();
            change(&mut record);
            Message::default().add(&record).unwrap_err().to_string()
        };
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert!(refused(&|r| r.key.dst = v6).contains("from 198.18.0.1 to 2001:db8::1"));
        assert!(refused(&|r| r.next_hop = Some(v6)).contains("next hop 2001:db8::1"));
        assert!(refused(&|r| r.first += 1).contains("no millisecond"));
    }
}
