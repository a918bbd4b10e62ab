// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A capture file as what a collector would have received: datagrams and stream octets.

use std::net::SocketAddr;

use crate::notif::Header;
use crate::pcap::{Dissector, Error, Reader, Transport};
use crate::tcp;

/// Something received.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A UDP payload.
    Datagram {
        /// What it looks like.
        kind: Kind,
        /// Sender.
        from: SocketAddr,
        /// Receiver.
        to: SocketAddr,
        /// The payload.
        payload: &'a [u8],
    },
    /// Something about one direction of a TCP connection.
    Stream {
        /// Sender and receiver.
        flow: tcp::Flow,
        /// What.
        event: tcp::Event<'a>,
    },
}

/// What a datagram looks like, by its first octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// NetFlow v9 or IPFIX.
    Flow,
    /// UDP-notif version 1.
    Notif,
    /// Neither.
    Unknown,
}

impl Kind {
    /// v9 and IPFIX start with a zero octet, UDP-notif never does, and its header has to fit.
    pub fn of(payload: &[u8]) -> Self {
        match *payload {
            [0, 9 | 10, ..] => Self::Flow,
            _ if Header::read(payload).is_ok() => Self::Notif,
            _ => Self::Unknown,
        }
    }
}

/// Whether a stream that starts like this may be a BMP session: version, a length below 16 MiB.
pub fn looks_like_bmp(start: &[u8]) -> bool {
    matches!(start, [3 | 4] | [3 | 4, 0, ..])
}

/// What reading left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Packets that are neither UDP nor TCP, or could not be dissected.
    pub other: u64,
    /// Stream octets that were not captured.
    pub gap_bytes: u64,
    /// Stream octets seen more than once.
    pub repeated_bytes: u64,
    /// Why reading stopped before the end.
    pub cut_short: bool,
}

/// Reads captures one after the other.
#[derive(Default)]
pub struct Source {
    dissector: Dissector,
}

impl Source {
    /// Hands everything in `file` to `sink`, with its time in nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// When the file is no capture. One that is cut short is read as far as it goes.
    pub fn read(
        &mut self,
        file: &[u8],
        sink: &mut dyn FnMut(u64, Item<'_>),
    ) -> Result<Summary, Error> {
        let mut reader = Reader::new(file)?;
        let mut streams = tcp::Reassembler::new(tcp::Limits::default());
        let mut summary = Summary::default();
        let mut now_ns = 0;
        loop {
            let packet = match reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(Error::NotACapture) => return Err(Error::NotACapture),
                Err(_) => {
                    summary.cut_short = true;
                    break;
                }
            };
            summary.packets += 1;
            now_ns = packet.time_ns;
            match self.dissector.push(&packet) {
                Some(Transport::Udp { from, to, payload }) => {
                    let kind = Kind::of(payload);
                    sink(now_ns, Item::Datagram { kind, from, to, payload });
                }
                Some(Transport::Tcp(segment)) => streams.push(&segment, &mut |flow, event| {
                    sink(now_ns, Item::Stream { flow, event });
                }),
                None => summary.other += 1,
            }
        }
        streams.finish(&mut |flow, event| sink(now_ns, Item::Stream { flow, event }));
        summary.gap_bytes = streams.gap_bytes;
        summary.repeated_bytes = streams.repeated_bytes;
        Ok(summary)
    }
}
