// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people see while a scene is played: a line a step, and a line of state every second.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Time between two looks at a condition.
const LOOK: Duration = Duration::from_millis(100);
/// Time between two lines of state, when they were asked for and when not.
const LIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Talks on standard error, and knows when to stop.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    every: Duration,
    terminal: bool,
    shown: Instant,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    /// Starts the clock; `live` asks for a line of state every second, as a terminal has it anyway.
    pub(crate) fn new(live: bool, interrupted: Arc<AtomicBool>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        let every = if live || terminal { LIVE.0 } else { LIVE.1 };
        Self { start: now, every, terminal, shown: now, interrupted }
    }

    /// One step done or begun.
    pub(crate) fn step(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}[{:6.1} s] {text}", self.start.elapsed().as_secs_f64());
    }

    /// True when it is time for a line of state.
    pub(crate) fn due(&self) -> bool {
        self.shown.elapsed() >= self.every
    }

    /// Shows a line of state.
    pub(crate) fn live(&mut self, state: &str) {
        self.shown = Instant::now();
        let elapsed = self.start.elapsed().as_secs_f64();
        if self.terminal {
            eprint!("\r\x1b[K[{elapsed:6.1} s] {state}");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("[{elapsed:6.1} s] {state}");
        }
    }

    /// An error once SIGINT or SIGTERM has come.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Looks at a condition until it is true, at most `most_s` seconds.
///
/// `look` returns whether it is true and, for the error, what it has seen.
pub(crate) fn until(
    what: &str,
    most_s: u64,
    mut look: impl FnMut() -> Result<(bool, String)>,
) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(most_s);
    loop {
        let (done, seen) = look()?;
        if done {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Waited { what: what.to_owned(), waited_s: most_s, seen });
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_stays_false_is_named_with_what_was_seen() {
        let text = until("rain", 0, || Ok((false, "sun".to_owned()))).unwrap_err().to_string();
        assert!(text.contains("rain") && text.contains("sun"), "{text}");
        let mut looks = 0;
        until("three looks", 5, || {
            looks += 1;
            Ok((looks == 3, String::new()))
        })
        .unwrap();
    }
}
