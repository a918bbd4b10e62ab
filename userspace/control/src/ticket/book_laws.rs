// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a book promises of any requests in any order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

use super::book::Book;
use super::draft::Draft;
use super::limits::Limits;
use super::operation::Operation;
use super::record::{Ticket, TicketId};
use super::stamp;
use super::testing::{LIMITS, at, holder, run, ticket};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::{FiveTuple, Ns};

/// Traffic as the model has it: a host, or the network of all; a range of ports, or any.
#[derive(Clone, Copy, Debug)]
struct Wish {
    who: u8,
    src: Option<u8>,
    dst: Option<u8>,
    ports: Option<(u16, u16)>,
    start: i64,
    length: i64,
}

impl Wish {
    fn draft(self) -> Draft {
        let address = |net: &str, host: Option<u8>| match host {
            Some(host) => format!("{net}.{host}"),
            None => format!("{net}.0/24"),
        };
        Draft {
            sources: vec![address("192.0.2", self.src)],
            destinations: vec![address("198.51.100", self.dst)],
            protocol: Some("tcp".to_owned()),
            destination_ports: self.ports.map(|(first, last)| format!("{first}-{last}")),
            start: Some(stamp::text(at(self.start))),
            end: stamp::text(at(self.start + self.length)),
            ..Draft::default()
        }
    }

