// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TCP connections towards the BMP port, rebuilt from a capture (RFC 9293, section 3.4).

use crate::packet::Tcp;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Out-of-order segments kept per connection; more means that the capture has a hole.
const MAX_LATER: usize = 4096;

/// Addresses and ports, exporter first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// Exporter's address.
    pub exporter: IpAddr,
    /// Exporter's port.
    pub port: u16,
    /// Address the collectors listen on.
    pub local: IpAddr,
    /// Port the collectors listen on.
    pub local_port: u16,
}

/// How one side ended a connection, at a time in Unix microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// FIN.
    Fin(i64),
    /// RST.
    Rst(i64),
}

impl End {
    /// When.
    pub fn ts_us(self) -> i64 {
        match self {
            Self::Fin(ts) | Self::Rst(ts) => ts,
        }
    }
}

/// One connection, from its SYN on. A later connection of the same tuple is another one.
#[derive(Debug)]
pub struct Connection {
    /// Who talks to whom.
    pub tuple: Tuple,
    /// Time of the first packet.
    pub opened_us: i64,
    /// Time of the SYN-ACK.
    pub established_us: Option<i64>,
    /// First FIN or RST of the exporter.
    pub exporter_end: Option<End>,
    /// First FIN of the collector's side.
    pub collector_fin_us: Option<i64>,
    /// Each RST of the collector's side.
    pub collector_rst_us: Vec<i64>,
    /// The stream from its first byte, as far as it is without a gap.
    pub bytes: Vec<u8>,
    /// Length of `bytes` by time: each growth with its time, ascending.
    pub growth: Vec<(i64, u64)>,
    /// Highest offset the collector's side acknowledged.
    pub acked: u64,
    /// Whether the capture holds its SYN, so that offset 0 is the first byte of the stream.
    pub anchored: bool,
    /// Retransmissions whose bytes differ from those sent before.
    pub rewritten: u64,
    first_seq: u32,
    later: BTreeMap<u64, Vec<u8>>,
}

impl Connection {
    fn new(tuple: Tuple, ts_us: i64, first_seq: u32, anchored: bool) -> Self {
        Self {
            tuple,
            opened_us: ts_us,
            established_us: (!anchored).then_some(ts_us),
            exporter_end: None,
            collector_fin_us: None,
            collector_rst_us: Vec::new(),
            bytes: Vec::new(),
            growth: Vec::new(),
            acked: 0,
            anchored,
            rewritten: 0,
            first_seq,
            later: BTreeMap::new(),
        }
    }

    /// Bytes that stand behind a gap: sent, but the capture misses what came before them.
    pub fn stranded(&self) -> u64 {
        self.later.values().map(|bytes| bytes.len() as u64).sum()
    }

    /// Bytes of the stream that had been sent by `ts_us`.
    pub fn sent_by(&self, ts_us: i64) -> u64 {
        match self.growth.partition_point(|(at, _)| *at <= ts_us) {
            0 => 0,
            n => self.growth[n - 1].1,
        }
    }

    /// The first end the collector's side put to a connection the exporter had not ended.
    pub fn collector_end(&self) -> Option<End> {
        let rst = self.collector_rst_us.first().map(|ts| End::Rst(*ts));
        let fin = self.collector_fin_us.map(End::Fin);
        let first = [rst, fin].into_iter().flatten().min_by_key(|end| end.ts_us())?;
        match self.exporter_end {
            Some(end) if end.ts_us() <= first.ts_us() => None,
            _ => Some(first),
        }
    }

    /// When the connection ended, whoever ended it.
    pub fn end_us(&self) -> Option<i64> {
        let ours = self.exporter_end.map(End::ts_us);
        let theirs = self.collector_rst_us.first().copied();
        [ours, theirs, self.collector_fin_us].into_iter().flatten().min()
    }

