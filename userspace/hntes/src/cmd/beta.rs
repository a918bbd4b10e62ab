// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The third pass, and what is kept of it.

use crate::state::State;
use crate::tables::{self, Table};
use crate::work::{Found, Work};
use anyhow::Result;
use std::collections::BTreeMap;
use telesteer_fam::plan::Plan;
use telesteer_fam::redirected::Redirected;
use telesteer_fam::{Day, Reading};

/// The tables of beta traffic and of utilisation: of the days that `plan` reads and, where there is a
/// state, of those kept. Days of which nothing is known are in none of them, and are named.
pub(super) fn tables(
    work: &Work<'_>,
    found: &Found,
    plan: Plan<'_>,
    state: Option<&State>,
    capacity: Option<u64>,
    reading: &Reading,
) -> Result<Vec<Table>> {
    let plan = if state.is_some() { plan.keeping() } else { plan };
    let mut beta = match plan.read().next() {
        None => BTreeMap::new(),
        Some(_) => work.beta(found, &plan, reading)?,
    };
    if let Some(state) = state {
        let needs = plan.needs();
        state.store_beta(&beta, &needs, reading)?;
        state.load_beta(&mut beta, &needs, reading)?;
    }
    let redirected = Redirected::new(&plan, &beta);
    let unknown = redirected.unknown();
    if let Some(remark) = remark(&unknown, reading) {
        eprintln!("hntes: {remark}");
    }
    let mut all = vec![tables::beta::unknown(&unknown, reading)];
    if unknown.is_empty() || !beta.is_empty() {
        let rows = redirected.tables();
        all.extend(tables::beta::redirected(&rows, reading));
        all.push(tables::beta::utilisation(&redirected, &rows, reading, capacity));
    }
    Ok(all)
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
