// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Single decisions of the controller.

use crate::bed::{Bed, settings};
use crate::matches::{both, entry, flow, host, name, net, target, tuple, tuple6};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::life::{Reason, State};
use telesteer_redirect::memory::Memory;
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{
    Aging, Capabilities, Change, Commit, Device, DeviceError, Entry, Kind, Match, Outcome, Paths,
    ReadBack, Settings, round,
};

/// Refuses any change with a certain entry in it, and does not say which.
struct Poisoned(Memory, Match);

impl Device for Poisoned {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.0.read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        if change.add.iter().any(|rule| rule.matching == self.1) {
            return Err(DeviceError::new("poisoned", "change", Kind::Refused, "something in it"));
        }
        self.0.apply(paths, change, now)
    }
}

#[test]
fn one_bad_entry_does_not_keep_the_others_out() {
    let bad = net(tuple(37, 1, 1));
    let mut bed = Bed::new(Box::new(Poisoned(Memory::new("m"), bad)));
    for n in 0..100 {
        bed.controller.want(entry(net(tuple(n, 1, 1)), "a"), bed.now).unwrap();
    }
    bed.settle();
    assert_eq!(bed.rules().len(), 99);
    let State::Failed(Reason::Refused(said)) = bed.controller.state(&bad) else {
        panic!("{:?}", bed.controller.state(&bad))
    };
    assert!(said.contains("something in it"), "{said}");
    // Seven halvings and its own tries, and not a search one by one.
    assert!(bed.controller.counters().refused < 20, "{:?}", bed.controller.counters());
}

#[test]
fn a_device_that_is_away_for_long_is_found_again() {
    struct Away(Memory, Ns);
    impl Device for Away {
        fn name(&self) -> &str {
            "away"
        }
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
            self.0.read_back(paths, now)
        }
        fn apply(
            &mut self,
            paths: &Paths,
            change: &Change,
            now: Ns,
        ) -> Result<Commit, DeviceError> {
            if now < self.1 {
                return Err(DeviceError::new("away", "change", Kind::Unreachable, "no route"));
            }
            self.0.apply(paths, change, now)
        }
    }
    let mut bed = Bed::new(Box::new(Away(Memory::new("m"), 10_000 * SECOND)));
    bed.controller.want(entry(net(tuple(1, 1, 1)), "a"), bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    assert!(bed.now >= 10_000 * SECOND);
    // At most one try in a minute once the waits have grown.
    assert!(bed.controller.counters().refused < 170, "{:?}", bed.controller.counters());
}

#[test]
fn what_a_device_cannot_do_is_not_tried() {
    let mut memory = Memory::new("m");
    memory.capabilities = Capabilities { ports: false, ipv6: false, ..memory.capabilities };
    let mut bed = Bed::new(Box::new(memory));
    let (ports, v6, plain) = (flow(tuple(1, 1, 1)), host(tuple6(1, 1, 1)), host(tuple(1, 1, 1)));
    for one in [ports, v6, plain] {
        bed.controller.want(entry(one, "a"), bed.now).unwrap();
    }
    bed.settle();
    assert_eq!(bed.controller.state(&ports), State::Failed(Reason::NoPorts));
    assert_eq!(bed.controller.state(&v6), State::Failed(Reason::NoIpv6));
    assert!(bed.controller.state(&plain).is_installed());
    assert_eq!(bed.controller.counters().asked, 1);
}

#[test]
fn steps_are_told_in_order_and_bounded() {
    let mut bed = Bed::new(Box::new(Memory::new("m")));
    let one = net(tuple(1, 1, 1));
    bed.controller.want(entry(one, "a"), bed.now).unwrap();
    bed.settle();
    bed.controller.unwant(&one);
    bed.settle();
    let steps: Vec<_> =
        bed.controller.take_transitions().into_iter().map(|step| (step.from, step.to)).collect();
    let installed = State::Installed { since: 1000 * SECOND };
    assert_eq!(
        steps,
        [
            (State::Absent, State::Pending),
            (State::Pending, installed.clone()),
            (installed, State::Withdrawing),
            (State::Withdrawing, State::Absent),
        ]
    );
    let few = Settings { transitions: 3, ..settings() };
    let mut bed = Bed::with(Box::new(Memory::new("m")), few);
    for n in 0..5 {
        bed.controller.want(entry(net(tuple(n, 1, 1)), "a"), bed.now).unwrap();
    }
    bed.settle();
    assert_eq!(bed.controller.counters().transitions_dropped, 7);
    assert_eq!(bed.controller.take_transitions().len(), 3);
}

