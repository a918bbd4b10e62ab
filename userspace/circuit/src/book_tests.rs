// SPDX-License-Identifier: Apache-2.0 OR MIT
#[path = "extend_tests.rs"]
mod extended;
#[path = "reconcile_tests.rs"]
mod reconciled;

use super::*;
use crate::circuits::{Remote, Seen};
use crate::request::Excess;
use crate::word::Word;
use proptest::prelude::*;

fn pair(n: usize) -> Pair {
    Pair::new(format!("r{n}"), "s")
}

fn unlimited(n: usize) -> Key {
    Key::shared(pair(n), Rate::Unlimited)
}

/// Carries out every call at once, as a provider without faults would.
fn obey(book: &mut Book, now: At) -> Vec<(Name, Call)> {
    let mut done = Vec::new();
    for _ in 0..20 {
        let actions = book.actions(now);
        if actions.is_empty() {
            break;
        }
        for action in actions {
            let name = action.request.name.clone();
            done.push((name.clone(), action.call));
            let events = match action.call {
                Call::Reserve => {
                    book.identify(&name, Id(format!("id-{name}")), now);
                    vec![Event::Reserved(None)]
                }
                Call::Commit => vec![Event::Committed],
                Call::Provision => vec![Event::Provisioned, Event::Active],
                Call::Extend => vec![Event::Extended(action.until)],
                Call::Release => vec![Event::Released],
                Call::Terminate => vec![Event::Terminated],
            };
            events.into_iter().for_each(|event| drop(book.hear(&name, event, now)));
        }
    }
    done
}

fn calls(done: &[(Name, Call)]) -> Vec<Call> {
    done.iter().map(|(_, call)| *call).collect()
}

const UP: [Call; 3] = [Call::Reserve, Call::Commit, Call::Provision];

#[test]
fn offline_set_comes_up_and_goes() {
    let mut book = Book::new(Manner::default());
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    assert_eq!(calls(&obey(&mut book, At(1))), UP);
    let entry = book.usable(&unlimited(1)).unwrap().clone();
    assert_eq!(entry.life.span().until, None, "an offline circuit has no end");
    assert_eq!(calls(&obey(&mut book, At(1_000_000_000))), []);
    book.steer(&entry.request.name, true);
    book.offline(&BTreeSet::new()).unwrap();
    assert_eq!(calls(&obey(&mut book, At(1_000_000_001))), [], "packets are still steered into it");
    assert!(book.usable(&unlimited(1)).is_none(), "nothing new is steered into it");
    book.steer(&entry.request.name, false);
    assert_eq!(calls(&obey(&mut book, At(1_000_000_002))), [Call::Release, Call::Terminate]);
    assert!(book.entries().is_empty());
}

#[test]
fn traffic_delays_the_end_but_for_so_long() {
    let mut book = Book::new(Manner::default());
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    obey(&mut book, At(1));
    let name = book.entries().keys().next().unwrap().clone();
    book.steer(&name, true);
    book.offline(&BTreeSet::new()).unwrap();
    obey(&mut book, At(2));
    let wait = Manner::default().withdraw_ms;
    assert_eq!(calls(&obey(&mut book, At(2 + wait))), [Call::Release, Call::Terminate]);
    assert_eq!(book.lost().under_traffic, 1);
}

#[test]
fn online_is_extended_while_flows_live() {
    let manner = Manner::default();
    let mut book = Book::new(manner);
    book.flow(unlimited(1), 7).unwrap();
    book.flow(unlimited(1), 8).unwrap();
    assert_eq!(calls(&obey(&mut book, At(0))), UP, "one circuit for both flows");
    book.flow_over(&unlimited(1), 8, At(5));
    let later = At(manner.lease_ms / 2 + 1);
    assert_eq!(calls(&obey(&mut book, later)), [Call::Extend]);
    let until = book.usable(&unlimited(1)).unwrap().life.span().until;
    assert_eq!(until, Some(later.plus(manner.lease_ms)));
    book.flow_over(&unlimited(1), 7, later);
    assert_eq!(calls(&obey(&mut book, later.plus(manner.linger_ms - 1))), []);
    assert_eq!(
        calls(&obey(&mut book, later.plus(manner.linger_ms))),
        [Call::Release, Call::Terminate]
    );
}

