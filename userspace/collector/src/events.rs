// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens to a collector and its sessions, one line each.

use std::net::SocketAddr;

use crate::line::Line;

/// A session in event lines.
#[derive(Debug, Clone, Copy)]
pub struct SessionRef<'a> {
    /// The exporter's end.
    pub peer: SocketAddr,
    /// Boot id, namespace cookie and socket cookie.
    pub name: &'a str,
    /// Stream offset of the next byte to read.
    pub offset: u64,
}

/// One event.
#[derive(Debug)]
pub enum Event<'a> {
    /// The sockets are open.
    Start {
        /// Steering and takeover in force.
        mode: &'a str,
    },
    /// A session was accepted; `heir` instead if somebody else had it before.
    Accept {
        /// The session.
        session: SessionRef<'a>,
        /// Takeovers so far.
        takeovers: u32,
        /// Bytes waiting in it.
        queued: u64,
    },
    /// A session ended, or was left to a sibling.
    Close {
        /// The session.
        session: SessionRef<'a>,
        /// Why.
        reason: &'a str,
    },
    /// A planned drain begins.
    DrainStart,
    /// The kernel chooses none of its sockets any more.
    DrainLeft,
    /// Nothing is left to read.
    DrainEnd {
        /// Whether everything was done in time.
        complete: bool,
    },
    /// The last line.
    Stop,
}

impl Event<'_> {
    /// Appends the event's fields to a line that has its head, and ends it.
    pub fn write(&self, line: Line<'_>) {
        match self {
            Event::Start { mode } => line.string("event", "start").string("mode", mode).end(),
            Event::Accept { session, takeovers, queued } => {
                let kind = if *takeovers > 0 { "heir" } else { "accept" };
                session
                    .write(line.string("event", kind))
                    .number("takeovers", u64::from(*takeovers))
                    .number("queued", *queued)
                    .end();
            }
            Event::Close { session, reason } => {
                session.write(line.string("event", "close")).string("reason", reason).end();
            }
            Event::DrainStart => line.string("event", "drain_start").end(),
            Event::DrainLeft => line.string("event", "drain_left").end(),
            Event::DrainEnd { complete } => line
                .string("event", "drain_end")
                .json("complete", |out| {
                    out.extend_from_slice(if *complete { b"true" } else { b"false" });
                })
                .end(),
            Event::Stop => line.string("event", "stop").end(),
        }
    }
}

impl SessionRef<'_> {
    fn write<'a>(&self, line: Line<'a>) -> Line<'a> {
        line.ip("exporter", self.peer.ip())
            .number("port", u64::from(self.peer.port()))
            .string("session", self.name)
            .number("offset", self.offset)
    }
}
