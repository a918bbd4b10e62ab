// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where things are: the checkout, the target folder, the cache.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{Cmd, cmd};

/// The folders every verb works with.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// Root of the checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target folder; logs, test output and the demo's files go below it.
    pub(crate) target: PathBuf,
    /// Everything that is slow to make and safe to delete.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    /// Finds the checkout from the place xtask was compiled in, or from the current folder upwards
    /// when the checkout has been moved since.
    pub(crate) fn find() -> Result<Self> {
        let compiled = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let here = env::current_dir().context("reading the current folder")?;
        let root = compiled
            .into_iter()
            .chain(here.ancestors())
            .find(|dir| dir.join("vm/packages.txt").is_file())
            .with_context(|| format!("no telesteer checkout at or above {}", here.display()))?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => here.join(dir),
            None => root.join("target"),
        };
        Ok(Workspace {
            target,
            cache: cache_dir(|name| env::var_os(name).map(PathBuf::from))?,
            root,
        })
    }

    /// Folder for full logs of everything xtask starts.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("logs")
    }

    /// Cargo in the checkout. What it makes on the way lies in the cache, so that a fresh clone in the
    /// same place compiles our own crates only; programs still end up in the target folder. One folder
    /// for each place: programs hold the path they were built in, and cargo does not look at that.
    pub(crate) fn cargo(&self) -> Cmd {
        let cargo = cmd("cargo").dir(&self.root);
        match env::var_os("CARGO_BUILD_BUILD_DIR") {
            Some(_) => cargo,
            None => {
                cargo.env("CARGO_BUILD_BUILD_DIR", self.cache.join("cargo/{workspace-path-hash}"))
            }
        }
    }

    /// A path below `vm/`.
    pub(crate) fn vm(&self, name: &str) -> PathBuf {
        self.root.join("vm").join(name)
    }
}

/// `$TELESTEER_CACHE`, else `$XDG_CACHE_HOME/telesteer`, else `~/.cache/telesteer`.
fn cache_dir(var: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let set = |name: &str| var(name).filter(|path| !path.as_os_str().is_empty());
    let dir = if let Some(dir) = set("TELESTEER_CACHE") {
        dir
    } else if let Some(dir) = set("XDG_CACHE_HOME") {
        dir.join("telesteer")
    } else if let Some(home) = set("HOME") {
        home.join(".cache/telesteer")
    } else {
        bail!("no place for the cache: set TELESTEER_CACHE");
    };
    std::path::absolute(&dir).with_context(|| format!("resolving {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<PathBuf> {
        let vars: Vec<_> = vars.iter().map(|(k, v)| (k.to_string(), PathBuf::from(v))).collect();
        cache_dir(|name| vars.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
    }

    #[test]
    fn cache_prefers_its_own_variable() {
        let all = [("TELESTEER_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(with(&all).unwrap(), Path::new("/a"));
        assert_eq!(with(&all[1..]).unwrap(), Path::new("/b/telesteer"));
        assert_eq!(with(&all[2..]).unwrap(), Path::new("/c/.cache/telesteer"));
    }

    #[test]
    fn cache_ignores_empty_variables_and_says_what_to_set() {
        assert_eq!(
            with(&[("TELESTEER_CACHE", ""), ("HOME", "/c")]).unwrap(),
            Path::new("/c/.cache/telesteer")
        );
        assert!(with(&[]).unwrap_err().to_string().contains("TELESTEER_CACHE"));
    }
}
