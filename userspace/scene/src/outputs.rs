// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Follows the collectors' output files: how many lines of each kind, read as they grow.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Read this much of a file at a time; no line is longer.
const CHUNK: usize = 1 << 20;

/// What was read longer ago than this is old.
const OLD: Duration = Duration::from_millis(400);

/// Lines of one kind of file that name one exporter.
#[derive(Debug)]
struct Watched {
    kind: &'static str,
    needle: Vec<u8>,
    found: u64,
}

/// What the outputs of all collectors hold so far.
#[derive(Debug)]
pub(crate) struct Outputs {
    dir: PathBuf,
    seen: HashMap<PathBuf, u64>,
    lines: HashMap<String, u64>,
    watched: Vec<Watched>,
    last: Option<Instant>,
}

impl Outputs {
    /// Follows the files in `dir`; lines of `watched` kinds and exporters are counted apart.
    pub(crate) fn new(dir: &Path, watched: &[(&'static str, &str)]) -> Self {
        let watched = watched
            .iter()
            .map(|&(kind, exporter)| Watched {
                kind,
                needle: format!("\"exporter\":\"{exporter}\"").into_bytes(),
                found: 0,
            })
            .collect();
        Self {
            dir: dir.to_owned(),
            seen: HashMap::new(),
            lines: HashMap::new(),
            watched,
            last: None,
        }
    }

    /// [`Outputs::refresh`] unless that was done a moment ago: conditions look more often.
    pub(crate) fn refresh_if_old(&mut self) {
        if self.last.is_none_or(|last| last.elapsed() > OLD) {
            self.refresh();
        }
    }

    /// Reads what has been added since the last call.
    pub(crate) fn refresh(&mut self) {
        self.last = Some(Instant::now());
        for path in files(&self.dir) {
            let Some(kind) = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
                name.ends_with(".jsonl")
                    .then(|| name.split('-').next().map(str::to_owned))
                    .flatten()
            }) else {
                continue;
            };
            // What cannot be read now is read the next time.
            let _ = self.follow(&path, &kind);
        }
    }

    fn follow(&mut self, path: &Path, kind: &str) -> std::io::Result<()> {
        let seen = self.seen.entry(path.to_owned()).or_default();
        let mut file = File::open(path)?;
        // What is there now; what comes meanwhile is for the next look, or this one might not end.
        let end = file.metadata()?.len();
        if end == *seen {
            return Ok(());
        }
        file.seek(SeekFrom::Start(*seen))?;
        let mut buffer = vec![0; CHUNK];
        while *seen < end {
            let length = file.read(&mut buffer)?;
            // Only whole lines, so that no line is looked at in two parts.
            let Some(last) = buffer[..length].iter().rposition(|&byte| byte == b'\n') else {
                break;
            };
            let whole = &buffer[..=last];
            *seen += whole.len() as u64;
            let count = whole.iter().filter(|&&byte| byte == b'\n').count() as u64;
            *self.lines.entry(kind.to_owned()).or_default() += count;
            for watched in self.watched.iter_mut().filter(|watched| watched.kind == kind) {
                let lines = whole.split(|&byte| byte == b'\n');
                watched.found += lines.filter(|line| names(line, &watched.needle)).count() as u64;
            }
            file.seek(SeekFrom::Start(*seen))?;
        }
        Ok(())
    }

    /// Lines of `bmp`, `flow`, `notif`, `events` or `journal` files so far.
    pub(crate) fn lines(&self, kind: &str) -> u64 {
        self.lines.get(kind).copied().unwrap_or(0)
    }

    /// Lines of all files so far.
    pub(crate) fn all(&self) -> u64 {
        self.lines.values().sum()
    }

    /// Lines of the watched exporter number `index`.
    pub(crate) fn found(&self, index: usize) -> u64 {
        self.watched.get(index).map_or(0, |watched| watched.found)
    }
}

/// The files in `dir` and one level below it: each server has a folder of its own.
fn files(dir: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    };
    let (folders, mut files): (Vec<_>, Vec<_>) =
        list(dir).into_iter().partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| list(folder)));
    files
}

/// True when `needle` is near the start of a line, where the exporter stands.
fn names(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).take(200).any(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_counted_as_files_grow_and_torn_ones_wait() {
        let dir = std::env::temp_dir().join(format!("telesteer-outputs-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut file = File::create(dir.join("bmp-1-5.jsonl")).unwrap();
        let mut outputs = Outputs::new(&dir, &[("flow", "10.9.0.1"), ("bmp", "10.9.0.1")]);
        write!(file, "{{\"exporter\":\"10.9.0.1\"}}\n{{\"exporter\":\"10.9.0.12\"}}\n{{\"exp")
            .unwrap();
        outputs.refresh();
        assert_eq!((outputs.lines("bmp"), outputs.found(1)), (2, 1));
        writeln!(file, "orter\":\"10.9.0.1\"}}").unwrap();
        outputs.refresh();
        assert_eq!((outputs.lines("bmp"), outputs.found(1), outputs.all()), (3, 2, 3));
        fs::remove_dir_all(&dir).unwrap();
    }
}
