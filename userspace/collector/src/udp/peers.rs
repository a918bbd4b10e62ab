// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The exporters of a flow socket, at most so many. Forgetting one costs little: what it announced
//! is in the store and is found again.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use telesteer_wire::flow::{Limits, Session};

use crate::{checkpoint::Stamp, metrics::ExporterRow};

/// Exporters looked at to find one to forget. The table's order is random enough for the one idle
/// longest among them to be a good choice.
const SAMPLE: usize = 16;

/// What is known of one observation domain beyond its templates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DomainNote {
    /// The store's version last read or written.
    pub(super) stamp: Option<Stamp>,
    /// No search in the store before this time.
    pub(super) not_before: Duration,
}

/// One exporter's transport session.
pub(super) struct Peer {
    pub(super) session: Session,
    pub(super) domains: HashMap<u32, DomainNote>,
    pub(super) row: Arc<ExporterRow>,
    pub(super) last_seen: Duration,
    /// Sequence numbers jumped: it may have been elsewhere.
    pub(super) gap: bool,
    /// Bytes of datagrams with sets that wait, at most.
    pub(super) waiting_bytes: usize,
}

impl Peer {
    pub(super) fn new(row: Arc<ExporterRow>) -> Self {
        Self {
            session: Session::new(Limits::default()),
            domains: HashMap::new(),
            row,
            last_seen: Duration::ZERO,
            gap: false,
            waiting_bytes: 0,
        }
    }
}

/// All exporters of a socket.
#[derive(Default)]
pub(super) struct Peers {
    map: HashMap<SocketAddr, Peer>,
    /// Sum of [`Peer::waiting_bytes`].
    pub(super) waiting_bytes: usize,
}

impl Peers {
    /// The exporter, made by `new` if it is not known. Says how many were forgotten for it.
    pub(super) fn get(
        &mut self,
        addr: SocketAddr,
        limit: usize,
        new: impl FnOnce() -> Peer,
    ) -> (&mut Peer, u64) {
        let mut evicted = 0;
        if !self.map.contains_key(&addr) && self.map.len() >= limit.max(1) {
            let oldest = self.map.iter().take(SAMPLE).min_by_key(|(_, peer)| peer.last_seen);
            if let Some(oldest) = oldest.map(|(addr, _)| *addr) {
                self.forget(&oldest);
                evicted = 1;
            }
        }
        (self.map.entry(addr).or_insert_with(new), evicted)
    }

    /// Forgets an exporter with everything that waits; says how many sets those were.
    pub(super) fn forget(&mut self, addr: &SocketAddr) -> u64 {
        let Some(peer) = self.map.remove(addr) else { return 0 };
        self.waiting_bytes -= peer.waiting_bytes;
        peer.session.waiting() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_the_idle_go_first() {
        let mut peers = Peers::default();
        let mut evicted = 0;
        for n in 0..100_u16 {
            let addr = SocketAddr::from(([192, 0, 2, 1], 1000 + n));
            let (peer, gone) = peers.get(addr, 10, || Peer::new(Arc::default()));
            peer.last_seen = Duration::from_secs(u64::from(n));
            evicted += gone;
        }
        assert_eq!((peers.map.len(), evicted), (10, 90));
        assert!(peers.map.contains_key(&SocketAddr::from(([192, 0, 2, 1], 1099))));
    }
}
