// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong while a scene is played.

use std::path::PathBuf;

/// An error of the scene; each names the step, the program or the file it is about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The command line.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program that sets something up failed.
    #[error("{program}: {status}: {talk}")]
    Failed {
        /// The command line.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last of its standard error.
        talk: String,
    },
    /// A long-running program ended before its time.
    #[error("{name} ended early ({status}), see {}", log.display())]
    EndedEarly {
        /// Which one.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Where its standard error went.
        log: PathBuf,
    },
    /// A condition did not come true in time.
    #[error("waited {waited_s} s in vain for {what}; last seen: {seen}")]
    Waited {
        /// The condition.
        what: String,
        /// Seconds waited.
        waited_s: u64,
        /// The state at the end.
        seen: String,
    },
    /// SIGINT or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{what}: {why}")]
    Odd {
        /// What was looked at.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Result of the scene's functions.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Gives an I/O error the path it is about.
pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::File { path: path.to_owned(), source }
}
