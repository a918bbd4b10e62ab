// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The contract with the control side: the PBR table and the LSPs of a day.
//!
//! `pbr-DAY.json`, written whole or not at all. Version 1:
//!
//! - `version`, `day`, `width`, `aging`: what this is.
//! - `both_directions`: whether every entry stands for its reverse too, which is not listed; it does by
//!   default. If not (`--directions both`), `entries` and `lsps` are all there is to install.
//! - `entries`: `src`, `dst`, `last_alpha` (the day of its last alpha flow) and `lsps` (where its
//!   alpha flows of that day went, `ingress` and `egress`), sorted. With `reverse` the entry is there
//!   because of the way back: `last_alpha` is of that, and `lsps` are its LSPs turned round, as far as
//!   the router at the other end is known.
//! - `lsps`: the LSPs that any entry names, sorted.
//! - `diff`: `since` (the interval before), `entries` and `lsps`, each with what is `added` and what
//!   is `removed` against the table of that day. Applied to it they give this table. `base` is the
//!   SHA-256 of the file of that day, where there is one: the difference is to what it says,
//!   whatever is known of its days by now and whatever width it was of. Without, it is null, and the
//!   difference is to the table that the same width and aging would have given.
//!
//! A reader refuses a version it does not know. Fields may be added within a version.

use crate::state::write_whole;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use telesteer_fam::aging::{InForce, Policy};
use telesteer_fam::day::RawFlow;
use telesteer_fam::lsp::Lsp;
use telesteer_fam::reading::Directions;
use telesteer_fam::series::Days;
use telesteer_fam::{Day, Prefix, PrefixFlow, Reading};

/// Version of the file.
pub const VERSION: u32 = 1;

/// An LSP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Source prefix.
    pub src: Prefix,
    /// Destination prefix.
    pub dst: Prefix,
    /// Day of its last alpha flow.
    pub last_alpha: String,
    /// Where its alpha flows of that day went.
    pub lsps: BTreeSet<LspName>,
    /// Whether it is in force because of its reverse only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverse: bool,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<T> {
    /// Not there before.
    pub added: Vec<T>,
    /// There before only.
    pub removed: Vec<T>,
}

/// Against the interval before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// That interval.
    pub since: String,
    /// SHA-256 of its file, if there is one.
    #[serde(default)]
    pub base: Option<String>,
    /// Entries.
    pub entries: Change<PrefixFlow>,
    /// LSPs.
    pub lsps: Change<LspName>,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    /// [`VERSION`].
    pub version: u32,
    /// The interval it is for.
    pub day: String,
    /// Width of the entries.
    pub width: String,
    /// Their aging.
    pub aging: String,
    /// Whether each entry stands for its reverse too.
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
        let reverse = !table.learnt(&pair, day);
        let learnt = if reverse { pair.reverse() } else { pair };
        let of_pair = |flow: &&RawFlow| PrefixFlow::of(&flow.key, policy.width) == learnt;
        let (last, alpha) = days
            .range(..day)
            .rev()
            .find(|(_, alpha)| alpha.flows.iter().any(|flow| of_pair(&flow)))?;
        let way = |flow: &RawFlow| if reverse { flow.lsp().reverse() } else { Some(flow.lsp()) };
        let lsps = alpha.flows.iter().filter(of_pair).filter_map(way).map(LspName::from).collect();
        let last_alpha = reading.calendar.label(*last);
        Some(Entry { src: pair.src, dst: pair.dst, last_alpha, lsps, reverse })
    };
    table.table(day).into_iter().filter_map(entry).collect()
}

fn change<T: Ord + Clone>(before: &BTreeSet<T>, now: &BTreeSet<T>) -> Change<T> {
    Change {
        added: now.difference(before).cloned().collect(),
        removed: before.difference(now).cloned().collect(),
    }
}

/// What a difference is to.
#[derive(Clone, Debug, Default)]
struct Base {
    digest: Option<String>,
    entries: BTreeSet<PrefixFlow>,
    lsps: BTreeSet<LspName>,
}

fn lsps(entries: &[Entry]) -> BTreeSet<LspName> {
    entries.iter().flat_map(|entry| entry.lsps.iter().cloned()).collect()
}

fn file_of(dir: &Path, day: &str) -> PathBuf {
    dir.join(format!("pbr-{day}.json"))
}

/// What was emitted for a day; `None` if nothing was.
fn emitted_before(dir: &Path, day: &str) -> Result<Option<Base>> {
    let path = file_of(dir, day);
    let at = || format!("reading {}; without it the difference is reckoned", path.display());
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.with_context(at)?,
    };
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(&bytes).with_context(at)?;
    if version != VERSION {
        bail!("{}: it is of version {version}, not {VERSION}", path.display());
    }
    let file: Emitted = serde_json::from_slice(&bytes).with_context(at)?;
    let entries = file.entries.iter().map(|entry| PrefixFlow { src: entry.src, dst: entry.dst });
    Ok(Some(Base { digest: Some(digest(&bytes)), entries: entries.collect(), lsps: file.lsps }))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The table that is in force on `day`, from the days before it, and how it differs from what `dir`
/// has of the day before.
pub fn emitted(
    dir: &Path,
    days: &Days,
    policy: Policy,
    table: &InForce,
    day: Day,
    reading: &Reading,
) -> Result<Emitted> {
    let before = day.plus(-1);
    let since = reading.calendar.label(before);
    let now = entries(days, policy, table, day, reading);
    let now_lsps = lsps(&now);
    let base = match emitted_before(dir, &since)? {
        Some(base) => base,
        None => Base {
            digest: None,
            entries: table.table(before),
            lsps: lsps(&entries(days, policy, table, before, reading)),
        },
    };
    Ok(Emitted {
        version: VERSION,
        day: reading.calendar.label(day),
        width: policy.width.label(),
        aging: policy.aging.to_string(),
        both_directions: reading.directions == Directions::OneWay,
        diff: Diff {
            since,
            base: base.digest,
            entries: change(&base.entries, &table.table(day)),
            lsps: change(&base.lsps, &now_lsps),
        },
        entries: now,
        lsps: now_lsps,
    })
}

/// Writes the file into `dir` and returns its path.
pub fn write(dir: &Path, emitted: &Emitted) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let path = file_of(dir, &emitted.day);
    let mut bytes = serde_json::to_vec_pretty(emitted)?;
    bytes.push(b'\n');
    write_whole(&path, &bytes)?;
    Ok(path)
}
