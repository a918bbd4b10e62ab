// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAM's LSP set, from the file it writes for a day (`pbr-DAY.json`, version 1): the pairs for which
//! circuits are wanted offline.

use crate::request::{Name, Pair};
use crate::time::At;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Version of the file that is read.
const VERSION: u64 = 1;
/// Longest file.
const BYTES: u64 = 256 << 20;

/// A file that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {why}")]
pub struct Bad {
    /// The file.
    pub file: String,
    /// What of it.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// The set of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lsps {
    /// The interval it is for.
    pub day: String,
    /// Its pairs.
    pub pairs: BTreeSet<Pair>,
    /// LSPs of which an end is not known, left out.
    pub unknown: u64,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize)]
struct File {
    day: String,
    lsps: Vec<Pair>,
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Lsps, Bad> {
    let file = path.display().to_string();
    let bad = |key: &str, why: String| Bad { file: file.clone(), key: key.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| bad("reading", error.to_string()))?.len();
    if length > BYTES {
        return Err(bad("length", format!("more than {BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| bad("reading", error.to_string()))?;
    parse(&file, &bytes)
}

/// Reads bytes; `file` is for messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Lsps, Bad> {
    let bad = |key: &str, why: String| Bad { file: file.to_owned(), key: key.to_owned(), why };
    let Version { version } =
        serde_json::from_slice(bytes).map_err(|error| bad("version", error.to_string()))?;
    if version != VERSION {
        return Err(bad("version", format!("{version}, not {VERSION}")));
    }
    let File { day, lsps } =
        serde_json::from_slice(bytes).map_err(|error| bad("lsps", error.to_string()))?;
    let (mut pairs, mut unknown) = (BTreeSet::new(), 0);
    for pair in lsps {
        Name::of(&pair, At(0)).map_err(|error| bad("lsps", error.to_string()))?;
        if pair.egress == "unknown" {
            unknown += 1;
        } else {
            pairs.insert(pair);
        }
    }
    Ok(Lsps { day, pairs, unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_of_a_day() {
        let text = br#"{"version":1,"day":"2011-05-02","width":"/24","both_directions":true,"entries":[],
            "lsps":[{"ingress":"10.0.0.1","egress":"10.0.0.2"},{"ingress":"10.0.0.1","egress":"unknown"},
                    {"ingress":"10.0.0.1","egress":"if7"}],"diff":{}}"#;
        let read = parse("pbr.json", text).unwrap();
        assert_eq!((read.day.as_str(), read.unknown), ("2011-05-02", 1));
        let pairs = ["10.0.0.2", "if7"].map(|egress| Pair::new("10.0.0.1", egress));
        assert_eq!(read.pairs, BTreeSet::from(pairs));
    }

    #[test]
    fn a_bad_file_says_where() {
        let said = |text: &str| parse("pbr.json", text.as_bytes()).unwrap_err().to_string();
        assert_eq!(said(r#"{"version":2}"#), "pbr.json: version: 2, not 1");
        assert!(
            said(r#"{"version":1,"day":"d"}"#).starts_with("pbr.json: lsps: missing field `lsps`")
        );
        let odd = r#"{"version":1,"day":"d","lsps":[{"ingress":"a b","egress":"c"}]}"#;
        assert!(said(odd).starts_with("pbr.json: lsps: `a b` is no name"));
    }
}
