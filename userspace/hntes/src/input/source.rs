// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files as they are named, and where they are read.
//!
//! An analysis goes over its files more than once. A pipe can be read once only, so it is copied first:
//! to a file without a name, which is gone when the program is, however it ends.

use super::folder;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Standard input on the command line.
const DASH: &str = "-";
/// And its name.
const STDIN: &str = "<stdin>";
/// Where the system has it.
const STDIN_FILE: &str = "/dev/stdin";

/// A file of records.
#[derive(Debug)]
pub struct Source {
    /// What it is called.
    pub name: PathBuf,
    /// What to open.
    pub at: PathBuf,
    /// What keeps that there, of a copy, and how large it is.
    copy: Option<(File, u64)>,
    /// Where lines that are no record are counted while it is read.
    pub(super) watch: Option<Arc<AtomicU64>>,
}

impl Source {
    /// A file that is read where it is.
    pub fn of(path: &Path) -> Self {
        Self { name: path.to_owned(), at: path.to_owned(), copy: None, watch: None }
    }

    /// The same, whose lines that are no record are counted there too.
    pub fn watched(path: &Path, bad: Arc<AtomicU64>) -> Self {
        Self { watch: Some(bad), ..Self::of(path) }
    }

    /// Octets that were copied because they could not be read twice.
    pub fn copied(&self) -> Option<u64> {
        self.copy.as_ref().map(|(_, octets)| *octets)
    }

    /// Its name without folder and ending, for a file made of it.
    pub fn stem(&self) -> Option<PathBuf> {
        match self.name.to_str() == Some(STDIN) {
            true => Some("stdin".into()),
            false => self.name.file_stem().map(PathBuf::from),
        }
    }
}

/// A file that was named before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// Its name this time.
    pub name: PathBuf,
    /// And the first time.
    pub first: PathBuf,
}

/// The files of a run, each once.
#[derive(Debug)]
pub struct Sources {
    /// The files.
    pub files: Vec<Source>,
    /// Those named again.
    pub again: Vec<Again>,
}

impl Sources {
    /// Replaces folders by their files, leaves out what was named before under whatever name, and copies
    /// pipes, of all of them at most `most` octets.
    pub fn new(named: &[PathBuf], most: u64) -> Result<Self> {
        let (names, again) = once(folder::expand(named)?);
        let mut room = most;
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let source = source(name, room, most)?;
            room -= source.copied().unwrap_or(0);
            files.push(source);
        }
        Ok(Self { files, again })
    }
}

/// Where a name leads.
fn place(name: &Path) -> &Path {
    if name.as_os_str() == DASH { Path::new(STDIN_FILE) } else { name }
}

/// Each file once: links, and other ways to write a path, lead to one file of a device.
fn once(names: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<Again>) {
    let mut first: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let (mut kept, mut again) = (Vec::with_capacity(names.len()), Vec::new());
    for name in names {
        // What is not there is named when it is read.
        if let Ok(about) = fs::metadata(place(&name)) {
            let key = (about.dev(), about.ino());
            if let Some(first) = first.get(&key) {
                again.push(Again { name, first: first.clone() });
                continue;
            }
            first.insert(key, name.clone());
        }
        kept.push(name);
    }
    (kept, again)
}

fn source(name: PathBuf, room: u64, most: u64) -> Result<Source> {
    let at = place(&name).to_owned();
    let stdin = at.as_os_str() == STDIN_FILE;
    let name = if stdin { STDIN.into() } else { name };
    let pipe = fs::metadata(&at).is_ok_and(|about| !about.is_file() && !about.is_dir());
    if !pipe {
        return Ok(Source { name, at, copy: None, watch: None });
    }
    let mut from: Box<dyn Read> = match stdin {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(&at).with_context(|| format!("reading {}", name.display()))?),
    };
    let (file, octets) = copied(&name, &mut from, room, most)?;
    let at = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    Ok(Source { name, at, copy: Some((file, octets)), watch: None })
}

/// Copies what cannot be read twice.
fn copied(name: &Path, from: &mut dyn Read, room: u64, most: u64) -> Result<(File, u64)> {
    let folder = env::temp_dir();
    let (name, folder) = (name.display(), folder.display());
    let at = || format!("copying {name}, which is a pipe, to {folder} (TMPDIR) to read it again");
    let mut file = tempfile::tempfile().with_context(at)?;
    let octets = io::copy(&mut from.take(room.saturating_add(1)), &mut file).with_context(at)?;
    if octets > room {
        bail!(
            "{name}: it is a pipe, is copied to {folder} to be read again, and with it there are more \
             octets than the {most} that --spool allows; allow more, or name a file instead"
        );
    }
    Ok((file, octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_one_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("d")).unwrap();
        for name in ["d/a.csv", "d/b.csv"] {
            fs::write(path(name), name).unwrap();
        }
        symlink(path("d/a.csv"), path("link.csv")).unwrap();
        fs::hard_link(path("d/b.csv"), path("hard.csv")).unwrap();
        let named =
            ["link.csv", "d", "d/./b.csv", "hard.csv", "no.csv", "no.csv"].map(path).to_vec();
        let found = Sources::new(&named, 0).unwrap();
        let names: Vec<_> = found.files.iter().map(|source| source.name.clone()).collect();
        assert_eq!(names, ["link.csv", "d/b.csv", "no.csv", "no.csv"].map(path));
        let again = |name: &str, first: &str| Again { name: path(name), first: path(first) };
        let expected = [
            again("d/a.csv", "link.csv"),
            again("d/./b.csv", "d/b.csv"),
            again("hard.csv", "d/b.csv"),
        ];
        assert_eq!(found.again, expected);
    }

    #[test]
    fn copies_have_a_bound() {
        let name = Path::new("pipe");
        let (file, octets) = copied(name, &mut &b"12345"[..], 5, 9).unwrap();
        assert_eq!(octets, 5);
        let at = format!("/proc/self/fd/{}", file.as_raw_fd());
        for _ in 0..2 {
            assert_eq!(fs::read(&at).unwrap(), b"12345");
        }
        let error = copied(name, &mut &b"123456"[..], 5, 9).unwrap_err().to_string();
        assert!(error.starts_with("pipe: ") && error.contains("the 9 that --spool"), "{error}");
    }
}
