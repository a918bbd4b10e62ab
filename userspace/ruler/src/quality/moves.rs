// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who moves when members come and go.

use serde::Serialize;

use super::placement::{Member, Method, Placement};

/// Ticks between two packets of an exporter, and how often that fits into the deadline of a map that
/// moves late.
pub(crate) const LULL: u32 = 10;
pub(crate) const LULLS: u32 = 5;

/// Shares of the exporters, on average over the seeds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Moves {
    pub(crate) method: String,
    pub(crate) members: u64,
    /// One leaves: moved or refused, of those not its own; refused.
    pub(crate) leave: f64,
    pub(crate) leave_innocent: f64,
    pub(crate) leave_refused: f64,
    /// It comes back: elsewhere than before it left, at once and after the deadline.
    pub(crate) back: f64,
    pub(crate) back_late: f64,
    /// A new one joins: moved at once, after the deadline, and of these not to the new one.
    pub(crate) join: f64,
    pub(crate) join_late: f64,
    pub(crate) join_innocent: f64,
    /// As many again join: moved after the deadline.
    pub(crate) double: f64,
}

impl Moves {
    /// Plays all scenarios with each seed.
    pub(crate) fn of(method: Method, members: u64, exporters: u64, seeds: u64) -> Self {
        let mut sum = Self { method: method.name.to_owned(), members, ..Self::default() };
        let share = |count: usize| count as f64 / exporters as f64 / seeds as f64;
        for seed in 0..seeds {
            let fresh = || {
                let mut map = (method.make)(seed);
                for member in 1..=members {
                    map.join(member, 1);
                }
                // Twice, so that no slot is idle.
                homes(&mut *map, exporters);
                let home = homes(&mut *map, exporters);
                (map, home)
            };
            let (mut map, before) = fresh();
            let gone = 1 + seed % members;
            map.leave(gone);
            let after = homes(&mut *map, exporters);
            let moved = differ(&before, &after);
            sum.leave += share(moved.len());
            sum.leave_innocent += share(count(&moved, |(was, _)| was != Some(gone)));
            sum.leave_refused += share(count(&moved, |(_, is)| is.is_none()));
            map.join(gone, 1);
            sum.back += share(differ(&before, &homes(&mut *map, exporters)).len());
            sum.back_late += share(differ(&before, &settled(&mut *map, exporters)).len());

            let (mut map, before) = fresh();
            let new = members + 1;
            map.join(new, 1);
            sum.join += share(differ(&before, &homes(&mut *map, exporters)).len());
            let moved = differ(&before, &settled(&mut *map, exporters));
            sum.join_late += share(moved.len());
            sum.join_innocent += share(count(&moved, |(_, is)| is != Some(new)));

            let (mut map, before) = fresh();
            for member in members + 1..=2 * members {
                map.join(member, 1);
            }
            sum.double += share(differ(&before, &settled(&mut *map, exporters)).len());
        }
        sum
    }
}

type Home = Option<Member>;

fn homes(map: &mut dyn Placement, exporters: u64) -> Vec<Home> {
    map.pass(1);
    (0..exporters).map(|exporter| map.home(exporter)).collect()
}

/// The same when the deadline has passed, while every exporter kept sending.
fn settled(map: &mut dyn Placement, exporters: u64) -> Vec<Home> {
    if map.learns() {
        for _ in 0..LULLS {
            map.pass(LULL);
            homes(map, exporters);
        }
    }
    homes(map, exporters)
}

fn differ(before: &[Home], after: &[Home]) -> Vec<(Home, Home)> {
    before.iter().copied().zip(after.iter().copied()).filter(|(was, is)| was != is).collect()
}

fn count(moved: &[(Home, Home)], which: impl Fn((Home, Home)) -> bool) -> usize {
    moved.iter().filter(|pair| which(**pair)).count()
}

#[cfg(test)]
mod tests {
    use super::super::placement::METHODS;
    use super::*;

    #[test]
    fn rendezvous_moves_what_it_must() {
        let method = METHODS.iter().find(|method| method.name == "source").unwrap();
        let moves = Moves::of(*method, 4, 2000, 4);
        assert_eq!((moves.leave_innocent, moves.leave_refused, moves.back), (0.0, 0.0, 0.0));
        assert_eq!(moves.join_innocent, 0.0);
        assert!((moves.leave - 0.25).abs() < 0.05 && (moves.join - 0.2).abs() < 0.05);
        assert!((moves.double - 0.5).abs() < 0.05);
    }
}
