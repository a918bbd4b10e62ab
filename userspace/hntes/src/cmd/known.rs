// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The days of a run: those read, those kept, and those that nobody believes.

use crate::state::{Kept, State};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::series::Days;
use telesteer_fam::{Day, Reading, period};

/// The days of a run.
pub(super) struct Known {
    /// All that count.
    pub(super) days: Days,
    /// Those of them whose records the run reads.
    pub(super) read: BTreeSet<Day>,
    /// Those that were read, and stay as they are kept.
    pub(super) stayed: Vec<Kept>,
    /// Those that do not count: they are too far from all others.
    pub(super) far: BTreeSet<Day>,
}

impl Known {
    /// Of the days read and, if there is a state, of those kept. Keeps what was read.
    pub(super) fn new(
        mut read: Days,
        state: Option<&State>,
        replace: bool,
        reading: &Reading,
    ) -> Result<Self> {
        let mut days = match state {
            None => Days::new(),
            // What is replaced may be damaged.
            Some(state) => state
                .load(reading, |day| replace && read.contains_key(&day))
                .context("--replace puts days that are read in the place of damaged ones")?,
        };
        let mut counts: BTreeMap<Day, u64> = BTreeMap::new();
        for (day, alpha) in days.iter().chain(&read) {
            let count = counts.entry(*day).or_default();
            *count = alpha.totals.all().max(*count);
        }
        let far = period::far(&counts, reading);
        read.retain(|day, _| !far.contains(day));
        days.retain(|day, _| !far.contains(day));
        let stayed = match state {
            None => Vec::new(),
            Some(state) => state.store(&read, reading, replace)?,
        };
        for Kept { day, .. } in &stayed {
            read.remove(day);
        }
        let own = read.keys().copied().collect();
        days.extend(read);
        Ok(Self { days, read: own, stayed, far })
    }
}
