// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions of messages built here.

use proptest::prelude::*;

use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![3];
    message.extend_from_slice(&(body.len() as u32 + 6).to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

fn initiation() -> Vec<u8> {
    message(4, b"\x00\x01\x00\x03FRR\x00\x02\x00\x02r1")
}

/// A per-peer header: type, flags, last octet of the address.
fn peer(kind: u8, flags: u8, address: u8) -> Vec<u8> {
    let mut header = vec![kind, flags];
    header.extend_from_slice(&[0; 8]);
    header.extend_from_slice(&[0; 12]);
    header.extend_from_slice(if kind == 3 { &[0, 0, 0, 0] } else { &[192, 0, 2, 0] });
    if kind != 3 {
        header[25] = address;
    }
    header.extend_from_slice(&65001u32.to_be_bytes());
    header.extend_from_slice(&[192, 0, 2, address]);
    header.extend_from_slice(&[0; 8]);
    header
}

fn bgp(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend_from_slice(&(body.len() as u16 + 19).to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// An OPEN with the four-octet capability and, if so, add-path in both directions for IPv4.
fn open(add_path: bool) -> Vec<u8> {
    let mut capabilities = vec![1, 4, 0, 1, 0, 1, 65, 4, 0, 0, 0xfd, 0xe9];
    if add_path {
        capabilities.extend_from_slice(&[69, 4, 0, 1, 1, 3]);
    }
    let mut body = vec![4, 0xfd, 0xe9, 0, 180, 192, 0, 2, 1];
    body.push(capabilities.len() as u8 + 2);
    body.extend_from_slice(&[2, capabilities.len() as u8]);
    body.extend(capabilities);
    bgp(1, &body)
}

fn peer_up(kind: u8, address: u8, add_path: bool) -> Vec<u8> {
    let mut body = peer(kind, 0, address);
    body.extend_from_slice(&[0; 12]);
    body.extend_from_slice(&[192, 0, 2, 254, 0, 179, 0x80, 0]);
    body.extend(open(add_path));
    body.extend(open(add_path));
    message(3, &body)
}

/// An UPDATE for 203.0.113.0/24, with a path id if so.
fn route(kind: u8, address: u8, path_id: Option<u32>) -> Vec<u8> {
    let mut update = vec![0, 0, 0, 20];
    update.extend_from_slice(&[0x40, 1, 1, 0]); // ORIGIN igp
    update.extend_from_slice(&[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9]); // AS_PATH
    update.extend_from_slice(&[0x40, 3, 4, 192, 0, 2, 1]); // NEXT_HOP
    update.extend(path_id.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec()));
    update.extend_from_slice(&[24, 203, 0, 113]);
    let mut body = peer(kind, 0, address);
    body.extend(bgp(2, &update));
    message(0, &body)
}

fn json(decoded: &Decoded) -> String {
    let mut out = Vec::new();
    decoded.write_message_json(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_session_from_its_start() {
    let mut session = Session::new(Limits::default());
    let first = session.feed(&initiation());
    assert_eq!((first.kind, first.context_changed, first.peer), (Kind::Initiation, true, None));
    assert!(json(&first).contains("FRR"));
    assert!(session.feed(&peer_up(0, 1, false)).context_changed);
    let routes = session.feed(&route(0, 1, None));
    assert_eq!((routes.kind, routes.error.as_deref()), (Kind::RouteMonitoring, None));
    assert_eq!(routes.peer.unwrap().address.to_string(), "192.0.2.1");
    assert!(json(&routes).contains("203.0.113.0/24"), "{}", json(&routes));
    assert!(!routes.context_changed);
    let mut down = peer(0, 0, 1);
    down.push(4);
    assert!(session.feed(&message(2, &down)).context_changed);
    assert_eq!(session.peers(), 0);
    assert_eq!(session.counters().decoded, 4);
}

#[test]
fn an_heir_knows_what_the_opens_agreed_on() {
    let mut donor = Session::new(Limits::default());
    donor.feed(&initiation());
    donor.feed(&peer_up(0, 1, true));
    donor.feed(&peer_up(0, 2, false));
    let stored = serde_json::to_string(&donor.context()).unwrap();
    let context: Context = serde_json::from_str(&stored).unwrap();
    assert_eq!(context, donor.context());

    let mut heir = Session::restore(Limits::default(), &context);
    let with_path = heir.feed(&route(0, 1, Some(7)));
    assert_eq!(with_path.error, None);
    assert!(json(&with_path).contains("\"path_id\":7"), "{}", json(&with_path));
    // The broken twin: without the context the same octets are not what was meant.
    let mut stranger = Session::new(Limits::default());
    stranger.feed(&peer_up(0, 1, false));
    let misread = stranger.feed(&route(0, 1, Some(7)));
    assert_ne!(json(&misread), json(&with_path));
    assert_eq!(heir.counters().messages, 1);
}

#[test]
fn an_undecodable_message_does_not_end_the_session() {
    let mut session = Session::new(Limits::default());
    session.feed(&peer_up(0, 1, false));
    let mut broken = route(0, 1, None);
    let end = broken.len() - 4;
    broken[end] = 99; // a prefix of 99 bits
    let decoded = session.feed(&broken);
    assert_eq!(decoded.kind, Kind::Raw);
    assert_eq!((decoded.message_type, decoded.peer.is_some()), (0, true));
    assert!(decoded.error.is_some() && json(&decoded) == "null");
    assert_eq!(session.feed(&route(0, 1, None)).error, None);
    let unknown = session.feed(&message(77, b"?"));
    assert_eq!((unknown.kind, unknown.message_type), (Kind::Raw, 77));
    assert_eq!(session.counters().undecoded, 2);
}

#[test]
fn peers_nobody_announced_are_accepted() {
    let mut session = Session::new(Limits::default());
    // GoBGP sends Loc-RIB routes without a Peer Up, FRR Peer Downs of peers that never were up.
    assert_eq!(session.feed(&route(3, 0, None)).error, None);
    let mut down = peer(0, 0, 9);
    down.push(4);
    let down = session.feed(&message(2, &down));
    assert_eq!((down.error, down.context_changed), (None, false));
    // Routes with path ids that only fit when the missing Peer Up agreed on them.
    let guessed = session.feed(&route(0, 5, Some(1)));
    assert!(guessed.error.is_none(), "{:?}", guessed.error);
    assert_eq!(session.counters().undecoded, 0);
}

#[test]
fn opens_without_a_bgp_id_are_read_with_that_of_the_peer() {
    let mut message = peer_up(3, 0, true);
    let open = open(true).len();
    for at in [68 + 24, 68 + open + 24] {
        message[at..at + 4].fill(0);
    }
    let mut session = Session::new(Limits::default());
    let decoded = session.feed(&message);
    assert_eq!(decoded.kind, Kind::PeerUp);
    assert!(decoded.error.unwrap().starts_with("partly decoded"));
    // Its capabilities count all the same.
    let with_path = session.feed(&route(3, 0, Some(7)));
    assert!(json(&with_path).contains("\"path_id\":7"), "{}", json(&with_path));
    assert_eq!(session.counters().assumed, 0);
}

#[test]
fn the_context_is_bounded_and_shrinks() {
    let mut session = Session::new(Limits { peers: 2, context_bytes: 1 << 20 });
    for address in 1..=3 {
        session.feed(&peer_up(0, address, false));
    }
    assert_eq!((session.peers(), session.counters().context_full), (2, 1));
    // The same again changes nothing, another one for the same peer replaces it.
    assert!(!session.feed(&peer_up(0, 1, false)).context_changed);
    assert!(session.feed(&peer_up(0, 1, true)).context_changed);
    assert_eq!(session.context().peer_ups.len(), 2);
    // A Loc-RIB may announce each family by a Peer Up of its own.
    let mut loc_rib = Session::new(Limits::default());
    loc_rib.feed(&peer_up(3, 0, false));
    loc_rib.feed(&peer_up(3, 0, true));
    assert_eq!(loc_rib.context().peer_ups.len(), 2);
    assert!(session.feed(&message(5, b"\x00\x01\x00\x02\x00\x00")).context_changed);
    assert_eq!(session.context().peer_ups.len(), 0);
    let mut tiny = Session::new(Limits { peers: 9, context_bytes: 100 });
    tiny.feed(&peer_up(0, 1, false));
    assert_eq!((tiny.peers(), tiny.counters().context_full), (0, 1));
}

#[test]
fn stray_peers_do_not_pile_up() {
    let mut session = Session::new(Limits::default());
    session.feed(&peer_up(0, 1, true));
    for asn in 0..3000u32 {
        let mut stray = route(0, 2, None);
        stray[32..36].copy_from_slice(&asn.to_be_bytes());
        session.feed(&stray);
    }
    assert!(session.counters().stray_peers_dropped >= 2);
    let known = session.feed(&route(0, 1, Some(7)));
    assert!(json(&known).contains("\"path_id\":7"));
}

proptest! {
    /// Whatever comes, every octet of a stream is accounted for and nothing panics.
    #[test]
    fn arbitrary_streams_are_survived(
        stream in prop::collection::vec(
            prop_oneof![4 => any::<u8>(), 3 => Just(3u8), 3 => Just(0u8)], 0..400),
    ) {
        let mut session = Session::new(Limits::default());
        let mut at = 0;
        while at < stream.len() {
            match next_len(&stream[at..], 4096) {
                Framing::Message(len) => {
                    session.feed(&stream[at..at + len]);
                    at += len;
                }
                Framing::Need(need) => {
                    prop_assert!(need > stream.len() - at);
                    break;
                }
                Framing::Lost { skip, .. } => {
                    prop_assert!(skip > 0 && at + skip <= stream.len());
                    at += skip;
                }
                Framing::Oversize(len) => {
                    prop_assert!(len > 4096);
                    break;
                }
            }
        }
    }

    /// Messages of every type with any body.
    #[test]
    fn arbitrary_bodies_are_survived(
        kind in 0u8..8,
        address in 0u8..4,
        tail in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut session = Session::new(Limits::default());
        session.feed(&peer_up(0, 1, true));
        let mut body = peer(0, 0, address);
        body.extend(tail);
        let decoded = session.feed(&message(kind, &body));
        prop_assert!(decoded.message.is_some() || decoded.error.is_some());
        Session::restore(Limits::default(), &session.context());
    }
}