/// One that only lingers is not extended, however near its end is.
#[test]
fn without_a_flow_nothing_is_extended() {
    let manner = Manner { linger_ms: 500_000, ..Manner::default() };
    let mut book = Book::new(manner);
    book.flow(unlimited(1), 7).unwrap();
    assert_eq!(calls(&obey(&mut book, At(0))), UP);
    book.flow_over(&unlimited(1), 7, At(1));
    assert!(manner.linger_ms > manner.lease_ms / 2, "time to extend it");
    assert_eq!(calls(&obey(&mut book, At(manner.linger_ms))), []);
    let last = obey(&mut book, At(1 + manner.linger_ms));
    assert_eq!(calls(&last), [Call::Release, Call::Terminate]);
}

/// Its end comes while it lingers: it is left before that, and none takes its place.
#[test]
fn what_lingers_for_nobody_gets_no_other_circuit() {
    let manner = Manner { linger_ms: 600_000, ..Manner::default() };
    let mut book = Book::new(manner);
    book.flow(unlimited(1), 7).unwrap();
    obey(&mut book, At(0));
    book.flow_over(&unlimited(1), 7, At(1));
    let left = At(manner.lease_ms - manner.margin_ms());
    assert_eq!(calls(&obey(&mut book, left)), [Call::Release, Call::Terminate]);
    assert_eq!(book.entries().len(), 0);
}

#[test]
fn offline_and_online_share_a_circuit() {
    let mut book = Book::new(Manner::default());
    book.flow(unlimited(1), 7).unwrap();
    obey(&mut book, At(0));
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    assert_eq!(calls(&obey(&mut book, At(1))), [Call::Extend], "its end is taken off");
    assert_eq!(book.entries().len(), 1);
    book.flow_over(&unlimited(1), 7, At(2));
    assert_eq!(calls(&obey(&mut book, At(1_000_000_000))), []);
    let fast = Key::shared(pair(1), Rate::Specified { mbps: 100, excess: Excess::Drop });
    book.flow(fast, 9).unwrap();
    assert_eq!(calls(&obey(&mut book, At(1_000_000_001))), UP, "a rate is another circuit");
}

/// Also by a book that begins anew.
#[test]
fn a_rate_that_is_reserved_is_a_circuit_of_its_own() {
    let rate = Rate::Specified { mbps: 50, excess: Excess::BestEffort };
    let of = |service: &str| Key {
        service: Some(Word::new(service).unwrap()),
        ..Key::shared(pair(1), rate)
    };
    let mut book = Book::new(Manner::default());
    for (key, flow) in [(of("t1"), 1), (of("t2"), 2), (Key::shared(pair(1), rate), 3)] {
        book.flow(key, flow).unwrap();
    }
    assert_eq!(obey(&mut book, At(1)).len(), 3 * UP.len());
    let remote = |(name, entry): (&Name, &Entry)| Remote {
        id: entry.id.clone().unwrap(),
        name: Some(name.clone()),
        seen: Seen::Up,
        rate,
        until: entry.life.span().until,
    };
    let remotes: Vec<Remote> = book.entries().iter().map(remote).collect();
    let mut again = Book::new(Manner::default());
    again.flow(of("t2"), 2).unwrap();
    again.reconcile(&remotes, At(2), At(2));
    let kept = again.usable(&of("t2")).unwrap().request.name.clone();
    assert_eq!(kept.service(), Some(Word::new("t2").unwrap()));
    assert!(again.entries().iter().all(|(name, entry)| entry.is_leaving() == (*name != kept)));
}

#[test]
fn a_pair_and_its_reverse_share_a_circuit() {
    let mut book = Book::new(Manner::default());
    book.offline(&BTreeSet::from([pair(1), pair(1).reverse()])).unwrap();
    let back = Key::shared(pair(1).reverse(), Rate::Unlimited);
    book.flow(back.clone(), 7).unwrap();
    assert_eq!(calls(&obey(&mut book, At(0))), UP);
    assert_eq!(
        book.usable(&back).unwrap().request.name,
        book.usable(&unlimited(1)).unwrap().request.name
    );
    book.offline(&BTreeSet::new()).unwrap();
    book.flow_over(&back, 7, At(1));
    let gone = At(1 + Manner::default().linger_ms);
    assert_eq!(calls(&obey(&mut book, gone)), [Call::Release, Call::Terminate]);
}

