// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a frame to its UDP or TCP payload, by etherparse: Ethernet with VLANs, raw IP, Linux cooked
//! captures, BSD loopback; IP fragments put together within bounds.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::defrag::IpDefragBuf;
use etherparse::{
    EtherType, IpFragOffset, IpNumber, Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice,
    TransportSlice, UdpSlice,
};

use super::reader::Packet;
use crate::tcp::Segment;

/// Packets whose fragments are held at a time; a new one then pushes out all others.
const FRAGMENTED_MAX: usize = 256;

/// The transport layer of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// A UDP datagram.
    Udp {
        /// Sender.
        from: SocketAddr,
        /// Receiver.
        to: SocketAddr,
        /// The datagram's octets as far as captured.
        payload: &'a [u8],
    },
    /// A TCP segment.
    Tcp(Segment<'a>),
}

/// Finds the transport layer of a packet that is no fragment.
pub fn dissect<'a>(packet: &Packet<'a>) -> Option<Transport<'a>> {
    let sliced = slice(packet)?;
    let (from, to) = addresses(&sliced)?;
    transport(from, to, &sliced.transport?)
}

/// Like [`dissect`], with fragments put together.
#[derive(Default)]
pub struct Dissector {
    fragments: HashMap<(IpAddr, IpAddr, u32, u8), IpDefragBuf>,
    whole: Vec<u8>,
    /// Fragments dropped because they contradicted others or there was no room.
    pub fragments_dropped: u64,
}

impl Dissector {
    /// Finds the transport layer; `None` for other packets and for fragments but the last to come.
    pub fn push<'a>(&'a mut self, packet: &Packet<'a>) -> Option<Transport<'a>> {
        let sliced = slice(packet)?;
        let (from, to) = addresses(&sliced)?;
        if let Some(found) = &sliced.transport {
            return transport(from, to, found);
        }
        let payload = sliced.net.as_ref()?.ip_payload_ref()?;
        let (id, offset, more) = fragment(sliced.net.as_ref()?)?;
        let key = (from, to, id, payload.ip_number.0);
        if self.fragments.len() >= FRAGMENTED_MAX && !self.fragments.contains_key(&key) {
            self.fragments_dropped += self.fragments.len() as u64;
            self.fragments.clear();
        }
        let buffer = self
            .fragments
            .entry(key)
            .or_insert_with(|| IpDefragBuf::new(payload.ip_number, Vec::new(), Vec::new()));
        if buffer.add(offset, more, payload.payload).is_err() {
            self.fragments.remove(&key);
            self.fragments_dropped += 1;
            return None;
        }
        if !buffer.is_complete() {
            return None;
        }
        self.whole = self.fragments.remove(&key)?.take_bufs().0;
        let slice = match payload.ip_number {
            IpNumber::UDP => TransportSlice::Udp(UdpSlice::from_slice_lax(&self.whole).ok()?),
            IpNumber::TCP => TransportSlice::Tcp(TcpSlice::from_slice(&self.whole).ok()?),
            _ => return None,
        };
        transport(from, to, &slice)
    }
}

pub(super) fn slice<'a>(packet: &Packet<'a>) -> Option<LaxSlicedPacket<'a>> {
    let data = packet.data;
    let from_ip = |data| LaxSlicedPacket::from_ip(data).ok();
    let from_type = |at: usize, payload: usize| {
        let ether_type = u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]);
        Some(LaxSlicedPacket::from_ether_type(EtherType(ether_type), data.get(payload..)?))
    };
    match packet.link {
        0 | 108 => from_ip(data.get(4..)?),
        1 => LaxSlicedPacket::from_ethernet(data).ok(),
        12 | 14 | 101 | 228 | 229 => from_ip(data),
        113 => from_type(14, 16),
        276 => from_type(0, 20),
        _ => None,
    }
}

pub(super) fn addresses(sliced: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// Identification, offset and more-fragments flag of a fragment.
pub(super) fn fragment(net: &LaxNetSlice<'_>) -> Option<(u32, IpFragOffset, bool)> {
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            header.is_fragmenting_payload().then(|| {
                let id = u32::from(header.identification());
                (id, header.fragments_offset(), header.more_fragments())
            })
        }
        LaxNetSlice::Ipv6(ip) => {
            ip.extensions().clone().into_iter().find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(part) if part.is_fragmenting_payload() => {
                    Some((part.identification(), part.fragment_offset(), part.more_fragments()))
                }
                _ => None,
            })
        }
        LaxNetSlice::Arp(_) => None,
    }
}

fn transport<'a>(from: IpAddr, to: IpAddr, slice: &TransportSlice<'a>) -> Option<Transport<'a>> {
    match slice {
        TransportSlice::Udp(udp) => Some(Transport::Udp {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            payload: udp.payload(),
        }),
        TransportSlice::Tcp(tcp) => Some(Transport::Tcp(Segment {
            flow: (
                SocketAddr::new(from, tcp.source_port()),
                SocketAddr::new(to, tcp.destination_port()),
            ),
            sequence: tcp.sequence_number(),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            payload: tcp.payload(),
        })),
        _ => None,
    }
}
