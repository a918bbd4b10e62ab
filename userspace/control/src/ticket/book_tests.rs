// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a book answers, case by case.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

use super::book::Book;
use super::draft::Draft;
use super::operation::{Answer, Operation};
use super::record::{State, TicketId, What};
use super::refused::Refused;
use super::show::ShownTicket;
use super::stamp;
use super::testing::{LIMITS, T0, at, draft, holder, run, ticket};
use std::collections::BTreeSet;

#[test]
fn a_ticket_waits_is_active_and_expires() {
    let mut book = Book::new(LIMITS);
    let late = ticket(&mut book, "a", draft(10, 30), 0).unwrap();
    let soon = ticket(&mut book, "a", draft(-5, 20), 0).unwrap();
    assert_eq!((late.state, soon.state), (State::Waiting, State::Active));
    assert_eq!((soon.start, book.next_due()), (stamp::text(T0), Some(at(10))));
    assert_eq!(book.due(at(9)), []);
    let named = |changes: Vec<super::Change>| {
        changes.into_iter().map(|change| (change.id.0, change.what)).collect::<Vec<_>>()
    };
    assert_eq!(named(book.due(at(10))), [(1, What::Began)]);
    assert_eq!(named(book.due(at(99))), [(2, What::Expired), (1, What::Expired)]);
    assert_eq!((book.flows().count(), book.next_due()), (0, None));
    // A look that comes late misses nothing.
    ticket(&mut book, "a", draft(110, 120), 100).unwrap();
    assert_eq!(named(book.due(at(500))), [(3, What::Began), (3, What::Expired)]);
    assert_eq!(book.counters().expired, 3);
}

#[test]
fn extending_moves_an_end_and_nothing_else() {
    let mut book = Book::new(LIMITS);
    ticket(&mut book, "a", draft(0, 20), 0).unwrap();
    let before: Vec<_> = book.flows().cloned().collect();
    let longer = run(&mut book, "a", Operation::Extend(TicketId(1), at(50)), 5).unwrap();
    assert_eq!((longer.extended, longer.end), (1, stamp::text(at(50))));
    let mut after: Vec<_> = book.flows().cloned().collect();
    assert_eq!(after[0].until, at(50));
    after[0].until = before[0].until;
    assert_eq!(after, before);
    let extend =
        |book: &mut Book, end, now| run(book, "a", Operation::Extend(TicketId(1), at(end)), now);
    assert!(matches!(extend(&mut book, 50, 6), Err(Refused::NotLater { .. })));
    assert_eq!(extend(&mut book, 101, 6), Err(Refused::Long { limit_s: 100 }));
    assert_eq!(extend(&mut book, 60, 50), Err(Refused::Finished(TicketId(1))));
    book.due(at(50));
    assert_eq!(extend(&mut book, 60, 50), Err(Refused::Finished(TicketId(1))));
}

#[test]
fn cancelling_takes_nothing_that_another_announces() {
    let mut book = Book::new(LIMITS);
    ticket(&mut book, "a", draft(0, 20), 0).unwrap();
    let joined = ticket(&mut book, "a", draft(5, 40), 0).unwrap();
    assert_eq!((joined.service, joined.joined), (Some(TicketId(1)), vec![TicketId(1)]));
    assert_eq!((book.flows().count(), book.counters().joined), (1, 1));
    let gone = run(&mut book, "a", Operation::Cancel(TicketId(1)), 6).unwrap();
    assert_eq!((gone.state, gone.service), (State::Cancelled, None));
    let left: Vec<_> = book.flows().map(|flow| (flow.from, flow.until)).collect();
    assert_eq!(left, [(at(5), at(40))]);
    // Twice is once.
    assert!(
        book.run(&holder("a"), Operation::Cancel(TicketId(1)), at(7)).unwrap().changed.is_none()
    );
    assert_eq!(book.counters().cancelled, 1);
}

