// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages built here, whole and in segments.

use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn datagram(media: u8, message_id: u32, segment: Option<(u16, bool)>, payload: &[u8]) -> Vec<u8> {
    let options: Vec<u8> = match segment {
        None => Vec::new(),
        Some((number, last)) => {
            let [high, low] = (number << 1 | u16::from(last)).to_be_bytes();
            vec![1, 4, high, low]
        }
    };
    let len = 12 + options.len() + payload.len();
    let mut datagram = vec![0x20 | media, 12 + options.len() as u8];
    datagram.extend_from_slice(&(len as u16).to_be_bytes());
    datagram.extend_from_slice(&7u32.to_be_bytes());
    datagram.extend_from_slice(&message_id.to_be_bytes());
    datagram.extend(options);
    datagram.extend_from_slice(payload);
    datagram
}

fn complete(pushed: Result<Pushed, Error>) -> Message {
    match pushed.unwrap() {
        Pushed::Complete(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_message_with_padding() {
    let mut reassembler = Reassembler::new(Limits::default());
    let mut datagram = datagram(1, 1, None, b"{\"a\":1}");
    datagram.extend_from_slice(&[0; 5]);
    let message = complete(reassembler.push(ROUTER, &datagram, 0));
    assert_eq!((message.publisher, message.message_id, message.segments), (7, 1, 1));
    assert_eq!(message.parse(), Payload::Parsed(json!({"a": 1})));
}

#[test]
fn segments_come_in_any_order_and_twice() {
    let mut reassembler = Reassembler::new(Limits::default());
    let parts: [(u16, bool, &[u8]); 3] = [(2, true, b"3]"), (0, false, b"[1,"), (1, false, b"2,")];
    let mut push = |(number, last, payload): (u16, bool, &[u8])| {
        reassembler.push(ROUTER, &datagram(1, 9, Some((number, last)), payload), 0)
    };
    assert_eq!(push(parts[0]), Ok(Pushed::Incomplete));
    assert_eq!(push(parts[1]), Ok(Pushed::Incomplete));
    assert_eq!(push(parts[1]), Ok(Pushed::Duplicate));
    let message = complete(push(parts[2]));
    assert_eq!(message.segments, 3);
    assert_eq!(message.parse(), Payload::Parsed(json!([1, 2, 3])));
    assert_eq!(reassembler.incomplete(), 0);
}

#[test]
fn routers_with_one_publisher_id_are_kept_apart() {
    let mut reassembler = Reassembler::new(Limits::default());
    let mut push = |router, number, last, payload: &[u8]| {
        reassembler.push(router, &datagram(1, 9, Some((number, last)), payload), 0)
    };
    assert_eq!(push(ROUTER, 0, false, b"1"), Ok(Pushed::Incomplete));
    assert_eq!(push(OTHER, 1, true, b"4"), Ok(Pushed::Incomplete));
    assert_eq!(complete(push(ROUTER, 1, true, b"2")).payload, b"12");
    assert_eq!(complete(push(OTHER, 0, false, b"3")).payload, b"34");
}

#[test]
fn contradictions_give_the_message_up() {
    let mut reassembler = Reassembler::new(Limits::default());
    let mut push = |number, last, payload: &[u8]| {
        reassembler.push(ROUTER, &datagram(1, 9, Some((number, last)), payload), 0)
    };
    assert_eq!(push(1, false, b"a"), Ok(Pushed::Incomplete));
    assert_eq!(push(1, false, b"b"), Err(Error::Contradiction));
    assert_eq!(push(3, true, b"a"), Ok(Pushed::Incomplete));
    assert_eq!(push(4, false, b"b"), Err(Error::Contradiction));
    assert_eq!(reassembler.incomplete(), 0);
}

#[test]
fn incomplete_messages_are_bounded_in_number_size_and_time() {
    let limits = Limits { messages: 2, bytes: 10, segments: 4, incomplete_ms: 100 };
    let mut reassembler = Reassembler::new(limits);
    for id in 0..3 {
        let segment = datagram(1, id, Some((0, false)), b"abc");
        assert_eq!(reassembler.push(ROUTER, &segment, u64::from(id)), Ok(Pushed::Incomplete));
    }
    assert_eq!((reassembler.incomplete(), reassembler.counters().evicted), (2, 1));
    let large = datagram(1, 2, Some((1, false)), b"abcdefg");
    assert_eq!(reassembler.push(ROUTER, &large, 3), Ok(Pushed::Incomplete));
    assert_eq!((reassembler.incomplete(), reassembler.counters().evicted), (1, 2));
    let far = datagram(1, 2, Some((4, false)), b"");
    assert_eq!(reassembler.push(ROUTER, &far, 3), Err(Error::TooLarge));
    assert_eq!(reassembler.expire(103), 0);
    assert_eq!(reassembler.expire(104), 1);
    assert_eq!(reassembler.incomplete(), 0);
}

#[test]
fn encodings_become_json_or_stay_raw() {
    let parse = |media, payload: &[u8]| {
        let mut reassembler = Reassembler::new(Limits::default());
        complete(reassembler.push(ROUTER, &datagram(media, 0, None, payload), 0)).parse()
    };
    assert!(matches!(parse(1, b"{\"a\":"), Payload::Raw(_)));
    assert_eq!(parse(2, b"<a/>"), Payload::Parsed(json!("<a/>")));
    // {"a": [1, -2, h'0aff'], 5: true}
    let cbor = b"\xa2\x61a\x83\x01\x21\x42\x0a\xff\x05\xf5";
    assert_eq!(parse(3, cbor), Payload::Parsed(json!({"a": [1, -2, "0aff"], "5": true})));
    assert!(matches!(parse(3, b"\xa2\x61a"), Payload::Raw(_)));
    assert!(matches!(parse(3, b"\x01\x02"), Payload::Raw(_)));
    assert!(matches!(parse(3, &[0x81; 200]), Payload::Raw(_)));
    assert!(matches!(parse(9, b"?"), Payload::Raw(_)));
    // The S flag makes the media type the publisher's own.
    assert!(matches!(parse(0x11, b"1"), Payload::Raw(_)));
}

#[test]
fn headers_that_lie_are_refused() {
    let good = datagram(1, 1, None, b"1");
    let with = |at: usize, octet: u8| {
        let mut bad = good.clone();
        bad[at] = octet;
        Header::read(&bad).unwrap_err()
    };
    assert_eq!(with(0, 0x41), Error::UnknownVersion(2));
    assert_eq!(with(1, 11), Error::BadHeaderLength(11));
    assert_eq!(with(1, 14), Error::BadHeaderLength(14));
    assert_eq!(with(3, 14), Error::TooShort(13));
    assert_eq!(Header::read(&good[..11]).unwrap_err(), Error::TooShort(11));
    let mut option = datagram(1, 1, Some((0, true)), b"1");
    option[13] = 9;
    assert_eq!(Header::read(&option).unwrap_err(), Error::BadOption(1));
}

proptest! {
    #[test]
    fn arbitrary_octets_are_survived(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 1..20),
    ) {
        let limits = Limits { messages: 3, bytes: 100, segments: 8, incomplete_ms: 10 };
        let mut reassembler = Reassembler::new(limits);
        for (now, mut datagram) in datagrams.into_iter().enumerate() {
            if let Some(first) = datagram.first_mut() {
                *first = *first & 0x1f | 0x20;
            }
            if let Ok(Pushed::Complete(message)) = reassembler.push(ROUTER, &datagram, now as u64) {
                message.parse();
            }
            prop_assert!(reassembler.incomplete() <= 3);
        }
    }

    /// Cut anywhere and shuffled, a message comes out as it went in.
    #[test]
    fn segments_in_any_order_make_the_message(
        payload in prop::collection::vec(any::<u8>(), 2..200),
        size in 1usize..50,
        seed in any::<prop::sample::Index>(),
    ) {
        let parts: Vec<&[u8]> = payload.chunks(size).collect();
        prop_assume!(parts.len() > 1);
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.rotate_left(seed.index(parts.len()));
        let mut reassembler = Reassembler::new(Limits::default());
        let mut whole = None;
        for number in order {
            let last = number + 1 == parts.len();
            let part = datagram(1, 1, Some((number as u16, last)), parts[number]);
            if let Pushed::Complete(message) = reassembler.push(ROUTER, &part, 0).unwrap() {
                whole = Some(message.payload);
            }
        }
        prop_assert_eq!(whole, Some(payload));
    }
}
