// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Alpha flows that are alive now, and which entries they keep.

use crate::matching::Match;
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::{FiveTuple, PrefixFlow, Width};

/// The flows that began and have not ended.
#[derive(Clone, Debug, Default)]
pub struct Live {
    flows: BTreeSet<FiveTuple>,
    by_match: BTreeMap<Match, u32>,
}

/// What matches a flow, the strongest first.
pub fn covering(flow: &FiveTuple) -> impl Iterator<Item = Match> {
    let pair = |width| Match::pair(PrefixFlow::of(flow, width)).ok();
    [Match::flow(*flow).ok(), pair(Width::HOST), pair(Width::NET)].into_iter().flatten()
}

impl Live {
    /// A flow began. False if `limit` are alive already; one that is known is taken as before.
    pub fn begin(&mut self, flow: FiveTuple, limit: usize) -> bool {
        if self.flows.contains(&flow) {
            return true;
        }
        if self.flows.len() >= limit {
            return false;
        }
        self.flows.insert(flow);
        for matching in covering(&flow) {
            *self.by_match.entry(matching).or_default() += 1;
        }
        true
    }

    /// A flow ended. False if it was not known.
    pub fn end(&mut self, flow: &FiveTuple) -> bool {
        if !self.flows.remove(flow) {
            return false;
        }
        for matching in covering(flow) {
            if let Some(count) = self.by_match.get_mut(&matching) {
                *count -= 1;
                if *count == 0 {
                    self.by_match.remove(&matching);
                }
            }
        }
        true
    }

    /// Whether a flow that matches is alive.
    pub fn any(&self, matching: &Match) -> bool {
        self.by_match.contains_key(matching)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::tuple;

    #[test]
    fn one_flow_of_two_still_keeps_the_pair() {
        let mut live = Live::default();
        let (a, b) = (tuple(1, 1), tuple(1, 2));
        let host = covering(&a).nth(1).unwrap();
        assert!(live.begin(a, 2) && live.begin(a, 2) && live.begin(b, 2));
        assert!(!live.begin(tuple(1, 3), 2));
        assert!(live.end(&a) && !live.end(&a) && live.any(&host));
        assert!(!live.any(&covering(&a).next().unwrap()));
        assert!(live.end(&b) && !live.any(&host) && live.is_empty());
        assert!(live.by_match.is_empty());
    }
}
