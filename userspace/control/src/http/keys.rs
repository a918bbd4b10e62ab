// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file of tokens, read again when it changes, so that tokens are given and taken back while the
//! loop runs.
//!
//! If it cannot be read any more nobody is let in: to delete the file takes all tokens back.

use crate::http::counters::{Counters, count};
use crate::ticket::Holder;
use crate::ticket::token::{BadLine, Tokens};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a file.
const LONGEST: u64 = 1 << 20;
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(500);

/// Why a file of tokens is none.
#[derive(Debug, thiserror::Error)]
pub enum BadKeys {
    /// It cannot be read.
    #[error("{}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is longer than 1 MiB.
    #[error("{}: longer than {max} bytes", .path.display(), max = LONGEST)]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// A line of it.
    #[error("{}: {bad}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, and why not.
        bad: BadLine,
    },
}

/// Who a token is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// This one.
    Holder(Holder),
    /// Nobody.
    Nobody,
    /// It cannot be told: the file is faulty, in these words.
    Faulty(String),
}

/// What tells one state of a file from the next.
type Mark = (u64, u64, i64, i64, u64);

#[derive(Debug)]
struct State {
    tokens: Result<Tokens, String>,
    mark: Option<Mark>,
    looked: Instant,
}

/// Whom to let in.
#[derive(Debug)]
pub struct Keys {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

impl Keys {
    /// Those of a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read now.
    pub fn file(path: &Path) -> Result<Self, BadKeys> {
        let mark = mark(path);
        let state = State { tokens: Ok(read(path)?), mark, looked: Instant::now() };
        Ok(Self { path: Some(path.to_owned()), state: Mutex::new(state) })
    }

    /// Nobody: tickets are not served.
    pub fn none() -> Self {
        let state = State { tokens: Ok(Tokens::default()), mark: None, looked: Instant::now() };
        Self { path: None, state: Mutex::new(state) }
    }

    /// Whose token it is. Looks at the file if it has not for half a second: a call that may block as
    /// long as the file system does.
    pub(crate) fn known(&self, token: &str, counters: &Counters) -> Known {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path
            && state.looked.elapsed() >= LOOK
        {
            state.looked = Instant::now();
            let mark = mark(path);
            // The mark is taken first: a change while it is read is read again.
            if mark != state.mark || state.tokens.is_err() {
                state.mark = mark;
                state.tokens = read(path).map_err(|bad| bad.to_string());
                if state.tokens.is_err() {
                    count(&counters.token_file_faults);
                }
            }
        }
        match &state.tokens {
            Ok(tokens) => tokens.holder(token).map_or(Known::Nobody, Known::Holder),
            Err(why) => Known::Faulty(why.clone()),
        }
    }

    /// Whether somebody of this name has a token.
    pub(crate) fn names(&self, holder: &Holder) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens.as_ref().is_ok_and(|tokens| tokens.names(holder))
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let data = fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.mtime(), data.mtime_nsec(), data.size()))
}

fn read(path: &Path) -> Result<Tokens, BadKeys> {
    let failed = |error| BadKeys::Read { path: path.to_owned(), error };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(BadKeys::Long { path: path.to_owned() });
    }
    Tokens::parse(&text).map_err(|bad| BadKeys::Line { path: path.to_owned(), bad })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::token::{line, token};
    use std::thread::sleep;

    #[test]
    fn tokens_come_and_go_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let holder = |name: &str| name.parse::<Holder>().unwrap();
        let (one, two) = (token(&[1; 32]), token(&[2; 32]));
        let error = Keys::file(&path).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        fs::write(&path, "a b c\n").unwrap();
        assert!(
            Keys::file(&path).unwrap_err().to_string().ends_with("line 1: not a name and a hash")
        );
        fs::write(&path, line(&holder("a"), &one)).unwrap();
        let (keys, counters) = (Keys::file(&path).unwrap(), Counters::default());
        let known = |token: &str| keys.known(token, &counters);
        assert_eq!((known(&one), known(&two)), (Known::Holder(holder("a")), Known::Nobody));
        fs::write(&path, format!("{}\n# more\n", line(&holder("b"), &two))).unwrap();
        sleep(LOOK);
        assert_eq!((known(&one), known(&two)), (Known::Nobody, Known::Holder(holder("b"))));
        assert!(keys.names(&holder("b")) && !keys.names(&holder("a")));
        fs::remove_file(&path).unwrap();
        sleep(LOOK);
        assert!(matches!(known(&two), Known::Faulty(why) if why.contains("tokens")));
        fs::write(&path, line(&holder("b"), &two)).unwrap();
        sleep(LOOK);
        assert_eq!(known(&two), Known::Holder(holder("b")));
        assert_eq!(counters.token_file_faults.into_inner(), 1);
        assert_eq!(Keys::none().known(&one, &Counters::default()), Known::Nobody);
    }
}
