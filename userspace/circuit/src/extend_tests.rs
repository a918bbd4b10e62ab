// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ends that are moved, and ends that are not.

use super::*;

/// A flow's circuit, up since 0: its name and its end.
fn one_up(manner: Manner) -> (Book, Name, At) {
    let mut book = Book::new(manner);
    book.flow(unlimited(1), 7).unwrap();
    obey(&mut book, At(0));
    let entry = book.usable(&unlimited(1)).unwrap().clone();
    (book, entry.request.name, entry.life.span().until.unwrap())
}

/// Its provider takes it down at its end, whoever still sends packets into it. To set up another one takes
/// a minute: meanwhile the old one is used.
#[test]
fn what_cannot_be_extended_is_replaced_before_its_end() {
    let manner = Manner::default();
    let (mut book, name, end) = one_up(manner);
    book.steer(&name, true);
    let mut now = At(0);
    let (mut asked, mut other) = (0, None);
    while now.plus(manner.margin_ms()) < end {
        now = now.plus(1000);
        for action in book.actions(now) {
            match action.call {
                Call::Extend if action.request.name == name => {
                    asked += 1;
                    book.hear(&name, Event::Refused("no".into()), now);
                }
                Call::Reserve if other.is_none() => other = Some((action.request.name, now)),
                odd => panic!("{odd:?} at {now}"),
            }
        }
        assert_eq!(book.usable(&unlimited(1)).unwrap().request.name, name, "at {now}");
        if other.as_ref().is_some_and(|(_, at)| now.since(*at) >= 60_000) {
            break;
        }
    }
    let (new, at) = other.unwrap();
    assert!(asked > 10 && now < end && end.since(at) <= manner.replace_ms());
    book.identify(&new, Id("new".into()), now);
    for event in [Event::Reserved(None), Event::Committed, Event::Provisioned, Event::Active] {
        book.hear(&new, event, now);
    }
    assert_eq!(book.usable(&unlimited(1)).unwrap().request.name, new);
    assert_eq!(calls(&obey(&mut book, now)), [], "packets are still in the old one");
    assert!(book.entries()[&name].is_leaving() && !book.entries()[&new].is_leaving());
    book.steer(&name, false);
    now = now.plus(1000);
    assert_eq!(calls(&obey(&mut book, now)), [Call::Release, Call::Terminate]);
    assert!(now < end && book.lost().under_traffic == 0);
}

/// And without another one it is left all the same.
#[test]
fn what_cannot_be_replaced_is_left_before_its_end() {
    let manner = Manner::default();
    let (mut book, name, end) = one_up(manner);
    let mut now = At(0);
    while now.plus(manner.margin_ms() + 1000) < end {
        now = now.plus(1000);
        for action in book.actions(now) {
            book.hear(&action.request.name, Event::Refused("no".into()), now);
        }
        assert_eq!(book.usable(&unlimited(1)).unwrap().request.name, name, "at {now}");
    }
    // It was refused because of the old one: once that is gone another one is there soon.
    assert_eq!(book.lost().given_up, 0);
    let mut freed = None;
    loop {
        now = now.plus(1000);
        for action in book.actions(now) {
            let name = action.request.name.clone();
            let event = match action.call {
                Call::Reserve if freed.is_none() => Event::Refused("no room".into()),
                Call::Reserve => {
                    book.identify(&name, Id("new".into()), now);
                    Event::Reserved(None)
                }
                Call::Commit => Event::Committed,
                Call::Provision => Event::Provisioned,
                Call::Release => Event::Released,
                Call::Terminate => Event::Terminated,
                Call::Extend => Event::Refused("no".into()),
            };
            freed = freed.or((event == Event::Released).then_some(now));
            book.hear(&name, event.clone(), now);
            if event == Event::Provisioned {
                book.hear(&name, Event::Active, now);
            }
        }
        assert!(now < end, "asked for in time");
        if book.usable(&unlimited(1)).is_some() {
            break;
        }
    }
    assert_ne!(book.usable(&unlimited(1)).unwrap().request.name, name, "the old one was left");
    assert!(now.since(freed.unwrap()) <= 2 * manner.retry_ms);
}

/// As [`what_cannot_be_replaced_is_left_before_its_end`], with leases of any length: to be refused while
/// the old one is there never makes us give up.
#[test]
fn long_leases_do_not_use_up_the_attempts() {
    let manner = Manner { lease_ms: 3_600_000, ..Manner::default() };
    let (mut book, _, end) = one_up(manner);
    let mut now = At(0);
    let mut refused = 0;
    while now.plus(manner.margin_ms() + 1000) < end {
        now = now.plus(1000);
        for action in book.actions(now) {
            refused += u32::from(action.call == Call::Reserve);
            book.hear(&action.request.name, Event::Refused("no".into()), now);
        }
    }
    assert!(refused > manner.attempts && book.lost().given_up == 0, "{refused}");
}

/// An extension that was granted is no attempt to be waited after.
#[test]
fn a_lease_shorter_than_the_wait_between_attempts_is_still_extended() {
    let manner = Manner { lease_ms: 8000, ..Manner::default() };
    assert!(manner.retry_ms > manner.lease_ms);
    let (mut book, name, _) = one_up(manner);
    for now in (0..60_000).step_by(500) {
        obey(&mut book, At(now));
        assert_eq!(book.usable(&unlimited(1)).unwrap().request.name, name);
    }
}

#[test]
fn a_lease_shorter_than_the_withdrawal_is_still_extended() {
    let manner = Manner { lease_ms: 3000, retry_ms: 100, withdraw_ms: 60_000, ..Manner::default() };
    let (mut book, name, _) = one_up(manner);
    for now in (1600..60_000).step_by(500) {
        obey(&mut book, At(now));
        assert_eq!(book.usable(&unlimited(1)).unwrap().request.name, name);
    }
}
