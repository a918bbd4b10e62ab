// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The collectors' output files: one JSON object a line, last line possibly torn.

use crate::error::{Error, Result};
use crate::scene::member;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One line; fields that its type does not have are at their default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Line<'a> {
    /// `bmp`, `flow`, `flow_raw`, `notif`, `datagram`, `late` or `event`.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// Collector that wrote it, as [`member`] numbers it once it is read from a file.
    pub instance: u64,
    /// Unix seconds.
    pub ts: f64,
    /// Exporter's address.
    pub exporter: Option<IpAddr>,
    /// Exporter's port.
    pub port: u16,
    /// Collector's address.
    pub local: Option<IpAddr>,
    /// Collector's port.
    pub local_port: u16,
    /// BMP session.
    #[serde(borrow)]
    pub session: Cow<'a, str>,
    /// Stream offset of a BMP message.
    pub offset: u64,
    /// Length of a BMP message or datagram.
    pub len: u64,
    /// The bytes, in hex.
    #[serde(borrow)]
    pub raw: Option<Cow<'a, str>>,
    /// FNV-1a of a datagram, in hex.
    #[serde(borrow)]
    pub fnv: Cow<'a, str>,
    /// Journal: `ipfix`, `netflow9`, `notif` or `unknown`.
    #[serde(rename = "kind", borrow)]
    pub sort: Cow<'a, str>,
    /// Journal: records made of the datagram.
    pub records: u64,
    /// Journal: what became of the datagram.
    #[serde(borrow)]
    pub outcome: Cow<'a, str>,
    /// Event's name.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// Event: how often the session was taken over.
    pub takeovers: u64,
    /// Event: bytes that waited in the socket.
    pub queued: u64,
    /// Why a BMP message could not be decoded.
    #[serde(borrow)]
    pub error: Option<Cow<'a, str>>,
}

impl Line<'_> {
    /// Time in Unix microseconds.
    pub fn ts_us(&self) -> i64 {
        (self.ts * 1e6).round() as i64
    }

    /// Exporter's address; an IPv4-mapped one as IPv4.
    pub fn exporter(&self) -> Option<IpAddr> {
        self.exporter.map(|address| address.to_canonical())
    }
}

/// What was met while reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Lines taken.
    pub lines: u64,
    /// Last lines without an end, skipped.
    pub torn: u64,
    /// Whole lines that are not what they should be.
    pub bad: u64,
}

/// The `.jsonl` files in `folder` and one level below it, sorted by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let path = entry.map_err(Error::io(&folder))?.path();
            if path.is_dir() && depth == 0 {
                folders.push((path, 1));
            } else if path.extension().is_some_and(|ext| ext == "jsonl") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The server whose outputs lie in a folder of this name: `s2`; 0 for any other.
fn server(path: &Path) -> u64 {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    folder.and_then(|name| name.strip_prefix('s')?.parse().ok()).unwrap_or(0)
}

/// Reads a file line by line into `sink`.
pub fn read(path: &Path, seen: &mut Read, mut sink: impl FnMut(&Line<'_>)) -> Result<()> {
    let server = server(path);
    let file = File::open(path).map_err(Error::io(path))?;
    let mut input = BufReader::with_capacity(1 << 18, file);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if input.read_until(b'\n', &mut buffer).map_err(Error::io(path))? == 0 {
            return Ok(());
        }
        if buffer.pop_if(|last| *last == b'\n').is_none() {
            seen.torn += 1;
            return Ok(());
        }
        match parse(&buffer) {
            Some(mut line) => {
                seen.lines += 1;
                line.instance = member(server, line.instance);
                sink(&line);
            }
            None => seen.bad += 1,
        }
    }
}

/// One line without its end; `None` if it is not an output line.
pub fn parse(line: &[u8]) -> Option<Line<'_>> {
    let line = std::str::from_utf8(line).ok()?;
    serde_json::from_str::<Line<'_>>(line).ok().filter(|line| !line.kind.is_empty())
}

/// Bytes from hex digits; `None` if they are none.
pub fn unhex(digits: &str, into: &mut Vec<u8>) -> Option<()> {
    into.clear();
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| (digit as char).to_digit(16);
    for pair in digits.chunks_exact(2) {
        into.push((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_and_bad_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bmp-1-1.jsonl");
        let text = "{\"type\":\"bmp\",\"ts\":1.5,\"exporter\":\"::ffff:10.0.0.1\",\"raw\":\"00fF\",\
                    \"message\":{\"deep\":[1]},\"peer\":null}\n{\"x\":1}\nnonsense\n{\"type\":\"bm";
        std::fs::write(&path, text).unwrap();
        let (mut seen, mut bytes) = (Read::default(), Vec::new());
        read(&path, &mut seen, |line| {
            assert_eq!(line.exporter(), "10.0.0.1".parse().ok());
            assert_eq!(line.ts_us(), 1_500_000);
            unhex(line.raw.as_deref().unwrap(), &mut bytes).unwrap();
        })
        .unwrap();
        assert_eq!(seen, Read { lines: 1, torn: 1, bad: 2 });
        assert_eq!(bytes, [0, 255]);
        assert_eq!(files(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn not_hex() {
        let mut bytes = Vec::new();
        assert!(unhex("0", &mut bytes).is_none());
        assert!(unhex("0g", &mut bytes).is_none());
    }
}
