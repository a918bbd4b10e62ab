// SPDX-License-Identifier: GPL-2.0

//! What names an exporter: its address, and by request its port or the id in its messages.

use kernel::net::reuseport::{
    key,
    Flow, //
};

use crate::steer::siphash::SipHash;

/// The bits that can be asked for.
pub(crate) const KEYS: u32 = key::SADDR | key::SPORT | key::PAYLOAD;

const IPFIX_VERSION: u16 = 10;
const IPFIX_DOMAIN: usize = 12;
const NETFLOW_V9_VERSION: u16 = 9;
const NETFLOW_V9_SOURCE: usize = 16;
/// Upper three bits of the first octet.
const UDP_NOTIF_VERSION: u8 = 1;
const UDP_NOTIF_HEADER: u8 = 12;
const UDP_NOTIF_PUBLISHER: usize = 4;

/// The digest of the exporter of a flow that is named by its address alone.
#[inline(always)]
pub(crate) fn address(hash: &SipHash, flow: &Flow<'_>) -> u64 {
    let (high, low) = words(flow);
    hash.two(high, low)
}

/// The digest of the exporter of a flow.
pub(crate) fn digest(hash: &SipHash, keys: u32, flow: &Flow<'_>) -> u64 {
    let (high, low) = words(flow);
    if keys == key::SADDR {
        hash.two(high, low)
    } else {
        hash.three(high, low, more(keys, flow))
    }
}

#[inline(always)]
fn words(flow: &Flow<'_>) -> (u64, u64) {
    let address = flow.source().to_bits();
    ((address >> 64) as u64, address as u64)
}

/// What counts beside the address, as policy `source` has it.
fn more(keys: u32, flow: &Flow<'_>) -> u64 {
    let mut more = 0;
    if keys & key::SPORT != 0 {
        more |= u64::from(flow.source_port()) << 32;
    }
    if keys & key::PAYLOAD != 0 && flow.is_udp() {
        if let Some(id) = payload_id(|offset| flow.payload(offset), || flow.payload(0)) {
            more |= 1 << 63 | u64::from(id);
        }
    }
    more
}

/// The observation domain id of an IPFIX message, the source id of a NetFlow v9 one or the
/// publisher id of a UDP-notif one, which is read by offset.
pub(crate) fn payload_id(
    word: impl Fn(usize) -> Option<[u8; 4]>,
    start: impl Fn() -> Option<[u8; 2]>,
) -> Option<u32> {
    let start = start()?;
    let offset = match u16::from_be_bytes(start) {
        IPFIX_VERSION => IPFIX_DOMAIN,
        NETFLOW_V9_VERSION => NETFLOW_V9_SOURCE,
        _ if start[0] >> 5 == UDP_NOTIF_VERSION && start[1] >= UDP_NOTIF_HEADER => {
            UDP_NOTIF_PUBLISHER
        }
        _ => return None,
    };
    word(offset).map(u32::from_be_bytes)
}
