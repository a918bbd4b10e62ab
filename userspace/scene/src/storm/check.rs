// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads the outputs while they grow, proves each line against the load, and removes files whose
//! writer is dead and whose lines are read.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use telesteer_ledger::cover::{Added, Cover};
use telesteer_ledger::outputs::{Line, parse, unhex};

use super::load::Load;
use super::{Session, Shared};

/// Bytes of one output line believed.
const MAX_LINE: usize = 4 << 20;
/// How long a proved session that is over is remembered: an heir may still repeat a message.
const MEMORY: Duration = Duration::from_secs(20);

/// Sums of the checker.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Checked {
    /// BMP lines proved.
    pub(crate) lines: u64,
    /// BMP lines that bring nothing new.
    pub(crate) duplicates: u64,
    /// BMP lines whose bytes are not those sent at their offset.
    pub(crate) wrong: u64,
    /// BMP lines of no session, or without their bytes.
    pub(crate) unknown: u64,
    /// BMP lines that disagree with others about where messages begin.
    pub(crate) overlapping: u64,
    /// BMP lines the collector could not decode: its heir lacked context.
    pub(crate) undecoded: u64,
    /// Why, of the first of them.
    pub(crate) undecoded_reason: Option<String>,
    /// Lines that are no lines.
    pub(crate) bad: u64,
    /// Last lines cut off by a kill.
    pub(crate) torn: u64,
    /// Takeovers seen by heirs.
    pub(crate) heirs: u64,
    /// Files removed after their writer's death.
    pub(crate) files: u64,
    /// Output lines' bytes.
    pub(crate) output_bytes: u64,
}

/// An output file being followed.
struct Tail {
    path: PathBuf,
    file: File,
    rest: Vec<u8>,
}

/// What is known of a session.
struct Proof {
    session: Arc<Session>,
    load: Load,
    cover: Cover,
    done: Option<Instant>,
}

/// Follows a folder of outputs.
pub(crate) struct Checker {
    seed: u64,
    folder: PathBuf,
    shared: Arc<Shared>,
    proofs: HashMap<SocketAddr, Proof>,
    /// By kind, instance and start.
    tails: BTreeMap<(String, u64, u64), Tail>,
    bytes: Vec<u8>,
    checked: Checked,
}

