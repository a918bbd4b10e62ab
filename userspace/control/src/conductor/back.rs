// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Entries that are kept back though a circuit is up.

use super::entries::Path;
use super::{Conductor, Line, What};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::{FiveTuple, Ns, Prefix, PrefixFlow, Width};
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
    /// How much sooner than by IP routing a flow comes now, by the last wish: it has an entry, or is
    /// carried by one of its hosts or networks.
    pub(super) fn carried_us(&self, router: &str, matching: &Match, ways: &[Path<'_>]) -> i64 {
        let around = |width| {
            let (src, dst) = (matching.src().addr(), matching.dst().addr());
            let pair = PrefixFlow { src: Prefix::of(src, width), dst: Prefix::of(dst, width) };
            Match::pair(pair).ok()
        };
        let all = [Some(*matching), around(Width::HOST), around(Width::NET)];
        let wish = self.wish(router);
        let path = wish.and_then(|wish| all.iter().flatten().find_map(|one| wish.entries.get(one)));
        let way = path.and_then(|path| ways.iter().find(|way| way.name == path));
        way.and_then(|way| way.sooner_us).unwrap_or(0)
    }

    /// Whether the entry of a flow may be held. Not one that is wanted already, nor any in a router's
    /// first wish: what that lacks would be taken away, and it may be there since before a restart.
    pub(super) fn may_be_held(&self, router: &str, matching: &Match) -> bool {
        self.wish(router).is_some_and(|wish| !wish.entries.contains_key(matching))
    }

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