    /// Offset in the stream of sequence number `seq`, near `near`; negative before the stream.
    fn offset(&self, seq: u32, near: u64) -> i64 {
        let expected = self.first_seq.wrapping_add(near as u32);
        near as i64 + i64::from(seq.wrapping_sub(expected) as i32)
    }

    /// Takes payload in; returns by how many bytes the stored stream grew.
    fn take(&mut self, ts_us: i64, seq: u32, data: &[u8]) -> u64 {
        let before = self.bytes.len() as u64;
        let offset = self.offset(seq, before);
        let (offset, data) = if offset < 0 {
            let skip = usize::try_from(-offset).unwrap_or(usize::MAX);
            (0, data.get(skip..).unwrap_or_default())
        } else {
            (offset as u64, data)
        };
        self.place(offset, data);
        while let Some((&at, _)) = self.later.first_key_value() {
            if at > self.bytes.len() as u64 {
                break;
            }
            if let Some(bytes) = self.later.remove(&at) {
                self.place(at, &bytes);
            }
        }
        let after = self.bytes.len() as u64;
        if after > before {
            self.growth.push((ts_us, after));
        }
        after - before
    }

    fn place(&mut self, offset: u64, data: &[u8]) {
        let have = self.bytes.len() as u64;
        if offset > have {
            if self.later.len() < MAX_LATER {
                let slot = self.later.entry(offset).or_default();
                if slot.len() < data.len() {
                    *slot = data.to_vec();
                }
            }
            return;
        }
        let at = offset as usize;
        let known = (self.bytes.len() - at).min(data.len());
        if self.bytes[at..at + known] != data[..known] {
            self.rewritten += 1;
        }
        self.bytes.extend_from_slice(&data[known..]);
    }
}

/// All connections of a capture, in the order of their first packet.
#[derive(Debug, Default)]
pub struct Connections {
    /// The connections.
    pub all: Vec<Connection>,
    /// Stream bytes held.
    pub bytes: u64,
    latest: HashMap<Tuple, usize>,
}

impl Connections {
    /// Whether the latest connection of a tuple has got its SYN-ACK.
    pub fn established(&self, tuple: Tuple) -> bool {
        let latest = self.latest.get(&tuple).and_then(|index| self.all.get(*index));
        latest.is_some_and(|connection| connection.established_us.is_some())
    }

    /// A segment from the exporter.
    pub fn from_exporter(&mut self, tuple: Tuple, ts_us: i64, segment: &Tcp<'_>) {
        let first_seq = segment.seq.wrapping_add(u32::from(segment.syn));
        let latest = self.latest.get(&tuple).copied();
        let fresh = match latest {
            None => true,
            Some(index) => {
                let old = &self.all[index];
                segment.syn && (old.first_seq != first_seq || !old.anchored)
            }
        };
        let index = match latest {
            Some(index) if !fresh => index,
            _ => {
                if segment.rst {
                    return;
                }
                self.all.push(Connection::new(tuple, ts_us, first_seq, segment.syn));
                self.latest.insert(tuple, self.all.len() - 1);
                self.all.len() - 1
            }
        };
        let connection = &mut self.all[index];
        if !segment.data.is_empty() {
            self.bytes += connection.take(ts_us, first_seq, segment.data);
        }
        if connection.exporter_end.is_none() {
            if segment.rst {
                connection.exporter_end = Some(End::Rst(ts_us));
            } else if segment.fin {
                connection.exporter_end = Some(End::Fin(ts_us));
            }
        }
    }