impl Checker {
    /// A checker of the outputs in `folder`.
    pub(crate) fn new(seed: u64, folder: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            seed,
            folder,
            shared,
            proofs: HashMap::new(),
            tails: BTreeMap::new(),
            bytes: Vec::new(),
            checked: Checked::default(),
        }
    }

    /// Follows until the storm stops.
    pub(crate) fn run(mut self) -> Checked {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn();
            std::thread::sleep(Duration::from_millis(20));
        }
        self.turn();
        self.checked
    }

    /// Reads what is new, once.
    fn turn(&mut self) {
        self.discover();
        self.register();
        let keys: Vec<_> = self.tails.keys().cloned().collect();
        for (place, key) in keys.iter().enumerate() {
            // A younger file of the same writer means that the older writer is dead.
            let dead = keys.get(place + 1).is_some_and(|next| (&next.0, next.1) == (&key.0, key.1));
            let Some(mut tail) = self.tails.remove(key) else { continue };
            self.read(&mut tail);
            if !dead {
                self.tails.insert(key.clone(), tail);
                continue;
            }
            self.checked.torn += u64::from(!tail.rest.is_empty());
            self.checked.files += 1;
            let _ = std::fs::remove_file(&tail.path);
        }
        let proved = |session: &Session| {
            !session.is_open() && !session.cut.load(Ordering::Acquire) && session.missing() == 0
        };
        self.shared.forget(proved);
        self.proofs.retain(|_, proof| {
            if proved(&proof.session) {
                proof.done.get_or_insert_with(Instant::now);
            }
            proof.done.is_none_or(|since| since.elapsed() < MEMORY)
        });
    }

    /// Learns of new sessions.
    fn register(&mut self) {
        for session in self.shared.sessions() {
            let known = self.proofs.get(&session.exporter);
            if known.is_none_or(|proof| proof.session.number != session.number) {
                let (load, cover) = (Load::new(self.seed, session.number), Cover::default());
                let proof = Proof { load, session, cover, done: None };
                self.proofs.insert(proof.session.exporter, proof);
            }
        }
    }

    fn discover(&mut self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
            let mut parts = name.split('-');
            let (Some(kind), Some(Ok(id)), Some(Ok(start))) = (
                parts.next(),
                parts.next().map(str::parse::<u64>),
                parts.next().map(str::parse::<u64>),
            ) else {
                continue;
            };
            let key = (kind.to_string(), id, start);
            if !self.tails.contains_key(&key)
                && let Ok(file) = File::open(&path)
            {
                self.tails.insert(key, Tail { path, file, rest: Vec::new() });
            }
        }
    }

    /// Reads a file to its present end.
    fn read(&mut self, tail: &mut Tail) {
        let mut block = vec![0; 256 << 10];
        loop {
            let got = match tail.file.read(&mut block) {
                Ok(0) | Err(_) => return,
                Ok(got) => got,
            };
            self.checked.output_bytes += got as u64;
            tail.rest.extend_from_slice(&block[..got]);
            let mut from = 0;
            while let Some(length) = tail.rest[from..].iter().position(|byte| *byte == b'\n') {
                self.line(&tail.rest[from..from + length]);
                from += length + 1;
            }
            tail.rest.drain(..from);
            if tail.rest.len() > MAX_LINE {
                self.checked.bad += 1;
                tail.rest.clear();
            }
        }
    }

    fn line(&mut self, text: &[u8]) {
        match parse(text) {
            Some(line) if line.kind == "bmp" => self.prove(&line),
            Some(line) if line.kind == "event" => {
                self.checked.heirs += u64::from(line.takeovers > 0);
            }
            Some(_) => {}
            None => self.checked.bad += 1,
        }
    }

    fn prove(&mut self, line: &Line<'_>) {
        let exporter = line.exporter().map(|address| SocketAddr::new(address, line.port));
        if exporter.is_some_and(|exporter| !self.proofs.contains_key(&exporter)) {
            // It may have begun since this turn did.
            self.register();
        }
        let checked = &mut self.checked;
        let Some(proof) = exporter.and_then(|exporter| self.proofs.get_mut(&exporter)) else {
            checked.unknown += 1;
            return;
        };
        let raw = line.raw.as_deref().unwrap_or_default();
        if raw.is_empty() || unhex(raw, &mut self.bytes).is_none() {
            checked.unknown += 1;
            return;
        }
        let end = line.offset.saturating_add(self.bytes.len() as u64);
        // Never believe more than was sent: the generator would make it up.
        let sent = proof.session.sent.load(Ordering::Acquire);
        if end > sent.saturating_add(64 << 10) || !proof.load.is(line.offset, &self.bytes) {
            checked.wrong += 1;
            return;
        }
        checked.lines += 1;
        // What an exporter that ends inside a message has sent of it is no message.
        let cut_off = |error: &str| error.starts_with("truncated") && end == sent;
        if let Some(error) = line.error.as_deref().filter(|error| !cut_off(error)) {
            checked.undecoded += 1;
            let at = format!("{error} (session {}, offset {})", proof.session.number, line.offset);
            checked.undecoded_reason.get_or_insert(at);
        }
        match proof.cover.add(line.offset, end) {
            Added::New => {}
            Added::Duplicate => checked.duplicates += 1,
            Added::Overlap => checked.overlapping += 1,
        }
        proof.session.proved.store(proof.cover.prefix(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::io::Write as _;

    /// A session of which 1000 bytes were sent, and a checker of an empty folder.
    fn stage() -> (tempfile::TempDir, Arc<Session>, Checker, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::default());
        let exporter = "127.8.0.1:5000".parse().unwrap();
        let session = Arc::new(Session::new(3, exporter));
        session.sent.store(1000, Ordering::Release);
        shared.add(Arc::clone(&session));
        let bytes = Load::new(7, 3).at(0)[..1000].to_vec();
        let checker = Checker::new(7, folder.path().to_path_buf(), shared);
        (folder, session, checker, bytes)
    }

    fn line(offset: usize, bytes: &[u8]) -> String {
        let mut raw = String::new();
        for byte in bytes {
            let _ = write!(raw, "{byte:02x}");
        }
        format!(
            "{{\"type\":\"bmp\",\"exporter\":\"127.8.0.1\",\"port\":5000,\"offset\":{offset},\"raw\":\"{raw}\"}}\n"
        )
    }

    fn append(folder: &std::path::Path, name: &str, text: &str) {
        let path = folder.join(name);
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn union_over_dead_and_living_writers() {
        let (folder, session, mut checker, bytes) = stage();
        let text = line(0, &bytes[..400]);
        append(folder.path(), "bmp-1-100.jsonl", &text[..300]);
        checker.turn();
        assert_eq!(session.missing(), 1000);
        append(folder.path(), "bmp-1-100.jsonl", &(text[300..].to_string() + "{\"type\":\"bm"));
        append(folder.path(), "bmp-2-100.jsonl", &line(300, &bytes[300..400]));
        append(folder.path(), "bmp-1-200.jsonl", &line(400, &bytes[400..]));
        checker.turn();
        assert_eq!(session.missing(), 0);
        let checked = &checker.checked;
        assert_eq!((checked.lines, checked.duplicates, checked.torn), (3, 1, 1));
        assert!(!folder.path().join("bmp-1-100.jsonl").exists());
        assert!(folder.path().join("bmp-1-200.jsonl").exists());
    }

    #[test]
    fn a_session_that_begins_during_a_turn() {
        let (_folder, session, mut checker, bytes) = stage();
        // Nothing has been registered: the line itself must be the occasion.
        checker.line(line(0, &bytes).trim_end().as_bytes());
        assert_eq!((session.missing(), checker.checked.unknown), (0, 0));
        let stranger = line(0, &bytes).replace("5000", "5001");
        checker.line(stranger.trim_end().as_bytes());
        assert_eq!(checker.checked.unknown, 1);
    }

    #[test]
    fn a_hole_or_a_wrong_byte_is_not_proved() {
        let (folder, session, mut checker, mut bytes) = stage();
        append(folder.path(), "bmp-1-1.jsonl", &line(0, &bytes[..400]));
        append(folder.path(), "bmp-1-1.jsonl", &line(401, &bytes[401..]));
        checker.turn();
        assert_eq!(session.missing(), 600);
        bytes[400] ^= 1;
        append(folder.path(), "bmp-1-1.jsonl", &line(400, &bytes[400..401]));
        checker.turn();
        assert_eq!((session.missing(), checker.checked.wrong), (600, 1));
    }
}
