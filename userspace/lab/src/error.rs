// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What keeps an experiment from its end. A claim that is not met is no error.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// An error; each names the program, the file or the condition it is about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("starting `{program}`: {source}")]
    Start {
        /// The command line.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{program}`: {status}: {talk}")]
    Failed {
        /// The command line.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last it said.
        talk: String,
    },
    /// A program ended before its time.
    #[error("{name} ended early ({status}): {talk}")]
    EndedEarly {
        /// Which one.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last it said.
        talk: String,
    },
    /// A condition did not come true in time.
    #[error("waited {seconds} s in vain for {what}")]
    Waited {
        /// The condition.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something is not as it should be.
    #[error("{what}: {why}")]
    Odd {
        /// What was looked at.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A router's device.
    #[error("{0}")]
    Device(#[from] telesteer_redirect::DeviceError),
    /// A capture.
    #[error("{0}")]
    Ledger(#[from] telesteer_ledger::Error),
}

/// Result of the lab's functions.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Gives an I/O error the path it is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::File { path: path.to_owned(), source }
}

/// Says what is wrong with something.
pub(crate) fn odd(what: impl Into<String>, why: impl ToString) -> Error {
    Error::Odd { what: what.into(), why: why.to_string() }
}
