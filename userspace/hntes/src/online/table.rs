// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The offline table, as `hntes fam --emit` writes it, as a gate.

use crate::emit::{Emitted, VERSION};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use telesteer_fam::PrefixFlow;
use telesteer_online::Gate;

/// Reads a table.
///
/// # Errors
///
/// If it is none, or of a version that is not known; with the file and the line.
pub fn gate(path: &Path) -> Result<Gate> {
    let at = || format!("reading the table {}", path.display());
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let bytes = fs::read(path).with_context(at)?;
    let Version { version } = serde_json::from_slice(&bytes).with_context(at)?;
    if version != VERSION {
        bail!("{}: `version` is {version}, not {VERSION}", path.display());
    }
    let table: Emitted = serde_json::from_slice(&bytes).with_context(at)?;
    let pairs = table.entries.iter().map(|entry| PrefixFlow { src: entry.src, dst: entry.dst });
    Ok(Gate::new(pairs, table.both_directions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_what_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pbr.json");
        let table = |version: u32, entries: &str| {
            format!(
                r#"{{"version":{version},"day":"2011-05-02","width":"/24","aging":"30","both_directions":true,
                "entries":[{entries}],"lsps":[],"diff":{{"since":"2011-05-01","entries":{{"added":[],
                "removed":[]}},"lsps":{{"added":[],"removed":[]}}}}}}"#
            )
        };
        let entry = r#"{"src":"192.0.2.0/24","dst":"198.51.100.0/24","last_alpha":"x","lsps":[]}"#;
        fs::write(&path, table(1, entry)).unwrap();
        assert_eq!(gate(&path).unwrap().len(), 2);
        for (text, what) in [
            (table(2, entry), "`version` is 2"),
            (table(1, &entry.replace("0/24", "7/24")), "192.0.2.7/24"),
            ("{\n\"version\":1}".to_owned(), "missing field"),
            ("x".to_owned(), "line 1"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", gate(&path).unwrap_err());
            assert!(error.contains(what) && error.contains("pbr.json"), "{error}");
        }
    }
}
