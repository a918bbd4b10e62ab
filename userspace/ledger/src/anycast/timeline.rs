// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When a server left and came back, and the quiet stretches between.

use crate::error::{Error, Result};
use crate::scene::events;
use std::path::Path;

/// A stretch in which no route changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// All servers are there.
    Before = 0,
    /// One has left.
    Without = 1,
    /// It is back.
    Returned = 2,
}

/// Times in Unix microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Everything runs.
    pub steady_us: i64,
    /// The server is told to leave.
    pub withdraw_us: i64,
    /// No route leads to it.
    pub withdrawn_us: i64,
    /// It begins to announce again.
    pub return_us: i64,
    /// Routes lead to it.
    pub returned_us: i64,
    /// The senders stop.
    pub stop_us: i64,
}

impl Timeline {
    /// Reads `timeline.jsonl`.
    pub fn read(path: &Path) -> Result<Self> {
        let events = events(path)?;
        let need = |name: &'static str| {
            let event = events.iter().find(|event| event.event == name);
            let missing = || Error::NoEvent { path: path.to_path_buf(), event: name };
            event.map(|event| event.ts_us).ok_or_else(missing)
        };
        Ok(Self {
            steady_us: need("steady")?,
            withdraw_us: need("withdraw_start")?,
            withdrawn_us: need("withdrawn")?,
            return_us: need("return_start")?,
            returned_us: need("returned")?,
            stop_us: need("stop")?,
        })
    }

    /// The window a time lies in; `None` while routes change.
    pub fn window(&self, ts_us: i64) -> Option<Window> {
        let spans = [
            (Window::Before, self.steady_us, self.withdraw_us),
            (Window::Without, self.withdrawn_us, self.return_us),
            (Window::Returned, self.returned_us, self.stop_us),
        ];
        spans.iter().find(|(_, from, to)| (*from..*to).contains(&ts_us)).map(|(window, ..)| *window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_lie_between_the_windows() {
        let timeline = Timeline {
            steady_us: 0,
            withdraw_us: 10,
            withdrawn_us: 12,
            return_us: 20,
            returned_us: 23,
            stop_us: 30,
        };
        let windows = [5, 11, 12, 21, 25, 30].map(|ts| timeline.window(ts));
        let (before, without) = (Some(Window::Before), Some(Window::Without));
        assert_eq!(windows, [before, None, without, None, Some(Window::Returned), None]);
    }
}
