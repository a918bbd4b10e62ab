// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the headers of a frame say of its packet, the rest of which may not have been captured.

use std::net::IpAddr;

use etherparse::LaxNetSlice;

use super::dissect::{addresses, fragment, slice};
use super::reader::Packet;

/// Protocols whose headers begin with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];
const TCP: u8 = 6;
/// Octet of the TCP header with the flags, and of these FIN and RST.
const TCP_FLAGS: (usize, u8) = (13, 0x05);

/// A packet by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol.
    pub proto: u8,
    /// Source port; 0 where there is none, as in all fragments but the first.
    pub src_port: u16,
    /// Destination port, likewise.
    pub dst_port: u16,
    /// Octets of the IP packet on the wire.
    pub octets: u32,
    /// TCP says that its sender has ended the connection: FIN or RST.
    pub ends: bool,
}

/// Reads the headers; `None` for what is no IP packet.
pub fn headers(packet: &Packet<'_>) -> Option<Headers> {
    let sliced = slice(packet)?;
    let (src, dst) = addresses(&sliced)?;
    let net = sliced.net.as_ref()?;
    let (told, header) = match net {
        LaxNetSlice::Ipv4(ip) => (u32::from(ip.header().total_len()), ip.header().slice().as_ptr()),
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let payload = u32::from(header.payload_length());
            (if payload == 0 { 0 } else { payload + 40 }, header.slice().as_ptr())
        }
        LaxNetSlice::Arp(_) => return None,
    };
    // Cards that put segments together leave no length, or have not filled it in yet.
    let link = header.addr().saturating_sub(packet.data.as_ptr().addr());
    let on_wire = packet.wire_len.saturating_sub(u32::try_from(link).unwrap_or(u32::MAX));
    let octets = if told == 0 { on_wire } else { told };
    let body = net.ip_payload_ref()?;
    let proto = body.ip_number.0;
    let behind_first = fragment(net).is_some_and(|(_, offset, _)| offset.value() > 0);
    let known = WITH_PORTS.contains(&proto) && !behind_first;
    // Both or none: half of a pair is another flow.
    let ports = body.payload.first_chunk().filter(|_| known);
    let [src_port, dst_port] =
        ports.map_or([0, 0], |[a, b, c, d]| [[*a, *b], [*c, *d]].map(u16::from_be_bytes));
    let flags = body.payload.get(TCP_FLAGS.0).filter(|_| known && proto == TCP);
    Some(Headers {
        src,
        dst,
        proto,
        src_port,
        dst_port,
        octets,
        ends: flags.is_some_and(|flags| flags & TCP_FLAGS.1 != 0),
    })
}
