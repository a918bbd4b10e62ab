// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many flows each member has, beside what its weight says it should have.

use serde::Serialize;
use std::collections::BTreeMap;

/// Standard deviations by which a share may miss its weight.
const DEVIATIONS: f64 = 4.0;
/// Slots of the policy's table: each is drawn once by weight, flows only fall into them.
const SLOTS: f64 = 4096.0;

/// The share of one instance number, over all servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The instance.
    pub instance: u64,
    /// Its weight.
    pub weight: u64,
    /// Flows it received.
    pub flows: u64,
    /// They of all flows, in percent.
    pub percent: f64,
    /// The weight of all weights, in percent.
    pub due: f64,
    /// By how many percent points it may miss that.
    pub deviation: f64,
}

impl Share {
    /// Whether it lies within the stated deviation.
    pub fn is_met(&self) -> bool {
        (self.percent - self.due).abs() <= self.deviation
    }
}

/// The shares of members with these weights.
pub fn of(flows: &BTreeMap<u64, u64>, weights: &BTreeMap<u64, u64>) -> Vec<Share> {
    let all: u64 = flows.values().sum();
    let total: u64 = weights.values().sum();
    let share = |(&instance, &weight): (&u64, &u64)| {
        let own = flows.get(&instance).copied().unwrap_or(0);
        let due = weight as f64 / total.max(1) as f64;
        let variance = due * (1.0 - due) * (1.0 / all.max(1) as f64 + 1.0 / SLOTS);
        Share {
            instance,
            weight,
            flows: own,
            percent: 100.0 * own as f64 / all.max(1) as f64,
            due: 100.0 * due,
            deviation: 100.0 * DEVIATIONS * variance.sqrt(),
        }
    };
    weights.iter().map(share).collect()
}

/// True when there are shares and all of them are met.
pub fn met(shares: &[Share]) -> bool {
    !shares.is_empty() && shares.iter().all(|one| one.flows > 0 && one.is_met())
}

/// For people.
pub fn text(shares: &[Share]) -> String {
    let one = |s: &Share| format!("{:.1} of {:.1} ± {:.1} %", s.percent, s.due, s.deviation);
    shares.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(flows: [u64; 3], weights: [u64; 3]) -> Vec<Share> {
        let map = |list: [u64; 3]| (1..).zip(list).collect::<BTreeMap<_, _>>();
        of(&map(flows), &map(weights))
    }

    #[test]
    fn shares_follow_weights_or_do_not() {
        let good = shares([60, 130, 210], [1, 2, 3]);
        assert!(met(&good), "{}", text(&good));
        assert_eq!(text(&good[..1]), "15.0 of 16.7 ± 7.8 %");
        // Broken twins: equal shares, a member that got nothing, weights nobody asked for.
        assert!(!met(&shares([133, 133, 134], [1, 2, 3])));
        assert!(!met(&shares([0, 1, 2], [1, 2, 3])));
        assert!(!met(&shares([60, 130, 210], [1, 1, 1])));
        assert!(!met(&[]));
    }
}
