// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `nft` and `ip` list on both edge routers, read all the time by threads that set nothing. Each
//! listing has the times between which it was made, so an order of two things is seen or it is not.

use super::{label, listing};
use crate::error::{Result, odd};
use crate::net::Net;
use crate::process::run;
use crate::space::Space;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// From one pair of listings to the next.
const LOOK: Duration = Duration::from_millis(40);
/// Pairs of listings of a router at most; those of an hour.
const LOOKS: usize = 80_000;

/// An edge router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exp) enum Side {
    /// That of site 1.
    Near,
    /// That of site 2.
    Far,
}

/// A listing; microseconds of Unix time when the program that made it began and ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::exp) struct Reading {
    begun_us: i64,
    ended_us: i64,
    text: String,
}

/// Listings of a router, by turns.
#[derive(Clone, Debug, Default)]
pub(in crate::exp) struct Listed {
    /// Routes into circuits.
    routes: Vec<Reading>,
    /// Our table of nftables.
    tables: Vec<Reading>,
}

impl Listed {
    fn latest(&self) -> Option<(&str, &str)> {
        Some((&self.routes.last()?.text, &self.tables.last()?.text))
    }
}

/// Between which two moments something happened, in microseconds of Unix time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::exp) struct Bounds {
    /// Not before.
    pub(in crate::exp) after_us: i64,
    /// And not later.
    pub(in crate::exp) by_us: i64,
}

/// When something was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::exp) struct Life {
    /// It came.
    pub(in crate::exp) began: Option<Bounds>,
    /// It went, the last time that it did.
    pub(in crate::exp) ended: Option<Bounds>,
    /// How often it came.
    pub(in crate::exp) times: u32,
}

impl Life {
    fn of(readings: &[Reading], has: impl Fn(&str) -> bool) -> Self {
        let mut life = Self::default();
        let mut before = (false, i64::MIN);
        for reading in readings {
            let is = has(&reading.text);
            let bounds = Bounds { after_us: before.1, by_us: reading.ended_us };
            match (before.0, is) {
                (false, true) => {
                    life.times += 1;
                    life.began.get_or_insert(bounds);
                    life.ended = None;
                }
                (true, false) => life.ended = Some(bounds),
                _ => {}
            }
            before = (is, reading.begun_us);
        }
        life
    }

    /// Whether it was seen to come once, when `other` was already there.
    pub(in crate::exp) fn came_after(&self, other: &Self) -> bool {
        let both = self.began.zip(other.began);
        (self.times, other.times) == (1, 1)
            && both.is_some_and(|(own, other)| other.by_us <= own.after_us)
    }

    /// Whether it was seen to go, when `other` was still there.
    pub(in crate::exp) fn went_before(&self, other: &Self) -> bool {
        let both = self.ended.zip(other.ended);
        (self.times, other.times) == (1, 1)
            && both.is_some_and(|(own, other)| own.by_us <= other.after_us)
    }
}

/// What was at one end of the path.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::exp) struct Ends {
    /// The route into the circuit.
    pub(in crate::exp) circuit: Life,
    /// The entry.
    pub(in crate::exp) entry: Life,
    /// Labels of such routes.
    pub(in crate::exp) labels: BTreeSet<u32>,
    /// Most entries at a time, whosever they are.
    pub(in crate::exp) most: u64,
}

impl Ends {
    /// Of listings, with what tells the entry in a table.
    pub(in crate::exp) fn of(listed: &Listed, entry: impl Fn(&str) -> bool) -> Self {
        let lines = listed.routes.iter().flat_map(|reading| reading.text.lines());
        Self {
            circuit: Life::of(&listed.routes, |routes| !routes.trim().is_empty()),
            entry: Life::of(&listed.tables, entry),
            labels: lines.filter_map(label).collect(),
            most: listed.tables.iter().map(|one| elements(&one.text)).max().unwrap_or(0),
        }
    }

    /// Whether the circuit was there before the entry and after it.
    pub(in crate::exp) fn in_order(&self) -> bool {
        self.entry.came_after(&self.circuit) && self.entry.went_before(&self.circuit)
    }
}

/// Elements in nftables' listing: each has one address or network of site 1.
fn elements(table: &str) -> u64 {
    table.matches("10.1.").count() as u64
}

/// Both routers under watch.
#[derive(Debug, Default)]
pub(in crate::exp) struct Watch {
    listed: [Mutex<Listed>; 2],
    stop: AtomicBool,
}

