// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input that has not ended: standard input, a file that grows, or a folder of such. A thread copies it into a pipe, and
//! whoever reads a file by its path reads the pipe's. So all formats that can be read in one go can be
//! followed, and the end of the input can be brought about from here.

use crate::online::folder::Folder;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Seek, Write, pipe, stdin};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Between two looks at a file that does not grow.
const LOOK: Duration = Duration::from_millis(100);

/// Octets copied at a time.
const CHUNK: usize = 64 * 1024;

/// A pipe that is being filled.
#[derive(Debug)]
pub struct Tap {
    reader: PipeReader,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Gone once the input has ended, or was ended.
    writer: Mutex<Option<PipeWriter>>,
    failed: Mutex<Option<String>>,
    stop: Arc<AtomicBool>,
}

impl Shared {
    /// Whether anything more is wanted.
    fn write(&self, octets: &[u8]) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A pipe nobody reads any more wants nothing.
        writer.as_mut().is_some_and(|writer| writer.write_all(octets).is_ok())
    }

    fn end(&self, failed: Option<String>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Tap {
    /// Standard input.
    ///
    /// # Errors
    ///
    /// If there can be no pipe.
    pub fn stdin(stop: Arc<AtomicBool>) -> Result<Self> {
        let (tap, shared) = Self::new(stop)?;
        thread::spawn(move || {
            let copied = copy(&mut stdin().lock(), &shared);
            shared.end(copied.err().map(|error| format!("standard input: {error}")));
        });
        Ok(tap)
    }

    /// A file from its beginning, and what is appended to it; where another file takes its name, that
    /// one too, and one that becomes shorter again from its beginning.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn follow(path: &Path, stop: Arc<AtomicBool>) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        let (tap, shared) = Self::new(stop)?;
        let path = path.to_owned();
        thread::spawn(move || {
            let followed = follow(&path, file, &shared);
            shared.end(followed.err().map(|error| format!("{}: {error}", path.display())));
        });
        Ok(tap)
    }

    /// All files of flow records in a collector's folder, and those that will be.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn folder(dir: &Path, stop: Arc<AtomicBool>) -> Result<Self> {
        let mut folder = Folder::open(dir).with_context(|| format!("reading {}", dir.display()))?;
        let (tap, shared) = Self::new(stop)?;
        let dir = dir.to_owned();
        thread::spawn(move || {
            let stopped = || shared.stop.load(Ordering::Relaxed);
            let followed = folder.follow(stopped, |lines| shared.write(lines));
            shared.end(followed.err().map(|error| format!("{}: {error}", dir.display())));
        });
        Ok(tap)
    }

    fn new(stop: Arc<AtomicBool>) -> Result<(Self, Arc<Shared>)> {
        let (reader, writer) = pipe().context("making a pipe")?;
        let (writer, failed) = (Mutex::new(Some(writer)), Mutex::new(None));
        let shared = Arc::new(Shared { writer, failed, stop });
        Ok((Self { reader, shared: Arc::clone(&shared) }, shared))
    }

    /// Where to read it, as long as this lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.reader.as_raw_fd()).into()
    }

    /// Ends the input for its reader, unless a chunk is just being written; so until the reader has
    /// ended, call it again.
    pub fn close(&self) {
        if let Ok(mut writer) = self.shared.writer.try_lock() {
            writer.take();
        }
    }

    /// Why the input broke off, if it did.
    pub fn failed(&self) -> Option<String> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Copies up to the end; returns octets, and whether the last of them was a line break.
fn copy(from: &mut impl Read, shared: &Shared) -> std::io::Result<Copied> {
    let mut chunk = vec![0; CHUNK];
    let mut copied = Copied { octets: 0, last: None, wanted: true };
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let octets = chunk.get(..count).unwrap_or_default();
        if !shared.write(octets) {
            return Ok(Copied { wanted: false, ..copied });
        }
        copied.octets += count as u64;
        copied.last = octets.last().copied();
    }
}

struct Copied {
    octets: u64,
    last: Option<u8>,
    wanted: bool,
}

fn follow(path: &Path, mut file: File, shared: &Shared) -> std::io::Result<()> {
    let (mut read, mut last) = (0, None);
    loop {
        let copied = copy(&mut file, shared)?;
        read += copied.octets;
        last = copied.last.or(last);
        if !copied.wanted || shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if copied.octets > 0 {
            continue;
        }
        let own = file.metadata()?;
        let named = match path.metadata() {
            Ok(named) => named,
            // Another one is on its way.
            Err(error) if error.kind() == ErrorKind::NotFound => own.clone(),
            Err(error) => return Err(error),
        };
        let same = (named.dev(), named.ino()) == (own.dev(), own.ino());
        if same && own.len() >= read {
            thread::sleep(LOOK);
            continue;
        }
        if same {
            file.rewind()?;
        } else {
            // It may be gone again since it was looked at.
            let next = match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    thread::sleep(LOOK);
                    continue;
                }
                other => other?,
            };
            // What came after the last look.
            let copied = copy(&mut file, shared)?;
            last = copied.last.or(last);
            file = next;
        }
        // A line that was not ended is one of its own.
        if last.is_some_and(|last| last != b'\n') {
            shared.write(b"\n");
        }
        (read, last) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::time::Instant;

    /// Reads until `wanted` has come, with a deadline.
    fn expect(from: &mut File, wanted: &str) {
        let mut found = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut octet = [0; 1];
        while found.len() < wanted.len() && Instant::now() < deadline {
            let count = from.read(&mut octet).unwrap();
            found.extend_from_slice(&octet[..count]);
        }
        assert_eq!(String::from_utf8_lossy(&found), wanted);
    }

    #[test]
    fn a_file_is_followed_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flow.jsonl");
        fs::write(&path, "one\ntw").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let tap = Tap::follow(&path, Arc::clone(&stop)).unwrap();
        let mut read = File::open(tap.path()).unwrap();
        expect(&mut read, "one\ntw");
        let mut more = OpenOptions::new().append(true).open(&path).unwrap();
        more.write_all(b"o").unwrap();
        expect(&mut read, "o");
        fs::rename(&path, dir.path().join("old")).unwrap();
        more.write_all(b"!").unwrap();
        expect(&mut read, "!");
        fs::write(&path, "three\n").unwrap();
        expect(&mut read, "\nthree\n");
        fs::write(&path, "4\n").unwrap();
        expect(&mut read, "4\n");
        stop.store(true, Ordering::Relaxed);
        let mut rest = String::new();
        read.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), tap.failed()), ("", None));
        assert!(Tap::follow(&dir.path().join("none"), stop).is_err());
    }
}