    /// A segment from the collector's side.
    pub fn from_collector(&mut self, tuple: Tuple, ts_us: i64, segment: &Tcp<'_>) {
        let Some(connection) = self.latest.get(&tuple).and_then(|index| self.all.get_mut(*index))
        else {
            return;
        };
        if segment.rst {
            connection.collector_rst_us.push(ts_us);
            return;
        }
        if segment.syn {
            connection.established_us.get_or_insert(ts_us);
        }
        if segment.fin {
            connection.collector_fin_us.get_or_insert(ts_us);
        }
        if let Some(ack) = segment.ack {
            let have = connection.bytes.len() as u64;
            let offset = connection.offset(ack, have).max(0) as u64;
            connection.acked = connection.acked.max(offset.min(have));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple() -> Tuple {
        Tuple {
            exporter: "10.0.0.1".parse().unwrap(),
            port: 40_000,
            local: "192.0.2.1".parse().unwrap(),
            local_port: 1790,
        }
    }

    fn seg(seq: u32, flags: &str, data: &'static [u8]) -> Tcp<'static> {
        Tcp {
            sport: 0,
            dport: 0,
            seq,
            ack: None,
            syn: flags.contains('S'),
            fin: flags.contains('F'),
            rst: flags.contains('R'),
            data,
        }
    }

    fn ack(ack: u32) -> Tcp<'static> {
        Tcp { ack: Some(ack), ..seg(0, "", b"") }
    }

    #[test]
    fn disorder_repetition_and_wrap() {
        let mut all = Connections::default();
        let isn = u32::MAX - 3;
        all.from_exporter(tuple(), 1, &seg(isn, "S", b""));
        all.from_exporter(tuple(), 2, &seg(isn.wrapping_add(5), "", b"efgh"));
        all.from_exporter(tuple(), 3, &seg(isn.wrapping_add(1), "", b"abcd"));
        all.from_exporter(tuple(), 4, &seg(isn.wrapping_add(3), "", b"cdefghij"));
        all.from_exporter(tuple(), 5, &seg(isn.wrapping_add(12), "", b"l"));
        all.from_collector(tuple(), 6, &ack(isn.wrapping_add(9)));
        let connection = &all.all[0];
        assert_eq!(connection.bytes, b"abcdefghij");
        assert_eq!(connection.growth, [(3, 8), (4, 10)]);
        assert_eq!((connection.sent_by(2), connection.sent_by(3)), (0, 8));
        assert_eq!((connection.stranded(), connection.rewritten), (1, 0));
        assert_eq!((connection.acked, all.bytes), (8, 10));
    }

    #[test]
    fn rewritten_bytes_are_told() {
        let mut all = Connections::default();
        all.from_exporter(tuple(), 1, &seg(9, "S", b""));
        all.from_exporter(tuple(), 2, &seg(10, "", b"abcd"));
        all.from_exporter(tuple(), 3, &seg(10, "", b"abXd"));
        assert_eq!(all.all[0].rewritten, 1);
        assert_eq!(all.all[0].bytes, b"abcd");
    }

    #[test]
    fn a_second_connection_of_a_tuple() {
        let mut all = Connections::default();
        all.from_exporter(tuple(), 1, &seg(9, "S", b""));
        all.from_collector(tuple(), 2, &seg(0, "S", b""));
        all.from_exporter(tuple(), 3, &seg(10, "", b"first"));
        all.from_collector(tuple(), 4, &seg(0, "R", b""));
        all.from_exporter(tuple(), 5, &seg(500, "S", b""));
        all.from_exporter(tuple(), 6, &seg(500, "S", b""));
        all.from_exporter(tuple(), 7, &seg(501, "", b"second"));
        assert_eq!(all.all.len(), 2);
        assert_eq!(all.all[0].collector_end(), Some(End::Rst(4)));
        assert_eq!((&all.all[1].bytes[..], all.all[1].established_us), (&b"second"[..], None));
    }

    #[test]
    fn an_end_the_exporter_began_is_its_own() {
        let mut all = Connections::default();
        all.from_exporter(tuple(), 1, &seg(9, "S", b""));
        all.from_exporter(tuple(), 2, &seg(10, "F", b""));
        all.from_collector(tuple(), 3, &seg(0, "F", b""));
        assert_eq!(all.all[0].collector_end(), None);
        assert_eq!(all.all[0].end_us(), Some(2));
    }
}
