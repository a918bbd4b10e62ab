// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The flow load: IPFIX (RFC 7011) from many exporter addresses, sent as fast as asked.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

/// Port of the receivers.
pub(crate) const PORT: u16 = 4739;
/// Datagrams per system call.
const BATCH: usize = 32;
/// (element, length) of the template: the fields any router exports.
const FIELDS: [(u16, u16); 15] = [
    (8, 4),   // sourceIPv4Address
    (12, 4),  // destinationIPv4Address
    (7, 2),   // sourceTransportPort
    (11, 2),  // destinationTransportPort
    (4, 1),   // protocolIdentifier
    (5, 1),   // ipClassOfService
    (6, 1),   // tcpControlBits
    (1, 8),   // octetDeltaCount
    (2, 8),   // packetDeltaCount
    (152, 8), // flowStartMilliseconds
    (153, 8), // flowEndMilliseconds
    (10, 4),  // ingressInterface
    (14, 4),  // egressInterface
    (16, 4),  // bgpSourceAsNumber
    (17, 4),  // bgpDestinationAsNumber
];
const TEMPLATE: u16 = 256;

/// One exporter: its socket and datagrams that are sent over and over with new numbers.
struct Exporter {
    socket: UdpSocket,
    sequence: u32,
    datagrams: Vec<Vec<u8>>,
}

/// All exporters.
pub(crate) struct Exporters {
    all: Vec<Exporter>,
    records: usize,
}

impl Exporters {
    /// `count` exporters of datagrams with `records` records each; sends the templates.
    pub(crate) fn new(count: u8, records: usize) -> Result<Self> {
        let mut all = Vec::new();
        for number in 0..count {
            let address = SocketAddr::from((Ipv4Addr::new(127, 9, 0, number + 1), 0));
            let socket = UdpSocket::bind(address).context("bind")?;
            socket.connect((Ipv4Addr::LOCALHOST, PORT)).context("connect")?;
            let datagrams = (0..BATCH).map(|which| data(u32::from(number), which, records));
            all.push(Exporter { socket, sequence: 0, datagrams: datagrams.collect() });
        }
        let mut exporters = Self { all, records };
        exporters.templates()?;
        Ok(exporters)
    }

    /// Sends each exporter's template.
    pub(crate) fn templates(&mut self) -> Result<()> {
        for (number, exporter) in self.all.iter().enumerate() {
            let mut set = Vec::new();
            for word in [TEMPLATE, FIELDS.len() as u16] {
                set.extend(word.to_be_bytes());
            }
            for (element, length) in FIELDS {
                set.extend(element.to_be_bytes());
                set.extend(length.to_be_bytes());
            }
            let mut bytes = message(number as u32, 2, &set);
            stamp(&mut bytes, exporter.sequence);
            exporter.socket.send(&bytes).context("send")?;
        }
        Ok(())
    }

    /// Sends for `time` at `rate` datagrams per second; returns how many were sent.
    pub(crate) fn send(&mut self, rate: u64, time: Duration) -> Result<u64> {
        let (start, mut sent, mut turn) = (Instant::now(), 0u64, 0);
        let total = (rate as f64 * time.as_secs_f64()) as u64;
        // A burst must not be what overflows a socket: a millisecond's worth at a time.
        let burst = (rate / 1000).clamp(1, BATCH as u64) as usize;
        while sent < total {
            let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
            if sent >= due {
                if due + 2 * rate / 1000 < total {
                    std::thread::sleep(Duration::from_micros(200));
                }
                continue;
            }
            let exporters = self.all.len();
            let exporter = &mut self.all[turn % exporters];
            turn += 1;
            sent += exporter.burst(burst.min((due - sent) as usize), self.records)?;
            if start.elapsed() > time * 2 {
                break;
            }
        }
        Ok(sent)
    }
}

impl Exporter {
    fn burst(&mut self, count: usize, records: usize) -> Result<u64> {
        for datagram in &mut self.datagrams[..count] {
            stamp(datagram, self.sequence);
            self.sequence = self.sequence.wrapping_add(records as u32);
        }
        let slices: Vec<[IoSlice<'_>; 1]> =
            self.datagrams[..count].iter().map(|bytes| [IoSlice::new(bytes)]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            (0..count).map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> =
            slices.iter().zip(&mut controls).map(|(s, c)| MMsgHdr::new(s, c)).collect();
        let mut done = 0;
        while done < count {
            done += sendmmsg(&self.socket, &mut messages[done..], SendFlags::empty())
                .context("sendmmsg")?;
        }
        Ok(done as u64)
    }
}

/// A datagram of data records; contents differ by exporter and number.
fn data(exporter: u32, which: usize, records: usize) -> Vec<u8> {
    let now = seconds() * 1000;
    let mut body = Vec::new();
    for record in 0..records as u32 {
        let mix = (exporter << 20 | (which as u32) << 10 | record).wrapping_mul(0x9e37_79b1);
        body.extend(Ipv4Addr::from(0x0a00_0000 | mix >> 8).octets());
        body.extend(Ipv4Addr::from(0xc633_6400 | mix & 0xff).octets());
        body.extend((1024 | (mix >> 4) as u16).to_be_bytes());
        body.extend(443u16.to_be_bytes());
        body.extend([6, 0, 0x18]);
        body.extend(u64::from(mix >> 16).to_be_bytes());
        body.extend(1u64.to_be_bytes());
        body.extend((now - 1000).to_be_bytes());
        body.extend(now.to_be_bytes());
        for word in [1, 2, 65_001, 65_002u32] {
            body.extend(word.to_be_bytes());
        }
    }
    message(exporter, TEMPLATE, &body)
}

/// An IPFIX message of one set.
fn message(domain: u32, set: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 10];
    out.extend((body.len() as u16 + 20).to_be_bytes());
    out.extend([0; 8]);
    out.extend(domain.to_be_bytes());
    out.extend(set.to_be_bytes());
    out.extend((body.len() as u16 + 4).to_be_bytes());
    out.extend(body);
    out
}

/// Export time and sequence number of a message about to be sent.
fn stamp(message: &mut [u8], sequence: u32) {
    message[4..8].copy_from_slice(&(seconds() as u32).to_be_bytes());
    message[8..12].copy_from_slice(&sequence.to_be_bytes());
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_ledger::records::Records;

    #[test]
    fn the_ledger_counts_the_same_records() {
        let mut records = Records::default();
        let ip = "127.9.0.1".parse().unwrap();
        let mut template = vec![1, 0, 0, 15];
        for (element, length) in FIELDS {
            template.extend(element.to_be_bytes());
            template.extend(length.to_be_bytes());
        }
        records.add(ip, 1, PORT, &message(3, 2, &template));
        for (which, count) in [22, 2, 1].into_iter().enumerate() {
            let bytes = data(3, which, count);
            assert!(bytes.len() <= 1472);
            records.add(ip, 1, PORT, &bytes);
        }
        let found: Vec<u32> = records.found().iter().map(|found| found.flows).collect();
        assert_eq!(found, [0, 22, 2, 1]);
    }
}
