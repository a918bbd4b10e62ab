// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Telemetry made by hand, from the RFCs.

/// A BMP message (RFC 7854 section 4.1) of a type.
pub(crate) fn bmp(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![3];
    message.extend_from_slice(&(6 + body.len() as u32).to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// Initiation with sysDescr and sysName (section 4.3).
pub(crate) fn initiation(name: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, text) in [(1_u16, "a router"), (2, name)] {
        body.extend_from_slice(&kind.to_be_bytes());
        body.extend_from_slice(&(text.len() as u16).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    bmp(4, &body)
}

/// Per-peer header (section 4.2) of 192.0.2.`peer`, AS 65000.
fn peer_header(peer: u8) -> Vec<u8> {
    let mut header = vec![0, 0];
    header.extend_from_slice(&[0; 8]);
    header.extend_from_slice(&[0; 12]);
    header.extend_from_slice(&[192, 0, 2, peer]);
    header.extend_from_slice(&65000_u32.to_be_bytes());
    header.extend_from_slice(&[10, 0, 0, peer]);
    header.extend_from_slice(&1_700_000_000_u32.to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    header
}

/// A BGP message (RFC 4271 section 4.1).
fn bgp(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend_from_slice(&(19 + body.len() as u16).to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// Peer Up (section 4.10).
pub(crate) fn peer_up(peer: u8) -> Vec<u8> {
    let mut body = peer_header(peer);
    body.extend_from_slice(&[0; 12]);
    body.extend_from_slice(&[192, 0, 2, 254]);
    body.extend_from_slice(&179_u16.to_be_bytes());
    body.extend_from_slice(&40000_u16.to_be_bytes());
    for id in [254, peer] {
        let mut open = vec![4];
        open.extend_from_slice(&65000_u16.to_be_bytes());
        open.extend_from_slice(&[0, 90, 10, 0, 0, id, 0]);
        body.extend_from_slice(&bgp(1, &open));
    }
    bmp(3, &body)
}

/// Route Monitoring (section 4.6) that withdraws 10.`n`/16 ... a prefix that differs with `n`.
pub(crate) fn route(peer: u8, n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    let mut body = peer_header(peer);
    body.extend_from_slice(&bgp(2, &[0, 4, 24, 10, high, low, 0, 0]));
    bmp(0, &body)
}

/// An IPFIX message (RFC 7011 section 3.1) of sets.
pub(crate) fn ipfix(domain: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body: Vec<u8> = sets.concat();
    let mut message = 10_u16.to_be_bytes().to_vec();
    message.extend_from_slice(&(16 + body.len() as u16).to_be_bytes());
    message.extend_from_slice(&1_700_000_000_u32.to_be_bytes());
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(&domain.to_be_bytes());
    message.extend_from_slice(&body);
    message
}

/// A NetFlow v9 packet (RFC 3954 section 5.1) of sets, sent when the exporter was up for so long.
pub(crate) fn netflow9(uptime_ms: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = 9_u16.to_be_bytes().to_vec();
    packet.extend_from_slice(&(sets.len() as u16).to_be_bytes());
    for word in [uptime_ms, 1_700_000_000, sequence, 33] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(&sets.concat());
    packet
}

/// A template in a set of this id: (element, octets) pairs.
pub(crate) fn template_of(set_id: u16, id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let pairs = fields.iter().flat_map(|(element, octets)| [*element, *octets]);
    let words = [id, fields.len() as u16].into_iter().chain(pairs);
    set(set_id, &words.flat_map(u16::to_be_bytes).collect::<Vec<u8>>())
}

/// A set.
pub(crate) fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let mut set = id.to_be_bytes().to_vec();
    set.extend_from_slice(&(4 + body.len() as u16).to_be_bytes());
    set.extend_from_slice(body);
    set
}

/// Template `id`: sourceIPv4Address, octetDeltaCount.
pub(crate) fn template(id: u16) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [id, 2, 8, 4, 1, 8] {
        body.extend_from_slice(&word.to_be_bytes());
    }
    set(2, &body)
}

/// Data for that template.
pub(crate) fn data(id: u16, octets: &[u64]) -> Vec<u8> {
    let mut body = Vec::new();
    for n in octets {
        body.extend_from_slice(&[198, 51, 100, 7]);
        body.extend_from_slice(&n.to_be_bytes());
    }
    set(id, &body)
}

/// A UDP-notif message with a JSON payload, as segment `number` if given.
pub(crate) fn notif(message: u32, segment: Option<(u16, bool)>, payload: &[u8]) -> Vec<u8> {
    let header = if segment.is_some() { 16 } else { 12 };
    let mut bytes = vec![0x21, header];
    bytes.extend_from_slice(&(u16::from(header) + payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&7_u32.to_be_bytes());
    bytes.extend_from_slice(&message.to_be_bytes());
    if let Some((number, last)) = segment {
        bytes.extend_from_slice(&[1, 4]);
        bytes.extend_from_slice(&(number << 1 | u16::from(last)).to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}
