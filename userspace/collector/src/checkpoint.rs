// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The store in which the collectors of a host leave each other what a successor must know: one
//! file per BMP session and per (exporter, port, domain) with templates. A file is written beside
//! its place and renamed into it, so a reader sees the old or the new one. Nothing is synced to
//! disk: the store must outlive a process, not the machine.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{metrics::Metrics, settings::Limits};

/// What a check-point is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A BMP session.
    Session,
    /// Templates of one exporter and observation domain.
    Templates,
}

impl About {
    fn folder(self) -> &'static str {
        match self {
            Self::Session => "sessions",
            Self::Templates => "templates",
        }
    }
}

/// Which version of a file it was: inode and modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64, i64, i64);

impl Stamp {
    fn of(file: &fs::Metadata) -> Self {
        Self(file.ino(), file.mtime(), file.mtime_nsec())
    }
}

/// The store.
pub struct Store {
    dir: PathBuf,
    limits: Limits,
    metrics: Arc<Metrics>,
    /// Files in the store: counted once at the start, then by what this process adds and removes.
    files: AtomicU64,
    /// Names temporary files; starts at the time, as pids are not unique across containers.
    serial: AtomicU64,
}

impl Store {
    /// Opens the store, making its folders, and removes what has not been touched for long.
    ///
    /// # Errors
    ///
    /// If the folders cannot be made or listed; the path is in the text.
    pub fn open(dir: PathBuf, limits: &Limits, metrics: Arc<Metrics>) -> io::Result<Self> {
        let store = Self {
            dir,
            limits: limits.clone(),
            metrics,
            files: AtomicU64::new(0),
            serial: AtomicU64::new(crate::line::now().as_nanos() as u64),
        };
        for about in [About::Session, About::Templates] {
            let folder = store.dir.join(about.folder());
            let named =
                |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", folder.display()));
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(named)?;
            store.sweep(&folder).map_err(named)?;
        }
        Ok(store)
    }

    fn sweep(&self, folder: &Path) -> io::Result<()> {
        let old = Duration::from_secs(self.limits.checkpoint_days.saturating_mul(86_400));
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A sibling may remove the file while we look.
            let Ok(age) = entry.metadata().and_then(|m| m.modified()).map(|t| t.elapsed()) else {
                continue;
            };
            let temporary = entry.file_name().as_encoded_bytes().starts_with(b".");
            let limit = if temporary { Duration::from_secs(60) } else { old };
            if age.is_ok_and(|age| age > limit) && fs::remove_file(entry.path()).is_ok() {
                continue;
            }
            self.files.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn path(&self, about: About, key: &str) -> PathBuf {
        self.dir.join(about.folder()).join(format!("{key}.json"))
    }

    /// Writes a check-point. Says which version it is now, or `None` if it was not written, which is
    /// counted.
    pub fn put(&self, about: About, key: &str, known: bool, body: &[u8]) -> Option<Stamp> {
        let full = !known && self.files.load(Relaxed) >= self.limits.checkpoints as u64;
        if full || body.len() > self.limits.checkpoint_size {
            self.metrics.checkpoints_over_limit.inc();
            return None;
        }
        match self.replace(about, key, body) {
            Ok(stamp) => {
                if !known {
                    self.files.fetch_add(1, Relaxed);
                }
                self.metrics.checkpoints_written.inc();
                Some(stamp)
            }
            Err(_) => {
                self.metrics.checkpoint_errors.inc();
                None
            }
        }
    }

    fn replace(&self, about: About, key: &str, body: &[u8]) -> io::Result<Stamp> {
        let serial = self.serial.fetch_add(1, Relaxed);
        let pid = std::process::id();
        let temporary = self.dir.join(about.folder()).join(format!(".{pid}-{serial}"));
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(body)?;
            let stamp = Stamp::of(&file.metadata()?);
            fs::rename(&temporary, self.path(about, key))?;
            Ok(stamp)
        };
        write().inspect_err(|_: &io::Error| {
            let _ = fs::remove_file(&temporary);
        })
    }

    /// Reads a check-point, if there is one of a sane size.
    pub fn get(&self, about: About, key: &str) -> Option<(Vec<u8>, Stamp)> {
        let read = || -> io::Result<(Vec<u8>, Stamp)> {
            let file = File::open(self.path(about, key))?;
            let stamp = Stamp::of(&file.metadata()?);
            let mut body = Vec::new();
            let limit = self.limits.checkpoint_size as u64;
            file.take(limit + 1).read_to_end(&mut body)?;
            if body.len() as u64 > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok((body, stamp))
        };
        match read() {
            Ok(found) => Some(found),
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    self.metrics.checkpoint_errors.inc();
                }
                None
            }
        }
    }

    /// Which version of a check-point there is.
    pub fn stamp(&self, about: About, key: &str) -> Option<Stamp> {
        fs::metadata(self.path(about, key)).ok().map(|m| Stamp::of(&m))
    }

    /// Removes the check-point of something that has ended.
    pub fn remove(&self, about: About, key: &str) {
        if fs::remove_file(self.path(about, key)).is_ok() {
            // Another process may have counted it: never below zero.
            let _ = self.files.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(limits: &Limits) -> (tempfile::TempDir, Store, Arc<Metrics>) {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::default());
        let store = Store::open(dir.path().join("state"), limits, Arc::clone(&metrics)).unwrap();
        (dir, store, metrics)
    }

    #[test]
    fn a_sibling_sees_what_was_put() {
        let (dir, store, metrics) = store(&Limits::default());
        let stamp = store.put(About::Session, "k", false, b"one").unwrap();
        let other = Store::open(dir.path().join("state"), &Limits::default(), Arc::clone(&metrics))
            .unwrap();
        assert_eq!(other.get(About::Session, "k").unwrap(), (b"one".to_vec(), stamp));
        assert!(other.get(About::Templates, "k").is_none());
        let newer = other.put(About::Session, "k", true, b"two").unwrap();
        assert_ne!(newer, stamp);
        assert_eq!(store.stamp(About::Session, "k"), Some(newer));
        store.remove(About::Session, "k");
        assert!(other.get(About::Session, "k").is_none());
        assert_eq!(metrics.checkpoint_errors.get(), 0);
    }

    #[test]
    fn number_and_size_are_bounded_and_counted() {
        let limits = Limits { checkpoints: 1, checkpoint_size: 4, ..Limits::default() };
        let (_dir, store, metrics) = store(&limits);
        assert!(store.put(About::Session, "a", false, b"12345").is_none());
        assert!(store.put(About::Session, "a", false, b"1234").is_some());
        assert!(store.put(About::Session, "b", false, b"1").is_none());
        assert!(store.put(About::Session, "a", true, b"1").is_some());
        assert_eq!(metrics.checkpoints_over_limit.get(), 2);
    }

    #[test]
    fn a_failed_write_leaves_the_old_one_and_is_counted() {
        let (dir, store, metrics) = store(&Limits::default());
        store.put(About::Session, "a", false, b"old").unwrap();
        // A folder in the way of the rename.
        fs::create_dir_all(dir.path().join("state/sessions/b.json/x")).unwrap();
        assert!(store.put(About::Session, "b", false, b"new").is_none());
        assert_eq!(metrics.checkpoint_errors.get(), 1);
        assert_eq!(store.get(About::Session, "a").unwrap().0, b"old");
        let left = fs::read_dir(dir.path().join("state/sessions")).unwrap().count();
        assert_eq!(left, 2, "the temporary file stayed");
    }
}
