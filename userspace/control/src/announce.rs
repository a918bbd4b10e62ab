// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From tickets to what the conductor acts on. No I/O and no clock.

use crate::conductor::Announced;
use crate::network::Network;
use crate::ticket::{Book, routes};
use std::collections::BTreeSet;
use telesteer_circuit::request::{Excess, Pair, Rate};

/// What of tickets cannot be acted on as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows of which nobody knows where they come in or leave, or that stay at one router.
    pub nowhere: u64,
    /// Flows that no router can match.
    pub unmatched: u64,
    /// Flows whose routes match more than was announced.
    pub widened: u64,
    /// Flows whose rate no path has; they share a circuit.
    pub unrated: u64,
}

/// All that tickets announce. A rate is reserved where `has_rate` says that a path of the pair can have
/// it; else the circuit is of `rate`.
pub fn announced(
    book: &Book,
    network: &Network,
    rate: Rate,
    has_rate: impl Fn(&Pair, Rate) -> bool,
) -> (Vec<Announced>, Counters) {
    let mut counters = Counters::default();
    let mut all = BTreeSet::new();
    for flow in book.flows() {
        let Ok(found) = routes::routes(&flow.pattern) else {
            counters.unmatched += 1;
            continue;
        };
        counters.widened += u64::from(!found.exact);
        for matching in found.matches {
            let (src, dst) = (matching.src().addr(), matching.dst().addr());
            let pair = network.pair(src, dst, None).filter(|pair| pair.ingress != pair.egress);
            let Some(pair) = pair else {
                counters.nowhere += 1;
                continue;
            };
            let excess = Excess::BestEffort;
            let own = flow.rate_mbps.map(|mbps| Rate::Specified { mbps, excess });
            let given = own.filter(|own| has_rate(&pair, *own));
            counters.unrated += u64::from(own.is_some() && given.is_none());
            let rate = given.unwrap_or(rate);
            let ticket = flow.service.to_string();
            let (from, until) = (flow.from, flow.until);
            let reserved = given.is_some();
            all.insert(Announced { matching, pair, from, until, rate, reserved, ticket });
        }
    }
    (all.into_iter().collect(), counters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Place;
    use crate::ticket::{Announcement, Limits, State, Ticket, TicketId};
    use std::collections::BTreeMap;
    use telesteer_fam::time::SECOND;

    const T0: telesteer_fam::Ns = 1_795_651_200 * SECOND;

    /// `SRC DST PROTOCOL SRC_PORTS DST_PORTS`, for ten seconds.
    fn announcement(text: &str, rate_mbps: Option<u64>) -> Announcement {
        let words: Vec<&str> = text.split(' ').collect();
        Announcement {
            sources: vec![words[0].parse().unwrap()],
            destinations: vec![words[1].parse().unwrap()],
            protocol: words[2].parse().unwrap(),
            source_ports: words[3].parse().unwrap(),
            destination_ports: words[4].parse().unwrap(),
            dscp: None,
            start: T0,
            end: T0 + 10 * SECOND,
            rate_mbps,
            note: None,
        }
    }

    fn network() -> Network {
        let place =
            |prefix: &str| Place { prefixes: vec![prefix.parse().unwrap()], ..Place::default() };
        let places = [("r1", "192.0.2.0/24"), ("r2", "198.51.100.0/24"), ("r3", "192.0.2.64/26")];
        let places = places.map(|(name, prefix)| (name.to_owned(), place(prefix)));
        Network::new(&BTreeMap::from(places)).unwrap()
    }

    fn book(texts: &[(&str, Option<u64>)]) -> Book {
        let mut book = Book::new(Limits::default());
        for (n, (text, rate)) in texts.iter().enumerate() {
            let announcement = announcement(text, *rate);
            let (id, holder) = (TicketId(n as u64 + 1), "a".parse().unwrap());
            let (state, created, extended, finished) = (State::Waiting, T0, 0, None);
            book.restore(Ticket { id, holder, announcement, state, created, extended, finished });
        }
        book
    }

    #[test]
    fn a_ticket_goes_between_the_routers_of_its_ends() {
        let book = book(&[
            ("192.0.2.1 198.51.100.2 tcp 7-8 5001", Some(50)),
            ("192.0.2.65 198.51.100.3 tcp 7 5001", Some(70)),
            ("192.0.2.1 192.0.2.2 tcp 7 5001", None),
            ("203.0.113.1 198.51.100.2 tcp 7 5001", None),
            ("192.0.2.9 198.51.100.9 tcp any 5001", None),
        ]);
        let has = |pair: &Pair, rate: Rate| *pair == Pair::new("r1", "r2") && rate.mbps() == 50;
        let (all, counters) = announced(&book, &network(), Rate::Unlimited, has);
        assert!(all.iter().all(|one| one.reserved == (one.ticket == "t1")));
        let of = |one: &Announced| (one.pair.to_string(), one.rate.mbps(), one.ticket.clone());
        let mut found: Vec<_> = all.iter().map(of).collect();
        found.sort();
        let expected =
            [("r1>r2", 0, "t5"), ("r1>r2", 50, "t1"), ("r1>r2", 50, "t1"), ("r3>r2", 0, "t2")];
        assert_eq!(found, expected.map(|(pair, mbps, id)| (pair.to_owned(), mbps, id.to_owned())));
        let expected = Counters { nowhere: 2, unmatched: 0, widened: 1, unrated: 1 };
        assert_eq!(counters, expected);
        assert!(all.iter().all(|one| (one.from, one.until) == (T0, T0 + 10 * SECOND)));
    }
}
