// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One task per UDP socket: drain it until it is empty, hand the output over, sleep a millisecond.
//! Sleeping instead of waking per datagram is what makes a reader cheap; the receive buffer holds
//! what comes meanwhile.
//!
//! Part in the shutdown: when `drain` turns true the kernel sends nothing more here, so the task
//! reads until the socket is empty and ends.

mod flow;
mod journal;
mod notif;
mod peers;

use std::{io, net::SocketAddr, os::fd::OwnedFd, sync::Arc, time::Duration};

use telesteer_sys::{
    datagram::{Batch, Datagram},
    ready,
};
use tokio::sync::watch;

use crate::{
    line::{self, fnv1a},
    listeners::Listener,
    metrics::SocketRow,
    output::Kind,
    shared::{Shared, turned},
    sink::Row,
};

/// Datagrams per receive call.
const BATCH: usize = 32;
/// Pause after the socket was found empty.
const NAP: Duration = Duration::from_millis(1);
/// Output handed over at the latest when it has this many bytes.
const FLUSH: usize = 256 << 10;

/// A datagram with everything its handlers share.
#[derive(Debug, Clone, Copy)]
struct Arrived<'a> {
    from: SocketAddr,
    payload: &'a [u8],
    ts: Duration,
    fnv: u64,
    local_port: u16,
}

/// Lines made and not handed over yet.
#[derive(Default)]
struct Lines {
    data: Vec<u8>,
    count: u64,
    journal: Vec<u8>,
    journal_count: u64,
    rows: Vec<Row>,
}

/// What decodes the datagrams of a socket.
enum Service {
    Flow(Box<flow::Flow>),
    Notif(Box<notif::Notif>),
}

/// Serves one socket to its end.
pub async fn run(shared: Arc<Shared>, listener: Listener, mut drain: watch::Receiver<bool>) {
    let Listener { socket, row, .. } = listener;
    let fd = match ready::readable(socket) {
        Ok(fd) => fd,
        Err(error) => {
            eprintln!("telesteer: {} {}: {error}", row.service, row.addr);
            return;
        }
    };
    let service = match row.service {
        "notif" => Service::Notif(Box::new(notif::Notif::new(Arc::clone(&shared)))),
        name => Service::Flow(Box::new(flow::Flow::new(Arc::clone(&shared), name))),
    };
    let mut reader = Reader {
        shared,
        row,
        service,
        batch: Batch::new(BATCH),
        lines: Lines::default(),
        drops: 0,
    };
    loop {
        let last = tokio::select! {
            biased;
            () = turned(&mut drain) => true,
            guard = fd.readable() => match guard {
                Ok(mut guard) => {
                    // Readiness that comes while we read is not cleared by this.
                    guard.clear_ready();
                    false
                }
                Err(_) => true,
            },
        };
        reader.shared.metrics.udp_wakes.inc();
        reader.empty(fd.get_ref()).await;
        if last {
            return;
        }
        tokio::time::sleep(NAP).await;
    }
}

struct Reader {
    shared: Arc<Shared>,
    row: Arc<SocketRow>,
    service: Service,
    batch: Batch,
    lines: Lines,
    drops: u32,
}

impl Reader {
    /// Reads until nothing is left, then hands the output over.
    async fn empty(&mut self, fd: &Arc<OwnedFd>) {
        loop {
            match self.batch.receive(fd) {
                Ok(0) => break,
                Ok(_) => self.handle(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A pending error of the socket; reading it has cleared it.
                Err(_) => {
                    self.shared.metrics.udp_errors.inc();
                    break;
                }
            }
            if self.lines.data.len() + self.lines.journal.len() >= FLUSH {
                self.flush().await;
                tokio::task::yield_now().await;
            }
        }
        self.service.tick(line::now());
        self.flush().await;
    }

    fn handle(&mut self) {
        let ts = line::now();
        let metrics = &self.shared.metrics;
        let (mut count, mut bytes) = (0, 0);
        for Datagram { from, payload } in self.batch.iter() {
            count += 1;
            bytes += payload.len() as u64;
            let local_port = self.row.addr.port();
            let arrived = Arrived { from, payload, ts, fnv: fnv1a(payload), local_port };
            match &mut self.service {
                Service::Flow(flow) => flow.take(&arrived, &mut self.lines),
                Service::Notif(notif) => notif.take(&arrived, &mut self.lines),
            }
        }
        metrics.datagrams.add(count);
        metrics.datagram_bytes.add(bytes);
        self.row.received.add(count);
        let drops = self.batch.kernel_drops();
        self.row.kernel_drops.add(u64::from(drops.wrapping_sub(self.drops)));
        self.drops = drops;
    }

    async fn flush(&mut self) {
        let Lines { data, count, journal, journal_count, rows } = std::mem::take(&mut self.lines);
        if let Some(sink) = &self.shared.sink {
            sink.take(rows);
        }
        let kind = match self.service {
            Service::Flow(_) => Kind::Flow,
            Service::Notif(_) => Kind::Notif,
        };
        self.shared.outputs.push(kind, data, count).await;
        self.shared.outputs.push(Kind::Journal, journal, journal_count).await;
    }
}

impl Service {
    /// What is due from time to time.
    fn tick(&mut self, now: Duration) {
        match self {
            Self::Flow(_) => {}
            Self::Notif(notif) => notif.tick(now),
        }
    }
}
