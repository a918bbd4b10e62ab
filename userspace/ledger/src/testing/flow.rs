// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow datagrams.

/// A set of 16-bit words.
pub(crate) fn set(id: u16, words: &[u16]) -> Vec<u8> {
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    raw_set(id, &body)
}

/// A set of bytes.
pub(crate) fn raw_set(id: u16, body: &[u8]) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend((body.len() as u16 + 4).to_be_bytes());
    out.extend(body);
    out
}

/// An IPFIX message.
pub(crate) fn ipfix(domain: u32, sets: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 10];
    out.extend((sets.len() as u16 + 16).to_be_bytes());
    out.extend([0; 8]);
    out.extend(domain.to_be_bytes());
    out.extend(sets);
    out
}

/// A NetFlow v9 datagram.
pub(crate) fn v9(domain: u32, sets: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 9];
    out.extend([0; 14]);
    out.extend(domain.to_be_bytes());
    out.extend(sets);
    out
}
