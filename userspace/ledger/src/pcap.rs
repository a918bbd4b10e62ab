// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Classic pcap files, both byte orders, micro- and nanoseconds.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Longest record believed; libpcap's own limit.
const MAX_RECORD: usize = 262_144;

/// How addresses and ports are wrapped in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// LINKTYPE_ETHERNET (1), with or without VLAN tags.
    Ethernet,
    /// LINKTYPE_RAW (101) and its older numbers: the IP header comes first.
    Raw,
    /// LINKTYPE_LINUX_SLL (113).
    Sll,
    /// LINKTYPE_LINUX_SLL2 (276).
    Sll2,
}

/// One record of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Unix time in microseconds.
    pub ts_us: i64,
    /// Length on the wire; longer than `data` when the snap length cut it.
    pub wire_len: usize,
    /// What was captured.
    pub data: &'a [u8],
}

/// A capture being read front to back.
pub struct Reader<R> {
    input: R,
    path: PathBuf,
    big_endian: bool,
    nanoseconds: bool,
    link: Link,
    buffer: Vec<u8>,
    torn: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a capture file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        Self::new(BufReader::with_capacity(1 << 20, file), path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the file header; `path` names the input in errors.
    pub fn new(mut input: R, path: &Path) -> Result<Self> {
        let bad = |what: String| Error::Capture { path: path.to_path_buf(), what };
        let mut header = [0u8; 24];
        input.read_exact(&mut header).map_err(Error::io(path))?;
        let magic = word(&header, 0, true);
        let (big_endian, nanoseconds) = match magic {
            0xa1b2_c3d4 => (true, false),
            0xa1b2_3c4d => (true, true),
            0xd4c3_b2a1 => (false, false),
            0x4d3c_b2a1 => (false, true),
            _ => return Err(bad(format!("not a pcap file (magic {magic:08x})"))),
        };
        let link = match word(&header, 20, big_endian) & 0xffff {
            1 => Link::Ethernet,
            12 | 14 | 101 => Link::Raw,
            113 => Link::Sll,
            276 => Link::Sll2,
            other => return Err(bad(format!("link type {other} is not known here"))),
        };
        let path = path.to_path_buf();
        Ok(Self { input, path, big_endian, nanoseconds, link, buffer: Vec::new(), torn: false })
    }

    /// Link type of all records.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Whether the file ended inside a record (the capturing program was cut off).
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// The next record, or `None` at the end.
    pub fn record(&mut self) -> Result<Option<Record<'_>>> {
        let mut header = [0u8; 16];
        match fill(&mut self.input, &mut header).map_err(Error::io(&self.path))? {
            0 => return Ok(None),
            16 => {}
            _ => {
                self.torn = true;
                return Ok(None);
            }
        }
        let field = |at| word(&header, at, self.big_endian);
        let (seconds, fraction, caplen, wire) = (field(0), field(4), field(8), field(12));
        let caplen = caplen as usize;
        if caplen > MAX_RECORD {
            let what = format!("a record claims {caplen} bytes");
            return Err(Error::Capture { path: self.path.clone(), what });
        }
        self.buffer.resize(caplen, 0);
        if fill(&mut self.input, &mut self.buffer).map_err(Error::io(&self.path))? < caplen {
            self.torn = true;
            return Ok(None);
        }
        let micros = if self.nanoseconds { fraction / 1000 } else { fraction };
        let ts_us = i64::from(seconds) * 1_000_000 + i64::from(micros);
        Ok(Some(Record { ts_us, wire_len: wire as usize, data: &self.buffer }))
    }
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let mut raw = [0u8; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    if big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
}

/// Reads until `buffer` is full or the input ends; returns how much was read.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(big: bool, nanos: bool) -> Vec<u8> {
        let w = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let magic = if nanos { 0xa1b2_3c4du32 } else { 0xa1b2_c3d4 };
        let mut out = w(magic).to_vec();
        out.extend([0u8; 12]);
        out.extend(w(65_535));
        out.extend(w(1));
        out.extend(w(7));
        out.extend(w(if nanos { 5_000 } else { 5 }));
        out.extend(w(3));
        out.extend(w(9));
        out.extend([1, 2, 3]);
        out
    }

    #[test]
    fn four_flavours() {
        for (big, nanos) in [(false, false), (false, true), (true, false), (true, true)] {
            let bytes = file(big, nanos);
            let mut reader = Reader::new(&bytes[..], Path::new("x")).unwrap();
            let record = reader.record().unwrap().unwrap();
            assert_eq!((record.ts_us, record.wire_len), (7_000_005, 9));
            assert_eq!(record.data, [1, 2, 3]);
            assert!(reader.record().unwrap().is_none());
            assert!(!reader.torn());
        }
    }

    #[test]
    fn torn_tail_is_told() {
        let bytes = file(false, false);
        for cut in [bytes.len() - 1, 24 + 3] {
            let mut reader = Reader::new(&bytes[..cut], Path::new("x")).unwrap();
            assert!(reader.record().unwrap().is_none());
            assert!(reader.torn());
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Reader::new(&[0u8; 24][..], Path::new("x")).is_err());
        assert!(Reader::new(&[0u8; 3][..], Path::new("x")).is_err());
    }
}
