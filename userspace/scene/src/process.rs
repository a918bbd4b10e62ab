// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs of the scene: started in a namespace, watched, ended by their process id.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result, at};
use crate::timeline::now_us;

/// Runs a program to its end; an error carries the last of its standard error.
pub(crate) fn run(argv: &[&str]) -> Result<String> {
    let program = argv.join(" ");
    let (name, arguments) = argv.split_first().unwrap_or((&"", &[]));
    let output = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { program: program.clone(), source })?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Failed { program, status: output.status, talk });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Like [`run`], with `input` as its standard input.
pub(crate) fn run_with_input(argv: &[&str], input: &str) -> Result<String> {
    let program = argv.join(" ");
    let start = |source| Error::Start { program: program.clone(), source };
    let (name, arguments) = argv.split_first().unwrap_or((&"", &[]));
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read to the end says why by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(start)?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        let talk = format!("{} (given: {})", talk.trim(), input.trim().replace('\n', "; "));
        return Err(Error::Failed { program, status: output.status, talk });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A long-running program. Dropping it kills it and waits.
#[derive(Debug)]
pub(crate) struct Process {
    /// Name for people.
    pub name: String,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
    lines: Arc<Mutex<String>>,
}

impl Process {
    /// Starts `argv` in the network namespace `netns`, its standard error in `log`.
    ///
    /// The last line of its standard output is kept, see [`Process::last_line`]. The kernel kills
    /// it when the scene itself dies.
    pub(crate) fn start(name: &str, netns: &str, argv: &[&str], log: &Path) -> Result<Self> {
        let file = File::create(log).map_err(at(log))?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "ip", "netns", "exec", netns])
            .args(argv)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|source| Error::Start { program: argv.join(" "), source })?;
        let lines = Arc::new(Mutex::new(String::new()));
        if let Some(stdout) = child.stdout.take() {
            let lines = Arc::clone(&lines);
            // Ends with the program: its end closes the pipe.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                    if let Ok(mut last) = lines.lock() {
                        *last = line;
                    }
                }
            });
        }
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), status: None, lines })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last whole line the program printed on standard output, empty if none.
    pub(crate) fn last_line(&self) -> String {
        self.lines.lock().map(|line| line.clone()).unwrap_or_default()
    }

    /// What the program has said on standard error so far.
    pub(crate) fn talk(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Sends a signal; to a program that is gone it is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.status.is_none()
            && let Some(pid) = Pid::from_raw(self.pid() as i32)
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Sends SIGKILL; returns the times before and after the call in µs.
    pub(crate) fn kill(&self) -> (u64, u64) {
        let before = now_us();
        self.signal(Signal::KILL);
        (before, now_us())
    }

    /// The status if the program has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// An error if the program has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => {
                Err(Error::EndedEarly { name: self.name.clone(), status, log: self.log.clone() })
            }
        }
    }

    /// Waits for the end at most `most`, then kills; returns the status.
    pub(crate) fn reap(&mut self, most: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + most;
        while self.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.status.is_none() {
            self.signal(Signal::KILL);
            self.status = self.child.wait().ok();
        }
        self.status
    }

    /// Sends `signal`, then waits like [`Process::reap`]; children left behind are killed.
    pub(crate) fn stop(&mut self, signal: Signal, most: Duration) -> Option<ExitStatus> {
        let children = children_of(self.pid());
        self.signal(signal);
        let status = self.reap(most);
        for child in
            children.into_iter().filter(|&child| parent_of(child).is_some_and(|parent| parent == 1))
        {
            if let Some(pid) = Pid::from_raw(child as i32) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // A stopped process dies of SIGKILL too.
            self.stop(Signal::KILL, Duration::from_secs(5));
        }
    }
}

/// The parent of a process, if the process is there.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, so count from its end.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Processes whose parent is `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&child| parent_of(child) == Some(pid))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_words() {
        let text = run(&["sh", "-c", "echo oh no >&2; exit 3"]).unwrap_err().to_string();
        assert!(text.contains("oh no") && text.contains("3"), "{text}");
        assert!(matches!(run(&["/no/such/program"]), Err(Error::Start { .. })));
    }

    #[test]
    fn own_children_are_found() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        assert!(children_of(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
