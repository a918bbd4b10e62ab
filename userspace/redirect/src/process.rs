// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs a router's own program: words, input, output, within a time and a size.

use crate::error::{DeviceError, Kind};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of output that are read; no table within the limits is as long.
const MAX_OUTPUT: u64 = 256 << 20;
/// What a router's program may take, on an emulated machine too.
const DEADLINE: Duration = Duration::from_secs(60);

/// A program with the words that always come first, such as `ip netns exec r1 nft`.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    device: String,
    words: Vec<String>,
}

impl Program {
    pub(crate) fn new(device: &str, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { device: device.to_owned(), words }
    }

    fn line(&self, args: &[&str]) -> String {
        let words = self.words.iter().map(String::as_str).chain(args.iter().copied());
        words.collect::<Vec<_>>().join(" ")
    }

    /// An error of this program with those arguments.
    pub(crate) fn error(
        &self,
        args: &[&str],
        kind: Kind,
        said: impl std::fmt::Display,
    ) -> DeviceError {
        DeviceError::new(&self.device, &self.line(args), kind, said)
    }

    /// Runs it and gives its standard output.
    pub(crate) fn run(&self, args: &[&str], input: &str) -> Result<String, DeviceError> {
        let output = self.output(args, input)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = if said.trim().is_empty() {
                format!("{}: {}", output.status, String::from_utf8_lossy(&output.stdout))
            } else {
                said.into_owned()
            };
            return Err(self.error(args, Kind::Refused, said));
        }
        String::from_utf8(output.stdout).map_err(|error| self.error(args, Kind::Garbled, error))
    }

    /// Runs it, whatever its exit status.
    pub(crate) fn output(&self, args: &[&str], input: &str) -> Result<Output, DeviceError> {
        let failed = |kind, error: &dyn std::fmt::Display| self.error(args, kind, error);
        let Some((program, first)) = self.words.split_first() else {
            return Err(failed(Kind::Unreachable, &"no program"));
        };
        let mut child = Command::new(program)
            .args(first)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(Kind::Unreachable, &error))?;
        let result = talk(&mut child, input);
        if result.is_err() {
            // It may have ended by itself; what counts is that it is gone.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| failed(Kind::Unreachable, &error))?;
        match result {
            Ok((stdout, stderr)) => Ok(Output { status, stdout, stderr }),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(failed(Kind::Late, &error))
            }
            Err(error) => Err(failed(Kind::Unreachable, &error)),
        }
    }
}

/// Feeds and reads a child at once, so that neither side waits for the other for ever.
fn talk(child: &mut Child, input: &str) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("no pipes"));
    };
    let input = input.to_owned();
    // A program that does not want its input may close it: what it says then decides.
    thread::spawn(move || stdin.write_all(input.as_bytes()));
    let (out, err) = (reader(stdout), reader(stderr));
    let end = Instant::now() + DEADLINE;
    let wait = |from: &mpsc::Receiver<io::Result<Vec<u8>>>| match from
        .recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        Ok(bytes) => bytes,
        Err(RecvTimeoutError::Timeout) => {
            let said = format!("nothing within {} s", DEADLINE.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, said))
        }
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its output got lost")),
    };
    let stdout = wait(&out)?;
    Ok((stdout, wait(&err)?))
}

fn reader(from: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = from.take(MAX_OUTPUT + 1).read_to_end(&mut bytes);
        let result = match result {
            Ok(read) if read as u64 > MAX_OUTPUT => {
                Err(io::Error::other(format!("more than {MAX_OUTPUT} bytes")))
            }
            Ok(_) => Ok(bytes),
            Err(error) => Err(error),
        };
        // Nobody waits any more: the deadline has passed.
        let _ = send.send(result);
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_output_and_what_is_said() {
        let cat = Program::new("d", &["sh", "-c"]);
        let long = "x".repeat(300_000);
        assert_eq!(cat.run(&["cat"], &long).unwrap(), long);
        let error = cat.run(&["echo no >&2; exit 3"], &long).unwrap_err();
        assert_eq!((error.kind, error.said.as_str()), (Kind::Refused, "no"));
        let error = Program::new("d", &["/does/not/exist"]).run(&[], "").unwrap_err();
        assert_eq!(error.kind, Kind::Unreachable);
        assert!(error.to_string().starts_with("d, `/does/not/exist`"), "{error}");
    }
}
