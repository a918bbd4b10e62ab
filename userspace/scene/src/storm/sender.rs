// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The exporters' side: sessions written to in random chunks, at a given rate.
//!
//! A session is ended by the exporter after a number of kills and replaced, because the kernel
//! bounds how often one session may be taken over, and because a FIN must survive a kill too.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::load::Load;
use super::random::Random;
use super::{Session, Shared};

/// The collectors' BMP port.
pub(crate) const PORT: u16 = 1790;
/// Bytes of a session that may be sent before they are proved.
const WINDOW: u64 = 256 << 10;
/// The same for all sessions together: the checker may be slower than the collectors.
const BACKLOG: u64 = 8 << 20;
/// Longest chunk of one write.
const CHUNK: u64 = 3000;
/// A session lives this many kills at least, and less than twice as many. With four collectors
/// every fourth kill takes it over: about 20 times, where the kernel allows 64.
const LIFE: u64 = 50;
/// How long a session that the exporter ended may wait for the collector to end it too.
const GOODBYE: Duration = Duration::from_secs(600);

/// Sums of the sender.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Sent {
    /// Sessions opened.
    pub(crate) sessions: u64,
    /// Bytes handed to the kernel.
    pub(crate) bytes: u64,
    /// Sessions the exporter ended.
    pub(crate) ended: u64,
    /// Sessions the collectors' side ended.
    pub(crate) cut: u64,
    /// Connections that were refused.
    pub(crate) refused: u64,
    /// Ended sessions whose end the collectors never answered.
    pub(crate) unanswered: u64,
}

struct Open {
    session: Arc<Session>,
    stream: TcpStream,
    load: Load,
    address: SocketAddr,
    /// Number of kills after which it ends.
    dies_at: u64,
    /// Since when the exporter has ended it.
    leaving: Option<Instant>,
}

/// Sends until told to stop.
pub(crate) struct Sender {
    seed: u64,
    exporters: Vec<SocketAddr>,
    rate: u64,
    shared: Arc<Shared>,
    random: Random,
    sent: Sent,
}

impl Sender {
    /// A sender for one session per exporter, `rate` bytes per second in all.
    pub(crate) fn new(
        seed: u64,
        exporters: Vec<SocketAddr>,
        rate: u64,
        shared: Arc<Shared>,
    ) -> Self {
        let random = Random::new(seed ^ 0x7365_6e64);
        Self { seed, exporters, rate, shared, random, sent: Sent::default() }
    }

    /// Sends; returns when the storm stops.
    pub(crate) fn run(mut self) -> Sent {
        let mut open: Vec<Open> = Vec::new();
        let mut missing = self.exporters.clone();
        let (start, mut due) = (Instant::now(), 0);
        while !self.shared.stop.load(Ordering::Acquire) {
            let quiet = self.shared.quiet.load(Ordering::Acquire);
            if !quiet {
                missing.retain(|address| match self.connect(*address) {
                    Some(session) => {
                        open.push(session);
                        false
                    }
                    None => true,
                });
            }
            let allowed = (start.elapsed().as_secs_f64() * self.rate as f64) as u64;
            // What a pause has held up is not caught up with all at once.
            due = due.max(allowed.saturating_sub(self.rate / 4));
            let mut tries = 0;
            let behind: u64 = self.shared.sessions().iter().map(|s| s.missing()).sum();
            let quiet = quiet || behind >= BACKLOG;
            while !quiet && due < allowed && tries < 4 * open.len() {
                let at = self.random.below(open.len() as u64) as usize;
                due += self.write(&mut open[at]);
                tries += 1;
            }
            let before = open.len();
            let last = self.shared.quiet.load(Ordering::Acquire);
            open.retain_mut(|session| {
                let stays = self.stays(session, last);
                if !stays {
                    session.session.over.store(true, Ordering::Release);
                    missing.push(session.address);
                }
                stays
            });
            if open.len() == before {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for session in open {
            // No TIME_WAIT, so that the sockets can be counted.
            let _ = Socket::from(session.stream).set_linger(Some(Duration::ZERO));
        }
        self.sent
    }

    fn connect(&mut self, address: SocketAddr) -> Option<Open> {
        let target = if address.is_ipv4() {
            SocketAddr::from(([127, 0, 0, 1], PORT))
        } else {
            SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], PORT))
        };
        let connected = (|| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.bind(&SockAddr::from(address))?;
            socket.connect(&SockAddr::from(target))?;
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            let stream = TcpStream::from(socket);
            Ok::<_, std::io::Error>((stream.local_addr()?, stream))
        })();
        let Ok((exporter, stream)) = connected else {
            self.sent.refused += 1;
            return None;
        };
        let number = self.sent.sessions;
        self.sent.sessions += 1;
        let session = Arc::new(Session::new(number, exporter));
        self.shared.add(Arc::clone(&session));
        let kills = self.shared.kills.load(Ordering::Acquire);
        let dies_at = kills + LIFE + self.random.below(LIFE);
        let load = Load::new(self.seed, number);
        Some(Open { session, stream, load, address, dies_at, leaving: None })
    }

    /// Writes a random chunk; returns how much went.
    fn write(&mut self, open: &mut Open) -> u64 {
        let sent = open.session.sent.load(Ordering::Acquire);
        let unproved = sent - open.session.proved.load(Ordering::Acquire).min(sent);
        if open.leaving.is_some() || unproved >= WINDOW {
            return 0;
        }
        let chunk = 1 + self.random.below(CHUNK) as usize;
        let bytes = open.load.at(sent);
        // Errors are met again, and dealt with, when the stream is read.
        let written = open.stream.write(&bytes[..chunk.min(bytes.len())]).unwrap_or(0) as u64;
        open.session.sent.store(sent + written, Ordering::Release);
        self.sent.bytes += written;
        written
    }

    /// Ends the session if it is time, or if it is the `last` one of its exporter: what it has sent of
    /// an unfinished message is written at its end only. False once it is over.
    fn stays(&mut self, open: &mut Open, last: bool) -> bool {
        let time = last || self.shared.kills.load(Ordering::Acquire) >= open.dies_at;
        if open.leaving.is_none() && time {
            open.leaving = Some(Instant::now());
            let _ = open.stream.shutdown(Shutdown::Write);
            self.sent.ended += 1;
        }
        let gone = match open.stream.read(&mut [0; 64]) {
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
            // A collector says nothing on a BMP session; bytes would be as odd as an end.
            Ok(_) => true,
        };
        match open.leaving {
            None if gone => {
                self.sent.cut += 1;
                open.session.cut.store(true, Ordering::Release);
                false
            }
            Some(since) if !gone && since.elapsed() > GOODBYE => {
                self.sent.unanswered += 1;
                false
            }
            _ => !gone,
        }
    }
}
