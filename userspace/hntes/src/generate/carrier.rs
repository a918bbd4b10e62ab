// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What takes messages away: a file of them one after the other (RFC 5655 section 6.1), or UDP.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How much time may be caught up with after a long sleep.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Takes messages away.
#[derive(Debug)]
pub enum Carrier {
    /// Into a file, which appears when it is complete.
    File(MessageFile),
    /// As datagrams.
    Udp(Datagrams),
}

impl Carrier {
    /// Takes a message of the exporter of this number.
    ///
    /// # Errors
    ///
    /// When it cannot be written or sent; the place is in the text.
    pub fn send(&mut self, exporter: usize, message: &[u8]) -> Result<()> {
        match self {
            Self::File(file) => file.write(message),
            Self::Udp(datagrams) => datagrams.send(exporter, message),
        }
    }

    /// Completes it.
    ///
    /// # Errors
    ///
    /// As for [`Carrier::send`].
    pub fn finish(&mut self) -> Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Udp(_) => Ok(()),
        }
    }
}

/// A file of messages.
#[derive(Debug)]
pub struct MessageFile {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
}

impl MessageFile {
    /// Begins a file. Until it is complete it has another name.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let partial = path.with_extension("partial");
        let at = || format!("writing {}", path.display());
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(at)?;
        }
        let file = BufWriter::with_capacity(1 << 20, File::create(&partial).with_context(at)?);
        Ok(Self { path: path.to_owned(), partial, file })
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        let written = self.file.write_all(message);
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    fn finish(&mut self) -> Result<()> {
        let done = self.file.flush().and_then(|()| fs::rename(&self.partial, &self.path));
        done.with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Datagrams to one collector, so many a second at most. Each exporter has a socket of its own, and so a
/// source port, as far as there are addresses to send from also a source address.
#[derive(Debug)]
pub struct Datagrams {
    to: SocketAddr,
    /// Source addresses by the number of the exporter; the last is that of all others.
    from: Vec<IpAddr>,
    sockets: Vec<UdpSocket>,
    every: Duration,
    next: Instant,
}

impl Datagrams {
    /// Sends at most `rate` datagrams a second, one at least.
    pub fn new(to: SocketAddr, from: Vec<IpAddr>, rate: u32) -> Self {
        let every = Duration::from_secs(1) / rate.max(1);
        Self { to, from, sockets: Vec::new(), every, next: Instant::now() }
    }

    fn open(&self, exporter: usize) -> Result<UdpSocket> {
        let any = || match self.to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let from = self.from.get(exporter).or(self.from.last()).copied().unwrap_or_else(any);
        let socket = UdpSocket::bind((from, 0)).with_context(|| format!("sending from {from}"))?;
        let to = self.to;
        socket.connect(to).with_context(|| format!("sending from {from} to {to}"))?;
        Ok(socket)
    }

    fn send(&mut self, exporter: usize, message: &[u8]) -> Result<()> {
        while self.sockets.len() <= exporter {
            self.sockets.push(self.open(self.sockets.len())?);
        }
        let now = Instant::now();
        if self.next > now {
            thread::sleep(self.next - now);
        }
        let behind = Instant::now().checked_sub(CATCH_UP).unwrap_or(now);
        self.next = self.next.max(behind) + self.every;
        let sent = self.sockets[exporter].send(message);
        sent.with_context(|| format!("sending to {}", self.to))?;
        Ok(())
    }
}
