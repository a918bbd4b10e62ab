// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which flows a switch may have let go of by itself.
//!
//! A switch tells of a flow that timed out only to a controller that stays connected. We ask now and
//! then, so it is told by the time: a flow that is gone when it could have timed out has done so, and
//! one that is gone earlier was taken away.

use super::flow::Timeouts;
use crate::rule::Rule;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A flow when it was seen last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    timeouts: Timeouts,
    born: Instant,
    packets: u64,
    /// No packet came before, as far as is known; earlier rather than later.
    quiet: Instant,
}

/// The flows that were seen last.
#[derive(Debug, Default)]
pub(crate) struct Aging {
    seen: BTreeMap<Rule, Seen>,
    read: Option<Instant>,
}

/// A flow as it is seen now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) timeouts: Timeouts,
    pub(crate) age: Duration,
    pub(crate) packets: u64,
}

impl Aging {
    /// Takes a listing at `now` in place of the one before; gives the rules that timed out since.
    pub(crate) fn look(&mut self, now: Instant, flows: BTreeMap<Rule, Sight>) -> BTreeSet<Rule> {
        let before = std::mem::take(&mut self.seen);
        let since = self.read.replace(now);
        for (rule, sight) in flows {
            let born = now.checked_sub(sight.age).unwrap_or(now);
            let quiet = match (before.get(&rule), since) {
                (Some(old), _) if old.packets == sight.packets => old.quiet,
                (Some(_), Some(since)) => since,
                _ => born,
            };
            let (timeouts, packets) = (sight.timeouts, sight.packets);
            self.seen.insert(rule, Seen { timeouts, born, packets, quiet });
        }
        let over = |from: Instant, limit: u16| {
            limit > 0 && now.saturating_duration_since(from) >= Duration::from_secs(limit.into())
        };
        let gone = before.into_iter().filter(|(rule, _)| !self.seen.contains_key(rule));
        gone.filter(|(_, old)| {
            over(old.quiet, old.timeouts.idle) || over(old.born, old.timeouts.hard)
        })
        .map(|(rule, _)| rule)
        .collect()
    }

    /// A rule that is taken away does not time out.
    pub(crate) fn forget(&mut self, rule: &Rule) {
        self.seen.remove(rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::Match;
    use crate::memory::testing::{name, tuple};

    const IDLE: Timeouts = Timeouts { idle: 10, hard: 0 };
    const HARD: Timeouts = Timeouts { idle: 0, hard: 10 };

    /// Whether a flow that was seen at such seconds, with so many packets, and is gone at the end, has
    /// timed out.
    fn timed_out(timeouts: Timeouts, seen: &[(u64, u64)], gone: u64) -> bool {
        let rule = Rule { matching: Match::flow(tuple(1, 40_000)).unwrap(), path: name("a") };
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let mut aging = Aging::default();
        for (second, packets) in seen {
            let (age, packets) = (Duration::from_secs(*second), *packets);
            let flows = BTreeMap::from([(rule.clone(), Sight { timeouts, age, packets })]);
            assert!(aging.look(at(*second), flows).is_empty());
        }
        !aging.look(at(gone), BTreeMap::new()).is_empty()
    }

    #[test]
    fn one_that_is_gone_when_it_could_be_timed_out() {
        assert!(timed_out(HARD, &[(1, 5), (9, 9)], 10));
        assert!(!timed_out(HARD, &[(1, 5), (8, 9)], 9));
        assert!(timed_out(IDLE, &[(1, 0), (5, 0)], 10));
        assert!(!timed_out(IDLE, &[(1, 0), (5, 0)], 9));
        // Packets after the first look: the last of them may have come just after it.
        assert!(!timed_out(IDLE, &[(4, 0), (8, 7)], 13));
        assert!(timed_out(IDLE, &[(4, 0), (8, 7)], 14));
        assert!(timed_out(IDLE, &[(4, 0), (8, 7), (12, 7)], 14));
        assert!(!timed_out(Timeouts::default(), &[(1, 0)], 1_000_000));
    }

    #[test]
    fn one_that_was_taken_away_did_not() {
        let rule = Rule { matching: Match::flow(tuple(1, 40_000)).unwrap(), path: name("a") };
        let now = Instant::now();
        let mut aging = Aging::default();
        let sight = Sight { timeouts: HARD, age: Duration::ZERO, packets: 0 };
        aging.look(now, BTreeMap::from([(rule.clone(), sight)]));
        aging.forget(&rule);
        assert!(aging.look(now + Duration::from_secs(99), BTreeMap::new()).is_empty());
    }
}
