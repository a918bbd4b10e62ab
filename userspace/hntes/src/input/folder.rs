// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Folders as the files in them.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of files that are taken from a folder.
const ENDINGS: [&str; 5] = ["parquet", "csv", "ipfix", "pcap", "pcapng"];
/// Most files of one run.
const FILES_MAX: usize = 1 << 20;
/// Deepest folder below one that was named.
const DEPTH_MAX: usize = 16;

/// Replaces folders by the Parquet, CSV and message files below them, in order of their names. What begins
/// with `_` or `.` is somebody's work in progress and left out.
pub fn expand(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        // What is not there is named when it is read.
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        walk(path, 0, &mut files)?;
        if files.len() == before {
            let endings = ENDINGS.join(", .");
            bail!("{}: no file in this folder ends in .{endings}", path.display());
        }
    }
    Ok(files)
}

fn walk(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let at = || format!("reading {}", dir.display());
    if depth > DEPTH_MAX {
        bail!("{}: folders lie too deep", dir.display());
    }
    let entries: std::io::Result<Vec<_>> = fs::read_dir(dir).with_context(at)?.collect();
    let mut entries: Vec<PathBuf> =
        entries.with_context(at)?.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if ENDINGS.iter().any(|ending| path.extension() == Some(ending.as_ref())) {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            bail!("{}: more than {FILES_MAX} files", dir.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_their_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "b/2.parquet",
            "b/10.parquet",
            "a.csv",
            "_staging/x.parquet",
            "c/truth.json",
            "m.ipfix",
        ];
        for name in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let missing = dir.path().join("missing.csv");
        let found = expand(&[missing.clone(), dir.path().to_owned()]).unwrap();
        let below = |name: &str| dir.path().join(name);
        assert_eq!(
            found,
            [
                missing,
                below("a.csv"),
                below("b/10.parquet"),
                below("b/2.parquet"),
                below("m.ipfix")
            ]
        );
        let error = expand(&[below("c")]).unwrap_err().to_string();
        assert!(error.contains("c: no file in this folder ends in .parquet, .csv"), "{error}");
    }
}
