// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes run` is killed by itself (`--die-at`, SIGKILL) before and after each call to the outside, with
//! real routers, circuits and packets. The next one must bring routers and circuits to what is wanted, and
//! all the while no packet may be lost, of the flow that is redirected or of any other.
//!
//! Several networks are played at a time, each for itself: most of the time is waiting.

mod bed;
mod tell;

use super::{Bench, say};
use crate::error::Result;
use crate::report::Findings;
use bed::Bed;
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Times each.
const ROUNDS: u32 = 5;
/// Networks at a time.
const LANES: usize = 3;
/// A lane with so many kills that came to no end gives up.
const FAILURES: u32 = 3;

/// When a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum When {
    /// While the flow lives.
    Up,
    /// When it is over.
    Over,
}

/// A call to the outside: its name, when it is made, whether the next loop must know that it was
/// interrupted, and which one of its kind is meant in a round.
struct Call(&'static str, When, bool, fn(u32) -> u32);

const CALLS: [Call; 12] = [
    Call("circuit-reserve", When::Up, true, |_| 1),
    Call("circuit-commit", When::Up, true, |_| 1),
    Call("circuit-provision", When::Up, true, |_| 1),
    Call("circuit-extend", When::Up, true, |_| 1),
    Call("circuit-release", When::Over, true, |_| 1),
    Call("circuit-terminate", When::Over, true, |_| 1),
    Call("circuit-list", When::Up, false, |round| round),
    // Of the one router and of the other.
    Call("route-install", When::Up, true, |round| 1 + round % 2),
    Call("route-withdraw", When::Over, true, |round| 1 + round % 2),
    Call("route-read", When::Up, false, |round| round),
    // Of the first records, and of those amid everything.
    Call("store-append", When::Up, false, |round| 3 * round - 2),
    Call("store-compact", When::Up, false, |_| 1),
];

/// One kill to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Place {
    call: &'static str,
    side: &'static str,
    nth: u32,
    when: When,
    interrupts: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
struct Kill {
    /// It died by SIGKILL.
    killed: bool,
    /// The next loop said that a call had been interrupted.
    interrupted: bool,
    /// Seconds from the kill until rules, labels and tables were the wanted ones, by nft and ip.
    restored_s: f64,
    /// Rules, labels, tables and circuits that were left in the end.
    left: u64,
    /// Datagrams sent, of both flows in both directions; never seen at the other end; seen again there.
    sent: u64,
    lost: u64,
    again: u64,
    /// Datagrams of the alpha flow under a label on the science path, by direction; without one there.
    forth: u64,
    back: u64,
    bare: u64,
    /// Datagrams of the other flow on the science path.
    beta: u64,
    /// What kept it from its end.
    failed: Option<String>,
}

/// Runs it; a brief one kills once at each place.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let places = places(if bench.brief { 1 } else { ROUNDS });
    say(format!("{} kills", places.len()));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let lanes: Vec<Result<()>> = std::thread::scope(|scope| {
        let lane = |number| lane(bench, number, &places, &next, &done);
        let all: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        let join = |one: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        all.into_iter().map(join).collect()
    });
    lanes.into_iter().collect::<Result<()>>()?;
    let done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(tell::findings(&done, places.len()))
}

/// All kills: each place once, then again.
fn places(rounds: u32) -> Vec<Place> {
    let mut all = Vec::new();
    for round in 1..=rounds {
        for Call(call, when, interrupts, nth) in CALLS {
            for side in ["before", "after"] {
                let nth = nth(round);
                all.push(Place { call, side, nth, when, interrupts });
            }
        }
    }
    all
}

fn lane(
    bench: &Bench,
    number: usize,
    places: &[Place],
    next: &AtomicUsize,
    done: &Mutex<Vec<(Place, Kill)>>,
) -> Result<()> {
    let mut bed = Bed::build(bench, number)?;
    let mut failures = 0;
    while let Some(place) = places.get(next.fetch_add(1, Ordering::AcqRel)) {
        let kill = match bed.kill(place) {
            Ok(kill) => kill,
            Err(error) => {
                say(format!("{}:{}:{}: {error}", place.call, place.side, place.nth));
                failures += 1;
                drop(bed);
                bed = Bed::build(bench, number)?;
                Kill { failed: Some(error.to_string()), ..Kill::default() }
            }
        };
        let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        say(format!(
            "{}: {}:{}:{}: {} of {} datagrams lost, all as wanted after {:.1} s",
            done.len() + 1,
            place.call,
            place.side,
            place.nth,
            kill.lost,
            kill.sent,
            kill.restored_s
        ));
        done.push((place.clone(), kill));
        if failures >= FAILURES {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_before_and_after_in_each_round() {
        let all = places(ROUNDS);
        assert_eq!(all.len(), 120);
        let of = |call: &str, side: &str| -> Vec<u32> {
            let all = all.iter().filter(|place| place.call == call && place.side == side);
            all.map(|place| place.nth).collect()
        };
        assert_eq!(of("circuit-commit", "before"), [1; 5]);
        assert_eq!(of("route-install", "after"), [2, 1, 2, 1, 2]);
        assert_eq!(of("store-append", "after"), [1, 4, 7, 10, 13]);
        // The names are those that `hntes run --die-at` knows.
        assert_eq!(all.iter().filter(|place| place.when == When::Over).count(), 30);
    }
}
