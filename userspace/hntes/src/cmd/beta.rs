// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The third pass, and what is kept of it.

use crate::capacities::Capacities;
use crate::state::State;
use crate::tables::{self, Table};
use crate::work::{Found, Work};
use anyhow::Result;
use std::collections::BTreeMap;
use telesteer_fam::plan::Plan;
use telesteer_fam::redirected::Redirected;
use telesteer_fam::{Day, Reading};

/// A third pass of a run.
pub(super) struct Third<'t> {
    /// The records.
    pub(super) work: &'t Work<'t>,
    /// Where days are kept.
    pub(super) state: Option<&'t State>,
    /// What LSPs can carry.
    pub(super) capacities: &'t Capacities,
    /// Nothing is said: it is of one router of several.
    pub(super) alone: bool,
}

impl Third<'_> {
    /// The tables of beta traffic and of utilisation: of the days that `plan` reads and, where there is
    /// a state, of those kept. Days of which nothing is known are in none of them, and are named.
    pub(super) fn tables(
        &self,
        found: &Found,
        plan: Plan<'_>,
        reading: &Reading,
    ) -> Result<Vec<Table>> {
        let plan = if self.state.is_some() { plan.keeping() } else { plan };
        let mut beta = match plan.read().next() {
            None => BTreeMap::new(),
            Some(_) => self.work.beta(found, &plan, reading)?,
        };
        if let Some(state) = self.state {
            let needs = plan.needs();
            state.store_beta(&beta, &needs, reading)?;
            state.load_beta(&mut beta, &needs, reading)?;
        }
        let redirected = Redirected::new(&plan, &beta);
        let unknown = redirected.unknown();
        if !self.alone
            && let Some(remark) = remark(&unknown, reading)
        {
            eprintln!("hntes: {remark}");
        }
        let mut all = vec![tables::beta::unknown(&unknown, reading)];
        if unknown.is_empty() || !beta.is_empty() {
            let rows = redirected.tables();
            all.extend(tables::beta::redirected(&rows, reading));
            all.push(tables::beta::utilisation(&redirected, &rows, reading, self.capacities));
        }
        Ok(all)
    }
}

/// Of days that the tables of beta traffic are not about.
fn remark(unknown: &[Day], reading: &Reading) -> Option<String> {
    let first = reading.calendar.label(*unknown.first()?);
    Some(format!(
        "of {} kept intervals, the first is {first}, beta traffic is not known under these tables; it is left out \
         of beta, beta_days and lsp_utilisation until they are read again",
        unknown.len()
    ))
}
