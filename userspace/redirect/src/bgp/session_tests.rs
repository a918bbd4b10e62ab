// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A session against peers that do as they should, and others.

use super::*;
use proptest::prelude::*;

const US: Neighbour =
    Neighbour { local_as: 64_512, id: Ipv4Addr::new(192, 0, 2, 2), peer_as: 64_512, hold: 90 };

fn theirs() -> Open {
    let (id, families) = (Ipv4Addr::new(192, 0, 2, 1), Family::ALL.into());
    Open { asn: 64_512, hold: 30, id, families, four_octet: true }
}

fn open(open: &Open) -> Vec<u8> {
    message::wrap(Kind::Open, &open.encode())
}

fn keepalive() -> Vec<u8> {
    message::wrap(Kind::Keepalive, &[])
}

/// The kinds of the messages in an output, and the last one's body.
fn said(session: &mut Session) -> (Vec<Kind>, Vec<u8>) {
    let output = session.take_output();
    let (mut rest, mut kinds, mut last) = (output.as_slice(), Vec::new(), Vec::new());
    while let Some((kind, body, length)) = message::first(rest).unwrap() {
        kinds.push(kind);
        last = body.to_vec();
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    (kinds, last)
}

fn up() -> Session {
    let mut session = Session::new(US, 0);
    let (events, result) = session.receive(&[open(&theirs()), keepalive()].concat(), 0);
    assert_eq!((events, result), (vec![Event::Up], Ok(())));
    session
}

#[test]
fn it_opens_confirms_and_is_up() {
    let mut session = Session::new(US, 0);
    let (kinds, body) = said(&mut session);
    assert_eq!(kinds, [Kind::Open]);
    assert_eq!(Open::parse(&body).unwrap(), session.ours());
    // Octet by octet, as a slow network brings it.
    for byte in open(&theirs()) {
        assert_eq!(session.receive(&[byte], SECOND), (Vec::new(), Ok(())));
    }
    assert_eq!(said(&mut session).0, [Kind::Keepalive]);
    assert!(!session.is_up());
    assert_eq!(session.receive(&keepalive(), SECOND), (vec![Event::Up], Ok(())));
    assert!(session.is_up() && session.families().len() == 2);
}

#[test]
fn the_shorter_hold_time_counts() {
    let mut session = up();
    said(&mut session);
    assert_eq!(session.tick(9 * SECOND), Ok(()));
    assert_eq!(said(&mut session).0, []);
    assert_eq!(session.tick(10 * SECOND), Ok(()));
    assert_eq!(said(&mut session).0, [Kind::Keepalive]);
    session.receive(&keepalive(), 20 * SECOND).1.unwrap();
    assert_eq!(session.tick(49 * SECOND), Ok(()));
    let ended = session.tick(50 * SECOND).unwrap_err();
    assert_eq!(ended.to_string(), "told the peer: hold timer expired (4/0)");
    let (kinds, body) = said(&mut session);
    assert_eq!((kinds.last(), body), (Some(&Kind::Notification), vec![4, 0]));
    // Nothing follows an end.
    assert_eq!(session.tick(Ns::MAX), Ok(()));
    assert_eq!(session.receive(&keepalive(), Ns::MAX), (Vec::new(), Ok(())));
    assert!(session.take_output().is_empty() && !session.is_up());
}

#[test]
fn without_a_hold_time_nothing_expires() {
    let mut session = Session::new(US, 0);
    let forever = Open { hold: 0, ..theirs() };
    session.receive(&[open(&forever), keepalive()].concat(), 0).1.unwrap();
    said(&mut session);
    assert_eq!(session.tick(Ns::MAX), Ok(()));
    assert!(session.take_output().is_empty());
    // But an OPEN does not take for ever.
    assert!(Session::new(US, 0).tick(OPEN_WAIT).is_err());
}

#[test]
fn an_open_that_does_not_fit_is_refused() {
    let us = Ipv4Addr::new(192, 0, 2, 2);
    for (open, said) in [
        (Open { asn: 64_513, ..theirs() }, "bad peer AS (2/2)"),
        (Open { hold: 2, ..theirs() }, "unacceptable hold time (2/6)"),
        (Open { id: us, ..theirs() }, "bad BGP identifier (2/3)"),
        (Open { id: Ipv4Addr::UNSPECIFIED, ..theirs() }, "bad BGP identifier (2/3)"),
        (Open { families: BTreeSet::new(), ..theirs() }, "no FlowSpec in common (2/7)"),
    ] {
        let mut session = Session::new(US, 0);
        let bytes = message::wrap(Kind::Open, &open.encode());
        let ended = session.receive(&bytes, 0).1.unwrap_err();
        assert_eq!(ended.to_string(), format!("told the peer: {said}"));
        assert!(session.take_output().ends_with(&[3, ended_code(&ended).0, ended_code(&ended).1]));
    }
}

fn ended_code(ended: &Ended) -> (u8, u8) {
    let (Ended::Ours(one) | Ended::Theirs(one)) = ended;
    (one.code, one.subcode)
}

#[test]
fn what_comes_at_the_wrong_time_ends_it() {
    let update = message::wrap(Kind::Update, &[0; 4]);
    let mut early = Session::new(US, 0);
    assert_eq!(ended_code(&early.receive(&keepalive(), 0).1.unwrap_err()), (5, 1));
    let mut half = Session::new(US, 0);
    let bytes = [open(&theirs()), update].concat();
    assert_eq!(ended_code(&half.receive(&bytes, 0).1.unwrap_err()), (5, 2));
    assert_eq!(ended_code(&up().receive(&open(&theirs()), 0).1.unwrap_err()), (5, 3));
}

#[test]
fn the_peer_may_end_it_and_is_not_answered() {
    let mut session = up();
    said(&mut session);
    let bytes = message::wrap(Kind::Notification, &[6, 2]);
    let ended = session.receive(&bytes, 0).1.unwrap_err();
    assert_eq!(ended.to_string(), "the peer says: administrative shutdown (6/2)");
    assert!(session.take_output().is_empty());
    let mut session = up();
    said(&mut session);
    assert_eq!(ended_code(&session.shut_down()), (6, 2));
    assert_eq!(said(&mut session), (vec![Kind::Notification], vec![6, 2]));
}

#[test]
fn events_before_an_end_are_not_lost() {
    let mut session = up();
    let bytes = [message::wrap(Kind::Update, &[0; 4]), vec![0; 19]].concat();
    let (events, result) = session.receive(&bytes, 0);
    assert_eq!(events.len(), 1);
    assert_eq!(ended_code(&result.unwrap_err()), (1, 1));
}

proptest! {
    /// However bytes are cut, the same comes of them; and no bytes make more than one message wait.
    #[test]
    fn how_bytes_are_cut_does_not_matter(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 4..40), 0..6),
        noise in proptest::collection::vec(any::<u8>(), 0..30),
        cuts in proptest::collection::vec(1..50_usize, 1..20),
    ) {
        let mut bytes: Vec<u8> =
            bodies.iter().flat_map(|body| message::wrap(Kind::Update, body)).collect();
        bytes.extend(&noise);
        let (events, result) = up().receive(&bytes, 0);
        let (mut session, mut again, mut end) = (up(), Vec::new(), Ok(()));
        let (mut rest, mut cuts) = (bytes.as_slice(), cuts.into_iter().cycle());
        while !rest.is_empty() && end.is_ok() {
            let (part, more) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = more;
            let (events, result) = session.receive(part, 0);
            again.extend(events);
            end = result;
            prop_assert!(session.input.len() < message::MAX);
        }
        prop_assert_eq!((events, result), (again, end));
    }
}
