// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The offline table: what `hntes fam --emit DIR` writes for a day, as what routers can match and the
//! pairs of routers it goes between.
//!
//! The file is `pbr-DAY.json`, version 1. Of it `day`, `both_directions` and `entries` (`src`, `dst`,
//! `lsps`) are read.

use crate::network::Network;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use telesteer_circuit::request::Pair;
use telesteer_fam::{Prefix, PrefixFlow};
use telesteer_redirect::Match;

/// Version of the file that is read.
const VERSION: u64 = 1;
/// Longest file.
pub const BYTES: u64 = 256 << 20;
/// Most entries.
pub const ENTRIES: usize = 32_768;
/// Most files of a folder that are looked at.
const FILES: usize = 100_000;

/// A file that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Bad {
    /// The file.
    pub file: String,
    /// Why not.
    pub why: String,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The day it is for.
    pub day: String,
    /// Its entries, as they were said: a reverse is another entry.
    pub entries: Vec<TableEntry>,
    /// Whether each entry stands for its reverse too.
    pub both: bool,
    /// Entries left out: no router matches them, nobody knows where they go, or there are too many.
    pub left_out: u64,
}

/// An entry of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableEntry {
    /// What it matches.
    pub matching: Match,
    /// Where that comes in and where it leaves.
    pub pair: Pair,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize)]
struct File {
    day: String,
    both_directions: bool,
    entries: Vec<FileEntry>,
}

#[derive(Deserialize)]
struct FileEntry {
    src: Prefix,
    dst: Prefix,
    #[serde(default)]
    lsps: Vec<Pair>,
}

/// Reads bytes; `file` is for messages.
///
/// # Errors
///
/// If it is no table of a version that is known.
pub fn parse(file: &str, bytes: &[u8], network: &Network) -> Result<Table, Bad> {
    let bad = |why: String| Bad { file: file.to_owned(), why };
    let Version { version } =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("version: {error}")))?;
    if version != VERSION {
        return Err(bad(format!("version: {version}, not {VERSION}")));
    }
    let read: File = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    let (mut entries, mut left_out) = (BTreeMap::new(), 0);
    for FileEntry { src, dst, lsps } in read.entries {
        let matching = Match::pair(PrefixFlow { src, dst }).ok();
        let known = |pair: &Pair| {
            let (ingress, egress) = (network.router(&pair.ingress)?, network.router(&pair.egress)?);
            Some(Pair::new(ingress, egress))
        };
        // What was seen goes before what prefixes say.
        let pair = lsps
            .iter()
            .find_map(known)
            .or_else(|| network.pair(src.addr(), dst.addr(), None))
            .filter(|pair| pair.ingress != pair.egress);
        match (matching, pair) {
            (Some(matching), Some(pair)) if entries.len() < ENTRIES => {
                entries.insert(matching, pair);
            }
            _ => left_out += 1,
        }
    }
    let entries =
        entries.into_iter().map(|(matching, pair)| TableEntry { matching, pair }).collect();
    Ok(Table { day: read.day, entries, both: read.both_directions, left_out })
}

/// Reads a file.
///
/// # Errors
///
/// If it cannot be read, is too long, or is no table.
pub fn read(path: &Path, network: &Network) -> Result<Table, Bad> {
    let file = path.display().to_string();
    let bad = |why: String| Bad { file: file.clone(), why };
    let length = fs::metadata(path).map_err(|error| bad(error.to_string()))?.len();
    if length > BYTES {
        return Err(bad(format!("it has more than {BYTES} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| bad(error.to_string()))?;
    parse(&file, &bytes, network)
}

/// The newest file of a folder that is for `day` or an earlier one, with its day. Days are compared as
/// text, which is their order.
///
/// # Errors
///
/// If the folder cannot be read. That it is not there yet is no error.
pub fn newest(dir: &Path, day: &str) -> Result<Option<(String, PathBuf)>, Bad> {
    let bad =
        |error: std::io::Error| Bad { file: dir.display().to_string(), why: error.to_string() };
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(bad)?,
    };
    let mut best: Option<(String, PathBuf)> = None;
    for file in listed.take(FILES) {
        let path = file.map_err(bad)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let of = name.and_then(|name| name.strip_prefix("pbr-")?.strip_suffix(".json"));
        let Some(of) = of.filter(|of| *of <= day).map(str::to_owned) else { continue };
        if best.as_ref().is_none_or(|(best, _)| *best < of) {
            best = Some((of, path));
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Place;

    fn network() -> Network {
        let place = |address: &str, prefix: &str| Place {
            addresses: vec![address.parse().unwrap()],
            prefixes: vec![prefix.parse().unwrap()],
        };
        let places = BTreeMap::from([
            ("r1".to_owned(), place("10.255.0.1", "192.0.2.0/24")),
            ("r2".to_owned(), place("10.255.0.2", "198.51.100.0/24")),
        ]);
        Network::new(&places).unwrap()
    }

    const FILE: &str = r#"{"version":1,"day":"2011-05-02","width":"/24","aging":"30",
        "both_directions":true,"entries":[
        {"src":"203.0.113.0/24","dst":"198.51.100.0/24","last_alpha":"x",
         "lsps":[{"ingress":"10.255.0.1","egress":"unknown"},
                 {"ingress":"10.255.0.1","egress":"10.255.0.2"}]},
        {"src":"198.51.100.0/24","dst":"192.0.2.0/24","last_alpha":"x","lsps":[]},
        {"src":"203.0.113.0/24","dst":"203.0.114.0/24","last_alpha":"x","lsps":[]},
        {"src":"192.0.2.0/25","dst":"198.51.100.0/25","last_alpha":"x","lsps":[]}],
        "lsps":[],"diff":{}}"#;

    #[test]
    fn what_was_seen_goes_before_what_prefixes_say() {
        let table = parse("pbr.json", FILE.as_bytes(), &network()).unwrap();
        let pairs: Vec<_> =
            table.entries.iter().map(|one| (one.matching.to_string(), one.pair.clone())).collect();
        let (forth, back) = (Pair::new("r1", "r2"), Pair::new("r2", "r1"));
        assert_eq!(
            pairs,
            [
                ("198.51.100.0/24 192.0.2.0/24".to_owned(), back),
                ("203.0.113.0/24 198.51.100.0/24".to_owned(), forth)
            ]
        );
        assert_eq!((table.left_out, table.both, table.day.as_str()), (2, true, "2011-05-02"));
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<Table>(&text).unwrap(), table);
    }

    #[test]
    fn a_bad_file_says_why() {
        let said = |text: &str| parse("pbr.json", text.as_bytes(), &network()).unwrap_err();
        assert_eq!(said(r#"{"version":2}"#).to_string(), "pbr.json: version: 2, not 1");
        assert!(said(r#"{"version":1}"#).why.contains("missing field"));
        assert!(said("x").why.contains("line 1"));
    }

    #[test]
    fn the_newest_up_to_today() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(&dir.path().join("none"), "2011-05-02").unwrap(), None);
        for day in ["2011-05-01", "2011-04-30", "2011-05-03"] {
            fs::write(dir.path().join(format!("pbr-{day}.json")), FILE).unwrap();
        }
        fs::write(dir.path().join("pbr-2011-05-02.json.new"), "").unwrap();
        let (day, path) = newest(dir.path(), "2011-05-02").unwrap().unwrap();
        assert_eq!((day.as_str(), path), ("2011-05-01", dir.path().join("pbr-2011-05-01.json")));
        assert!(
            !read(&dir.path().join("pbr-2011-05-01.json"), &network()).unwrap().entries.is_empty()
        );
    }
}
