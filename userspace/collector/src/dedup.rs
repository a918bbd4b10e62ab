// SPDX-License-Identifier: Apache-2.0 OR MIT
//! At least once, made exactly once. The outputs of several collectors hold some BMP messages twice:
//! what one wrote and did not commit before it died, its heir wrote again. Session and stream offset
//! name a message, so one copy of each is kept, in stream order.
//!
//! Only an index is held in memory, `Entry` by line; the lines themselves are read again from the
//! files. Lines of other types pass through in the order they are read.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::line::fnv1a;

/// Longest line taken.
const LINE_MAX: u64 = 256 << 20;

/// What a merge came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// BMP sessions seen.
    pub sessions: u64,
    /// BMP lines kept.
    pub kept: u64,
    /// BMP lines dropped because their message was there already.
    pub dropped: u64,
    /// Of these, lines that said something else than the copy kept.
    pub conflicts: u64,
    /// Places where a message begins inside the one before it.
    pub overlaps: u64,
    /// Places where bytes of a stream are missing.
    pub gaps: u64,
    /// Bytes missing there.
    pub gap_bytes: u64,
    /// Last lines of files that were cut off.
    pub torn: u64,
    /// Other lines that are not JSON objects of ours.
    pub broken: u64,
    /// Lines of other types, passed through.
    pub passed: u64,
}

impl Report {
    /// Whether the merged streams are whole and consistent.
    pub fn is_clean(&self) -> bool {
        self.conflicts + self.overlaps + self.gaps + self.broken == 0
    }
}

/// Where the line of one message is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    session: u32,
    file: u32,
    offset: u64,
    len: u64,
    at: u64,
    bytes: u32,
    content: u64,
}

/// The fields of a line that matter here.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    session: Option<&'a str>,
    offset: Option<u64>,
    len: Option<u64>,
}

/// Merges `files` into `out`.
///
/// # Errors
///
/// If a file cannot be read (its name is in the text) or `out` not be written.
pub fn merge(files: &[PathBuf], out: &mut dyn Write) -> io::Result<Report> {
    let mut index = Index::default();
    for (number, path) in files.iter().enumerate() {
        index
            .read(path, number as u32, out)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    }
    index.write(files, out)
}

#[derive(Default)]
struct Index {
    entries: Vec<Entry>,
    sessions: HashMap<String, u32>,
    report: Report,
}

impl Index {
    fn read(&mut self, path: &PathBuf, file: u32, out: &mut dyn Write) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let (mut at, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let bytes = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)? as u64;
            if bytes == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                if bytes < LINE_MAX {
                    // Its writer died in the middle.
                    self.report.torn += 1;
                    return Ok(());
                }
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
            self.line(&line, file, at, out)?;
            at += bytes;
        }
    }

    fn line(&mut self, line: &[u8], file: u32, at: u64, out: &mut dyn Write) -> io::Result<()> {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(line) else {
            self.report.broken += 1;
            return Ok(());
        };
        if head.kind != "bmp" {
            self.report.passed += 1;
            return out.write_all(line);
        }
        let (Some(session), Some(offset), Some(len)) = (head.session, head.offset, head.len) else {
            self.report.broken += 1;
            return Ok(());
        };
        let number = self.sessions.len() as u32;
        let session = match self.sessions.get(session) {
            Some(known) => *known,
            None => *self.sessions.entry(session.to_owned()).or_insert(number),
        };
        let (bytes, content) = (line.len() as u32, content(line));
        self.entries.push(Entry { session, file, offset, len, at, bytes, content });
        Ok(())
    }

    fn write(mut self, files: &[PathBuf], out: &mut dyn Write) -> io::Result<Report> {
        // Sessions by name, so that the result does not depend on the order of the files.
        let mut names: Vec<(&String, u32)> = self.sessions.iter().map(|(n, id)| (n, *id)).collect();
        names.sort_unstable();
        let mut rank = vec![0; names.len()];
        for (place, (_, id)) in names.iter().enumerate() {
            if let Some(rank) = rank.get_mut(*id as usize) {
                *rank = place;
            }
        }
        let place = |entry: &Entry| rank.get(entry.session as usize).copied().unwrap_or(0);
        self.entries.sort_unstable_by_key(|e| (place(e), e.offset, e.file, e.at));
        let files: Vec<File> = files.iter().map(File::open).collect::<io::Result<_>>()?;
        let report = &mut self.report;
        report.sessions = names.len() as u64;
        let mut line = Vec::new();
        let mut last: Option<Entry> = None;
        for entry in &self.entries {
            let end = match last {
                Some(last) if last.session == entry.session => {
                    if last.offset == entry.offset {
                        report.dropped += 1;
                        report.conflicts += u64::from(last.content != entry.content);
                        continue;
                    }
                    last.offset + last.len
                }
                _ => 0,
            };
            if entry.offset > end {
                report.gaps += 1;
                report.gap_bytes += entry.offset - end;
            } else if entry.offset < end {
                report.overlaps += 1;
            }
            line.resize(entry.bytes as usize, 0);
            let Some(file) = files.get(entry.file as usize) else { continue };
            file.read_exact_at(&mut line, entry.at)?;
            out.write_all(&line)?;
            report.kept += 1;
            last = Some(*entry);
        }
        Ok(self.report)
    }
}

