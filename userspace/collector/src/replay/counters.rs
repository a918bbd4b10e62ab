// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a load has sent so far, kept as it is sent.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// A counter several senders add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes `count` away again.
    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// The present value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Serialize for Counter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

/// Counters of BMP (and replayed TCP) sessions.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sessions {
    /// Sessions the load is made of.
    pub sessions: Counter,
    /// Sessions connected at this moment.
    pub connected: Counter,
    /// Connections made, first ones and later ones.
    pub connects: Counter,
    /// Connection attempts refused or timed out.
    pub connects_failed: Counter,
    /// Whole messages written, the openings of sessions included.
    pub messages: Counter,
    /// Bytes written.
    pub bytes: Counter,
    /// Sessions the other side reset (RST).
    pub resets: Counter,
    /// Sessions the other side closed in order (FIN).
    pub closes: Counter,
    /// Bytes received; a collector sends none.
    pub bytes_received: Counter,
    /// Bytes thrown away because their session ended before they were written.
    pub bytes_dropped: Counter,
    /// Times a session could not go on because the other side did not read.
    pub stalls: Counter,
    /// Sessions given up after too many attempts.
    pub given_up: Counter,
}

/// Counters of datagrams of one kind.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Datagrams {
    /// Exporters the load is made of.
    pub exporters: Counter,
    /// Exporters that have sent their first templates.
    pub started: Counter,
    /// Datagrams sent.
    pub datagrams: Counter,
    /// Bytes of payload sent.
    pub bytes: Counter,
    /// Data records, or notifications, in them.
    pub records: Counter,
    /// Template and options template records in them.
    pub templates: Counter,
    /// Datagrams the socket did not take at once (sent a little later).
    pub send_blocked: Counter,
    /// Datagrams the socket refused.
    pub send_failed: Counter,
}

/// Counters of BGP speakers.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Speakers {
    /// Sessions established.
    pub established: Counter,
    /// Sessions that ended.
    pub ended: Counter,
    /// Routes announced, repeated announcements included.
    pub announced: Counter,
    /// Routes withdrawn.
    pub withdrawn: Counter,
    /// Speakers that have announced their whole table.
    pub tables_sent: Counter,
}

/// All counters of a load, as printed.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counters {
    /// BMP sessions.
    pub bmp: Sessions,
    /// IPFIX exporters.
    pub ipfix: Datagrams,
    /// NetFlow v9 exporters.
    pub netflow9: Datagrams,
    /// UDP-notif publishers.
    pub notif: Datagrams,
    /// Datagrams of captures.
    pub pcap_udp: Datagrams,
    /// TCP streams of captures.
    pub pcap_tcp: Sessions,
    /// BGP speakers.
    pub bgp: Speakers,
}
