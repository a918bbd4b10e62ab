// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Short ways to write traffic and times in tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint spares test functions, not their helpers"
)]

use crate::ticket::book::Book;
use crate::ticket::draft::{Announcement, Draft};
use crate::ticket::limits::Limits;
use crate::ticket::operation::{Answer, Operation};
use crate::ticket::pattern::Pattern;
use crate::ticket::record::Holder;
use crate::ticket::refused::Refused;
use crate::ticket::show::ShownTicket;
use crate::ticket::stamp;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// When tests begin: 2026-11-26 00:00 UTC.
pub(crate) const T0: Ns = 1_795_651_200 * SECOND;

/// `SRC DST PROTOCOL SRC_PORTS DST_PORTS`.
pub(crate) fn pattern(text: &str) -> Pattern {
    let words: Vec<&str> = text.split(' ').collect();
    let [src, dst, protocol, src_ports, dst_ports] = words[..] else { panic!("{text}") };
    Pattern {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        protocol: protocol.parse().unwrap(),
        src_ports: src_ports.parse().unwrap(),
        dst_ports: dst_ports.parse().unwrap(),
        dscp: None,
    }
}

/// A holder.
pub(crate) fn holder(name: &str) -> Holder {
    name.parse().unwrap()
}

/// One host to another by TCP, for some seconds counted from [`T0`].
pub(crate) fn draft(start: i64, end: i64) -> Draft {
    Draft {
        sources: vec!["192.0.2.10".to_owned()],
        destinations: vec!["198.51.100.20".to_owned()],
        protocol: Some("tcp".to_owned()),
        source_ports: None,
        destination_ports: Some("5001".to_owned()),
        dscp: None,
        start: Some(stamp::text(T0 + start * SECOND)),
        end: stamp::text(T0 + end * SECOND),
        rate_mbps: None,
        note: None,
    }
}

/// The announcement of one pattern.
pub(crate) fn announcement(text: &str, start: i64, end: i64) -> Announcement {
    let Pattern { src, dst, protocol, src_ports, dst_ports, dscp } = pattern(text);
    Announcement {
        sources: vec![src],
        destinations: vec![dst],
        protocol,
        source_ports: src_ports,
        destination_ports: dst_ports,
        dscp,
        start: T0 + start * SECOND,
        end: T0 + end * SECOND,
        rate_mbps: None,
        note: None,
    }
}

/// Small enough to be run into.
pub(crate) const LIMITS: Limits = Limits {
    tickets: 9,
    tickets_per_holder: 6,
    pairs_per_ticket: 4,
    pairs_per_holder: 12,
    finished_per_holder: 3,
    longest: 100,
    ahead: 60,
    rate_mbps: 100,
};

/// So many seconds after [`T0`].
pub(crate) fn at(seconds: i64) -> Ns {
    T0 + seconds * SECOND
}

/// Makes a ticket.
pub(crate) fn ticket(
    book: &mut Book,
    who: &str,
    draft: Draft,
    now: i64,
) -> Result<ShownTicket, Refused> {
    run(book, who, Operation::Create(Box::new(draft)), now)
}

/// Does something to one ticket.
pub(crate) fn run(
    book: &mut Book,
    who: &str,
    what: Operation,
    now: i64,
) -> Result<ShownTicket, Refused> {
    match book.run(&holder(who), what, at(now))?.answer {
        Answer::Ticket(shown) => Ok(*shown),
        Answer::Page(page) => panic!("{page:?}"),
    }
}
