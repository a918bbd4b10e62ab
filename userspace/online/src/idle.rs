// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When to look whether a flow has ended. A flow has one entry; it is not moved with every report, but
//! when it is due.

use std::collections::BTreeSet;
use telesteer_fam::{FiveTuple, Ns};

/// Flows by when they are due.
#[derive(Clone, Debug, Default)]
pub struct Idle {
    due: BTreeSet<(Ns, FiveTuple)>,
}

impl Idle {
    /// Enters a flow.
    pub fn enter(&mut self, at: Ns, key: FiveTuple) {
        self.due.insert((at, key));
    }

    /// Takes it out; `at` is when it was due.
    pub fn leave(&mut self, at: Ns, key: FiveTuple) {
        self.due.remove(&(at, key));
    }

    /// Takes out a flow that is due by `now`.
    pub fn next(&mut self, now: Ns) -> Option<FiveTuple> {
        let first = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&first);
        Some(first.1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    #[test]
    fn flows_are_due_in_order() {
        let flow = |port| key("192.0.2.1", "192.0.2.2", port);
        let mut idle = Idle::default();
        for (at, port) in [(5, 1), (3, 2), (9, 3), (3, 4)] {
            idle.enter(at, flow(port));
        }
        idle.leave(3, flow(2));
        assert_eq!(idle.len(), 3);
        assert_eq!(idle.next(2), None);
        let due: Vec<u16> = std::iter::from_fn(|| idle.next(5)).map(|key| key.src_port).collect();
        assert_eq!(due, [4, 1]);
        assert!(!idle.is_empty());
    }
}
