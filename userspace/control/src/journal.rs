// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The store: an append-only file of records that survives `kill -9` and the loss of power.
//!
//! A line is sixteen hex digits, a blank, a record as JSON. The digits are the first eight bytes of the
//! SHA-256 of the digits before and this record, so a line counts only behind all the lines it was
//! written behind. Records are on the disk before [`Journal::append`] returns. What is read back is
//! the longest prefix that is whole: a torn tail is set aside beside the file and told. The file is
//! written anew, as one record, when it has become long; the new one takes the place of the old one
//! by a rename.

use crate::crash::{Crash, Point, Side};
use crate::record::{Record, State, VERSION};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The name of the file in its folder.
pub const FILE: &str = "journal";
/// Longest file that is read.
const BYTES: u64 = 1 << 30;
/// From this length on the file is written anew, unless said otherwise.
pub const LONG: u64 = 8 << 20;
/// What comes before the first line.
const SEED: &str = "hntes journal";

/// The store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {said}", path.display())]
pub struct Bad {
    path: PathBuf,
    said: String,
}

/// What was found when a store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Records that count.
    pub records: u64,
    /// Bytes after them, set aside.
    pub torn: u64,
}

/// What happened to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records written.
    pub records: u64,
    /// Times records were brought to the disk.
    pub commits: u64,
    /// Times the file was written anew.
    pub compactions: u64,
    /// Times that failed; the old file goes on.
    pub uncompacted: u64,
    /// Records that could not be written.
    pub failures: u64,
    /// Changes made all the same, because they only took routes away.
    pub unwritten: u64,
}

/// An open store.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: File,
    /// Held as long as this is open.
    _lock: File,
    state: State,
    last: String,
    length: u64,
    /// The file is written anew when it is so long, and not before it is twice as long as it was then.
    least: u64,
    long: u64,
    next: u64,
    crash: Crash,
    counters: Counters,
}

fn digits(before: &str, record: &[u8]) -> String {
    let hash = Sha256::new().chain_update(before).chain_update(record).finalize();
    hash.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The records of a file, up to the first that is not whole: how many, bytes, the last digits.
fn fold(bytes: &[u8], state: &mut State) -> Result<(u64, usize, String), u32> {
    let (mut count, mut good, mut last) = (0, 0, SEED.to_owned());
    while let Some(rest) = bytes.get(good..)
        && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
    {
        let line = rest.get(..end).unwrap_or_default();
        let (Some(said), Some(b' '), Some(json)) = (line.get(..16), line.get(16), line.get(17..))
        else {
            break;
        };
        let right = digits(&last, json);
        if said != right.as_bytes() {
            break;
        }
        let Ok(record) = serde_json::from_slice::<Record>(json) else { break };
        match record {
            Record::Version(VERSION) => {}
            Record::Version(other) => return Err(other),
            _ if count == 0 => break,
            _ => {}
        }
        state.apply(&record);
        (count, good, last) = (count + 1, good + end + 1, right);
    }
    Ok((count, good, last))
}

fn line(last: &mut String, record: &Record, into: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    *last = digits(last, &json);
    into.extend_from_slice(last.as_bytes());
    into.push(b' ');
    into.extend_from_slice(&json);
    into.push(b'\n');
    Ok(())
}

/// What a store comes to, without opening it: nothing is changed, and who has it open is not asked.
///
/// # Errors
///
/// If it is of another version or cannot be read. That there is none is no error.
pub fn peek(dir: &Path) -> Result<State, Bad> {
    let path = dir.join(FILE);
    let bad = |said: String| Bad { path: path.clone(), said };
    let mut state = State::default();
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(state),
        Ok(told) if told.len() > BYTES => return Err(bad(format!("more than {BYTES} bytes"))),
        _ => {}
    }
    let bytes = fs::read(&path).map_err(|error| bad(error.to_string()))?;
    fold(&bytes, &mut state)
        .map_err(|version| bad(format!("it is of version {version}, not {VERSION}")))?;
    Ok(state)
}

impl Journal {
    /// Opens the store in `dir`, or begins one. It is written anew when it is `long` bytes long, see
    /// [`LONG`].
    ///
    /// # Errors
    ///
    /// If another process has it open, if it is of another version, or if it cannot be read or written.
    pub fn open(dir: &Path, long: u64, crash: Crash) -> Result<(Self, Found), Bad> {
        let bad = |path: &Path, said: String| Bad { path: path.to_owned(), said };
        let at = |path: &Path, error: io::Error| bad(path, error.to_string());
        fs::create_dir_all(dir).map_err(|error| at(dir, error))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(|error| at(&lock_path, error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => bad(&lock_path, "another loop has it open".into()),
            TryLockError::Error(error) => at(&lock_path, error),
        })?;
        let path = dir.join(FILE);
        let open = || OpenOptions::new().append(true).create(true).open(&path);
        let mut file = open().map_err(|error| at(&path, error))?;
        let length = file.metadata().map_err(|error| at(&path, error))?.len();
        if length > BYTES {
            return Err(bad(&path, format!("it has more than {BYTES} bytes")));
        }
        let bytes = fs::read(&path).map_err(|error| at(&path, error))?;
        let mut state = State::default();
        let (records, good, last) = fold(&bytes, &mut state)
            .map_err(|version| bad(&path, format!("it is of version {version}, not {VERSION}")))?;
        let torn = bytes.get(good..).unwrap_or_default();
        if !torn.is_empty() {
            // A look may tell what happened. One is enough, so they do not fill the disk.
            let aside = dir.join("journal.torn");
            fs::write(&aside, torn).map_err(|error| at(&aside, error))?;
            file.set_len(good as u64).map_err(|error| at(&path, error))?;
            file.sync_all().map_err(|error| at(&path, error))?;
        }
        let found = Found { records, torn: torn.len() as u64 };
        let next = state.open.keys().next_back().map_or(1, |number| number + 1);
        let mut last = last;
        let mut length = good as u64;
        if records == 0 {
            let mut text = Vec::new();
            line(&mut last, &Record::Version(VERSION), &mut text)
                .and_then(|()| file.write_all(&text))
                .and_then(|()| file.sync_all())
                .and_then(|()| File::open(dir)?.sync_all())
                .map_err(|error| at(&path, error))?;
            length = text.len() as u64;
        }
        let journal = Self {
            dir: dir.to_owned(),
            file,
            _lock: lock,
            state,
            last,
            length,
            least: long,
            long,
            next,
            crash,
            counters: Counters::default(),
        };
        Ok((journal, found))
    }

