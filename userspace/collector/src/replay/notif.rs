// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A generated UDP-notif publisher (draft-ietf-netconf-udp-notif): JSON notifications, the long
//! ones segmented.

use super::rng::Rng;

/// Version 1, media type 1 (JSON): the first octet of the header.
const VERSION_AND_MEDIA: u8 = 1 << 5 | 1;
/// Payload octets of one segment.
const SEGMENT_MAX: usize = 1400;
/// Option type of a segment and its whole length.
const SEGMENT_OPTION: [u8; 2] = [1, 4];

/// One publisher: its id and the notifications it repeats under fresh message ids.
#[derive(Debug)]
pub(crate) struct Publisher {
    id: u32,
    message: u32,
    short: Vec<String>,
    long: String,
    segment_every: u64,
    sent: u64,
}

impl Publisher {
    /// Publisher `id`; every `segment_every`-th notification is long (0 = none).
    pub(crate) fn new(id: u32, segment_every: u64, rng: &mut Rng) -> Self {
        let short = (0..4).map(|_| notification(id, rng.length(1, 3), rng)).collect();
        let long = notification(id, 40, rng);
        Self { id, message: 0, short, long, segment_every, sent: 0 }
    }

    /// The datagrams of the next notification.
    pub(crate) fn notification(&mut self, mut send: impl FnMut(Vec<u8>)) {
        self.sent += 1;
        let long = self.segment_every > 0 && self.sent.is_multiple_of(self.segment_every);
        let text = if long { &self.long } else { &self.short[(self.sent % 4) as usize] };
        let parts = text.len().div_ceil(SEGMENT_MAX);
        for (index, part) in text.as_bytes().chunks(SEGMENT_MAX).enumerate() {
            let header: u8 = if parts > 1 { 16 } else { 12 };
            let mut datagram = vec![VERSION_AND_MEDIA, header];
            datagram.extend_from_slice(&(u16::from(header) + part.len() as u16).to_be_bytes());
            datagram.extend_from_slice(&self.id.to_be_bytes());
            datagram.extend_from_slice(&self.message.to_be_bytes());
            if parts > 1 {
                // Segment number in the upper 15 bits, the lowest one marks the last segment.
                let number = (index as u16) << 1 | u16::from(index + 1 == parts);
                datagram.extend_from_slice(&SEGMENT_OPTION);
                datagram.extend_from_slice(&number.to_be_bytes());
            }
            datagram.extend_from_slice(part);
            send(datagram);
        }
        self.message = self.message.wrapping_add(1);
    }
}

fn notification(id: u32, interfaces: usize, rng: &mut Rng) -> String {
    let list: Vec<serde_json::Value> = (0..interfaces)
        .map(|index| {
            serde_json::json!({
                "name": format!("eth{index}"),
                "oper-status": "up",
                "statistics": {
                    "in-octets": rng.within(0, 1 << 40).to_string(),
                    "out-octets": rng.within(0, 1 << 40).to_string(),
                },
            })
        })
        .collect();
    serde_json::json!({
        "ietf-notification:notification": {
            "eventTime": "2026-11-26T00:00:00Z",
            "ietf-yang-push:push-update": {
                "id": id,
                "datastore-contents": { "ietf-interfaces:interfaces": { "interface": list } },
            },
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notifications_are_segments_that_join_to_json() {
        let mut publisher = Publisher::new(9, 2, &mut Rng::new(1, 0));
        let mut datagrams = Vec::new();
        publisher.notification(|datagram| datagrams.push(datagram));
        assert_eq!(datagrams.len(), 1);
        assert_eq!(datagrams[0][1], 12);
        datagrams.clear();
        publisher.notification(|datagram| datagrams.push(datagram));
        assert!(datagrams.len() > 2);
        let mut joined = Vec::new();
        for (index, datagram) in datagrams.iter().enumerate() {
            let number = u16::from_be_bytes([datagram[14], datagram[15]]);
            assert_eq!(usize::from(number >> 1), index);
            assert_eq!(number & 1 == 1, index + 1 == datagrams.len());
            assert_eq!(usize::from(u16::from_be_bytes([datagram[2], datagram[3]])), datagram.len());
            joined.extend_from_slice(&datagram[16..]);
        }
        assert!(serde_json::from_slice::<serde_json::Value>(&joined).is_ok());
    }
}
