// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What must be known after a restart: a file, written whole or not at all, before the kernel is
//! changed when something is put there, after it when something is taken away.

use crate::plan::Plan;
use crate::request::Name;
use crate::time::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Version of the file.
const VERSION: u32 = 1;

/// How far a circuit is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Held until then.
    Held(At),
    /// Reserved.
    Committed,
    /// To be there from its beginning to its end.
    Provisioned,
}

/// A circuit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) plan: Plan,
    pub(crate) phase: Phase,
}

#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    circuits: Vec<Record>,
}

/// A file that is not read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {said}", path.display())]
pub(crate) struct Bad {
    path: PathBuf,
    said: String,
}

/// Circuits of another life of the program.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Bad> {
    let bad = |said: String| Bad { path: path.to_owned(), said };
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| bad(error.to_string()))?,
    };
    let state: State = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if state.version != VERSION {
        return Err(bad(format!("it is of version {}, not {VERSION}", state.version)));
    }
    Ok(state.circuits)
}

/// Writes them.
pub(crate) fn write(path: &Path, records: &BTreeMap<Name, Record>) -> Result<(), Bad> {
    let bad = |said: String| Bad { path: path.to_owned(), said };
    let state = State { version: VERSION, circuits: records.values().cloned().collect() };
    let bytes = serde_json::to_vec_pretty(&state).map_err(|error| bad(error.to_string()))?;
    let mut name = path.file_name().ok_or_else(|| bad("no file".into()))?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let whole = || {
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    whole().map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("circuits.json");
        assert!(read(&path).unwrap().is_empty());
        write(&path, &BTreeMap::new()).unwrap();
        assert!(read(&path).unwrap().is_empty());
        fs::write(&path, r#"{"version":2,"circuits":[]}"#).unwrap();
        let said = read(&path).unwrap_err().to_string();
        assert!(said.ends_with("circuits.json: it is of version 2, not 1"), "{said}");
    }
}
