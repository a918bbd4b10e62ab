// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A controller, a device and a clock of our own.

use crate::matches::{name, target};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::life::State;
use telesteer_redirect::{Controller, Device, Match, PathName, Rule, Settings, round};

/// Turns after which a controller must have come to rest, whatever the device does.
const TURNS: usize = 400;

pub(crate) struct Bed {
    pub(crate) controller: Controller,
    pub(crate) device: Box<dyn Device>,
    pub(crate) now: Ns,
}

/// Waits are short and jitter is none, unless a test says otherwise.
pub(crate) fn settings() -> Settings {
    Settings { tries: 4, backoff: SECOND / 10, jitter: 0, ..Settings::default() }
}

impl Bed {
    /// With the paths `a` and `b` up.
    pub(crate) fn new(device: Box<dyn Device>) -> Self {
        Self::with(device, settings())
    }

    pub(crate) fn with(device: Box<dyn Device>, settings: Settings) -> Self {
        let mut bed = Self::bare(device, settings);
        bed.controller.path_up(name("a"), target(1)).unwrap();
        bed.controller.path_up(name("b"), target(2)).unwrap();
        bed
    }

    /// Without any path.
    pub(crate) fn bare(device: Box<dyn Device>, settings: Settings) -> Self {
        let controller = Controller::new(settings, device.capabilities());
        Self { controller, device, now: 1000 * SECOND }
    }

    /// Takes turns until there is nothing left to do.
    pub(crate) fn settle(&mut self) {
        let mut last = None;
        for _ in 0..TURNS {
            last = round(&mut self.controller, &mut self.device, self.now).err();
            if last.is_none() && self.controller.settled() {
                return;
            }
            let soon = self.now + SECOND / 100;
            // On to when something is due, but not past entries that age much later.
            let due = self.controller.next_due().unwrap_or(soon);
            self.now = due.clamp(soon, self.now + 100 * SECOND);
        }
        let open: Vec<_> =
            self.controller.states().filter(|(_, state)| !state.is_installed()).take(5).collect();
        panic!(
            "not settled after {TURNS} turns: last error {last:?}, amiss {:?}, open {open:?}, {:?}",
            self.controller.amiss(),
            self.controller.counters()
        );
    }

    /// Takes turns, each when the next thing is due, whatever comes of them; gives the longest wait.
    pub(crate) fn turns(&mut self, turns: usize) -> Ns {
        let mut longest = 0;
        for _ in 0..turns {
            let _ = round(&mut self.controller, &mut self.device, self.now);
            let due = self.controller.next_due().unwrap_or(self.now).max(self.now + 1);
            longest = longest.max(due - self.now);
            self.now = due;
        }
        longest
    }

    /// What the device holds, asked past the controller.
    pub(crate) fn rules(&mut self) -> BTreeSet<Rule> {
        self.device.read_back(self.controller.paths(), self.now).unwrap().rules
    }

    /// What it should hold.
    pub(crate) fn wanted(&self) -> BTreeMap<Match, PathName> {
        self.controller.wanted().rules()
    }

    /// The device holds what is wanted, no more and no less, and the controller knows.
    pub(crate) fn must_agree(&mut self) {
        let rules = self.rules().into_iter().map(|rule| (rule.matching, rule.path));
        let rules: BTreeMap<_, _> = rules.collect();
        assert_eq!(rules, self.wanted());
        for matching in rules.keys() {
            assert!(self.controller.state(matching).is_installed(), "{matching}");
        }
        assert_eq!(self.controller.states().count(), rules.len());
    }

    /// Whatever the controller calls installed is on the device.
    pub(crate) fn must_not_lie(&mut self) {
        let rules = self.rules();
        for (matching, state) in self.controller.states().filter(|(_, state)| state.is_installed())
        {
            assert!(rules.iter().any(|rule| rule.matching == matching), "{matching} {state:?}");
        }
    }

    pub(crate) fn count(&self, is: impl Fn(&State) -> bool) -> usize {
        self.controller.states().filter(|(_, state)| is(state)).count()
    }
}
