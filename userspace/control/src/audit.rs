// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The audit log: a line of JSON for every change and its reason, numbered, in files that are bounded.
//!
//! `audit.jsonl` is written; when it is long it becomes `audit.jsonl.1`, that becomes `audit.jsonl.2`,
//! and the last one goes. Numbers go on over restarts.

use crate::conductor::Line;
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file that is written.
pub const FILE: &str = "audit.jsonl";
/// Lines kept in memory, for who asks.
const KEPT: usize = 10_000;
/// So much of the end of a file is read to find its last number.
const TAIL: u64 = 1 << 20;

/// The log.
#[derive(Debug)]
pub struct Audit {
    /// Nothing is written in a dry run.
    to: Option<(PathBuf, File)>,
    length: u64,
    bytes: u64,
    files: u32,
    last: u64,
    kept: VecDeque<(u64, Value)>,
    /// Lines that could not be written.
    pub failures: u64,
}

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct Bad {
    path: PathBuf,
    error: io::Error,
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    // Killed in the middle of a line: the next one begins on its own.
    if length > 0 {
        let mut octet = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut octet)?;
        if octet != *b"\n" {
            file.write_all(b"\n")?;
            return Ok((file, length + 1));
        }
    }
    Ok((file, length))
}

/// The last number in a file; 0 if there is none.
fn last_of(path: &Path) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let number = |line: &[u8]| serde_json::from_slice::<Value>(line).ok()?.get("seq")?.as_u64();
    Ok(bytes.rsplit(|byte| *byte == b'\n').find_map(number).unwrap_or(0))
}

impl Audit {
    /// Opens the log in `dir`, or a log that is only kept in memory.
    ///
    /// # Errors
    ///
    /// If it cannot be read or written.
    pub fn open(dir: Option<&Path>, bytes: u64, files: u32) -> Result<Self, Bad> {
        let (mut to, mut length, mut last) = (None, 0, 0);
        if let Some(dir) = dir {
            let path = dir.join(FILE);
            let bad = |error| Bad { path: path.clone(), error };
            let (file, so_long) = open(&path).map_err(bad)?;
            let older = last_of(&numbered(&path, 1)).map_err(bad)?;
            last = last_of(&path).map_err(bad)?.max(older);
            (to, length) = (Some((path, file)), so_long);
        }
        Ok(Self { to, length, bytes, files, last, kept: VecDeque::new(), failures: 0 })
    }

    /// Writes a line; returns it as it is in the log. One that cannot be written is counted, and kept
    /// in memory.
    pub fn write(&mut self, line: &Line) -> Value {
        self.last += 1;
        let mut value = serde_json::to_value(line).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("seq".into(), self.last.into());
        }
        let text = format!("{value}\n");
        if self.put(text.as_bytes()).is_err() {
            self.failures += 1;
        }
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((self.last, value.clone()));
        value
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        let Some((path, file)) = &mut self.to else { return Ok(()) };
        if self.length > 0 && self.length.saturating_add(text.len() as u64) > self.bytes {
            for number in (1..self.files).rev() {
                match fs::rename(numbered(path, number), numbered(path, number + 1)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            match self.files {
                0 => fs::remove_file(&*path)?,
                _ => fs::rename(&*path, numbered(path, 1))?,
            }
            (*file, self.length) = open(path)?;
        }
        file.write_all(text)?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Number of the oldest line in memory, and lines after number `after`, at most `most`.
    pub fn after(&self, after: u64, most: usize) -> (u64, Vec<(u64, Value)>) {
        let oldest = self.kept.front().map_or(self.last + 1, |(number, _)| *number);
        let skip = after.saturating_add(1).saturating_sub(oldest);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        (oldest, self.kept.iter().skip(skip).take(most).cloned().collect())
    }

    /// The newest lines in memory, the newest first.
    pub fn newest(&self, most: usize) -> impl Iterator<Item = &(u64, Value)> {
        self.kept.iter().rev().take(most)
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductor::What;

    fn line(n: i64) -> Line {
        let (subject, reason) = (format!("flow {n}"), "x".repeat(40));
        Line { at: n, what: What::FlowBegan, subject, router: None, path: None, reason }
    }

    fn numbers(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64();
        text.lines().map(|line| number(line).unwrap()).collect()
    }

    #[test]
    fn files_are_bounded_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let length = format!("{}\n", Audit::open(None, 1, 1).unwrap().write(&line(1))).len() as u64;
        let mut audit = Audit::open(Some(dir.path()), 3 * length, 2).unwrap();
        (1..=4).for_each(|n| drop(audit.write(&line(n))));
        drop(audit);
        let mut audit = Audit::open(Some(dir.path()), 3 * length, 2).unwrap();
        assert_eq!(audit.after(0, 9), (5, vec![]));
        (5..=9).for_each(|n| drop(audit.write(&line(n))));
        let path = dir.path().join(FILE);
        assert_eq!(numbers(&path), [7, 8, 9]);
        assert_eq!(numbers(&numbered(&path, 1)), [4, 5, 6]);
        assert_eq!(numbers(&numbered(&path, 2)), [1, 2, 3]);
        audit.write(&line(1));
        assert_eq!((numbers(&path), numbers(&numbered(&path, 2))), (vec![10], vec![4, 5, 6]));
        assert!(!numbered(&path, 3).exists());
        let (oldest, lines) = audit.after(7, 2);
        let of: Vec<u64> = lines.into_iter().map(|(number, _)| number).collect();
        assert_eq!((oldest, of, audit.newest(1).next().unwrap().0), (5, vec![8, 9], 10));
    }

    #[test]
    fn a_torn_line_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, "{\"seq\":7}\n{\"seq\":8,\"wh").unwrap();
        let mut audit = Audit::open(Some(dir.path()), 1 << 20, 2).unwrap();
        audit.write(&line(1));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().last().unwrap().contains("\"seq\":8"), "{text}");
        assert_eq!(text.lines().count(), 3);
    }
}
