// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starting programs: every failure names the command, long ones show progress and keep their log.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a long step says that it is alive.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Lines of a failed command's log that are shown.
const TAIL_LINES: usize = 25;

/// A command and the text that names it in errors.
#[derive(Debug)]
pub(crate) struct Cmd {
    inner: Command,
    shown: Option<String>,
}

/// A command for `program`, with an empty standard input.
pub(crate) fn cmd(program: impl AsRef<OsStr>) -> Cmd {
    let mut inner = Command::new(program);
    inner.stdin(Stdio::null());
    Cmd { inner, shown: None }
}

impl Cmd {
    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Runs in `dir`.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Names the command by `text` instead of its whole line (for wrapped commands).
    pub(crate) fn shown(mut self, text: impl Into<String>) -> Self {
        self.shown = Some(text.into());
        self
    }

    /// The text errors use.
    pub(crate) fn text(&self) -> String {
        match &self.shown {
            Some(text) => text.clone(),
            None => {
                shell_line(std::iter::once(self.inner.get_program()).chain(self.inner.get_args()))
            }
        }
    }

    /// Hands the command over for special handling.
    pub(crate) fn into_inner(self) -> Command {
        self.inner
    }

    /// Runs with our own stdout and stderr; fails unless it exits 0.
    pub(crate) fn run(self) -> Result<()> {
        let text = self.text();
        let status = self.status()?;
        if !status.success() {
            bail!("`{text}` failed: {status}");
        }
        Ok(())
    }

    /// Runs with our own stdout and stderr; any exit status is fine.
    pub(crate) fn status(mut self) -> Result<ExitStatus> {
        self.inner.status().with_context(|| format!("starting `{}`", self.text()))
    }

    /// Captures stdout; fails unless it exits 0, then with its stderr.
    pub(crate) fn output(mut self) -> Result<String> {
        let text = self.text();
        let output = self.inner.output().with_context(|| format!("starting `{text}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{text}` failed: {}\n{}", output.status, said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Captures exit status and stdout plus stderr as one text.
    pub(crate) fn verdict(mut self) -> Result<(ExitStatus, String)> {
        let text = self.text();
        let output = self.inner.output().with_context(|| format!("starting `{text}`"))?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status, said))
    }

    /// Sends stdout and stderr to `log`, shows a progress line now and then.
    ///
    /// `meter` sees every line of output and may change the text shown.
    /// A failure names the command, the log and its last lines.
    pub(crate) fn logged(
        mut self,
        log: &Path,
        what: &str,
        mut meter: impl FnMut(&str, &mut String),
    ) -> Result<()> {
        let text = self.text();
        let mut file = create(log)?;
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let stderr = writer.try_clone().context("cloning a pipe")?;
        let mut child = self
            .inner
            .stdout(writer)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("starting `{text}`"))?;
        drop(self); // the command holds the pipe's writing ends
        let (lines, feed) = mpsc::sync_channel(1024);
        let pump = thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                if lines.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        let mut clock = Progress::new(what);
        let mut note = String::new();
        loop {
            match feed.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    std::io::Write::write_all(&mut file, &line)
                        .with_context(|| format!("writing {}", log.display()))?;
                    meter(String::from_utf8_lossy(&line).trim_end(), &mut note);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            clock.tick(&note);
        }
        pump.join().ok();
        let status = child.wait().with_context(|| format!("waiting for `{text}`"))?;
        if !status.success() {
            bail!(
                "`{text}` failed: {status}; end of {}:\n{}",
                log.display(),
                tail(log, TAIL_LINES)
            );
        }
        Ok(())
    }
}

/// Says now and then how long a step has been running.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    start: Instant,
    last: Instant,
}

impl Progress {
    /// Starts the clock.
    pub(crate) fn new(what: &str) -> Self {
        let now = Instant::now();
        Progress { what: what.to_owned(), start: now, last: now }
    }

    /// Prints a line if the last one is old enough.
    pub(crate) fn tick(&mut self, note: &str) {
        if self.last.elapsed() >= PROGRESS_EVERY {
            self.last = Instant::now();
            let gap = if note.is_empty() { "" } else { ": " };
            eprintln!("xtask: [{}] {}{gap}{note}", clock(self.start.elapsed()), self.what);
        }
    }
}

/// Prints `xtask: …`.
pub(crate) fn say(text: impl AsRef<str>) {
    eprintln!("xtask: {}", text.as_ref());
}

/// Runs a step and says how long it took.
pub(crate) fn step<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    say(format!("{what} …"));
    let start = Instant::now();
    let value = run().with_context(|| what.to_owned())?;
    say(format!("{what}: done in {}", clock(start.elapsed())));
    Ok(value)
}

/// Minutes and seconds, as `m:ss`.
pub(crate) fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// Creates a file and the folders above it.
pub(crate) fn create(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    File::create(path).with_context(|| format!("creating {}", path.display()))
}

/// The last lines of a log, or a word about why there are none.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let mut text = String::new();
    match File::open(path).and_then(|file| BufReader::new(file).read_to_string(&mut text)) {
        Ok(_) => {
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// Quotes words for a shell and joins them.
pub(crate) fn shell_line<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for word in words {
        let word = word.as_ref().to_string_lossy();
        let plain = !word.is_empty()
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c));
        let gap = if line.is_empty() { "" } else { " " };
        let _ = if plain {
            write!(line, "{gap}{word}")
        } else {
            write!(line, "{gap}'{}'", word.replace('\'', r"'\''"))
        };
    }
    line
}

/// Finds a program on the host's `PATH` or in the sbin folders beside it.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_command() {
        let error = cmd("sh").args(["-c", "echo why >&2; exit 3"]).output().unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("sh -c 'echo why >&2; exit 3'") && text.contains("why"), "{text}");
        let error = cmd("/nonexistent/tool").run().unwrap_err();
        assert!(format!("{error:#}").contains("/nonexistent/tool"));
    }

    #[test]
    fn logged_shows_the_end_of_the_log() {
        let log = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        let mut seen = 0;
        let script =
            "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; echo bad >&2; exit 1";
        let error = cmd("sh")
            .args(["-c", script])
            .shown("count")
            .logged(&log, "counting", |_, _| seen += 1)
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("`count` failed") && text.contains("line 39\nbad"), "{text}");
        assert!(!text.contains("line 3\n"));
        assert_eq!(seen, 41);
    }

    #[test]
    fn shell_words_are_quoted_when_needed() {
        assert_eq!(shell_line(["a-b", "c d", "", "it's"]), r"a-b 'c d' '' 'it'\''s'");
    }

    #[test]
    fn clock_pads_seconds() {
        assert_eq!(clock(Duration::from_secs(65)), "1:05");
    }
}
