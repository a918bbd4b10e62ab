// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first read of a capture. The parser tells formats apart by what one call gives it, and a pipe may
//! give less than a header.

use std::io::{ErrorKind, Read, Result};

/// Octets of a pcap file's header, of which a pcapng file has more.
const HEADER: usize = 24;
/// How pcapng begins: block type, length, and a number that tells the order of octets.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const LITTLE: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];

/// Reads as whoever is read, but first a whole header.
pub(super) struct Begin<R> {
    from: R,
    begun: bool,
}

impl<R: Read> Begin<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, begun: false }
    }

    /// Reads on until `held` are `wanted`, or there is no more.
    fn fill(&mut self, into: &mut [u8], held: &mut usize, wanted: usize) -> Result<()> {
        let wanted = wanted.min(into.len());
        while let Some(room) = into.get_mut(*held..wanted).filter(|room| !room.is_empty()) {
            match self.from.read(room) {
                Ok(0) => break,
                Ok(count) => *held += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Length of the block at the beginning of a pcapng file.
fn section(head: &[u8]) -> Option<usize> {
    let (magic, rest) = head.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = match rest.starts_with(&LITTLE) {
        true => u32::from_le_bytes(*length),
        false => u32::from_be_bytes(*length),
    };
    (*magic == SECTION).then(|| usize::try_from(length).ok())?
}

impl<R: Read> Read for Begin<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.begun {
            return self.from.read(into);
        }
        self.begun = true;
        let mut held = 0;
        self.fill(into, &mut held, HEADER)?;
        let head = into.get(..held).unwrap_or_default();
        if let Some(length) = section(head) {
            self.fill(into, &mut held, length)?;
        }
        Ok(held)
    }
}
