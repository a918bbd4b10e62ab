// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes a kernel build folder usable again after its `make` was killed.
//!
//! Kbuild trusts any object whose `.cmd` file matches, and writes neither in one step: a killed
//! build leaves torn `.cmd` files and objects that objtool has not seen yet. What was written in
//! the last moments is removed and made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::run::say;

/// How far back from the last file written things are distrusted.
const DISTRUST: Duration = Duration::from_secs(30);

/// A build in progress: the mark stays behind only if xtask is killed.
#[derive(Debug)]
pub(crate) struct Mark(PathBuf);

impl Mark {
    /// Marks the folder, mending it first if the last build was killed.
    pub(crate) fn set(out: &Path) -> Result<Self> {
        let path = out.join(".telesteer-building");
        if path.exists() {
            let removed = mend(out)?;
            say(format!("the last build was killed midway: {removed} files are made again"));
        }
        fs::write(&path, "").with_context(|| format!("writing {}", path.display()))?;
        Ok(Mark(path))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// Removes torn and too new products; says how many.
fn mend(out: &Path) -> Result<usize> {
    let mut products = Vec::new();
    walk(out, &mut products)?;
    let newest = products.iter().map(|(_, time)| *time).max().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = newest.checked_sub(DISTRUST).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut removed = 0;
    for (path, time) in products {
        if time >= since || torn(&path) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_product(name: &str) -> bool {
    [".o", ".a", ".cmd", ".ko", ".d"].iter().any(|end| name.ends_with(end))
        || name.starts_with("vmlinux")
}

fn walk(dir: &Path, found: &mut Vec<(PathBuf, SystemTime)>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry.with_context(|| format!("reading {}", dir.display()))?;
        let kind = entry.file_type().with_context(|| format!("reading {}", dir.display()))?;
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else if kind.is_file()
            && is_product(&entry.file_name().to_string_lossy())
            && let Ok(time) = entry.metadata().and_then(|data| data.modified())
        {
            found.push((entry.path(), time));
        }
    }
    Ok(())
}

/// A `.cmd` file ends with a line that continues nowhere.
fn torn(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "cmd")
        && fs::read(path).is_ok_and(|text| !text.ends_with(b"\n") || text.ends_with(b"\\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_build_loses_its_last_and_its_torn_files() {
        let out = std::env::temp_dir().join(format!("xtask-mend-{}", std::process::id()));
        fs::create_dir_all(out.join("net")).unwrap();
        let put = |name: &str, text: &str, age: u64| {
            let path = out.join(name);
            fs::write(&path, text).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        put("net/old.o", "x", 500);
        put("net/.old.o.cmd", "deps := \\\n  a.h \\\n\ny:\n", 500);
        put("net/.torn.o.cmd", "deps := \\\n  a.h \\\n", 500);
        put("net/.cut.o.cmd", "deps := $(wildc", 500);
        put("net/new.o", "x", 0);
        put("net/keep.c", "x", 0);
        drop(Mark::set(&out).unwrap());
        assert!(out.join("net/new.o").exists(), "a build that ended by itself is trusted");
        std::mem::forget(Mark::set(&out).unwrap());
        drop(Mark::set(&out).unwrap());
        let there = |name: &str| out.join(name).exists();
        assert!(there("net/old.o") && there("net/.old.o.cmd") && there("net/keep.c"));
        assert!(!there("net/new.o") && !there("net/.torn.o.cmd") && !there("net/.cut.o.cmd"));
        fs::remove_dir_all(&out).unwrap();
    }
}
