// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop is killed before and after each call to the outside, at each transition of circuits and
//! routes, five times each. The next loop brings routers and circuits to what is wanted: while the flow
//! lives, its two rules and its one circuit; when it is over, nothing. And at no time is a rule onto a
//! circuit that is not up.

use super::bed::Bed;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use telesteer_circuit::life::Call;
use telesteer_control::journal::peek;
use telesteer_control::record::Intent;

/// Times each.
const ROUNDS: u64 = 5;

/// When a call is made.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// While the flow lives.
    Up,
    /// When it is over.
    Over,
}

fn once(place: &str, when: When, interrupts: bool) {
    let bed = Bed::new();
    bed.send(true);
    let mut child = bed.start(&["--die-at", place]);
    if when == When::Over {
        bed.until("redirection before the end", || bed.is_redirected());
        bed.send(false);
    }
    let status = bed.death(&mut child);
    assert_eq!(status.signal(), Some(9), "{place}: {status} {}", bed.all());

    if when == When::Over {
        bed.rotate();
    }
    let next = bed.start(&[]);
    if when == When::Up {
        bed.until(&format!("{place}: redirection"), || bed.is_redirected());
        bed.send(false);
    }
    bed.until(&format!("{place}: the end"), || bed.told("started") == 2 && bed.is_empty());
    if interrupts {
        assert!(bed.told("interrupted") > 0, "{place}: {}", bed.all());
    }
    bed.end(next);
    assert!(bed.is_empty(), "{place}: {}", bed.all());
    assert_eq!(bed.violations(), Vec::<String>::new(), "{place}: {}", bed.all());
    // What was interrupted is told once and closed, but for a reservation that may still show.
    let mut open = peek(&bed.dir.path().join("store")).unwrap().open;
    open.retain(|_, intent| !matches!(intent, Intent::Circuit { call: Call::Reserve, .. }));
    assert!(open.is_empty(), "{place}: {open:?}");
}

/// `nth`: which time the call is made, by round.
fn each(point: &str, when: When, interrupts: bool, nth: impl Fn(u64) -> u64 + Sync) {
    for side in ["before", "after"] {
        thread::scope(|scope| {
            for round in 0..ROUNDS {
                let place = format!("{point}:{side}:{}", nth(round));
                scope.spawn(move || once(&place, when, interrupts));
            }
        });
    }
}

#[test]
fn circuit_reserve() {
    each("circuit-reserve", When::Up, true, |_| 1);
}

#[test]
fn circuit_commit() {
    each("circuit-commit", When::Up, true, |_| 1);
}

#[test]
fn circuit_provision() {
    each("circuit-provision", When::Up, true, |_| 1);
}

#[test]
fn circuit_extend() {
    each("circuit-extend", When::Up, true, |_| 1);
}

#[test]
fn circuit_release() {
    each("circuit-release", When::Over, true, |_| 1);
}

#[test]
fn circuit_terminate() {
    each("circuit-terminate", When::Over, true, |_| 1);
}

#[test]
fn circuit_list() {
    each("circuit-list", When::Up, false, |round| round + 1);
}

/// Of the first router and of the second.
#[test]
fn route_install() {
    each("route-install", When::Up, true, |round| 1 + round % 2);
}

#[test]
fn route_withdraw() {
    each("route-withdraw", When::Over, true, |round| 1 + round % 2);
}

#[test]
fn route_read() {
    each("route-read", When::Up, false, |round| 1 + round);
}

/// Of the first records, and of those amid everything.
#[test]
fn store_append() {
    each("store-append", When::Up, false, |round| 1 + 3 * round);
}

#[test]
fn store_compact() {
    each("store-compact", When::Up, false, |_| 1);
}
