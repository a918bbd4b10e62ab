// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One lock per cache, held while something in it is made.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Held until dropped; the kernel drops it when xtask dies, however it dies.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _file: File,
}

impl CacheLock {
    /// Takes the lock, saying whom it waits for when somebody else holds it.
    ///
    /// Users of finished things (a running guest) do not need it.
    pub(crate) fn take(cache: &Path, what: &str) -> Result<Self> {
        fs::create_dir_all(cache)
            .with_context(|| format!("making the cache {}", cache.display()))?;
        let path = cache.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok();
                eprintln!("xtask: waiting for {}: {}", path.display(), holder.trim());
                file.lock().with_context(|| format!("locking {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        file.set_len(0).and_then(|()| file.rewind()).context("emptying the lock file")?;
        writeln!(file, "process {} makes {what}", std::process::id())
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(CacheLock { _file: file })
    }
}
