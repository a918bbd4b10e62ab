// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A router of each kind, for one test.

use crate::space::{Space, may, run};
use std::sync::{Arc, Mutex};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::iprule::{self, IpRule};
use telesteer_redirect::memory::Memory;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{Capabilities, Change, Commit, Device, DeviceError, Paths, ReadBack};

/// A router.
pub(crate) trait Lab {
    /// A way to it that knows nothing yet, for so many entries if the device is told.
    fn open(&self, limit: usize) -> Box<dyn Device>;
    /// Puts something of somebody else's where ours goes.
    fn plant(&self);
    /// Whether that is there.
    fn planted(&self) -> bool;
    /// Takes rules of ours away behind everybody's back; pairs of networks among them.
    fn spoil(&self);
}

/// How to get one.
pub(crate) trait PlainLab: Lab + Sized {
    /// Calls the test with a new router, or says why not.
    fn with(test: impl FnOnce(&dyn Lab) + Send);
}

/// [`Memory`], shared by all that open it.
pub(crate) struct MemoryLab(Arc<Mutex<Memory>>);

pub(crate) struct Shared(pub(crate) Arc<Mutex<Memory>>, pub(crate) usize);

impl Device for Shared {
    fn name(&self) -> &str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { limit: self.1, ..self.0.lock().unwrap().capabilities() }
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.0.lock().unwrap().read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        self.0.lock().unwrap().apply(paths, change, now)
    }
}

impl Lab for MemoryLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        Box::new(Shared(Arc::clone(&self.0), limit))
    }

    fn plant(&self) {
        self.0.lock().unwrap().foreign.push("theirs".to_owned());
    }

    fn planted(&self) -> bool {
        self.0.lock().unwrap().foreign.iter().any(|one| one == "theirs")
    }

    fn spoil(&self) {
        self.0.lock().unwrap().rules.clear();
    }
}

impl PlainLab for MemoryLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        test(&Self(Arc::new(Mutex::new(Memory::new("memory")))));
    }
}

/// [`IpRule`] in a namespace.
pub(crate) struct IpRuleLab;

/// A rule between ours.
pub(crate) fn plant_rule(priority: u32) {
    let (priority, pair) = (priority.to_string(), ["203.0.113.0/24", "198.51.100.0/24"]);
    run(&[
        "ip", "rule", "add", "priority", &priority, "from", pair[0], "to", pair[1], "table", "999",
        "protocol", "99",
    ]);
}

pub(crate) fn rule_planted() -> bool {
    run(&["ip", "rule", "show"]).contains("from 203.0.113.0/24 to 198.51.100.0/24 lookup 999")
}

impl Lab for IpRuleLab {
    fn open(&self, _limit: usize) -> Box<dyn Device> {
        Box::new(IpRule::open("rules").unwrap())
    }

    fn plant(&self) {
        plant_rule(iprule::PRIORITY + 2);
    }

    fn planted(&self) -> bool {
        rule_planted()
    }

    fn spoil(&self) {
        let priority = (iprule::PRIORITY + 2).to_string();
        run(&["ip", "rule", "del", "priority", &priority]);
        run(&["ip", "rule", "del", "priority", &priority]);
    }
}

impl PlainLab for IpRuleLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        if may(&["ip"]) {
            Space::new("rules").within(|| test(&Self));
        }
    }
}

/// [`Slow`] around the same.
pub(crate) struct SlowLab;

impl Lab for SlowLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        Box::new(Slow::new(IpRuleLab.open(limit), 60 * SECOND))
    }

    fn plant(&self) {
        IpRuleLab.plant();
    }

    fn planted(&self) -> bool {
        IpRuleLab.planted()
    }

    fn spoil(&self) {
        IpRuleLab.spoil();
    }
}

impl PlainLab for SlowLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        if may(&["ip"]) {
            Space::new("slow").within(|| test(&Self));
        }
    }
}

/// [`Nft`] in a namespace.
pub(crate) struct NftLab;

impl Lab for NftLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        Box::new(Nft::with_limit("nft", limit).unwrap())
    }

    fn plant(&self) {
        run(&["nft", "add table inet telesteer_hntes; add counter inet telesteer_hntes theirs"]);
        plant_rule(telesteer_redirect::nft::PRIORITY);
    }

    fn planted(&self) -> bool {
        rule_planted() && run(&["nft", "list", "counters"]).contains("theirs")
    }

    fn spoil(&self) {
        run(&["nft", "flush", "map", "inet", "telesteer_hntes", "net4"]);
    }
}

impl PlainLab for NftLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        if may(&["ip", "nft"]) {
            Space::new("nft").within(|| test(&Self));
        }
    }
}
