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
            all.insert(Announced { matching, pair, from, until, rate, ticket });
        }
    }
    (all.into_iter().collect(), counters)
}
