// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One monitored router's TCP session: connect, send without end, reconnect only after a loss.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::bmp::Router;
use super::counters::Sessions;
use super::pace::Pace;
use super::phase::{Phase, Watch};
use super::rng::Rng;
use super::sources;

/// No more messages are made while this many bytes wait to be written.
const PENDING_MAX: usize = 256 << 10;
/// First and longest pause between two attempts to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A session that failed to connect this often in a row is given up.
const ATTEMPTS_MAX: u32 = 1000;
/// How long an attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long the rest of a message may take when the load is stopped.
const FLUSH_MAX: Duration = Duration::from_secs(10);

/// Where writes are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Chunk {
    /// At random places, as a network does: the receiver mostly ends inside a message.
    #[default]
    Random,
    /// At message boundaries.
    Message,
}

/// One router with its session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Address the session comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub target: SocketAddr,
    /// Messages per second.
    pub rate: f64,
    /// Where writes are cut.
    pub chunk: Chunk,
    /// What the router says.
    pub router: Router,
    /// Randomness of the cuts and pauses.
    pub rng: Rng,
}

/// Why a session's stream ended.
enum End {
    Stopped,
    Reset,
    Closed,
}

impl Session {
    /// Runs until the load ends; what happens is counted in `counters`.
    pub(crate) async fn run(mut self, counters: &Sessions, mut watch: Watch) {
        let mut pause = BACKOFF.0;
        let mut attempts = 0;
        while watch.now() == Phase::Run {
            let stream = tokio::select! {
                stream = self.connect() => stream,
                () = watch.not_running() => return,
            };
            if let Some(stream) = stream {
                (pause, attempts) = (BACKOFF.0, 0);
                counters.connects.add(1);
                counters.connected.add(1);
                let end = self.talk(stream, counters, &mut watch).await;
                counters.connected.sub(1);
                match end {
                    End::Stopped => return,
                    End::Reset => counters.resets.add(1),
                    End::Closed => counters.closes.add(1),
                }
            } else {
                counters.connects_failed.add(1);
                attempts += 1;
                if attempts == ATTEMPTS_MAX {
                    counters.given_up.add(1);
                    return;
                }
            }
            let jitter = Duration::from_millis(self.rng.within(0, 50));
            tokio::select! {
                () = sleep(pause + jitter) => {}
                () = watch.not_running() => return,
            }
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    async fn connect(&self) -> Option<TcpStream> {
        let socket = sources::tcp(self.source).ok()?;
        timeout(CONNECT_MAX, socket.connect(self.target)).await.ok()?.ok()
    }

    async fn talk(&mut self, stream: TcpStream, counters: &Sessions, watch: &mut Watch) -> End {
        let mut pending = Vec::new();
        counters.messages.add(self.router.opening(&mut pending, now_us()));
        let mut pace = Pace::new(self.rate, self.rng.within(0, 999) as f64 / 1000.0);
        let tick = pace.tick();
        loop {
            tokio::select! {
                // Jitter keeps the sessions from writing in step.
                () = sleep(tick.mul_f64(self.rng.within(50, 150) as f64 / 100.0)) => {}
                end = ended(&stream, counters) => {
                    counters.bytes_dropped.add(pending.len() as u64);
                    return end;
                }
                () = watch.not_running() => {
                    flush(&stream, &pending, counters).await;
                    return tokio::select! {
                        () = watch.end() => End::Stopped,
                        end = ended(&stream, counters) => end,
                    };
                }
            }
            let due = pace.due(Instant::now());
            if pending.len() > PENDING_MAX {
                counters.stalls.add(1);
            } else {
                let now_us = now_us();
                (0..due).for_each(|_| self.router.message(&mut pending, now_us));
                counters.messages.add(due);
            }
            let length = match self.chunk {
                Chunk::Message => pending.len(),
                Chunk::Random => self.rng.length(pending.len().min(1), pending.len()),
            };
            match stream.try_write(&pending[..length]) {
                Ok(written) => {
                    counters.bytes.add(written as u64);
                    pending.drain(..written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    counters.bytes_dropped.add(pending.len() as u64);
                    return End::Reset;
                }
            }
        }
    }
}

/// Waits for the other side to end the stream; bytes it sends are counted and dropped.
async fn ended(stream: &TcpStream, counters: &Sessions) -> End {
    let mut sink = [0; 512];
    loop {
        if stream.readable().await.is_err() {
            return End::Reset;
        }
        match stream.try_read(&mut sink) {
            Ok(0) => return End::Closed,
            Ok(length) => counters.bytes_received.add(length as u64),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return End::Reset,
        }
    }
}

/// Writes the rest, so that a stopped load ends on a message boundary.
async fn flush(stream: &TcpStream, mut pending: &[u8], counters: &Sessions) {
    let whole = async {
        while !pending.is_empty() && stream.writable().await.is_ok() {
            match stream.try_write(pending) {
                Ok(written) => {
                    counters.bytes.add(written as u64);
                    pending = &pending[written..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        pending.len()
    };
    let left = timeout(FLUSH_MAX, whole).await.unwrap_or(0);
    counters.bytes_dropped.add(left as u64);
}

/// Unix time in microseconds.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}