#[test]
fn a_live_flow_keeps_every_entry_that_matches_it() {
    let mut bed = Bed::new(Box::new(Memory::new("m")));
    let key = tuple(1, 1, 40_000);
    let aging = Aging::After(10 * SECOND);
    // The flow is known before its entries are.
    bed.controller.alpha_begins(&key, bed.now);
    for one in [flow(key), host(key), net(key).reverse()] {
        bed.controller.want(Entry { aging, ..both(one, "a", "b") }, bed.now).unwrap();
    }
    let other = net(tuple(2, 1, 1));
    bed.controller.want(Entry { aging, ..entry(other, "a") }, bed.now).unwrap();
    bed.settle();
    bed.now += 1000 * SECOND;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert_eq!(bed.controller.state(&other), State::Absent);
    assert_eq!(bed.rules().len(), 6);
    // Another flow of the pair ends: nothing changes for the first.
    let second = tuple(1, 1, 40_001);
    bed.controller.alpha_begins(&second, bed.now);
    bed.controller.alpha_ends(&second, bed.now);
    bed.now += 1000 * SECOND;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert_eq!(bed.rules().len(), 6);
    bed.controller.alpha_ends(&key, bed.now);
    assert_eq!(bed.controller.next_due(), Some(bed.now + 10 * SECOND));
    bed.now += 9 * SECOND;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert_eq!(bed.rules().len(), 6);
    bed.now += SECOND;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert_eq!(bed.rules().len(), 0);
    assert_eq!(bed.controller.counters().aged, 4);
}

#[test]
fn entries_that_age_together_do_not_go_together() {
    let spread = Settings { jitter: 100 * SECOND, seed: 5, ..settings() };
    let mut bed = Bed::with(Box::new(Memory::new("m")), spread);
    for n in 0..100 {
        let aging = Aging::After(1000 * SECOND);
        let one = Entry { aging, ..entry(net(tuple(n, 1, 1)), "a") };
        bed.controller.want(one, bed.now).unwrap();
    }
    bed.settle();
    let begin = bed.now;
    let mut left = Vec::new();
    for quarter in 0..=4 {
        bed.now = begin + (1000 + 25 * quarter) * SECOND;
        round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
        left.push(bed.rules().len());
    }
    assert!(left.is_sorted_by(|a, b| a > b), "{left:?}");
    assert!(left[0] > 95 && left[4] == 0, "{left:?}");
}

#[test]
fn a_slow_commit_is_waited_for_and_asked_for_once() {
    let mut bed = Bed::new(Box::new(Slow::new(Memory::new("m"), 60 * SECOND)));
    let one = net(tuple(1, 1, 1));
    bed.controller.want(entry(one, "a"), bed.now).unwrap();
    let due = bed.now + 60 * SECOND;
    assert_eq!(round(&mut bed.controller, &mut bed.device, bed.now), Ok(Outcome::Due(due)));
    for _ in 0..5 {
        bed.now += 11 * SECOND;
        assert_eq!(round(&mut bed.controller, &mut bed.device, bed.now), Ok(Outcome::Quiet));
        assert_eq!(bed.controller.state(&one), State::Pending);
    }
    bed.now = due;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert!(bed.controller.state(&one).is_installed());
    assert_eq!(bed.controller.counters().asked, 1);
}

#[test]
fn there_is_no_room_for_more_wishes_than_said() {
    let few = Settings { entries: 2, ..settings() };
    let mut bed = Bed::with(Box::new(Memory::new("m")), few);
    let table: Vec<_> = (0..4).map(|n| entry(net(tuple(n, 1, 1)), "a")).collect();
    let error = bed.controller.swap(table, bed.now).unwrap_err();
    assert_eq!(error.entry, net(tuple(2, 1, 1)));
    assert_eq!(bed.controller.counters().full, 2);
    bed.settle();
    assert_eq!(bed.rules().len(), 2);
    // A path with a mark of another's is refused.
    assert!(bed.controller.path_up(name("z"), target(1)).is_err());
}
