// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs a program to its end, but not for ever; an error names the command and what it said.

use std::{
    io::{Read, Result as IoResult},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Bytes of a program's answer that are read.
const ANSWER_MAX: u64 = 1 << 20;
/// Pause between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be started.
    #[error("{command}: {error}")]
    Start {
        /// The command line.
        command: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It said that it failed.
    #[error("{command}: {status}: {said}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// It ended well, but what it said is an error.
    #[error("{command}: {said}")]
    Refused {
        /// The command line.
        command: String,
        /// What it said.
        said: String,
    },
    /// It did not end.
    #[error("{command}: no end after {} ms, killed", limit.as_millis())]
    Slow {
        /// The command line.
        command: String,
        /// The time it had.
        limit: Duration,
    },
}

/// The command as one would type it.
pub fn shown(argv: &[String]) -> String {
    let quoted = argv.iter().map(|word| {
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c == '"') {
            format!("'{word}'")
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Runs `argv` for `limit` at most; gives its standard output.
///
/// # Errors
///
/// If it cannot be started, does not end, or ends with another status than 0.
pub fn run(argv: &[String], limit: Duration) -> Result<String, Error> {
    let command = shown(argv);
    let (program, arguments) = match argv.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("", argv),
    };
    let start = |error| Error::Start { command: command.clone(), error };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    // Each pipe has its reader, or a program that says much would wait for us.
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(start)? {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(LOOK),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::Slow { command, limit });
            }
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        Ok(out)
    } else {
        let said = format!("{} {}", err.trim(), out.trim()).trim().to_owned();
        Err(Error::Failed { command, status, said })
    }
}

fn reader<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read: Option<IoResult<usize>> =
            pipe.map(|pipe| pipe.take(ANSWER_MAX).read_to_end(&mut bytes));
        // What was read before an error is what it said.
        drop(read);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(text: &str, limit: Duration) -> Result<String, Error> {
        run(&["sh", "-c", text].map(str::to_owned), limit)
    }

    #[test]
    fn a_command_gives_its_output_or_a_named_error() {
        let patience = Duration::from_secs(60);
        assert_eq!(sh("echo yes", patience).unwrap(), "yes\n");
        let text = sh("echo oh no >&2; exit 3", patience).unwrap_err().to_string();
        assert!(text.contains("sh -c 'echo oh no") && text.contains("oh no"), "{text}");
        let text = run(&["/no/such/program".to_owned()], patience).unwrap_err().to_string();
        assert!(text.starts_with("/no/such/program: "), "{text}");
        assert!(matches!(run(&[], patience), Err(Error::Start { .. })));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let error = sh("exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, Error::Slow { .. }), "{error}");
    }
}
