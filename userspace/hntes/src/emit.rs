// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The contract with the control side: the PBR table and the LSPs of a day.
//!
//! `pbr-DAY.json`, written whole or not at all. Version 1:
//!
//! - `version`, `day`, `width`, `aging`: what this is.
//! - `both_directions`: true; every entry stands for its reverse too, which is not listed.
//! - `entries`: `src`, `dst`, `last_alpha` (the day of its last alpha flow) and `lsps` (where its
//!   alpha flows of that day went, `ingress` and `egress`), sorted.
//! - `lsps`: the LSPs that any entry names, sorted.
//! - `diff`: `since` (the interval before), `entries` and `lsps`, each with what is `added` and what
//!   is `removed` against the table of that day. Applied to it they give this table.
//!
//! A reader refuses a version it does not know. Fields may be added within a version.

use crate::state::write_whole;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use telesteer_fam::aging::{InForce, Policy};
use telesteer_fam::day::RawFlow;
use telesteer_fam::lsp::Lsp;
use telesteer_fam::series::Days;
use telesteer_fam::{Day, Prefix, PrefixFlow, Reading};

/// Version of the file.
pub const VERSION: u32 = 1;

/// An LSP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LspName {
    /// Ingress router.
    pub ingress: String,
    /// Egress router, or `if` and the number of an interface.
    pub egress: String,
}

impl From<Lsp> for LspName {
    fn from(lsp: Lsp) -> Self {
        Self { ingress: lsp.ingress.to_string(), egress: lsp.egress.to_string() }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Source prefix.
    pub src: Prefix,
    /// Destination prefix.
    pub dst: Prefix,
    /// Day of its last alpha flow.
    pub last_alpha: String,
    /// Where its alpha flows of that day went.
    pub lsps: BTreeSet<LspName>,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// Not there before.
    pub added: Vec<T>,
    /// There before only.
    pub removed: Vec<T>,
}

/// Against the interval before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// That interval.
    pub since: String,
    /// Entries.
    pub entries: Change<PrefixFlow>,
    /// LSPs.
    pub lsps: Change<LspName>,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Emitted {
    /// [`VERSION`].
    pub version: u32,
    /// The interval it is for.
    pub day: String,
    /// Width of the entries.
    pub width: String,
    /// Their aging.
    pub aging: String,
    /// Always true.
    pub both_directions: bool,
    /// The table.
    pub entries: Vec<Entry>,
    /// The LSPs.
    pub lsps: BTreeSet<LspName>,
    /// Changes.
    pub diff: Diff,
}

fn entries(
    days: &Days,
    policy: Policy,
    table: &InForce,
    day: Day,
    reading: &Reading,
) -> Vec<Entry> {
    let entry = |pair: PrefixFlow| {
        let of_pair = |flow: &&RawFlow| PrefixFlow::of(&flow.key, policy.width) == pair;
        let (last, alpha) = days
            .range(..day)
            .rev()
            .find(|(_, alpha)| alpha.flows.iter().any(|flow| of_pair(&flow)))?;
        let lsps = alpha.flows.iter().filter(of_pair).map(|flow| flow.lsp().into()).collect();
        let last_alpha = reading.calendar.label(*last);
        Some(Entry { src: pair.src, dst: pair.dst, last_alpha, lsps })
    };
    table.table(day).into_iter().filter_map(entry).collect()
}

fn change<T: Ord + Clone>(before: &BTreeSet<T>, now: &BTreeSet<T>) -> Change<T> {
    Change {
        added: now.difference(before).cloned().collect(),
        removed: before.difference(now).cloned().collect(),
    }
}

/// The table that is in force on `day`, from the days before it.
pub fn emitted(
    days: &Days,
    policy: Policy,
    table: &InForce,
    day: Day,
    reading: &Reading,
) -> Emitted {
    let before = day.plus(-1);
    let now = entries(days, policy, table, day, reading);
    let lsps = |entries: &[Entry]| -> BTreeSet<LspName> {
        entries.iter().flat_map(|entry| entry.lsps.iter().cloned()).collect()
    };
    let (now_lsps, old_lsps) = (lsps(&now), lsps(&entries(days, policy, table, before, reading)));
    Emitted {
        version: VERSION,
        day: reading.calendar.label(day),
        width: policy.width.label(),
        aging: policy.aging.to_string(),
        both_directions: true,
        diff: Diff {
            since: reading.calendar.label(before),
            entries: change(&table.table(before), &table.table(day)),
            lsps: change(&old_lsps, &now_lsps),
        },
        entries: now,
        lsps: now_lsps,
    }
}

/// Writes the file into `dir` and returns its path.
pub fn write(dir: &Path, emitted: &Emitted) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let path = dir.join(format!("pbr-{}.json", emitted.day));
    let mut bytes = serde_json::to_vec_pretty(emitted)?;
    bytes.push(b'\n');
    write_whole(&path, &bytes)?;
    Ok(path)
}
