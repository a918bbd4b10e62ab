// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The experiments, by name.

mod aging;
mod cost;
mod delay;
mod hybrid;
mod install;
mod isolation;
mod kill;
mod meter;
mod mirror;
mod offline;
mod overtake;
mod rates;
mod redirect;
mod reorder;
mod swap;
mod ticket;
mod verify;

use crate::error::Result;
use crate::report::Findings;
use std::path::PathBuf;

/// What an experiment is given.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// Folder for captures and logs.
    pub(crate) work: PathBuf,
    /// Where our other programs are.
    pub(crate) programs: PathBuf,
    /// A shorter run.
    pub(crate) brief: bool,
}

/// An experiment.
#[derive(Clone, Copy)]
pub(crate) struct Experiment {
    /// Its name.
    pub(crate) name: &'static str,
    /// One line of what it measures.
    pub(crate) about: &'static str,
    /// Runs it to its end.
    pub(crate) run: fn(&Bench) -> Result<Findings>,
}

/// All of them.
pub(crate) const ALL: &[Experiment] = &[
    Experiment {
        name: "redirect",
        about: "end to end: found from IPFIX, circuit, policy route, label, and all of it back",
        run: redirect::run,
    },
    Experiment {
        name: "ticket",
        about: "an announced transfer: its path is there before its first byte, and goes with its ticket",
        run: ticket::run,
    },
    Experiment {
        name: "hybrid",
        about: "of two alpha flows only that of a pair in the offline table is redirected, by its 5-tuple",
        run: hybrid::run,
    },
    Experiment {
        name: "offline",
        about: "circuits and prefix routes of the offline table: before any flow, without end, and away again",
        run: offline::run,
    },
    Experiment {
        name: "meter",
        about: "a router's own counters (Method 1): silent below the threshold, one event above it",
        run: meter::run,
    },
    Experiment {
        name: "kill",
        about: "`hntes run` is killed before and after each of its calls, five times, amid packets",
        run: kill::run,
    },
    Experiment {
        name: "mirror",
        about: "a mirror of headers (Method 3): Mb/s and CPU by the link's rate (guest with --icount)",
        run: mirror::run,
    },
    Experiment {
        name: "verify",
        about: "entries of each device that forwards here: by read-back, counters and captured labels",
        run: verify::run,
    },
    Experiment {
        name: "reorder",
        about: "packets out of order when a route is added, by the difference of the paths' delays",
        run: reorder::run,
    },
    Experiment {
        name: "overtake",
        about: "a route that would let packets overtake is told by how much, and waits for idle if bid to",
        run: overtake::run,
    },
    Experiment {
        name: "swap",
        about: "tables of 1548 entries change places under traffic: nothing lost, nothing misrouted",
        run: swap::run,
    },
    Experiment {
        name: "rates",
        about: "rate-unlimited LSPs against rate-specified ones, alone and in company",
        run: rates::run,
    },
    Experiment {
        name: "isolation",
        about: "delay of beta traffic beside an alpha flow that fills the link, one queue and two",
        run: isolation::run,
    },
    Experiment {
        name: "aging",
        about: "entries go a while after their last alpha flow, and not before",
        run: aging::run,
    },
    Experiment {
        name: "install",
        about: "time until an entry is installed and read back, by device and size of the table",
        run: install::run,
    },
    Experiment {
        name: "cost",
        about: "instructions of a forwarded packet with 0 and 10 000 entries (guest with --icount)",
        run: cost::run,
    },
    Experiment {
        name: "delay",
        about: "detection delay and share of alpha bytes redirected, beside the simulated curve",
        run: delay::run,
    },
];

/// Progress, on standard error.
pub(crate) fn say(text: impl AsRef<str>) {
    eprintln!("telesteer-lab: {}", text.as_ref());
}