#[test]
fn nobody_sees_or_touches_what_is_anothers() {
    let mut book = Book::new(LIMITS);
    ticket(&mut book, "a", draft(0, 20), 0).unwrap();
    let own = ticket(&mut book, "b", draft(0, 20), 0).unwrap();
    assert_eq!((own.service, own.joined), (Some(TicketId(2)), vec![]));
    for what in [
        Operation::Show(TicketId(1)),
        Operation::Cancel(TicketId(1)),
        Operation::Extend(TicketId(1), at(30)),
    ] {
        assert_eq!(run(&mut book, "b", what, 1), Err(Refused::Unknown(TicketId(1))));
    }
    let list = Operation::List { after: None, most: 9, finished: true };
    let Answer::Page(page) = book.run(&holder("b"), list, at(1)).unwrap().answer else { panic!() };
    assert_eq!(page.tickets.iter().map(|t| t.id.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn lists_come_in_pages() {
    let mut book = Book::new(LIMITS);
    (0..5).for_each(|_| drop(ticket(&mut book, "a", draft(0, 20), 0).unwrap()));
    run(&mut book, "a", Operation::Cancel(TicketId(2)), 1).unwrap();
    let mut page = |after: Option<u64>, most, finished| {
        let list = Operation::List { after: after.map(TicketId), most, finished };
        let Answer::Page(page) = book.run(&holder("a"), list, at(1)).unwrap().answer else {
            panic!()
        };
        let ids: Vec<u64> = page.tickets.iter().map(|ticket| ticket.id.0).collect();
        (ids, page.next.map(|id| id.0))
    };
    assert_eq!(page(None, 2, true), (vec![1, 2], Some(2)));
    assert_eq!(page(Some(2), 3, true), (vec![3, 4, 5], None));
    assert_eq!(page(None, 4, false), (vec![1, 3, 4, 5], None));
    assert_eq!(page(Some(u64::MAX), 4, false), (vec![], None));
    assert_eq!(page(None, 0, false).0.len(), 1, "a page of nothing would never end");
}

#[test]
fn every_bound_is_a_refusal_with_its_name() {
    let mut book = Book::new(LIMITS);
    let mut codes = BTreeSet::new();
    let mut refused = |result: Result<ShownTicket, Refused>| {
        let refused = result.unwrap_err();
        codes.insert(refused.code());
        refused
    };
    let pairs = |n: u8| {
        let sources = (1..=n).map(|n| format!("192.0.2.{n}")).collect();
        Draft { sources, ..draft(0, 20) }
    };
    assert_eq!(refused(ticket(&mut book, "a", pairs(5), 0)), Refused::Pairs { limit: 4 });
    (0..3).for_each(|_| drop(ticket(&mut book, "a", pairs(4), 0).unwrap()));
    assert_eq!(refused(ticket(&mut book, "a", pairs(1), 0)), Refused::HolderPairs { limit: 12 });
    (0..6).for_each(|_| drop(ticket(&mut book, "b", pairs(1), 0).unwrap()));
    assert_eq!(refused(ticket(&mut book, "b", pairs(1), 0)), Refused::Tickets { limit: 6 });
    assert_eq!(refused(ticket(&mut book, "c", pairs(1), 0)), Refused::Full { limit: 9 });
    let counted: u64 = book.counters().refusals().map(|(_, count)| count).sum();
    assert_eq!((counted, book.counters().created), (4, 9));
    let told: BTreeSet<_> =
        book.counters().refusals().filter(|(_, count)| *count > 0).map(|(code, _)| code).collect();
    assert_eq!(told, codes);
    // Room is made by time.
    book.due(at(20));
    assert!(ticket(&mut book, "c", draft(20, 30), 20).is_ok());
}

#[test]
fn finished_tickets_are_forgotten_even_if_nobody_looks_at_the_clock() {
    let mut book = Book::new(LIMITS);
    for n in 1..=50 {
        ticket(&mut book, "a", draft(0, 20), 0).unwrap();
        run(&mut book, "a", Operation::Cancel(TicketId(n)), 1).unwrap();
        assert!(book.tickets().len() <= LIMITS.finished_per_holder + 1, "{n}");
    }
    assert_eq!(book.counters().forgotten, 47);
    assert_eq!(ticket(&mut book, "a", draft(0, 20), 0).unwrap().id, TicketId(51));
}
