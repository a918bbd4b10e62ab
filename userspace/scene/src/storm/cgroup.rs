// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Control groups: each life of a collector has its own, which must be removable after its death.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Where cgroup v2 is mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// A cgroup of the storm's.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a cgroup below the root and lets its children have the memory controller.
    pub(crate) fn create(name: &str) -> Result<Self> {
        let root = Path::new(MOUNT);
        if !root.join("cgroup.controllers").exists() {
            bail!("no cgroup v2 at {MOUNT}");
        }
        enable(root)?;
        let made = Self::at(root.join(name))?;
        enable(&made.path)?;
        Ok(made)
    }

    /// Makes a cgroup in this one.
    pub(crate) fn child(&self, name: &str) -> Result<Self> {
        Self::at(self.path.join(name))
    }

    fn at(path: PathBuf) -> Result<Self> {
        if !path.exists() {
            std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        }
        Ok(Self { path })
    }

    /// The file that takes the processes in.
    pub(crate) fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Bytes of socket buffers charged to it and its children.
    pub(crate) fn sock_bytes(&self) -> Result<u64> {
        field(&self.path.join("memory.stat"), "sock")
    }

    /// Removes it; false if the kernel says it is busy for `most`.
    pub(crate) fn remove(&self, most: Duration) -> bool {
        let deadline = Instant::now() + most;
        loop {
            if std::fs::remove_dir(&self.path).is_ok() || !self.path.exists() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn enable(path: &Path) -> Result<()> {
    let control = path.join("cgroup.subtree_control");
    std::fs::write(&control, "+memory").with_context(|| control.display().to_string())
}

/// Removed cgroups that something still holds.
pub(crate) fn dying() -> Result<u64> {
    field(&Path::new(MOUNT).join("cgroup.stat"), "nr_dying_descendants")
}

/// A value of a file of `name value` lines.
fn field(path: &Path, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.with_context(|| format!("{}: no {name}", path.display()))?;
    value.trim().parse().with_context(|| format!("{}: {name}", path.display()))
}
