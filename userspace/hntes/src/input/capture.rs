// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures (pcap, pcapng) of datagrams on their way to a collector: NetFlow v9 and IPFIX.
//!
//! As for a collector, the exporter is the address that a datagram came from, and templates are those of
//! its address, port and destination port. Whatever else was captured is left out.

use super::decoded::Decoder;
use super::{Assume, FileReport, Format};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use telesteer_fam::Record;
use telesteer_wire::capture::Kind;
use telesteer_wire::pcap::{Dissector, Reader, Transport};

/// How captures begin: pcap in either byte order, with micro- or nanoseconds, and pcapng.
pub(super) const MAGICS: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// Most transport sessions of a capture.
const SESSIONS_MAX: usize = 65_536;

/// Hands every record of a capture to `each`.
pub(super) fn read(
    mut report: FileReport,
    file: impl Read + Send,
    assume: &Assume,
    mut each: impl FnMut(&Record),
) -> Result<FileReport> {
    let path = report.path.clone();
    report.format = Some(Format::Capture);
    let mut reader = Reader::of(file).with_context(|| format!("reading {}", path.display()))?;
    let mut dissector = Dissector::default();
    let mut sessions: BTreeMap<(SocketAddr, u16), Decoder> = BTreeMap::new();
    let mut number = 0;
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) => {
                report.failed = Some(format!("{}: {error}", path.display()));
                break;
            }
        };
        number += 1;
        let Some(Transport::Udp { from, to, payload }) = dissector.push(&packet) else { continue };
        if Kind::of(payload) != Kind::Flow {
            continue;
        }
        let key = (from, to.port());
        if sessions.len() >= SESSIONS_MAX && !sessions.contains_key(&key) {
            report.count("datagram of one exporter too many", number);
            continue;
        }
        let decoder = sessions.entry(key).or_insert_with(|| Decoder::new(Some(from.ip())));
        decoder.take(payload, number, assume, &mut report, &mut each);
    }
    for decoder in sessions.values() {
        decoder.finish(number, &mut report);
    }
    Ok(report)
}
