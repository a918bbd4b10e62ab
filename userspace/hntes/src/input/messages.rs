// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IPFIX files (RFC 5655 section 6.1): messages one after the other, of one transport session.
//!
//! No address came with them. The exporter is who the record says (exporterIPv4Address, 130, or 131), or
//! an options record of its domain, or what is assumed, or 0.0.0.0.

use super::decoded::Decoder;
use super::{Assume, FileReport, Format};
use anyhow::{Context, Result, bail};
use std::io::{BufReader, Read};
use telesteer_fam::Record;

/// How a file of messages begins: version 10.
pub(super) const MAGIC: [u8; 2] = [0, 10];

/// Octets of a message header, the least a message has.
const HEADER: usize = 16;

/// Hands every record of a file to `each`.
pub(super) fn read(
    mut report: FileReport,
    file: impl Read + Send,
    assume: &Assume,
    mut each: impl FnMut(&Record),
) -> Result<FileReport> {
    let mut file = BufReader::with_capacity(1 << 20, file);
    let path = report.path.clone();
    report.format = Some(Format::Ipfix);
    let mut decoder = Decoder::new(None);
    let mut message = Vec::new();
    let mut number = 1;
    loop {
        match next(&mut file, &mut message) {
            Ok(true) => decoder.take(&message, number, assume, &mut report, &mut each),
            Ok(false) => break,
            Err(error) => {
                let error = error.context(format!("{}: message {number}", path.display()));
                report.failed = Some(format!("{error:#}"));
                break;
            }
        }
        number += 1;
    }
    decoder.finish(number, &mut report);
    Ok(report)
}

/// Reads a message; `false` at the end of the file.
fn next(file: &mut impl Read, message: &mut Vec<u8>) -> Result<bool> {
    message.clear();
    let mut more = |message: &mut Vec<u8>, length: usize| {
        let missing = length.saturating_sub(message.len());
        file.by_ref().take(missing as u64).read_to_end(message).context("reading it")
    };
    if more(message, 4)? == 0 {
        return Ok(false);
    }
    let length = match message[..] {
        [0, 10, high, low] => usize::from(u16::from_be_bytes([high, low])),
        [_, _, _, _] => bail!("it is no IPFIX message, and nobody knows where the next one begins"),
        _ => bail!("the file ends inside it"),
    };
    if length < HEADER {
        bail!("it claims to have {length} octets, which is less than its header");
    }
    more(message, length)?;
    if message.len() < length {
        bail!("the file ends inside it");
    }
    Ok(true)
}