#[test]
fn attempts_are_bounded_and_what_may_be_left_is_given_back() {
    let manner = Manner::default();
    let mut book = Book::new(manner);
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    let mut now = At(0);
    let (mut reserves, mut terminates) = (0, 0);
    for _ in 0..10_000 {
        now = now.plus(1000);
        for action in book.actions(now) {
            match action.call {
                Call::Reserve => {
                    reserves += 1;
                    book.hear(&action.request.name, Event::Refused("no".into()), now);
                }
                Call::Terminate => {
                    terminates += 1;
                    book.hear(&action.request.name, Event::Terminated, now);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((reserves, terminates), (manner.attempts, manner.attempts));
    assert_eq!(book.lost().given_up, 1);
    assert!(book.entries().is_empty());
    // The next day's set is a new beginning.
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    assert_eq!(book.actions(now.plus(1)).len(), 1);
}

#[test]
fn a_flow_that_lives_on_gets_its_circuit_when_the_provider_is_back() {
    let manner = Manner::default();
    let mut book = Book::new(manner);
    book.flow(unlimited(1), 7).unwrap();
    let mut now = At(0);
    for _ in 0..1000 {
        now = now.plus(1000);
        for action in book.actions(now) {
            let event = match action.call {
                Call::Terminate => Event::Terminated,
                _ => Event::Refused("no".into()),
            };
            book.hear(&action.request.name, event, now);
        }
    }
    assert_eq!(book.lost().given_up, 1);
    book.flow(unlimited(1), 7).unwrap();
    assert_eq!(calls(&obey(&mut book, now)), [], "it is the flow that was given up");
    book.retry_stuck();
    assert_eq!(calls(&obey(&mut book, now)), UP);
}

#[test]
fn what_cannot_be_given_back_is_kept_in_mind() {
    let manner = Manner::default();
    let mut book = Book::new(manner);
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    obey(&mut book, At(0));
    book.offline(&BTreeSet::new()).unwrap();
    let mut now = At(1);
    let mut asked = 0;
    for _ in 0..100_000 {
        now = now.plus(1000);
        for action in book.actions(now) {
            asked += u32::from(action.call == Call::Terminate);
            book.hear(&action.request.name, Event::Refused("later".into()), now);
        }
    }
    assert_eq!((asked, book.lost().stuck, book.stuck().len()), (manner.attempts, 1, 1));
    book.retry_stuck();
    assert_eq!(calls(&obey(&mut book, now)), [Call::Terminate]);
    assert!(book.entries().is_empty());
}

proptest! {
    /// A provider that refuses, stays silent and forgets, as wants come and go: no more circuits than
    /// allowed, every circuit has a bounded wait, and once nothing is wanted and the provider obeys,
    /// nothing is left.
    #[test]
    fn nothing_is_left(deeds in proptest::collection::vec((0..7_u8, 0..4_usize, 0..60_000_u64), 0..80)) {
        let manner = Manner { circuits: 3, ..Manner::default() };
        let mut book = Book::new(manner);
        let mut now = At(1);
        let mut wanted = BTreeSet::new();
        for (deed, n, wait) in deeds {
            now = now.plus(wait);
            match deed {
                0 => { wanted.insert(pair(n)); book.offline(&wanted).unwrap(); }
                1 => { wanted.remove(&pair(n)); book.offline(&wanted).unwrap(); }
                2 => book.flow(unlimited(n), wait).unwrap(),
                3 => book.flow_over(&unlimited(n), wait, now),
                4 => { obey(&mut book, now); }
                5 => for action in book.actions(now) {
                    book.hear(&action.request.name, Event::Refused("no".into()), now);
                },
                _ => { book.actions(now); }
            }
            prop_assert!(book.entries().len() <= 2 * manner.circuits);
        }
        book.offline(&BTreeSet::new()).unwrap();
        for key in (0..4).map(unlimited) {
            let flows = book.wants.get(&key).map(|want| want.flows.clone());
            flows.into_iter().flatten().for_each(|flow| book.flow_over(&key, flow, now));
        }
        for _ in 0..20 {
            now = now.plus(3_600_000);
            book.retry_stuck();
            obey(&mut book, now);
        }
        prop_assert!(book.entries().is_empty() && book.wants.is_empty(), "{:?}", book.entries());
    }
}
