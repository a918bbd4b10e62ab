// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Readings of a router's meters: a JSON object a line, `meter`, `bytes` and `time_ns`.

use crate::input::{Bad, FileReport, Format};
use crate::online::source::Item;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use telesteer_fam::Ns;

/// Longest line that is looked at.
const LINE_MAX: u64 = 4096;

#[derive(Deserialize)]
struct Reading {
    meter: String,
    bytes: u64,
    time_ns: Ns,
}

/// Hands on every reading.
pub(super) fn readings(path: &Path, send: &SyncSender<Item>) -> Result<FileReport> {
    let at = || format!("reading {}", path.display());
    let mut file = BufReader::new(File::open(path).with_context(at)?);
    let mut report = FileReport::new(path);
    report.format = Some(Format::Json);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        if file.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).with_context(at)? == 0 {
            return Ok(report);
        }
        number += 1;
        let Ok(Reading { meter, bytes, time_ns }) = serde_json::from_slice(&line) else {
            if !line.trim_ascii().is_empty() {
                let bad = report.bad.entry("no reading of a meter".to_owned());
                bad.or_insert(Bad { lines: 0, first: number }).lines += 1;
            }
            continue;
        };
        report.records += 1;
        if send.send(Item::Metered(meter, bytes, time_ns)).is_err() {
            return Ok(report);
        }
    }
}
