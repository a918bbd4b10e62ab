// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How far out of order numbers came, as RFC 4737 counts: a packet is reordered if one of a higher
//! number came before it.

use serde::{Deserialize, Serialize};

/// What became of the numbers of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Sent.
    pub(crate) sent: u64,
    /// Came at least once.
    pub(crate) came: u64,
    /// Came again, or were never sent.
    pub(crate) again: u64,
    /// Reordered packets.
    pub(crate) late: u64,
    /// Packets that came while an earlier one was still to come: what a receiver holds back until all
    /// is in order.
    pub(crate) ahead: u64,
}

impl Order {
    /// Sent and never seen.
    pub(crate) fn lost(&self) -> u64 {
        self.sent - self.came
    }

    /// Of numbers in the order in which they came, of `sent` that were sent, counted from 0.
    pub(crate) fn of(came: &[u64], sent: u64) -> Self {
        let length = usize::try_from(sent).unwrap_or(0);
        let mut comes = vec![false; length];
        let place = |number: u64| usize::try_from(number).ok().filter(|at| *at < length);
        for at in came.iter().filter_map(|number| place(*number)) {
            comes[at] = true;
        }
        let mut seen = vec![false; length];
        let mut order = Self { sent, ..Self::default() };
        let (mut highest, mut next) = (None, 0);
        for &number in came {
            let Some(at) = place(number).filter(|at| !seen[*at]) else {
                order.again += 1;
                continue;
            };
            // What never comes is lost, and nobody waits for it here.
            while next < length && (seen[next] || !comes[next]) {
                next += 1;
            }
            seen[at] = true;
            order.came += 1;
            order.ahead += u64::from(at > next);
            order.late += u64::from(highest.is_some_and(|highest| number < highest));
            highest = highest.max(Some(number));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order() {
        let order = Order::of(&[0, 1, 2, 3], 4);
        assert_eq!(order, Order { sent: 4, came: 4, ..Order::default() });
    }

    #[test]
    fn a_faster_path_overtakes() {
        // 2 and 3 were under way on the slow path when 4 to 6 came by the fast one.
        let order = Order::of(&[0, 1, 4, 5, 6, 2, 3, 7], 8);
        assert_eq!((order.late, order.ahead, order.lost(), order.again), (2, 3, 0, 0));
    }

    #[test]
    fn lost_and_doubled_and_unheard_of() {
        let order = Order::of(&[0, 2, 2, 9], 4);
        assert_eq!((order.came, order.lost(), order.again), (2, 2, 2));
        assert_eq!((order.late, order.ahead), (0, 0));
    }
}
