// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The timeline of a phase: what happened when, one JSON object a line.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::error::{Result, at};

/// Unix time in microseconds.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

/// Writes `timeline.jsonl`.
#[derive(Debug)]
pub(crate) struct Timeline {
    file: File,
    phase: String,
}

impl Timeline {
    /// A new timeline for `phase` in the folder `dir`.
    pub(crate) fn create(dir: &Path, phase: &str) -> Result<Self> {
        let path = dir.join("timeline.jsonl");
        let file = File::create(&path).map_err(at(&path))?;
        Ok(Self { file, phase: phase.to_owned() })
    }

    /// Something happened now; `more` is an object of further fields.
    pub(crate) fn event(&mut self, event: &str, more: Value) {
        self.event_at(now_us(), event, more);
    }

    /// Something happened at `ts_us`.
    pub(crate) fn event_at(&mut self, ts_us: u64, event: &str, more: Value) {
        let mut line = json!({ "ts_us": ts_us, "phase": self.phase, "event": event });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        // The timeline must not end the scene; a short one fails in the ledger.
        if let Err(error) = writeln!(self.file, "{line}") {
            eprintln!("telesteer-scene: timeline: {error}");
        }
    }
}
