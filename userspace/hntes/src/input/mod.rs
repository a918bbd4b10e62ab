// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records from files: Parquet, our CSV, nfdump's, lines of JSON from pmacct, goflow2 or
//! telesteer, and the messages themselves, in IPFIX files and captures.
//!
//! What a file is shows in how it begins. A line, or row, that cannot be read is counted with its reason and
//! the number of the first such line; the rest of the file is read.

mod capture;
mod columns;
pub mod csv;
mod decoded;
pub mod folder;
pub mod json;
mod messages;
mod parquet;
pub mod passes;
pub mod source;
pub mod stamp;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use source::Source;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use telesteer_engine::Assumed;
use telesteer_engine::notes::Notes;
use telesteer_fam::{Record, Sampling};

/// Longest line that is looked at; more of it is cut off and makes the line unreadable.
const LINE_MAX: usize = 64 * 1024;

/// What a file does not say itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assume {
    /// Exporter of records that name none.
    pub exporter: Option<IpAddr>,
    /// Sampling by exporter, where the record tells none.
    pub sampling_of: BTreeMap<IpAddr, Sampling>,
    /// Sampling of all others.
    pub sampling: Option<Sampling>,
}

impl Assume {
    /// What an engine has to know of it.
    pub fn assumed(&self) -> Assumed {
        Assumed { of: self.sampling_of.clone(), rest: self.sampling }
    }

    /// Sampling of a record: its own, else its exporter's, else everyone's.
    fn sampling(&self, own: Option<Sampling>, exporter: IpAddr) -> Option<Sampling> {
        own.or_else(|| self.sampling_of.get(&exporter).copied()).or(self.sampling)
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// CSV with the columns of [`crate::schema`].
    Csv,
    /// What `nfdump -o csv` writes. Run it with TZ=UTC: its times have no zone.
    Nfdump,
    /// A JSON object a line: pmacct's, goflow2's, or telesteer's flow output.
    Json,
    /// Parquet with the columns of [`crate::schema`].
    Parquet,
    /// IPFIX messages, one after the other (RFC 5655).
    Ipfix,
    /// A capture of NetFlow v9 and IPFIX datagrams.
    Capture,
}

/// What reading a file came to.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// How it was read; `None` if it is empty.
    pub format: Option<Format>,
    /// Records read.
    pub records: u64,
    /// Lines that are no record, by reason: how many, and the first of them.
    pub bad: BTreeMap<String, Bad>,
    /// What is odd about records that were read.
    #[serde(skip)]
    pub notes: Notes,
    /// Why the file, or the rest of it, could not be read.
    pub failed: Option<String>,
    /// Bad lines so far, for who cannot wait for the end.
    #[serde(skip)]
    pub(crate) watch: Option<Arc<AtomicU64>>,
}

/// Lines of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// How many.
    pub lines: u64,
    /// Number of the first, from 1.
    pub first: u64,
}

impl FileReport {
    pub(crate) fn new(path: &Path) -> Self {
        let (notes, path) = (Notes::of(path), path.to_owned());
        let (bad, failed, watch) = (BTreeMap::new(), None, None);
        Self { path, format: None, records: 0, bad, notes, failed, watch }
    }

    /// The same, whose bad lines are counted there too.
    pub(crate) fn watched(path: &Path, watch: Option<Arc<AtomicU64>>) -> Self {
        Self { watch, ..Self::new(path) }
    }

    /// Of a file that could not be read.
    pub fn failed(path: &Path, error: &anyhow::Error) -> Self {
        Self { failed: Some(format!("{error:#}")), ..Self::new(path) }
    }

    fn count(&mut self, reason: &str, line: u64) {
        self.count_all(reason, 1, line);
    }

    /// Counts so many of one fault, of which the first is there.
    pub(crate) fn count_all(&mut self, reason: &str, lines: u64, first: u64) {
        if let Some(watch) = &self.watch {
            watch.fetch_add(lines, Ordering::Relaxed);
        }
        match self.bad.get_mut(reason) {
            Some(bad) => bad.lines = bad.lines.saturating_add(lines),
            None => {
                self.bad.insert(reason.to_owned(), Bad { lines, first });
            }
        }
    }
}

/// How the lines of a file become records.
enum Lines {
    Table(Box<csv::Table>),
    Json,
}

/// A line.
enum Line {
    Record(Record),
    /// Not meant to be a record.
    Skip,
}

/// What a line ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Line,
    /// The file, so that there may have been more of it: what is left of a number is a number.
    File,
    /// Nothing; it had to be cut.
    Cut,
}

/// Hands every record of a file to `each`. Fails only if the file cannot be read at all.
pub fn read(path: &Path, assume: &Assume, each: impl FnMut(&Record)) -> Result<FileReport> {
    read_source(&Source::of(path), assume, each)
}

