// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers of single sockets and single exporters.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::Counter;

/// One UDP or listening socket.
#[derive(Debug)]
pub struct SocketRow {
    /// `bmp`, `ipfix`, `netflow` or `notif`.
    pub service: &'static str,
    /// Where it is bound.
    pub addr: SocketAddr,
    /// Datagrams the kernel dropped for want of room.
    pub kernel_drops: Counter,
    /// Datagrams or connections received.
    pub received: Counter,
    /// The socket, as long as it is open, to ask the kernel about its queue.
    pub socket: Weak<OwnedFd>,
}

/// One exporter as seen by one service.
#[derive(Debug, Default)]
pub struct ExporterRow {
    /// Datagrams or BMP messages.
    pub messages: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Flow records, or 0.
    pub records: Counter,
    /// Messages, datagrams or sets that could not be decoded.
    pub undecodable: Counter,
    /// Records missing in its sequence numbers.
    pub sequence_lost: Counter,
    /// Unix seconds of the last message.
    pub last_seen: Counter,
}

/// A row with its service and exporter.
pub type NamedRow = (&'static str, IpAddr, Arc<ExporterRow>);

/// Rows by (service, exporter), as many as [`Exporters::MAX`].
#[derive(Debug, Default)]
pub struct Exporters {
    rows: Mutex<BTreeMap<(&'static str, IpAddr), Arc<ExporterRow>>>,
    /// Exporters that share a row of their own because the table was full.
    pub without_row: Counter,
}

impl Exporters {
    /// Rows kept.
    pub const MAX: usize = 8192;

    /// The row of an exporter. When the table is full, one that nobody else sees.
    pub fn row(&self, service: &'static str, exporter: IpAddr) -> Arc<ExporterRow> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get(&(service, exporter)) {
            return Arc::clone(row);
        }
        let row = Arc::<ExporterRow>::default();
        if rows.len() < Self::MAX {
            rows.insert((service, exporter), Arc::clone(&row));
        } else {
            self.without_row.inc();
        }
        row
    }

    /// At most `limit` rows and how many there are.
    pub fn snapshot(&self, limit: usize) -> (Vec<NamedRow>, usize) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let some = rows
            .iter()
            .take(limit)
            .map(|((service, addr), row)| (*service, *addr, Arc::clone(row)))
            .collect();
        (some, rows.len())
    }
}
