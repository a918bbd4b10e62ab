// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs: run to their end, or kept beside an experiment and ended with it.

use crate::error::{Error, Result, at, odd};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bytes of a program's words that an error shows.
const TALK: usize = 2000;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a program to its end and gives its standard output.
pub(crate) fn run(argv: &[&str]) -> Result<String> {
    run_with(argv, "")
}

/// The same with something on its standard input.
pub(crate) fn run_with(argv: &[&str], input: &str) -> Result<String> {
    let program = argv.join(" ");
    let start = |source| Error::Start { program: program.clone(), source };
    let (name, rest) = argv.split_first().unwrap_or((&"", &[]));
    let mut child = Command::new(name)
        .args(rest)
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
        let talk = end_of(&String::from_utf8_lossy(&output.stderr));
        return Err(Error::Failed { program, status: output.status, talk });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn end_of(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(TALK);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[from..].to_owned()
}

/// A program that runs beside; dropping it kills it and waits. The kernel kills it when the lab dies.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `argv` in the network namespace `space`, or in ours; what it says goes to
    /// `dir/NAME.out` and `dir/NAME.err`.
    pub(crate) fn start(
        name: &str,
        space: Option<&str>,
        dir: &Path,
        argv: &[&str],
    ) -> Result<Self> {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let file = |path: &Path| File::create(path).map_err(at(path));
        let mut words = vec!["--pdeathsig", "KILL"];
        words.extend(space.iter().flat_map(|space| ["ip", "netns", "exec", space]));
        let child = Command::new("setpriv")
            .args(words)
            .args(argv)
            .stdin(Stdio::null())
            .stdout(file(&out)?)
            .stderr(file(&err)?)
            .spawn()
            .map_err(|source| Error::Start { program: argv.join(" "), source })?;
        Ok(Self { name: name.to_owned(), child, out, err, status: None })
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        text_of(&self.out)
    }

    /// What it has said on standard error so far.
    pub(crate) fn said(&self) -> String {
        text_of(&self.err)
    }

    /// Processor time of all its threads so far, the kernel's for them included.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let path = PathBuf::from(format!("/proc/{}/stat", self.child.id()));
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        let ticks = ticks(&text).ok_or_else(|| odd(path.display().to_string(), text.trim()))?;
        Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
    }

    /// Its status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// An error if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        let Some(status) = self.ended() else { return Ok(()) };
        let talk = end_of(&format!("{}\n{}", self.printed(), self.said()));
        Err(Error::EndedEarly { name: self.name.clone(), status, talk })
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(&mut self, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        while self.ended().is_none() {
            if Instant::now() > end {
                let what = format!("the end of {}", self.name);
                return Err(Error::Waited { what, seconds: within.as_secs() });
            }
            std::thread::sleep(LOOK);
        }
        match self.status {
            Some(status) if !status.success() => {
                let talk = end_of(&format!("{}\n{}", self.printed(), self.said()));
                Err(Error::Failed { program: self.name.clone(), status, talk })
            }
            _ => Ok(()),
        }
    }

    /// Asks it to end, and kills it if it does not in time.
    pub(crate) fn stop(&mut self, signal: Signal, within: Duration) {
        self.signal(signal);
        let end = Instant::now() + within;
        while self.ended().is_none() && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
        if self.status.is_none() {
            self.signal(Signal::KILL);
            self.status = self.child.wait().ok();
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.status, pid) {
            // It may be gone.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.stop(Signal::KILL, Duration::from_secs(5));
        }
    }
}

fn text_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    // A file that is not there yet has said nothing.
    if let Ok(file) = File::open(path) {
        let _ = file.take(16 << 20).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ticks of a process's own time and of the kernel's for it, in its /proc/PID/stat.
fn ticks(stat: &str) -> Option<u64> {
    // Its name may hold anything, a parenthesis too.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Waits until a condition holds; `what` names it in the error.
pub(crate) fn until(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let end = Instant::now() + within;
    while !holds()? {
        if Instant::now() > end {
            return Err(Error::Waited { what: what.to_owned(), seconds: within.as_secs() });
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, text).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named_with_its_words() {
        let text = run(&["sh", "-c", "echo oh no >&2; exit 3"]).unwrap_err().to_string();
        assert!(text.contains("oh no") && text.contains('3'), "{text}");
        assert!(matches!(run(&["/no/such/program"]), Err(Error::Start { .. })));
        assert_eq!(run_with(&["cat"], "words").unwrap(), "words");
    }

    #[test]
    fn long_talk_is_cut_at_its_beginning() {
        let text = end_of(&format!("{}end", "ä".repeat(4000)));
        assert!(text.len() <= TALK && text.ends_with("end"), "{}", text.len());
    }

    #[test]
    fn time_is_read_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 200 0 0 0 12 30 5 6 20 0 3 0 100 1 2";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1 7 7 0 -1 4194560 200 0 0 0 12"), None);
    }

    #[test]
    fn waiting_ends() {
        let error = until("nothing", Duration::from_millis(1), || Ok(false)).unwrap_err();
        assert_eq!(error.to_string(), "waited 0 s in vain for nothing");
    }
}
