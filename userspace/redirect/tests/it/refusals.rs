// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that say no: for a while, to some things, or after they have done half of it.

use crate::bed::{Bed, settings};
use crate::matches::{entry, name, net, tuple};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::life::State;
use telesteer_redirect::memory::Memory;
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{
    Capabilities, Change, Commit, Device, DeviceError, Kind, Match, Outcome, Paths, ReadBack, Rule,
    quick, round,
};

type Done = Result<Commit, DeviceError>;

/// Changes what is in memory as its function says.
struct Odd<F>(Memory, F);

impl<F: FnMut(&mut Memory, &Paths, &Change, Ns) -> Done> Device for Odd<F> {
    fn name(&self) -> &str {
        "odd"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.0.read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Done {
        (self.1)(&mut self.0, paths, change, now)
    }
}

fn no(kind: Kind, said: &str) -> DeviceError {
    DeviceError::new("odd", "change", kind, said)
}

fn bed(
    memory: Memory,
    apply: impl FnMut(&mut Memory, &Paths, &Change, Ns) -> Done + 'static,
) -> Bed {
    Bed::new(Box::new(Odd(memory, apply)))
}

/// Says no to everything before that time, as one whose configuration somebody else has locked.
fn locked(memory: Memory, until: Ns) -> Bed {
    bed(memory, move |memory, paths, change, now| match now < until {
        true => Err(no(Kind::Refused, "somebody has the lock")),
        false => memory.apply(paths, change, now),
    })
}

fn pair(n: u16) -> Match {
    net(tuple(n, 1, 1))
}

fn holding(pairs: &[u16]) -> Memory {
    let mut memory = Memory::new("m");
    memory.rules.extend(pairs.iter().map(|n| Rule { matching: pair(*n), path: name("a") }));
    memory
}

#[test]
fn what_has_to_go_is_asked_to_until_it_goes() {
    for seconds in [15, 3600] {
        let free = (1000 + seconds) * SECOND;
        let mut bed = locked(holding(&[1, 2, 3]), free);
        while bed.now < free {
            assert!(!bed.controller.release(&name("a")));
            let wait = bed.turns(1);
            assert!(wait <= 60 * SECOND, "{wait}");
        }
        bed.turns(20);
        assert_eq!(bed.rules().len(), 0, "locked for {seconds} s");
        assert!(bed.now <= free + 120 * SECOND);
        assert!(bed.controller.release(&name("a")));
    }
}

#[test]
fn what_was_given_up_is_tried_again_now_and_then() {
    let mut bed = locked(Memory::new("m"), 2000 * SECOND);
    for n in 0..8 {
        bed.controller.want(entry(pair(n), "a"), bed.now).unwrap();
    }
    bed.settle();
    assert_eq!(bed.count(|state| matches!(state, State::Failed(_))), 8);
    let refused = bed.controller.counters().refused;
    let soon = bed.now + settings().again / 2;
    while bed.now < soon {
        bed.now += 10 * SECOND;
        round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    }
    assert_eq!(bed.controller.counters().refused, refused, "seldom");
    bed.turns(200);
    assert!(bed.now > 2000 * SECOND);
    bed.must_agree();
    assert_eq!(bed.rules().len(), 8);
    assert_eq!(bed.controller.counters().failed, 8, "told once of each");
}

#[test]
fn what_was_given_up_holds_up_nothing_else() {
    let bad = pair(0);
    let mut bed = bed(Memory::new("m"), move |memory, paths, change, now| {
        match change.add.iter().any(|rule| rule.matching == bad) {
            true => Err(no(Kind::Refused, "something in it")),
            false => memory.apply(paths, change, now),
        }
    });
    bed.controller.want(entry(bad, "a"), bed.now).unwrap();
    bed.settle();
    // Its next try falls together with others.
    bed.now += settings().again;
    let refused = bed.controller.counters().refused;
    for n in 1..100 {
        bed.controller.want(entry(pair(n), "a"), bed.now).unwrap();
    }
    for _ in 0..5 {
        let _ = round(&mut bed.controller, &mut bed.device, bed.now);
    }
    assert_eq!(bed.rules().len(), 99);
    assert_eq!(bed.controller.counters().refused, refused + 1);
}

#[test]
fn what_cannot_be_mended_holds_up_nothing_else() {
    let mut memory = Memory::new("m");
    memory.amiss.push("odd".to_owned());
    let mut bed = bed(memory, |memory, paths, change, now| match change.purge {
        true => Err(no(Kind::Refused, "it cannot go")),
        false => memory.apply(paths, change, now),
    });
    for n in 0..50 {
        bed.controller.want(entry(pair(n), "a"), bed.now).unwrap();
        let _ = round(&mut bed.controller, &mut bed.device, bed.now);
        let _ = round(&mut bed.controller, &mut bed.device, bed.now);
        assert!(bed.controller.state(&pair(n)).is_installed(), "{n}");
        let wait = bed.turns(1);
        assert!(wait <= 60 * SECOND, "{wait}");
    }
    assert!(bed.controller.counters().refused >= 50, "tries go on");
    assert!(!bed.controller.settled());
}

#[test]
fn what_cannot_come_does_not_keep_what_has_to_go() {
    let mut bed = bed(Memory::new("m"), |memory, paths, change, now| {
        let lacks = change.add.iter().find(|rule| rule.path == name("b"));
        match lacks {
            Some(rule) => Err(no(Kind::Unsupported, "no instance for b").about(rule.matching)),
            None => memory.apply(paths, change, now),
        }
    });
    bed.controller.want(entry(pair(1), "a"), bed.now).unwrap();
    bed.settle();
    bed.controller.want(entry(pair(1), "b"), bed.now).unwrap();
    bed.controller.path_down(&name("a"));
    bed.settle();
    assert!(matches!(bed.controller.state(&pair(1)), State::Failed(_)));
    assert_eq!(bed.rules().len(), 0, "packets go the usual way");
    assert!(bed.controller.release(&name("a")));
    assert_eq!(bed.controller.counters().lies, 0);
}

#[test]
fn after_a_refusal_no_path_is_released_before_all_is_read() {
    let mut often = 1;
    // It makes a change and says that it did not.
    let mut bed = bed(Memory::new("m"), move |memory, paths, change, now| {
        let result = memory.apply(paths, change, now);
        match often {
            0 => result,
            _ => {
                often -= 1;
                Err(no(Kind::Refused, "line 7 of 9"))
            }
        }
    });
    bed.settle();
    bed.controller.want(entry(pair(1), "a"), bed.now).unwrap();
    assert!(quick(&mut bed.controller, &mut bed.device, bed.now).is_err());
    assert_eq!(bed.rules().len(), 1, "it was made all the same");
    assert!(!bed.controller.release(&name("a")), "nobody knows what is on it");
    // It is read at once, not when a whole reading is due.
    assert!(bed.controller.next_due().is_some_and(|due| due <= bed.now));
    let outcome = quick(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert_eq!(outcome, Outcome::Changed { added: 0, removed: 1 });
    assert_eq!(bed.rules().len(), 0);
    assert!(bed.controller.release(&name("a")));
}

#[test]
fn a_slow_commit_is_confirmed_when_it_is_due() {
    let mut bed = Bed::new(Box::new(Slow::new(Memory::new("m"), 60 * SECOND)));
    bed.settle();
    bed.controller.want(entry(pair(1), "a"), bed.now).unwrap();
    let due = bed.now + 60 * SECOND;
    assert_eq!(quick(&mut bed.controller, &mut bed.device, bed.now), Ok(Outcome::Due(due)));
    assert_eq!(quick(&mut bed.controller, &mut bed.device, due - 1), Ok(Outcome::Quiet));
    quick(&mut bed.controller, &mut bed.device, due).unwrap();
    assert!(bed.controller.state(&pair(1)).is_installed());
    assert_eq!(bed.controller.next_due(), None);
}

#[test]
fn what_may_not_be_asked_for_holds_up_nothing_that_has_to_go() {
    let mut bed = bed(holding(&[1, 2]), |memory, paths, change, now| {
        let gone = Change { add: Vec::new(), ..change.clone() };
        let result = memory.apply(paths, &gone, now);
        match change.add.first() {
            Some(_) => result.and(Err(no(Kind::NotAsked, "no record"))),
            None => result,
        }
    });
    for (n, path) in [(1, "a"), (2, "a"), (3, "b")] {
        bed.controller.want(entry(pair(n), path), bed.now).unwrap();
    }
    // Until the waits of what is to come are long.
    bed.turns(100);
    assert_eq!(bed.rules().len(), 2);
    assert_eq!(bed.count(|state| matches!(state, State::Failed(_))), 0, "it was never refused");
    // One has to go, and one is to take another path.
    bed.controller.unwant(&pair(1));
    bed.controller.want(entry(pair(2), "b"), bed.now).unwrap();
    bed.controller.path_down(&name("a"));
    let _ = quick(&mut bed.controller, &mut bed.device, bed.now);
    assert_eq!(bed.rules().len(), 0, "at the first turn");
    let _ = quick(&mut bed.controller, &mut bed.device, bed.now);
    assert!(bed.controller.release(&name("a")));
}
