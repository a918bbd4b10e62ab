// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The analysis of a day, as a process of its own: what it needs of memory goes with it, and if it dies
//! the loop does not; but it ends with the loop.

use crate::settings::Offline;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bell::Bell;
use telesteer_sys::process::die_with_parent;

/// Most of what it says that is kept.
const SAID: usize = 4096;
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(100);

/// An analysis under way.
#[derive(Debug)]
pub struct Night {
    /// The day it is for.
    pub day: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

/// The command for a day.
pub fn command(program: &Path, offline: &Offline, flows: &Path, day: &str) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let mut words = vec![path(program), "fam".to_owned(), "--alpha-only".to_owned()];
    words.extend(["--zone".to_owned(), offline.zone.clone()]);
    words.extend(["--emit".to_owned(), path(&offline.tables), "--emit-day".to_owned(), day.into()]);
    words.extend(["--emit-width".to_owned(), offline.width.to_string()]);
    words.extend(["--emit-aging".to_owned(), offline.aging.clone()]);
    words.extend(offline.arguments.iter().cloned());
    words.push(path(flows));
    words
}

impl Night {
    /// Begins it; rings the bell when it has ended.
    pub fn begin(day: String, words: Vec<String>, most: Duration, bell: Arc<Bell>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // It is killed when this thread ends, so also when the loop is.
        let thread = thread::spawn(move || {
            let outcome = run(&words, most, &stopped);
            bell.ring();
            outcome
        });
        Self { day, stop, thread }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, done or not, and says what became of it.
    ///
    /// # Errors
    ///
    /// As [`Self::end`].
    pub fn stop(self) -> Result<String, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.end()
    }

    /// What became of it.
    ///
    /// # Errors
    ///
    /// If it could not be started, took too long, or failed, with what it said.
    pub fn end(self) -> Result<String, String> {
        match self.thread.join() {
            Ok(outcome) => outcome.map(|()| self.day),
            Err(_) => Err("its thread died".into()),
        }
    }
}

fn run(words: &[String], most: Duration, stop: &AtomicBool) -> Result<(), String> {
    let said = |what: String| format!("`{}`: {what}", words.join(" "));
    let (program, args) = words.split_first().ok_or("no command")?;
    let mut command = Command::new(PathBuf::from(program));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|error| said(error.to_string()))?;
    let reader = child.stderr.take().map(|stderr| thread::spawn(move || last_words(stderr)));
    let outcome = wait(&mut child, most, stop);
    let words = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    outcome.map_err(|what| said(format!("{what}: {}", words.trim())))
}

/// The last it says, and all of it read, so that it never waits for us.
fn last_words(mut from: impl Read) -> String {
    let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(SAID);
        kept.drain(..over);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn wait(child: &mut Child, most: Duration, stop: &AtomicBool) -> Result<(), String> {
    let until = Instant::now() + most;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) => {
                let why = match stop.load(Ordering::Relaxed) {
                    true => "ended with the loop".to_owned(),
                    false if Instant::now() < until => {
                        thread::sleep(LOOK);
                        continue;
                    }
                    false => format!("not done in {} s", most.as_secs()),
                };
                let _ = child.kill();
                let _ = child.wait();
                return Err(why);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(words: &[&str], most: Duration) -> Result<String, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let bell: Arc<Bell> = Arc::default();
        let night = Night::begin("2026-11-26".into(), words, most, bell.clone());
        bell.wait(Duration::from_secs(600));
        night.end()
    }

    #[test]
    fn it_ends_well_badly_or_too_late() {
        let long = Duration::from_secs(600);
        assert_eq!(night(&["true"], long).as_deref(), Ok("2026-11-26"));
        let said = night(&["sh", "-c", "echo no flows >&2; exit 2"], long).unwrap_err();
        assert!(said.contains("exit status: 2") && said.ends_with("no flows"), "{said}");
        let said = night(&["sleep", "600"], Duration::from_millis(1)).unwrap_err();
        assert!(said.contains("not done in 0 s"), "{said}");
        let words = ["sleep", "600"].map(str::to_owned).to_vec();
        let said = Night::begin("2026-11-26".into(), words, long, Arc::default()).stop();
        assert!(said.unwrap_err().contains("ended with the loop"));
        assert!(night(&["/nowhere/hntes"], long).unwrap_err().contains("/nowhere/hntes"));
    }
}
