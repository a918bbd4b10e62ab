// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stream of a session: bytes within a time, and until somebody says stop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a router may take over one request unless said otherwise: some commit for minutes.
pub const ANSWER: Duration = Duration::from_secs(300);
/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// A socket, or a program whose standard input and output are one.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    child: Option<Child>,
    /// For one request and its reply.
    answer: Duration,
    end: Instant,
    stop: Arc<AtomicBool>,
}

impl Link {
    /// Over a socket. Once `stop` is set every wait ends.
    pub fn new(stream: UnixStream, answer: Duration, stop: Arc<AtomicBool>) -> Self {
        Self { stream, child: None, answer, end: Instant::now() + answer, stop }
    }

    /// Starts a program such as `ssh -s ROUTER netconf`; it ends with the link.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(
        command: &[String],
        answer: Duration,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, String> {
        let (program, args) = command.split_first().ok_or("command: empty")?;
        let said = |error: io::Error| format!("`{}`: {error}", command.join(" "));
        // A socket, unlike a pipe, has a time limit for either direction.
        let (stream, theirs) = UnixStream::pair().map_err(said)?;
        let input = theirs.try_clone().map_err(said)?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::from(OwnedFd::from(input)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(said)?;
        let mut link = Self::new(stream, answer, stop);
        link.child = Some(child);
        Ok(link)
    }

    /// A request begins: it and its reply have the whole time.
    pub(crate) fn begin(&mut self) {
        self.end = Instant::now() + self.answer;
    }

    /// Nothing more is to be had from it: the router must see that we are gone.
    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// How long to wait before the next look.
    fn slice(&self) -> io::Result<Duration> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "told to stop"));
        }
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let said = format!("no answer within {} s", self.answer.as_secs_f64());
            return Err(io::Error::new(ErrorKind::TimedOut, said));
        }
        Ok(left.min(LOOK))
    }

    /// Does `once` until it is done, or the time is over.
    fn patiently<T>(
        &mut self,
        mut once: impl FnMut(&mut UnixStream, Duration) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let slice = self.slice()?;
            match once(&mut self.stream, slice) {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                done => return done,
            }
        }
    }

    /// Reads what there is, at least a byte; 0 is the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream, slice| {
            stream.set_read_timeout(Some(slice))?;
            stream.read(into)
        })
    }

    /// Writes all.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let wrote = self.patiently(|stream, slice| {
                stream.set_write_timeout(Some(slice))?;
                stream.write(rest)
            })?;
            if wrote == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            done += wrote;
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn silence_has_an_end_in_either_direction() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut link = Link::new(ours, Duration::from_millis(150), Arc::default());
        link.begin();
        let error = link.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("no answer within 0.15 s"), "{error}");
        // More than a socket holds, and nobody who reads it.
        link.begin();
        let error = link.write_all(&vec![0; 16 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(theirs);
    }

    #[test]
    fn dribble_does_not_prolong_it() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut link = Link::new(ours, Duration::from_millis(300), Arc::default());
        let begin = Instant::now();
        link.begin();
        thread::scope(|scope| {
            scope.spawn(move || {
                while theirs.write_all(b"x").is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
            });
            let error = loop {
                if let Err(error) = link.read(&mut [0; 8]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            link.close();
        });
        assert!(begin.elapsed() < SOON);
    }

    #[test]
    fn stop_ends_a_wait_and_the_program() {
        let stop = Arc::new(AtomicBool::new(false));
        let command = ["sleep", "1000"].map(str::to_owned);
        let mut link = Link::start(&command, ANSWER, stop.clone()).unwrap();
        let begin = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(200));
                stop.store(true, Ordering::Relaxed);
            });
            let error = link.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        });
        drop(link);
        assert!(begin.elapsed() < SOON);
    }

    #[test]
    fn a_program_is_spoken_to_and_its_end_is_seen() {
        let command = ["sh", "-c", "read word; echo \"so $word\""].map(str::to_owned);
        let mut link = Link::start(&command, SOON, Arc::default()).unwrap();
        link.write_all(b"what\n").unwrap();
        let mut said: Vec<u8> = Vec::new();
        let mut part = [0; 64];
        while let Ok(read @ 1..) = link.read(&mut part) {
            said.extend(&part[..read]);
        }
        assert_eq!(said, b"so what\n");
        assert!(Link::start(&[], SOON, Arc::default()).is_err());
        let none = ["/does/not/exist".to_owned()];
        assert!(Link::start(&none, SOON, Arc::default()).unwrap_err().contains("/does/not/exist"));
    }
}
