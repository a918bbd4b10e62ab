// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A BGP speaker that feeds a router under test: a table at the start, then churn without end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, interval, sleep, timeout};

use super::bgp::{self, Path, Speaker};
use super::counters::Speakers;
use super::pace::Pace;
use super::phase::{Phase, Watch};
use super::rng::Rng;
use super::sources;

const OPEN: u8 = 1;
const KEEPALIVE: u8 = 4;
/// Routes announced with one set of attributes when the table is sent.
const ROUTES_PER_UPDATE: u32 = 25;
/// Hold time offered, in seconds; long, since the scene may run under emulation.
const HOLD_S: u16 = 180;
/// Pause between two attempts.
const RETRY: Duration = Duration::from_millis(500);
/// How long connecting and each message of the opening may take.
const STEP_MAX: Duration = Duration::from_secs(20);

/// One speaker.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Address the session comes from.
    pub source: IpAddr,
    /// The router to feed.
    pub neighbor: SocketAddr,
    /// Own AS number.
    pub asn: u32,
    /// Size of the table.
    pub routes: u32,
    /// Changes per second after the table was sent.
    pub churn: f64,
    /// Randomness of the churn.
    pub rng: Rng,
}

impl Peer {
    /// Keeps a session up until the load ends.
    pub(crate) async fn run(mut self, counters: &Speakers, mut watch: Watch) {
        while watch.now() != Phase::End {
            let session = self.session(counters);
            tokio::select! {
                ended = session => if ended.is_ok() { counters.ended.add(1) },
                () = watch.end() => return,
            }
            sleep(RETRY).await;
        }
    }

    /// One session; `Err` when it never was established.
    async fn session(&mut self, counters: &Speakers) -> io::Result<()> {
        let socket = sources::tcp(self.source).map_err(io::Error::other)?;
        let stream = timeout(STEP_MAX, socket.connect(self.neighbor)).await??;
        let (mut read, mut write) = stream.into_split();
        self.open(&mut read, &mut write).await?;
        counters.established.add(1);
        tokio::select! {
            _ = self.feed(&mut write, counters) => {}
            _ = discard(&mut read) => {}
        }
        Ok(())
    }

    async fn open(&self, read: &mut OwnedReadHalf, write: &mut OwnedWriteHalf) -> io::Result<()> {
        let id = match self.source {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::new(10, 255, 255, 1),
        };
        write.write_all(&bgp::open(Speaker { asn: self.asn, id, hold_s: HOLD_S })).await?;
        expect(read, OPEN).await?;
        write.write_all(&bgp::keepalive()).await?;
        expect(read, KEEPALIVE).await
    }

    async fn feed(&mut self, write: &mut OwnedWriteHalf, counters: &Speakers) -> io::Result<()> {
        let next_hop = self.source;
        let mut first = 0;
        while first < self.routes {
            let until = (first + ROUTES_PER_UPDATE).min(self.routes);
            let prefixes: Vec<u32> = (first..until).collect();
            let path = Path { asn: self.asn, tail: first, med: 0, next_hop };
            let (message, count) = bgp::announce(path, &prefixes);
            write.write_all(&message).await?;
            counters.announced.add(count as u64);
            first += count as u32;
        }
        counters.tables_sent.add(1);
        let mut keepalive = interval(Duration::from_secs(u64::from(HOLD_S) / 6));
        let mut pace = Pace::new(self.churn, 0.0);
        loop {
            tokio::select! {
                _ = keepalive.tick() => write.write_all(&bgp::keepalive()).await?,
                () = sleep(pace.tick()) => {}
            }
            for _ in 0..pace.due(Instant::now()) {
                let message = self.change(counters);
                write.write_all(&message).await?;
            }
        }
    }

    /// One change: mostly another path, now and then away and back at once.
    fn change(&mut self, counters: &Speakers) -> Vec<u8> {
        let prefix = self.rng.within(0, u64::from(self.routes.max(1)) - 1) as u32;
        let word = self.rng.next();
        let path = Path {
            asn: self.asn,
            tail: word as u32 & 0xffff,
            med: (word >> 32) as u32 & 0xffff,
            next_hop: self.source,
        };
        let mut message = Vec::new();
        if word.is_multiple_of(8) {
            message = bgp::withdraw(&[prefix]);
            counters.withdrawn.add(1);
        }
        message.extend_from_slice(&bgp::announce(path, &[prefix]).0);
        counters.announced.add(1);
        message
    }
}

/// Reads messages until one of `kind` comes; KEEPALIVEs before it are skipped, anything else ends it.
async fn expect(read: &mut OwnedReadHalf, kind: u8) -> io::Result<()> {
    loop {
        let mut header = [0; 19];
        timeout(STEP_MAX, read.read_exact(&mut header)).await??;
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let mut body = vec![0; length.saturating_sub(19).min(bgp::MESSAGE_MAX)];
        timeout(STEP_MAX, read.read_exact(&mut body)).await??;
        match header[18] {
            found if found == kind => return Ok(()),
            KEEPALIVE => {}
            found => {
                return Err(io::Error::other(format!("BGP message {found} in place of {kind}")));
            }
        }
    }
}

/// Reads and drops what the router sends until the session ends.
async fn discard(read: &mut OwnedReadHalf) -> io::Result<()> {
    let mut sink = vec![0; 16 << 10];
    while read.read(&mut sink).await? > 0 {}
    Ok(())
}