/// Ends the watch, however its scope is left.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Calls `during` while both edge routers are read; gives what it gave, and all listings.
///
/// # Errors
///
/// Those of a reading, else those of `during`.
pub(in crate::exp) fn watching<T>(
    net: &Net,
    during: impl FnOnce(&Watch) -> Result<T>,
) -> Result<(T, [Listed; 2])> {
    let watch = Watch::default();
    let done = std::thread::scope(|scope| {
        let stop = Stop(&watch.stop);
        let reader = |router, listed| {
            let stop = &watch.stop;
            scope.spawn(move || read(router, listed, stop))
        };
        let [near, far] = &watch.listed;
        let readers = [reader(&net.pe1, near), reader(&net.pe2, far)];
        let done = during(&watch);
        drop(stop);
        for reader in readers {
            match reader.join() {
                Ok(read) => read?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })?;
    let listed = watch.listed.map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok((done, listed))
}

fn read(router: &Space, listed: &Mutex<Listed>, stop: &AtomicBool) -> Result<()> {
    router.enter()?;
    let timed = |read: &dyn Fn() -> Result<String>| -> Result<Reading> {
        let begun_us = super::unix_us();
        let text = read()?;
        Ok(Reading { begun_us, ended_us: super::unix_us(), text })
    };
    while !stop.load(Ordering::Acquire) {
        let routes = timed(&|| run(&super::ENTRANCES))?;
        let table = timed(&|| listing(run(&super::TABLE)))?;
        let mut listed = locked(listed);
        if listed.routes.len() >= LOOKS {
            return Err(odd(router.name.clone(), format!("more than {LOOKS} looks at it")));
        }
        listed.routes.push(routes);
        listed.tables.push(table);
        drop(listed);
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn locked(listed: &Mutex<Listed>) -> MutexGuard<'_, Listed> {
    listed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Whether something holds of the last routes and table of both routers.
    pub(in crate::exp) fn both(&self, holds: impl Fn(Side, &str, &str) -> bool) -> bool {
        [Side::Near, Side::Far].into_iter().zip(&self.listed).all(|(side, listed)| {
            locked(listed).latest().is_some_and(|(routes, table)| holds(side, routes, table))
        })
    }

    /// Whether both have a circuit, or, if it is not to be there, neither.
    pub(in crate::exp) fn circuit(&self, there: bool) -> bool {
        self.both(|_, routes, _| routes.trim().is_empty() != there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(all: &[(i64, i64, &str)]) -> Vec<Reading> {
        let reading = |(begun_us, ended_us, text): &(i64, i64, &str)| Reading {
            begun_us: *begun_us,
            ended_us: *ended_us,
            text: (*text).to_owned(),
        };
        all.iter().map(reading).collect()
    }

    const ROUTE: &str = "default encap mpls 7 via 10.9.4.2 dev to-p2 table 1 proto 126\n";
    const ENTRY: &str = "elements = { 10.1.1.1 . 10.2.1.1 : 0x1 }";

    fn ends(routes: &[(i64, i64, &str)], tables: &[(i64, i64, &str)]) -> Ends {
        let listed = Listed { routes: readings(routes), tables: readings(tables) };
        Ends::of(&listed, |table| table.contains("10.1.1.1"))
    }

    #[test]
    fn an_order_is_seen_or_it_is_not() {
        let routes = [(0, 1, ""), (10, 11, ROUTE), (20, 21, ROUTE), (30, 31, ROUTE), (40, 41, "")];
        let tables = [(2, 3, ""), (12, 13, ""), (22, 23, ENTRY), (28, 29, "")];
        let good = ends(&routes, &tables);
        assert!(good.in_order(), "{good:?}");
        let bounds = |after_us, by_us| Some(Bounds { after_us, by_us });
        assert_eq!((good.entry.began, good.entry.ended), (bounds(12, 23), bounds(22, 29)));
        assert_eq!((good.circuit.began, good.circuit.ended), (bounds(0, 11), bounds(30, 41)));
        assert_eq!((good.labels, good.most), (BTreeSet::from([7]), 1));
        // Both came between two looks: that is no order.
        let sudden = ends(&routes, &[(2, 3, ""), (12, 13, ENTRY), (28, 29, "")]);
        assert!(!sudden.entry.came_after(&sudden.circuit) && !sudden.in_order());
        // The entry was still there when the circuit was gone.
        let late = ends(&routes, &[(2, 3, ""), (12, 13, ""), (22, 23, ENTRY), (42, 43, "")]);
        assert!(late.entry.came_after(&late.circuit) && !late.entry.went_before(&late.circuit));
        // It never went.
        let stays = ends(&routes, &[(2, 3, ""), (12, 13, ""), (22, 23, ENTRY)]);
        assert!(!stays.in_order() && stays.entry.ended.is_none());
        // It went and came again in between.
        let again = [(12, 13, ""), (15, 16, ENTRY), (17, 18, ""), (22, 23, ENTRY), (28, 29, "")];
        assert!(!ends(&routes, &again).in_order());
    }
}
