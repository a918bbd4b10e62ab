// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What keeps the ledger from reading a scene. A claim that is not met is no error.

use std::path::{Path, PathBuf};

/// The scene could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened or read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the scene is not the JSON it should be.
    #[error("{path}, line {line}: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A capture is not a classic pcap file, or of a link type the ledger does not know.
    #[error("{path}: {what}", path = path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The streams of a capture do not fit the bound.
    #[error("the capture holds more than {0} stream bytes; raise --max-bytes")]
    TooLarge(u64),
    /// An event the accounts need is not in the timeline.
    #[error("{path}: no event {event:?}", path = path.display())]
    NoEvent {
        /// The timeline.
        path: PathBuf,
        /// The event's name.
        event: &'static str,
    },
    /// The folder holds no phase.
    #[error("{path}: no phase in here (a phase is a folder with a timeline.jsonl)", path = .0.display())]
    NoPhase(PathBuf),
}

/// Result of reading a scene.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Names the file an I/O error is about.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}
