// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BMP (RFC 7854, 8671, 9069 and the v4 TLV drafts) over a byte stream, decoded by netgauze.
//!
//! [`next_len`] finds message boundaries, [`Session`] decodes one message at a time. A message
//! that cannot be decoded is reported with its reason and the session goes on: BMP has no way to
//! ask for it again. What later messages depend on (Initiation and Peer Ups, whose OPENs say
//! which path attributes and NLRI formats are in use) is kept as raw messages in a [`Context`],
//! so that an heir of the connection decodes from its first message on.

mod context;
mod framer;
mod peer;
mod session;
#[cfg(test)]
mod tests;

pub use context::Context;
pub use framer::{Framing, HEADER_LEN, MESSAGE_LEN_MAX, next_len};
pub use netgauze_bmp_pkt::BmpMessage;
pub use peer::{Peer, PeerKey};
pub use session::{Counters, Decoded, Session};

/// What a message is about, by the type octet of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Type 0.
    RouteMonitoring,
    /// Type 1.
    Stats,
    /// Type 2.
    PeerDown,
    /// Type 3.
    PeerUp,
    /// Type 4.
    Initiation,
    /// Type 5.
    Termination,
    /// Type 6.
    RouteMirroring,
    /// Any other type, or a message that could not be decoded.
    Raw,
}

impl Kind {
    /// By the type octet.
    pub fn of(message_type: u8) -> Self {
        match message_type {
            0 => Self::RouteMonitoring,
            1 => Self::Stats,
            2 => Self::PeerDown,
            3 => Self::PeerUp,
            4 => Self::Initiation,
            5 => Self::Termination,
            6 => Self::RouteMirroring,
            _ => Self::Raw,
        }
    }

    /// The name in output lines and counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::RouteMonitoring => "route_monitoring",
            Self::Stats => "stats",
            Self::PeerDown => "peer_down",
            Self::PeerUp => "peer_up",
            Self::Initiation => "initiation",
            Self::Termination => "termination",
            Self::RouteMirroring => "route_mirroring",
            Self::Raw => "raw",
        }
    }
}

/// The bounds of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Peers whose Peer Up is kept.
    pub peers: usize,
    /// Octets the kept messages may hold.
    pub context_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { peers: 16_384, context_bytes: 32 << 20 }
    }
}