    /// What all records so far come to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes records. When this returns well they are on the disk, all of them; else none counts.
    ///
    /// # Errors
    ///
    /// If they cannot be written. The store is as it was, and may be tried again.
    pub fn append(&mut self, records: &[Record]) -> Result<(), Bad> {
        if records.is_empty() {
            return Ok(());
        }
        self.crash.pass(Point::Append, Side::Before);
        let mut last = self.last.clone();
        let written = self.write(records, &mut last);
        let length = match written {
            Ok(length) => length,
            Err(error) => {
                self.counters.failures += records.len() as u64;
                // What may have been written of them goes again. If it does not, the next reader stops
                // at it; so does the next writer, who tries this first.
                let _ = self.file.set_len(self.length);
                return Err(self.bad(&error));
            }
        };
        (self.last, self.length) = (last, length);
        self.counters.records += records.len() as u64;
        self.counters.commits += 1;
        records.iter().for_each(|record| self.state.apply(record));
        self.crash.pass(Point::Append, Side::After);
        // The records are written, whatever becomes of this.
        if self.length >= self.long && self.compact().is_err() {
            self.counters.uncompacted += 1;
        }
        Ok(())
    }

    fn bad(&self, error: &io::Error) -> Bad {
        Bad { path: self.dir.join(FILE), said: error.to_string() }
    }

    fn write(&mut self, records: &[Record], last: &mut String) -> io::Result<u64> {
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
        }
        let mut text = Vec::new();
        for record in records {
            line(last, record, &mut text)?;
        }
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        Ok(self.length + text.len() as u64)
    }

    /// From here on nothing can be written, as if the disk were full.
    #[cfg(test)]
    pub(crate) fn fill(&mut self) {
        self.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
    }

    /// A call is about to be made. Returns its number.
    ///
    /// # Errors
    ///
    /// As [`Self::append`]; then the call must not be made, but for what [`Self::unwritten`] says.
    pub fn begin(&mut self, intent: crate::record::Intent) -> Result<u64, Bad> {
        let number = self.next;
        self.append(&[Record::Intent(number, intent)])?;
        self.next += 1;
        Ok(number)
    }

    /// A change was made without its record, see [`crate::router::guard`].
    pub fn unwritten(&mut self) {
        self.counters.unwritten += 1;
    }

    /// That call has ended.
    ///
    /// # Errors
    ///
    /// As [`Self::append`]; then it is open until the next start.
    pub fn end(&mut self, number: u64, said: Option<String>) -> Result<(), Bad> {
        self.append(&[Record::Result(number, said)])
    }

    /// Writes the file anew.
    ///
    /// # Errors
    ///
    /// If that fails. Then the old file stays, and counts.
    pub fn compact(&mut self) -> Result<(), Bad> {
        self.crash.pass(Point::Compact, Side::Before);
        let beside = self.dir.join("journal.new");
        let mut last = SEED.to_owned();
        let whole = Record::Whole(Box::new(self.state.clone()));
        let done = (|| {
            let mut text = Vec::new();
            line(&mut last, &Record::Version(VERSION), &mut text)?;
            line(&mut last, &whole, &mut text)?;
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().append(true).create_new(true).open(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&beside, self.dir.join(FILE))?;
            // From here on the new file is the one that counts, whatever becomes of its name.
            let named = File::open(&self.dir).and_then(|dir| dir.sync_all());
            Ok((file, text.len() as u64, named))
        })();
        match done {
            Ok((file, length, named)) => {
                (self.file, self.length, self.last) = (file, length, last);
                self.long = self.least.max(length.saturating_mul(2));
                self.counters.compactions += 1;
                self.crash.pass(Point::Compact, Side::After);
                named.map_err(|error| self.bad(&error))
            }
            Err(error) => {
                self.long = self.length.saturating_mul(2);
                Err(self.bad(&error))
            }
        }
    }
}

#[cfg(test)]
impl Journal {
    /// Whether the file can be written from now on.
    pub(crate) fn take_writes(&mut self, yes: bool) {
        let path = self.dir.join(FILE);
        self.file = OpenOptions::new().read(true).append(yes).open(path).unwrap();
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
