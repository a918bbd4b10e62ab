// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reservations that were under way when the loop before ended. A provider that is elsewhere may take
//! one up after all who asked for it are gone, so one list that lacks it says nothing.

use super::Service;
use crate::provider::settings::Kind;
use crate::record::{Intent, Record, State};
use crate::settings::Settings;
use std::collections::BTreeMap;
use telesteer_circuit::life::Call;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// Names of circuits, by the number of the intent.
#[derive(Debug)]
pub(super) struct Unsure {
    names: BTreeMap<u64, String>,
    /// What was asked for is there by then, or never will be.
    until: Ns,
}

impl Unsure {
    /// Of what the loop before left open.
    pub(super) fn new(settings: &Settings, state: &State, now: Ns) -> Self {
        let elsewhere = settings.circuits.provider != Kind::Local;
        let open = state.open.iter().filter(|_| elsewhere);
        let name = |(number, intent): (&u64, &Intent)| match intent {
            Intent::Circuit { call: Call::Reserve, name, .. } => Some((*number, name.clone())),
            _ => None,
        };
        let wait = Ns::try_from(settings.circuits.manner.waits.reserve_ms).unwrap_or(Ns::MAX);
        let until = now.saturating_add(wait.saturating_mul(SECOND / 1000));
        Self { names: open.filter_map(name).collect(), until }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether this intent is one of them.
    pub(super) fn has(&self, number: u64) -> bool {
        self.names.contains_key(&number)
    }
}

impl Service {
    /// Forgets those that have shown, or cannot show any more.
    pub(super) fn settle_unsure(&mut self) {
        let Self { office_report: report, unsure: Unsure { names, until }, .. } = self;
        let over = report.listed.is_some_and(|listed| listed >= *until);
        let shown = |name: &str| {
            let mut all = report.circuits.iter().flat_map(BTreeMap::keys);
            all.any(|one| one.as_str() == name)
        };
        let mut records = Vec::new();
        names.retain(|number, name| {
            let settled = over || shown(name);
            if settled {
                records.push(Record::Result(*number, Some("interrupted".into())));
            }
            !settled
        });
        if !records.is_empty() {
            self.conductor.unwritten(records);
        }
    }
}