/// A hash of what a line says about its message: all but who wrote it and when.
fn content(line: &[u8]) -> u64 {
    const BEGIN: &[u8] = b"{\"type\":\"bmp\",\"instance\":";
    const REST: &[u8] = b",\"exporter\":";
    // The collector writes instance and time before everything else.
    let rest = line
        .starts_with(BEGIN)
        .then(|| line.windows(REST.len()).take(80).position(|w| w == REST))
        .flatten();
    if let Some(rest) = rest.and_then(|at| line.get(at..)) {
        return fnv1a(rest);
    }
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(line) else { return 0 };
    if let Some(fields) = value.as_object_mut() {
        fields.remove("instance");
        fields.remove("ts");
    }
    fnv1a(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(instance: u64, session: &str, offset: u64, len: u64, kind: &str) -> String {
        format!(
            "{{\"type\":\"bmp\",\"instance\":{instance},\"ts\":{instance}.5,\"exporter\":\"10.0.0.1\",\
             \"session\":\"{session}\",\"offset\":{offset},\"len\":{len},\"kind\":\"{kind}\"}}\n"
        )
    }

    fn merged(files: &[String]) -> (String, Report) {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files
            .iter()
            .enumerate()
            .map(|(n, text)| {
                let path = dir.path().join(n.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let mut out = Vec::new();
        let report = merge(&paths, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), report)
    }

    #[test]
    fn doubled_messages_are_kept_once_in_stream_order() {
        let first = line(1, "b", 0, 10, "x") + &line(1, "a", 0, 5, "x") + &line(1, "a", 5, 5, "x");
        let heir = line(2, "a", 5, 5, "x") + &line(2, "a", 10, 7, "x") + "{\"type\":\"bmp\",\"inst";
        let event = "{\"type\":\"event\",\"event\":\"start\"}\n".to_owned();
        let (out, report) = merged(&[event.clone() + &heir, first]);
        let heirs_copy = line(2, "a", 5, 5, "x");
        let want = event
            + &line(1, "a", 0, 5, "x")
            + &heirs_copy
            + &line(2, "a", 10, 7, "x")
            + &line(1, "b", 0, 10, "x");
        assert_eq!(out, want);
        let counts =
            Report { sessions: 2, kept: 4, dropped: 1, torn: 1, passed: 1, ..Report::default() };
        assert_eq!(report, counts);
        assert!(report.is_clean());
    }

    /// The broken twins: a lost message, two versions of one, and a line that is no JSON.
    #[test]
    fn losses_and_contradictions_are_found() {
        let (_, report) = merged(&[line(1, "a", 0, 5, "x") + &line(1, "a", 9, 5, "x")]);
        assert_eq!((report.gaps, report.gap_bytes, report.is_clean()), (1, 4, false));
        let (_, report) = merged(&[line(1, "a", 3, 5, "x")]);
        assert_eq!((report.gaps, report.gap_bytes), (1, 3));
        let (_, report) = merged(&[line(1, "a", 0, 5, "x"), line(2, "a", 0, 5, "y")]);
        assert_eq!((report.dropped, report.conflicts, report.is_clean()), (1, 1, false));
        let (_, report) = merged(&[line(1, "a", 0, 5, "x") + &line(1, "a", 2, 5, "x")]);
        assert_eq!((report.overlaps, report.is_clean()), (1, false));
        let (_, report) = merged(&["not json\n".to_owned() + &line(1, "a", 0, 5, "x")]);
        assert_eq!((report.broken, report.kept, report.is_clean()), (1, 1, false));
    }

    #[test]
    fn writer_and_time_are_not_content() {
        let a = line(1, "a", 0, 5, "x");
        let b = line(22, "a", 0, 5, "x");
        assert_eq!(content(a.as_bytes()), content(b.as_bytes()));
        // Fields in another order, as a JSON tool may leave them.
        let c = "{\"ts\":1,\"type\":\"bmp\",\"instance\":1,\"offset\":0}";
        let d = "{\"ts\":2,\"type\":\"bmp\",\"instance\":2,\"offset\":0}";
        assert_eq!(content(c.as_bytes()), content(d.as_bytes()));
    }
}
