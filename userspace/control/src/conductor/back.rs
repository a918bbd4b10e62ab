// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Entries that are kept back though a circuit is up.

use super::{Conductor, Line, What};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::Match;

/// Why one is kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Back {
    /// No circuit that is up carries its packets.
    Unfit,
    /// More of the flow would overtake others of it than may; it waits until the flow is idle.
    Held,
}

/// What is kept back at which router: onto which path it would go, and what is told.
pub(super) type KeptBack = BTreeMap<(String, Match, Back), (String, String)>;

/// Bytes of a flow of so many bit/s that come before what was sent earlier, when it is put onto a path
/// that takes so much less time: what is under way on the old path for that long.
pub(super) fn overtaking(rate: u64, sooner_us: i64) -> u64 {
    let sooner = u128::from(sooner_us.max(0).unsigned_abs());
    u64::try_from(u128::from(rate) * sooner / 8_000_000).unwrap_or(u64::MAX)
}

impl Conductor {
    /// Whether the flow's route waits, at its ingress router, until the flow is idle.
    pub fn is_held(&self, flow: &FiveTuple) -> bool {
        self.flows.get(flow).is_some_and(|known| {
            let key = (known.pair.ingress.clone(), known.matching, Back::Held);
            self.kept_back.contains(&key)
        })
    }

    /// Counts them, and tells of each once, as long as it is so.
    pub(super) fn tell_kept_back(&mut self, all: KeptBack, now: Ns) {
        let count = |why| all.keys().filter(|(_, _, back)| *back == why).count() as u64;
        self.counters.unfit = count(Back::Unfit);
        self.counters.held = count(Back::Held);
        let known: BTreeSet<_> = all.keys().cloned().collect();
        let known = std::mem::replace(&mut self.kept_back, known);
        for ((router, matching, back), (path, told)) in all {
            if known.contains(&(router.clone(), matching, back)) {
                continue;
            }
            let (what, why) = match back {
                Back::Unfit => (What::RouteUnwanted, "the path carries no IPv6"),
                Back::Held => (What::RouteHeld, "it waits until the flow is idle"),
            };
            self.push(Line {
                at: now,
                what,
                subject: matching.to_string(),
                router: Some(router),
                path: Some(path),
                reason: format!("{told}: {why}"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_for_so_long_overtakes() {
        // 10 Gb/s for 10 ms.
        assert_eq!(overtaking(10_000_000_000, 10_000), 12_500_000);
        assert_eq!(overtaking(10_000_000_000, -10_000), 0);
        assert_eq!(overtaking(0, 10_000), 0);
        assert_eq!(overtaking(u64::MAX, i64::MAX), u64::MAX);
    }
}
