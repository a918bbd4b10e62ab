// SPDX-License-Identifier: Apache-2.0 OR MIT
use super::*;

/// A restarted program: one circuit is wanted, one half done, one wanted no more, one foreign.
#[test]
fn a_new_book_takes_up_what_is_wanted_and_leaks_nothing() {
    let remote = |n: usize, at: u64, seen| {
        let name = Name::of(&pair(n), At(at)).unwrap();
        Remote {
            id: Id(format!("{n}-{at}")),
            name: Some(name),
            seen,
            rate: Rate::Unlimited,
            until: None,
        }
    };
    let mut foreign = remote(9, 1, Seen::Up);
    foreign.name = None;
    let remotes = [
        Remote { until: Some(At(90)), ..remote(1, 4, Seen::Up) },
        remote(1, 6, Seen::Provisioned),
        remote(1, 5, Seen::Up),
        remote(2, 5, Seen::Held),
        remote(3, 5, Seen::Committed),
        remote(4, 5, Seen::Failed),
        foreign.clone(),
    ];
    let mut book = Book::new(Manner::default());
    book.offline(&BTreeSet::from([pair(1), pair(2)])).unwrap();
    assert_eq!(book.reconcile(&remotes, At(100), At(100)), [foreign.id]);
    assert_eq!(
        book.usable(&unlimited(1)).unwrap().request.name,
        Name::of(&pair(1), At(5)).unwrap()
    );
    // Until routers have been read, packets may be steered into any of them.
    let mut done = obey(&mut book, At(101));
    assert!(done.iter().all(|(_, call)| !matches!(call, Call::Release)), "{done:?}");
    assert_eq!(book.entries().len(), 5, "the failed one is gone");
    for name in book.entries().keys().cloned().collect::<Vec<_>>() {
        book.steer(&name, false);
    }
    done.extend(obey(&mut book, At(102)));
    let of = |n: usize, at: u64| {
        let name = Name::of(&pair(n), At(at)).unwrap();
        calls(&done.iter().filter(|(other, _)| *other == name).cloned().collect::<Vec<_>>())
    };
    assert_eq!(of(1, 4), [Call::Release, Call::Terminate], "its end has come");
    assert_eq!(of(1, 5), []);
    assert_eq!(of(1, 6), [Call::Release, Call::Terminate], "the second for one pair");
    assert_eq!(of(2, 5), [Call::Commit, Call::Provision]);
    assert_eq!(of(3, 5), [Call::Terminate]);
    assert_eq!(of(4, 5), [Call::Terminate]);
    assert_eq!(book.entries().len(), 2);
    // Later the provider has lost one: it is asked for anew.
    book.reconcile(&remotes[2..3], At(200), At(200));
    assert_eq!(calls(&obey(&mut book, At(1_000_000))), UP);
}

/// Two programs at one provider, or of one requester.
#[test]
fn circuits_of_another_owner_are_left_alone() {
    let owner = |word: &str| Some(Word::new(word).unwrap());
    let remote = |owner: Option<Word>, n: usize| {
        let name = Name::made(&pair(n), At(1), owner.as_ref(), None).unwrap();
        let (rate, until) = (Rate::Unlimited, None);
        Remote { id: Id(name.to_string()), name: Some(name), seen: Seen::Up, rate, until }
    };
    let remotes = [remote(owner("a"), 1), remote(owner("b"), 2), remote(None, 3)];
    for (n, mine) in [owner("a"), owner("b"), None].into_iter().enumerate() {
        let mut book = Book::new(Manner::default()).owned(mine.clone());
        book.offline(&BTreeSet::from([pair(4)])).unwrap();
        let mut foreign = remotes.to_vec();
        let own = foreign.remove(n);
        let foreign: Vec<Id> = foreign.into_iter().map(|remote| remote.id).collect();
        assert_eq!(book.reconcile(&remotes, At(5), At(5)), foreign);
        let names: Vec<Name> = book.entries().keys().cloned().collect();
        assert_eq!(names, [own.name.unwrap()]);
        book.steer(&names[0], false);
        obey(&mut book, At(6));
        assert!(book.entries().keys().all(|name| name.owner() == mine && name.pair() == pair(4)));
    }
}

/// An answer that says nothing of a circuit named after it was asked for takes nothing down.
#[test]
fn an_old_list_takes_nothing_down() {
    let mut book = Book::new(Manner::default());
    book.offline(&BTreeSet::from([pair(1)])).unwrap();
    obey(&mut book, At(50));
    book.reconcile(&[], At(50), At(60));
    assert!(book.usable(&unlimited(1)).is_some());
    book.reconcile(&[], At(51), At(61));
    assert!(book.usable(&unlimited(1)).is_none());
}

/// A restart while a circuit is replaced that could not be extended: the new one is kept, whatever the list
/// names first.
#[test]
fn of_two_the_one_that_lasts_is_taken_up() {
    let manner = Manner::default();
    let remote = |at: u64, seen, until: u64| Remote {
        id: Id(format!("{at}")),
        name: Some(Name::of(&pair(1), At(at)).unwrap()),
        seen,
        rate: Rate::Unlimited,
        until: Some(At(until)),
    };
    let now = At(1_000_000);
    let soon = now.0 + manner.margin_ms() + 10_000;
    for half_done in [Seen::Up, Seen::Held] {
        let both = [remote(1, Seen::Up, soon), remote(2, half_done, now.0 + manner.lease_ms)];
        for remotes in [both.clone(), [both[1].clone(), both[0].clone()]] {
            let mut book = Book::new(manner);
            book.flow(unlimited(1), 7).unwrap();
            book.reconcile(&remotes, now, now);
            let done = obey(&mut book, now);
            let new = Name::of(&pair(1), At(2)).unwrap();
            assert!(!book.entries()[&new].is_leaving(), "{half_done:?} {done:?}");
            assert_eq!(book.usable(&unlimited(1)).unwrap().request.name, new);
            assert_eq!(book.entries().len(), 2, "none more is asked for");
        }
    }
}
