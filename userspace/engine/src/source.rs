// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file as the decoder reads it. Pages that come one after the other are read many at a time: a page
//! has some 16 KiB, and going to the kernel for each cost a tenth of a pass over addresses.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Octets read at once where reading goes on.
const AHEAD: usize = 128 << 10;
/// Places where reading may go on: as many as columns are read beside one another.
const PLACES: usize = 16;

/// A part of the file that is in memory.
#[derive(Debug)]
struct Part {
    start: u64,
    bytes: Bytes,
}

impl Part {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// These octets, if all of them are in it.
    fn get(&self, start: u64, length: usize) -> Option<Bytes> {
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        let until = from.checked_add(length)?;
        (until <= self.bytes.len()).then(|| self.bytes.slice(from..until))
    }
}

/// A file.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    length: u64,
    /// The latest read comes last.
    parts: Mutex<Vec<Part>>,
}

impl Source {
    /// Opens it; the reason why not is for people.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        Ok(Self { file, length, parts: Mutex::new(Vec::with_capacity(PLACES)) })
    }

    /// Exactly these octets of the file.
    fn read(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(length);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        let read = file.take(length as u64).read_to_end(&mut bytes)?;
        if read == length {
            return Ok(bytes.into());
        }
        Err(ParquetError::EOF(format!("{read} of {length} octets are there at {start}")))
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Source {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = parts.iter().rev().find_map(|part| part.get(start, length)) {
            return Ok(bytes);
        }
        // Who left off here goes on here.
        let before = parts.iter().position(|part| (part.start..=part.end()).contains(&start));
        let left = usize::try_from(self.length.saturating_sub(start)).unwrap_or(usize::MAX);
        let ahead = if before.is_some() { AHEAD.min(left) } else { 0 };
        let bytes = self.read(start, length.max(ahead))?;
        if let Some(old) = before.or_else(|| (parts.len() == PLACES).then_some(0)) {
            parts.remove(old);
        }
        parts.push(Part { start, bytes: bytes.clone() });
        Ok(bytes.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(length: usize) -> (tempfile::NamedTempFile, Vec<u8>, Source) {
        let octets: Vec<u8> = (0..length).map(|at| (at * 7 + at / 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &octets).unwrap();
        let source = Source::open(file.path()).unwrap();
        (file, octets, source)
    }

    /// Whoever reads gets what the file has, in whatever order, and not more memory than said.
    #[test]
    fn it_is_the_file_in_any_order() {
        let (_file, octets, source) = source(3 * AHEAD + 17);
        let mut dice = 1u64;
        for round in 0..4000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let length = (dice >> 33) as usize % 9000;
            let start = match round % 3 {
                0 => (dice >> 20) as usize % (octets.len() - length),
                _ => round * 97 % (octets.len() - length),
            };
            let got = source.get_bytes(start as u64, length).unwrap();
            assert!(got == octets[start..start + length], "{length} octets at {start}");
            let parts = source.parts.lock().unwrap();
            assert!(parts.len() <= PLACES && parts.iter().all(|part| part.bytes.len() <= AHEAD));
        }
    }

    /// One page after the other is many pages at once; a page here and there is that page.
    #[test]
    fn it_reads_ahead_of_those_who_go_on() {
        let (_file, octets, source) = source(4 * AHEAD);
        let held = |source: &Source| -> usize {
            source.parts.lock().unwrap().iter().map(|part| part.bytes.len()).sum()
        };
        for start in [0, 50_000, 100_000] {
            source.get_bytes(start, 1000).unwrap();
        }
        assert_eq!(held(&source), 3000);
        source.get_bytes(101_000, 1000).unwrap();
        assert_eq!(held(&source), 2000 + AHEAD);
        // To the end of the file and no further.
        source.get_bytes(octets.len() as u64 - 2000, 1000).unwrap();
        source.get_bytes(octets.len() as u64 - 1000, 1000).unwrap();
        assert_eq!(held(&source), 3000 + AHEAD);
    }

    #[test]
    fn past_the_end_there_is_nothing() {
        let (_file, octets, source) = source(100);
        assert!(source.get_bytes(50, 50).is_ok());
        for (start, length) in [(50, 51), (100, 1), (5000, 1)] {
            let error = source.get_bytes(start, length).unwrap_err();
            assert!(error.to_string().contains("octets are there"), "{error}");
        }
        assert_eq!(source.len(), octets.len() as u64);
    }
}