    fn announces(self, src: u8, dst: u8, port: u16) -> bool {
        self.src.is_none_or(|own| own == src)
            && self.dst.is_none_or(|own| own == dst)
            && self.ports.is_none_or(|(first, last)| first <= port && port <= last)
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let host = || proptest::option::of(1u8..=2);
    let ports =
        proptest::option::of((1u16..=3, 0u16..=2).prop_map(|(first, more)| (first, first + more)));
    (0u8..=1, host(), host(), ports, 0i64..=30, 1i64..=20).prop_map(
        |(who, src, dst, ports, start, length)| Wish { who, src, dst, ports, start, length },
    )
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create(Wish),
    Extend(u64, i64),
    Cancel(u64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => wish().prop_map(Step::Create),
        2 => (1u64..=8, 1i64..=20).prop_map(|(id, more)| Step::Extend(id, more)),
        1 => (1u64..=8).prop_map(Step::Cancel),
        2 => (0i64..=12).prop_map(Step::Wait),
    ]
}

const NAMES: [&str; 2] = ["a", "b"];

/// What is known of a ticket by whoever keeps the model: its wish, its end, its start.
type Model = BTreeMap<u64, (Wish, i64, i64)>;

/// Does a step in both. Starts that have passed count as now.
fn act(book: &mut Book, model: &mut Model, step: Step, now: &mut i64) {
    match step {
        Step::Create(wish) => {
            if let Ok(shown) = ticket(book, NAMES[usize::from(wish.who)], wish.draft(), *now) {
                let (start, end) = (wish.start.max(*now), wish.start + wish.length);
                model.insert(shown.id.0, (wish, end, start));
            }
        }
        Step::Extend(id, more) => {
            let Some((wish, end, _)) = model.get_mut(&id) else { return };
            let extend = Operation::Extend(TicketId(id), at(*end + more));
            if run(book, NAMES[usize::from(wish.who)], extend, *now).is_ok() {
                *end += more;
            }
        }
        Step::Cancel(id) => {
            let Some((wish, end, _)) = model.get_mut(&id) else { return };
            if run(book, NAMES[usize::from(wish.who)], Operation::Cancel(TicketId(id)), *now)
                .is_ok()
            {
                *end = (*end).min(*now);
            }
        }
        Step::Wait(seconds) => {
            *now += seconds;
            book.due(at(*now));
        }
    }
}

/// What flows say, without the numbers of tickets.
fn effect(book: &Book) -> BTreeSet<(String, String, Ns, Ns)> {
    let of = |flow: &super::Flow| {
        (flow.holder.to_string(), flow.pattern.to_string(), flow.from, flow.until)
    };
    book.flows().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// A packet to come is announced by some flow exactly if some live ticket announces it.
    #[test]
    fn flows_are_what_tickets_announce(steps in proptest::collection::vec(step(), 1..24)) {
        let (mut book, mut model, mut now) = (Book::new(LIMITS), Model::new(), 0);
        for step in steps {
            act(&mut book, &mut model, step, &mut now);
            for later in 0..24 {
                let then = now + later;
                for (src, dst, port) in [(1, 1, 1), (2, 1, 3), (3, 3, 5), (1, 2, 2)] {
                    let wanted = model.values().any(|(wish, end, start)| {
                        *start <= then && then < *end && wish.announces(src, dst, port)
                    });
                    let key = FiveTuple {
                        src: [192, 0, 2, src].into(),
                        dst: [198, 51, 100, dst].into(),
                        proto: 6,
                        src_port: 9,
                        dst_port: port,
                    };
                    let held = book.flows().any(|flow| flow.is_due(at(then), 0) && flow.pattern.holds(&key));
                    prop_assert_eq!(held, wanted, "{}:{} {} at {} {:?}", src, dst, port, then, &model);
                }
            }
        }
    }

    /// Whatever the order of requests, the flows are the same, and so are the services.
    #[test]
    fn merging_does_not_depend_on_the_order(
        wishes in proptest::collection::vec(wish(), 1..9),
        turn in 0usize..9,
    ) {
        let limits = Limits { tickets_per_holder: 9, ..LIMITS };
        let make = |order: &[usize]| {
            let mut book = Book::new(limits);
            let mut names = BTreeMap::new();
            for at in order {
                let wish = wishes[*at];
                let shown = ticket(&mut book, NAMES[usize::from(wish.who)], wish.draft(), 0).unwrap();
                names.insert(shown.id, *at);
            }
            let services: BTreeSet<BTreeSet<usize>> = names.keys().map(|id| {
                let who = NAMES[usize::from(wishes[names[id]].who)];
                let shown = run(&mut book, who, Operation::Show(*id), 0).unwrap();
                shown.joined.iter().chain([id]).map(|id| names[id]).collect()
            }).collect();
            (effect(&book), services)
        };
        let forward: Vec<usize> = (0..wishes.len()).collect();
        let mut other: Vec<usize> = forward.iter().rev().copied().collect();
        other.rotate_left(turn % wishes.len());
        prop_assert_eq!(make(&forward), make(&other));
    }

    /// An extension never adds or removes a pattern.
    #[test]
    fn an_extension_changes_no_pattern(
        wishes in proptest::collection::vec(wish(), 1..6),
        (which, more) in (0usize..6, 1i64..40),
    ) {
        let mut book = Book::new(LIMITS);
        for wish in &wishes {
            ticket(&mut book, "a", wish.draft(), 0).unwrap();
        }
        let patterns = |book: &Book| book.flows().map(|flow| flow.pattern).collect::<BTreeSet<_>>();
        let before = patterns(&book);
        let which = which % wishes.len();
        let end = at(wishes[which].start + wishes[which].length + more);
        run(&mut book, "a", Operation::Extend(TicketId(which as u64 + 1), end), 0).unwrap();
        prop_assert_eq!(patterns(&book), before);
    }

    /// A book is the same after it was stored whole, and after it was put together from what operations
    /// said had changed.
    #[test]
    fn a_stored_book_is_the_same(steps in proptest::collection::vec(step(), 1..24)) {
        let (mut book, mut model, mut now) = (Book::new(LIMITS), Model::new(), 0);
        let mut stored: BTreeMap<TicketId, Ticket> = BTreeMap::new();
        for step in steps {
            let operation = match step {
                Step::Create(wish) => (wish.who, Operation::Create(Box::new(wish.draft()))),
                Step::Cancel(id) => (0, Operation::Cancel(TicketId(id))),
                Step::Extend(..) | Step::Wait(_) => {
                    act(&mut book, &mut model, step, &mut now);
                    for ticket in book.tickets() {
                        stored.insert(ticket.id, ticket.clone());
                    }
                    continue;
                }
            };
            let who = holder(NAMES[usize::from(operation.0)]);
            if let Ok(done) = book.run(&who, operation.1, at(now)) {
                stored.extend(done.changed.map(|ticket| (ticket.id, ticket)));
                done.forgotten.iter().for_each(|id| drop(stored.remove(id)));
            }
        }
        let text = serde_json::to_string(&book.save()).unwrap();
        let mut whole = Book::load(LIMITS, serde_json::from_str(&text).unwrap());
        prop_assert_eq!(whole.save(), book.save());
        let mut pieces = Book::new(LIMITS);
        stored.into_values().for_each(|ticket| pieces.restore(ticket));
        for one in [&mut whole, &mut pieces, &mut book] {
            one.due(at(now + 5));
        }
        prop_assert_eq!(effect(&whole), effect(&book));
        prop_assert_eq!(effect(&pieces), effect(&book));
        prop_assert_eq!(pieces.save().tickets, book.save().tickets);
    }

    /// Nothing passes a bound, and once all ends have come nothing is announced.
    #[test]
    fn bounds_hold_and_all_ends(steps in proptest::collection::vec(step(), 1..48)) {
        let (mut book, mut model, mut now) = (Book::new(LIMITS), Model::new(), 0);
        for step in steps {
            act(&mut book, &mut model, step, &mut now);
            for name in NAMES {
                let own: Vec<_> = book.tickets().filter(|t| t.holder == holder(name)).collect();
                let live = own.iter().filter(|t| !t.state.is_finished());
                let pairs: usize = live.clone().map(|t| t.announcement.pairs()).sum();
                prop_assert!(live.count() <= LIMITS.tickets_per_holder);
                prop_assert!(pairs <= LIMITS.pairs_per_holder);
            }
        }
        let end = model.values().map(|(_, end, _)| *end).max().unwrap_or(0);
        book.due(at(end.max(now)));
        prop_assert_eq!((book.flows().count(), book.next_due()), (0, None));
        prop_assert!(book.tickets().len() <= 2 * LIMITS.finished_per_holder);
    }
}
