// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that say no: for a while, to some things, or after they have done half of it.

use crate::bed::Bed;
use crate::matches::{entry, name, net, tuple};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::memory::Memory;
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{
    Capabilities, Change, Commit, Device, DeviceError, Kind, Match, Outcome, Paths, ReadBack, quick,
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

fn pair(n: u16) -> Match {
    net(tuple(n, 1, 1))
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