/// The same, of a file that may be read elsewhere than its name says.
pub fn read_source(
    source: &Source,
    assume: &Assume,
    mut each: impl FnMut(&Record),
) -> Result<FileReport> {
    let path = source.name.as_path();
    let at = || format!("reading {}", path.display());
    let mut file = File::open(&source.at).with_context(at)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).with_context(at)?;
    if is_parquet(path, &head) {
        file.rewind().with_context(at)?;
        return parquet::read(path, file, assume, each);
    }
    let format = messages_of(&head);
    let mut report = FileReport::watched(path, source.watch.clone());
    // A pipe cannot go back to its beginning.
    let file = Cursor::new(head).chain(file);
    match format {
        Some(Format::Capture) => return capture::read(report, file, assume, each),
        Some(_) => return messages::read(report, file, assume, each),
        None => {}
    }
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut buffer = Vec::new();
    let mut lines: Option<Lines> = None;
    let mut number = 0;
    while let Some(end) = next_line(&mut file, &mut buffer).with_context(at)? {
        number += 1;
        let Ok(text) = std::str::from_utf8(&buffer) else {
            report.count("not UTF-8", number);
            continue;
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if end == End::Cut {
            report.count("line too long", number);
            continue;
        }
        if text.is_empty() {
            continue;
        }
        let kind = match &mut lines {
            Some(kind) => kind,
            None => {
                let (format, kind, is_header) = first_line(text).with_context(at)?;
                report.format = Some(format);
                let kind = lines.insert(kind);
                if is_header {
                    continue;
                }
                kind
            }
        };
        let line = match kind {
            Lines::Table(_) if end == End::File => Err("line not ended".into()),
            Lines::Table(table) => table.line(text, assume),
            Lines::Json => json::line(text, assume),
        };
        match line {
            Ok(Line::Record(record)) => {
                report.records += 1;
                report.notes.look(number, (record.first, record.last), record.sampling, None);
                each(&record);
            }
            Ok(Line::Skip) => {}
            Err(reason) => report.count(&reason, number),
        }
    }
    Ok(report)
}

/// Octets by which formats are told apart.
const HEAD: u64 = 4;

/// Whether a file is Parquet: by its first octets, or by its name, so that one that lost them is not
/// taken for text.
fn is_parquet(path: &Path, head: &[u8]) -> bool {
    path.extension() == Some("parquet".as_ref()) || head == parquet::MAGIC
}

/// Whether a file has messages, by its first octets, and which way.
fn messages_of(head: &[u8]) -> Option<Format> {
    match head.first_chunk() {
        _ if head.starts_with(&messages::MAGIC) => Some(Format::Ipfix),
        Some(magic) if capture::MAGICS.contains(magic) => Some(Format::Capture),
        _ => None,
    }
}

/// Reads a line into `buffer`. `None` at the end of the file.
fn next_line(file: &mut impl BufRead, buffer: &mut Vec<u8>) -> std::io::Result<Option<End>> {
    buffer.clear();
    let mut whole = true;
    loop {
        let chunk = file.fill_buf()?;
        if chunk.is_empty() {
            let end = if whole { End::File } else { End::Cut };
            return Ok((!buffer.is_empty()).then_some(end));
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |end| end + 1);
        let room = LINE_MAX.saturating_sub(buffer.len());
        buffer.extend_from_slice(&chunk[..used.min(room)]);
        whole &= used <= room;
        file.consume(used);
        if end.is_some() {
            return Ok(Some(if whole { End::Line } else { End::Cut }));
        }
    }
}

fn first_line(text: &str) -> Result<(Format, Lines, bool)> {
    if text.starts_with('{') {
        return Ok((Format::Json, Lines::Json, false));
    }
    match csv::Table::from_header(text) {
        Ok(Some((format, table))) => Ok((format, Lines::Table(Box::new(table)), true)),
        Ok(None) => bail!(
            "the first line is neither JSON nor the header of a CSV file we know: {:?}",
            text.chars().take(60).collect::<String>()
        ),
        Err(missing) => bail!("no column {missing} in the header"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn long_lines_are_cut_and_the_next_is_whole() {
        let text = format!("ab\n{}\ncd", "x".repeat(LINE_MAX + 5));
        let mut file = Cursor::new(text);
        let mut buffer = Vec::new();
        assert_eq!(next_line(&mut file, &mut buffer).unwrap(), Some(End::Line));
        assert_eq!(buffer, b"ab\n");
        assert_eq!(next_line(&mut file, &mut buffer).unwrap(), Some(End::Cut));
        assert_eq!(buffer.len(), LINE_MAX);
        assert_eq!(next_line(&mut file, &mut buffer).unwrap(), Some(End::File));
        assert_eq!(buffer, b"cd");
        assert_eq!(next_line(&mut file, &mut buffer).unwrap(), None);
    }
}
